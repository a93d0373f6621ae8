// Softmax attention, exact and in tiles, as a core of multi-head attention.
#pragma once
#include <optional>

#include "autograd/attention.h"
#include "nn/attention/core.h"

namespace ink {

struct SoftmaxCoreOptions {
  bool causal = false;
  std::optional<int64_t> window = {};  // keys to each side (causal: to the left)
  double softcap = 0;
  bool alibi = false;  // penalties by distance; Press et al. 2022
  double dropout = 0;  // on the weights, while training
  AttentionAlgorithm algorithm = AttentionAlgorithm::flash;
};

// Takes grouped heads as they are. A state keeps all keys and values, with a window the last `window` of them.
struct SoftmaxCore : Core<SoftmaxCore> {
  SoftmaxCoreOptions options;
  explicit SoftmaxCore(const SoftmaxCoreOptions& options = {}) : options(options) {}
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "softmax"; }
  bool takes_grouped_heads() const override { return true; }

 private:
  AttentionOptions of(int64_t heads, const Tensor& like) const;
};

// 2^(-8/heads), 2^(-16/heads), ...: f32 [heads]. Press et al. 2022, section 3.
Tensor alibi_slopes(int64_t heads, Device device = default_device());

}  // namespace ink
