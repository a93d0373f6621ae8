// What the RWKV generations share: the token shift, the channel mix, and how deep layers start otherwise than first
// ones.
#pragma once
#include <vector>

#include "nn/layers/linear.h"

namespace ink {

// The tokens before each of x [batch, time, dim]: x moved by one step. `last` [batch, 1, dim] is what stands before the
// first (undefined: zeros) and becomes the last of x. ShapeError if they do not fit.
Tensor previous_tokens(const char* layer, const Tensor& x, Tensor& last);

// Which of how many blocks a layer stands in; RWKV starts its mixes and decays by the depth.
struct Depth {
  int64_t layer = 0, layers = 1;
  double from_first() const { return layers > 1 ? double(layer) / double(layers - 1) : 0; }  // 0 .. 1
  double to_last() const { return 1 - double(layer) / double(layers); }                      // 1 .. almost 0
};
// (i / dim)^power for channels i = 0 .. dim - 1, [dim].
Tensor channel_ramp(int64_t dim, double power);

struct RwkvChannelMixOptions {
  int64_t dim;
  int64_t hidden = 0;  // 0: 4 dim
  bool gate = true;    // of RWKV-4 to 6; RWKV-7 has none
  Depth depth = {};
};
// The feed-forward layer of RWKV: value(relu(key(x'))^2), times sigmoid(receptance(x'')) with a gate, where x' = mu x_t
// + (1 - mu) x_{t-1} by channel. Peng et al. 2023, eq. 17-19. Value and receptance start at 0, as published.
struct RwkvChannelMix : Module {
  struct State {
    int64_t time = 0;
    Tensor last;  // the last token, [batch, 1, dim]
    std::vector<Tensor*> tensors() { return {&last}; }
  };
  RwkvChannelMixOptions options;
  Param mix_key, mix_receptance;  // mu, [dim]
  Linear key, value;
  std::optional<Linear> receptance;
  explicit RwkvChannelMix(const RwkvChannelMixOptions& options);
  Tensor forward(const Tensor& x) const;
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override {
    f("mix_key", mix_key)("mix_receptance", mix_receptance)("key", key)("value", value)("receptance", receptance);
  }
};

// A linear layer without bias that starts at 0.
Linear zero_linear(int64_t in, int64_t out);

}  // namespace ink
