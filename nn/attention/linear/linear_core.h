// The linear kinds of attention as cores of multi-head attention. Of masks they take those that hide keys from every
// query alike ([..., 1, time]: padding). What a single query may see is not theirs to choose: all share one sum.
#pragma once
#include "nn/attention/core.h"
#include "nn/attention/linear/efficient.h"
#include "nn/attention/linear/linear.h"
#include "nn/attention/linear/performer.h"

namespace ink {

// State: sum = S, norm = z of linear.h.
struct LinearCore : Core<LinearCore> {
  LinearAttentionOptions options;  // key_mask is set by attend()
  explicit LinearCore(const LinearAttentionOptions& options = {});
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "linear"; }
  Rotation rotation() const override { return Rotation::inside; }  // options.rotary
};

// State: sum = G, norm = L.
struct EfficientCore : Core<EfficientCore> {
  EfficientAttentionOptions options;
  explicit EfficientCore(const EfficientAttentionOptions& options = {});
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "efficient"; }
  Rotation rotation() const override {
    return Rotation::never;
  }  // the softmaxes are over features, which rotation mixes
};

struct PerformerOptions {
  int64_t width;         // of q and k: dim / heads
  int64_t features = 0;  // 0: favor_feature_count(width)
  ProjectionOptions projection = {};
  PerformerAttentionOptions attention = {};
};
// State: sum = S, norm = z, extra = -M. The projection is drawn once, is not trained, and is saved with the parameters.
struct PerformerCore : Core<PerformerCore> {
  PerformerOptions options;
  Buffer projection;  // [features, width]
  explicit PerformerCore(const PerformerOptions& options, Generator* generator = nullptr);
  // Draws the projection anew, which keeps a net from fitting one draw (the paper: every 1000 steps). Not between steps
  // of a sequence: a state belongs to the draw that made it.
  void redraw(Generator* generator = nullptr);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const override;
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const override;
  const char* name() const override { return "performer"; }
  Rotation rotation() const override {  // the positive features estimate e^{q.k}, the others another kernel
    return options.attention.kind == RandomFeatures::positive ? Rotation::outside : Rotation::never;
  }
  void fields(Fields& f) override { f("projection", projection); }
};

}  // namespace ink
