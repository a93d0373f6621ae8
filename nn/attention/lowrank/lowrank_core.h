// Cores for multi-head attention that look at fewer pairs, or at a matrix of low rank: LSH, Linformer, Nystrom.
#pragma once
#include "nn/attention/core.h"
#include "nn/attention/hashed/lsh.h"
#include "nn/attention/lowrank/nystrom.h"

namespace ink {

// Reformer. k is ignored: the keys are the queries, normalised. NotSupported for a mask: the pairs that meet are found
// by sorting.
struct LshCore : Core<LshCore> {
  LshOptions options;
  explicit LshCore(const LshOptions& options = {});
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  // With options.strict, a seed and a number of buckets: the new tokens look up the kept ones by their hashes, O(time)
  // each. NotSupported otherwise: which tokens meet changes with each token that comes.
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "lsh"; }
  bool shares_query_and_key() const override { return true; }
};

struct LinformerOptions {
  int64_t length;      // of the longest sequence
  int64_t rows = 256;  // what keys and values are projected to
  bool share = false;  // F = E
};
// E and F start uniform in +-1 / sqrt(rows) and serve all heads. NotSupported for masks and steps.
struct LinformerCore : Core<LinformerCore> {
  LinformerOptions options;
  Param e, f;  // [rows, length]; f undefined if shared
  explicit LinformerCore(const LinformerOptions& options);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "linformer"; }
  void fields(Fields& fields) override;
};

struct NystromCoreOptions {
  NystromOptions nystrom = {};
  int64_t heads = 0;        // needed with a convolution
  int64_t convolution = 0;  // size of the depthwise kernel over v that is added; 33 in the paper, 0: none
};
// NotSupported for masks and steps.
struct NystromCore : Core<NystromCore> {
  NystromCoreOptions options;
  Param kernel;  // [heads, 1, convolution]
  explicit NystromCore(const NystromCoreOptions& options = {});
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "nystrom"; }
  void fields(Fields& fields) override;
};

}  // namespace ink
