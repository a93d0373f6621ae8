// Where samplers get their noise: from a source that the caller gives, in which each sample has a stream of its own.
#pragma once
#include "tensor/tensor.h"

namespace ink::diffusion {

class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  // The next standard normal numbers for a batch of that shape [batch, ..], f64.
  virtual Tensor draw(const Shape& shape, Device device) = 0;
  Tensor draw_like(const Tensor& x) { return draw(x.shape(), x.device()); }
};

// Row i of a batch is sample number first + i of the seed, and its numbers depend on nothing else: a sample comes out
// the same alone, in a batch of any size, and on any number of threads. (Philox, with the sample's number in the
// counter.)
class SampleNoise : public NoiseSource {
 public:
  explicit SampleNoise(uint64_t seed = 0, int64_t first = 0) : seed_(seed), first_(first) {}
  Tensor draw(const Shape& shape, Device device = default_device()) override;

 private:
  uint64_t seed_, drawn_ = 0;  // how many pairs of numbers each sample has had
  int64_t first_;
};

}  // namespace ink::diffusion
