// Rotary positions with frequencies of one's own: the layout that checkpoints use, and the ways to stretch the angles
// beyond the length that a model was trained for.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

// How angles are stretched. `factor` is how many times longer sequences may become.
enum class RopeScaling {
  none,
  linear,   // every angle divided by the factor: positions interpolated. Chen et al. 2023, arXiv:2306.15595
  dynamic,  // a larger base, which follows the length of the sequence: "dynamic NTK"
  yarn,     // fast turns stay, slow turns are interpolated, a ramp between; larger scores. Peng et al. 2023, eq. 17-22
  llama3,   // the same by wavelengths, as in Llama 3.1
};

struct RopeOptions {
  int64_t dim = 0;  // numbers of a head that are turned, even
  double base = 10000;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1;                             // at least 1
  int64_t original_context = 0;                  // the length trained for: dynamic, yarn, llama3
  double low_frequency = 1, high_frequency = 4;  // llama3: turns within original_context at which interpolation is
                                                 // whole, and at which there is none
  double fast_turns = 32, slow_turns = 1;        // yarn: the same the other way round
  double attention_factor = 0;                   // yarn: what cos and sin are multiplied by; 0: 0.1 ln(factor) + 1
};

// Angles of rotary positions: pair i of a head turns by position * frequencies[i].
class Rope {
 public:
  // ValueError for an odd dim, a base or factor that is not a finite number of at least 1, or a length that is missing.
  explicit Rope(const RopeOptions& options);
  // For sequences of `length` tokens, which matters to `dynamic` alone.
  std::vector<double> frequencies(int64_t length = 0) const;
  double scale() const { return scale_; }  // of cos and sin
  const RopeOptions& options() const { return options_; }
  // Whether the angle of a position does not depend on the tokens after it, as a cache of keys needs.
  bool fixed_up_to(int64_t length) const;

  // Turns the first `dim` of the last dim of x [..., time, width], pair (x_i, x_{i + dim/2}), by the angles of the
  // positions (i64 [time], or [batch, 1, time] for one list a sample): the layout of Hugging Face's checkpoints.
  // Su et al. 2021, eq. 34, with the pairs i and i + dim/2 in place of 2i and 2i + 1.
  Tensor rotate(const Tensor& x, const Tensor& positions, int64_t length) const;

 private:
  RopeOptions options_;
  double scale_ = 1;
};

}  // namespace ink
