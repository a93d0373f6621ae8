// Hydra's heads: Medusa's, but each is told the tokens between the feature and its guess, so that guesses below
// one another fit together. Ankner et al. 2024, arXiv:2402.05109, section 3.
#pragma once
#include "nn/models/causal_lm.h"

namespace ink {

struct HydraOptions {
  int64_t heads = 4;  // head k, from 0, guesses the token k + 2 places on
};

// h + silu(W [h; e_1; ..; e_{k+1}] + b) with the vectors e of the tokens between. W = 0 and b = 0 at the start: h alone
// passes the activation by, so that a head begins as the model's own.
struct HydraHead : Module {
  Param weight, bias;  // [dim, (k + 2) dim], [dim]
  HydraHead(int64_t dim, int64_t k, const Options& options = {});
  Tensor forward(const Tensor& features, const Tensor& embeddings) const;  // [.., dim], [.., k + 1, dim] -> [.., dim]
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

// The heads of one model, on its device and in its dtype; W2 is the model's own head.
struct HydraHeads : Module {
  std::vector<HydraHead> heads;

  // The model must outlive the heads. ValueError unless heads >= 1; NotSupported for a model without head_weight() and
  // embed().
  explicit HydraHeads(const CausalLM& model, const HydraOptions& options = {});
  explicit HydraHeads(const CausalLM&& model, const HydraOptions& options = {}) = delete;

  const CausalLM& model() const { return *model_; }
  int64_t count() const { return int64_t(heads.size()); }
  // features [.., dim] of token t and the path so far, i64 [.., k + 1]: tokens t + 1 (the root of a draft), .., t + k +
  // 1. -> logits [.., vocabulary] of token t + k + 2. ShapeError for other shapes, IndexError unless 0 <= k < count().
  Tensor logits(const Tensor& features, const Tensor& path, int64_t k) const;
  // The same with the model's head and vectors held fixed: gradients reach the features and the heads.
  Tensor logits_beside_frozen_model(const Tensor& features, const Tensor& path, int64_t k) const;
  void fields(Fields& f) override { f("heads", heads); }

 private:
  const HydraHead& head(const Tensor& features, const Tensor& path, int64_t k) const;
  const CausalLM* model_;
};

// The paths that a text takes: of ids i64 [batch, time], for head k at each of `places` places t from `first` on, the
// tokens t + 1 .. t + k + 1: [batch, places, k + 1].
Tensor paths_of_text(const Tensor& ids, int64_t first, int64_t places, int64_t k);

}  // namespace ink
