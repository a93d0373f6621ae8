// A stream of normal numbers for each sample.
#include "nn/diffusion/samplers/noise.h"

#include <fmt/format.h>

#include <vector>

#include "autograd/ops.h"
#include "tensor/math/philox.h"
#include "tensor/parallel.h"

namespace ink::diffusion {

// Block `block` of a sample's stream. The third word of the counter is 0 and 1 for the library's other draws.
static PhiloxWords sample_block(uint64_t seed, uint64_t block, uint64_t sample) {
  const uint32_t high = uint32_t(sample >> 32);
  return philox4x32({{uint32_t(block), uint32_t(block >> 32) ^ high << 16, 2, uint32_t(sample)}}, uint32_t(seed),
                    uint32_t(seed >> 32));
}

Tensor SampleNoise::draw(const Shape& shape, Device device) {
  if (shape.empty()) throw ShapeError(fmt::format("SampleNoise: expected a shape [batch, ..]; got {}", shape.str()));
  const int64_t batch = shape[0], total = shape.numel(), each = batch ? total / batch : 0, pairs = (each + 1) / 2;
  std::vector<double> z(size_t(total), 0.);
  parallel_for(batch, std::max<int64_t>(1, 4096 / std::max<int64_t>(1, each)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < pairs; ++j) {
        const PhiloxWords r = sample_block(seed_, drawn_ + uint64_t(j), uint64_t(first_ + i));
        const NormalPair<double> n = normal_from(r.w[0] | uint64_t(r.w[1]) << 32, r.w[2] | uint64_t(r.w[3]) << 32);
        double* out = z.data() + i * each + 2 * j;
        out[0] = n.cos;
        if (2 * j + 1 < each) out[1] = n.sin;
      }
  });
  drawn_ += uint64_t(pairs);
  const Tensor drawn = from_data(std::span<const double>(z), shape);
  return drawn.device() == device ? drawn : to(drawn, device);
}

}  // namespace ink::diffusion
