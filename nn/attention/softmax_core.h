// Softmax attention, exact and in tiles, as a core of multi-head attention.
#pragma once
#include "autograd/attention.h"
#include "nn/attention/core.h"

namespace ink {

// Takes grouped heads as they are. A state keeps all keys and values, under a causal window only those that it still
// shows. `options.dropout` counts while training; `options.mask` is attend's, `options.slopes` alibi's.
struct SoftmaxCore : Core<SoftmaxCore> {
  AttentionOptions options;
  bool alibi;  // penalties by distance; Press et al. 2022
  explicit SoftmaxCore(const AttentionOptions& options = {}, bool alibi = false);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  Tensor step_seen(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state,
                   const Tensor& mask) const override;
  bool takes_step_mask() const override { return !alibi && !options.left; }
  const char* name() const override { return "softmax"; }
  bool takes_grouped_heads() const override { return true; }

 private:
  AttentionOptions of(int64_t heads, const Tensor& like) const;
};

// 2^(-8/heads), 2^(-16/heads), ...: f32 [heads]. Press et al. 2022, section 3.
Tensor alibi_slopes(int64_t heads, Device device = default_device());

}  // namespace ink
