// Sparse attention as cores of multi-head attention.
#pragma once
#include "nn/attention/core.h"
#include "nn/attention/sparse/sparse.h"

namespace ink {

// The pairs of one rule: SparseCore(sparse::strided(32)). The layout of a length is made at its first use.
struct SparseCore : Core<SparseCore> {
  SparseRule rule;
  double dropout;  // on the weights, while training
  explicit SparseCore(SparseRule rule, double dropout = 0);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  // A new token sees what its row of the mask shows. All keys are kept. NotSupported unless the rule is causal.
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return rule.name.c_str(); }
  bool takes_grouped_heads() const override { return true; }

 private:
  PatternCache patterns_;
};

// The keys with the `keep` largest scores, or all if there are fewer: topk_attention.
struct TopKCore : Core<TopKCore> {
  int64_t keep;
  bool causal;
  double dropout;
  explicit TopKCore(int64_t keep, bool causal = false, double dropout = 0);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "top-k"; }
  bool takes_grouped_heads() const override { return true; }
};

}  // namespace ink
