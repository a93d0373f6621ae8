// RWKV-4 (Peng et al. 2023): a recurrence of two numbers per channel. A block is this layer and RwkvChannelMix.
#pragma once
#include "nn/ssm/rwkv/shift.h"
#include "nn/ssm/rwkv/wkv.h"

namespace ink {

struct Rwkv4Options {
  int64_t dim;
  ScanAlgorithm algorithm = ScanAlgorithm::sequential;
  Depth depth = {};
};

// out(sigmoid(r) o wkv(k, v)), where r, k and v see a mix of each token with the one before. Receptance, key and out
// start at 0, as published.
struct Rwkv4TimeMix : Module {
  struct State {
    int64_t time = 0;
    Tensor last;  // the last token, [batch, 1, dim]
    WkvSums sums;
    std::vector<Tensor*> tensors() { return {&last, &sums.numerator, &sums.denominator, &sums.exponent}; }
  };
  Rwkv4Options options;
  Param decay, first;                        // w = -e^decay; u, the bonus of the newest token
  Param mix_receptance, mix_key, mix_value;  // mu, [dim]
  Linear receptance, key, value, out;
  explicit Rwkv4TimeMix(const Rwkv4Options& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override {
    f("decay", decay)("first", first)("mix_receptance", mix_receptance)("mix_key", mix_key)("mix_value", mix_value);
    f("receptance", receptance)("key", key)("value", value)("out", out);
  }
};

}  // namespace ink
