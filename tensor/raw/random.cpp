// Random tensors of the graph-free layer: each draw takes its stretch of the generator's stream.
#include "tensor/raw/random.h"

#include <cmath>

#include "tensor/capture.h"

namespace ink::raw {

RandomKey next_key(Generator* generator, int64_t n) {
  return capture::random_key(generator ? *generator : default_generator(), n);
}

// Calls draw(array, key) on a contiguous real array that then becomes target's elements.
template <class F> static void fill_with(const char* op, const Tensor& target, Generator* generator, F draw) {
  check_domain(op, target.dtype(), kField);
  bool pairs = is_complex(target.dtype());
  RandomKey key = next_key(generator, target.numel() * (pairs ? 2 : 1));
  bump_version(target, op);
  if (target.numel() == 0) return;
  Tensor t = target.is_contiguous() ? target : empty(target.shape(), target.options());
  int64_t n = t.numel() * (pairs ? 2 : 1);
  draw(Array{t.raw_data(), real_of(t.dtype()), {n}, {1}}, key);
  if (!t.is_same(target)) kernels_of(target).copy(array(target), array(t));
}

// The largest number of f16 or bf16 below x.
static double largest_below(double x, DType t) {
  auto rounded = [t](double v) { return t == f16 ? double(half(v)) : double(bfloat16(v)); };
  double step = std::fmax(std::fabs(x), 1e-6) * 0x1p-13;
  while (rounded(x - step) >= x) step *= 2;
  return rounded(x - step);
}

void uniform_into(const char* op, const Tensor& target, double low, double high, Generator* generator) {
  fill_with(op, target, generator,
            [&](const Array& out, RandomKey key) { kernels_of(target).uniform(out, key, low, high); });
  bool exact = low == 0 && high == 1;  // the draws are numbers of the format
  if (!is_half(target.dtype()) || exact || !(low < high)) return;
  fn::ClampMax below;  // rounding may have reached `high`
  below.s = largest_below(high, target.dtype());
  unary_into(op, below, target);
}

void normal_into(const char* op, const Tensor& target, double mean, double std, Generator* generator) {
  double per_part = is_complex(target.dtype()) ? std * std::sqrt(0.5) : std;
  fill_with(op, target, generator,
            [&](const Array& out, RandomKey key) { kernels_of(target).normal(out, key, mean, per_part); });
}

Tensor integers(const Shape& shape, Device device, int64_t low, int64_t high, Generator* generator) {
  Tensor out = empty(shape, {i64, device});
  RandomKey key = next_key(generator, out.numel());
  if (out.numel() > 0) kernels_of(out).random_bits(array(out), key, low, high);
  return out;
}

Tensor dropout(const Tensor& x, RandomKey key, double p) {
  Tensor in = contiguous(x), out = empty(x.shape(), x.options());
  if (out.numel() > 0) kernels_of(x).dropout(x.dtype(), out.raw_data(), in.raw_data(), out.numel(), key, p);
  return out;
}

}  // namespace ink::raw
