// Tensors in any floating point format, for study: rounded but kept in their own dtype, or as bytes of 8-bit floats
// with a scale. Tensors of a CUDA device are rounded on the host and copied back.
#pragma once
#include "tensor/math/float_format.h"
#include "tensor/tensor.h"

namespace ink {

// Each element of x as the format holds it, in x's dtype and device. DTypeError unless x is floating point.
Tensor rounded(const Tensor& x, const FloatFormat& format, Overflow overflow = Overflow::infinity);

// ---- 8-bit floats with a scale: x is about scale * decode(code)
struct Fp8 {
  Tensor codes;  // u8, x's shape
  Tensor scale;  // f32: 0-dim, or one per block of the last dim [..., blocks]
  FloatFormat format;
  int64_t block = 0;  // entries of the last dim under one scale; 0: all of x
};

// scale = amax / largest * 2^margin, so that the largest element has room (Micikevicius et al. 2022); numbers beyond
// the format saturate. DTypeError unless x is floating point, ValueError for a format that has not 8 bits, a scale that
// is not positive and finite.
Fp8 to_fp8(const Tensor& x, const FloatFormat& format, int margin = 0);
Fp8 to_fp8_scaled(const Tensor& x, const FloatFormat& format, double scale);
// A power of two for each `block` entries of the last dim: MXFP8 (Rouhani et al. 2023). ShapeError unless block divides
// the last dim.
Fp8 to_mxfp8(const Tensor& x, const FloatFormat& format, int64_t block = 32);
Tensor from_fp8(const Fp8& x, DType dtype = DType::f32);

// Delayed scaling: the scale for this step from the largest elements of the last ones, so that x is read once.
class DelayedScale {
 public:
  // ValueError for a history below 1
  explicit DelayedScale(const FloatFormat& format, int64_t history = 1024, int margin = 0);
  double scale() const;           // 1 before the first step
  void observe(const Tensor& x);  // after it was converted

 private:
  FloatFormat format_;
  int margin_;
  std::vector<double> amax_;  // a ring
  int64_t steps_ = 0;
};

}  // namespace ink
