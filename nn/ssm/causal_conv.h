// The short causal convolution that state space models and linear RNNs put before their recurrence: each channel by
// itself over its last few inputs.
#pragma once
#include <cstdint>
#include <vector>

#include "nn/module.h"

namespace ink {

// y_t = bias + sum over i < width of weight_i x_{t - (width - 1) + i}, each channel by itself: the last tap meets the
// input of now, as in torch's conv1d with groups = channels and width - 1 zeros in front. x [batch, time, channels],
// weight [channels, 1, width], bias [channels] or undefined -> the shape of x. `tail` [batch, width - 1, channels]
// holds the inputs before x's first (undefined: zeros) and becomes the last ones, those of x included; a sequence may
// be shorter than the width. Halves are summed in f32. ShapeError if shapes do not fit.
Tensor causal_conv(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& tail);

// The same with parameters that start as torch's Conv1d: uniform in +-1 / sqrt(width).
struct CausalConv : Module {
  struct State {
    int64_t time = 0;
    Tensor tail;  // [batch, width - 1, channels]
    std::vector<Tensor*> tensors() { return {&tail}; }
  };
  Param weight, bias;
  // ValueError for sizes below 1.
  CausalConv(int64_t channels, int64_t width, bool bias = true);
  Tensor forward(const Tensor& x) const;
  Tensor step(const Tensor& x, State& state) const;
  // The next inputs of a layer that keeps the tail in a state of its own.
  Tensor step(const Tensor& x, Tensor& tail) const { return causal_conv(x, weight, bias, tail); }
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

}  // namespace ink
