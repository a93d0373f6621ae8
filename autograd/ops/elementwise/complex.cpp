// Complex numbers and their parts. For a real loss L the gradient of z = x + i y is dL/dx + i dL/dy (torch's
// convention); the engine gives a real input the real part of what a rule returns.
#include <fmt/format.h>

#include <cmath>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/list_op.h"

namespace ink {

using B = const Backward&;

Tensor real(const Tensor& x) {
  if (!is_complex(x.dtype())) return x;
  static constexpr Op op{.name = "real", .rules = {{[](B b) { return b.grad(); }}}, .flops = no_flops};
  return unary(op, fn::RealPart{}, x);
}
Tensor imag(const Tensor& x) {
  if (!is_complex(x.dtype())) return zeros_like(x);
  static constexpr Op op{.name = "imag",
                         .rules = {{[](B b) { return complex_of(zeros_like(b.grad()), b.grad()); }}},
                         .flops = no_flops};
  return unary(op, fn::ImagPart{}, x);
}
Tensor conj(const Tensor& x) {
  if (!is_complex(x.dtype())) return x;
  static constexpr Op op{.name = "conj", .rules = {{[](B b) { return conj(b.grad()); }}}};
  return unary(op, fn::Conj{}, x);
}
// i z / |z|^2, 0 at 0
static Tensor angle_rule(B b) {
  Tensor z = b.in(0), size = abs(z), safe = where(size == 0, ones_like(size), size);
  return b.grad() * (complex_of(-imag(z), real(z)) / safe / safe);
}
Tensor angle(const Tensor& x) {
  if (is_integral(x.dtype())) return angle(to(x, f32));
  if (!is_complex(x.dtype())) return where(x < 0, full({}, M_PI, x.options()), x * 0);  // gradient 0, NaN stays
  static constexpr Op op{.name = "angle", .rules = {{angle_rule, kIn0}}};
  return unary(op, fn::Angle{}, x);
}
Tensor complex_of(const Tensor& re, const Tensor& im) {
  static constexpr Op op{.name = "complex",
                         .rules = {{[](B b) { return real(b.grad()); }}, {[](B b) { return imag(b.grad()); }}},
                         .flops = no_flops};
  return binary(op, fn::MakeComplex{}, widened(re), widened(im));
}
Tensor polar(const Tensor& abs, const Tensor& angle) {
  const Tensor r = widened(abs), phi = widened(angle);
  return complex_of(r * cos(phi), r * sin(phi));
}

// The same memory read as pairs of reals, or pairs of reals read as complex numbers.
static Tensor reinterpret(const Tensor& x, DType dtype, const Shape& shape, const Shape& strides, int64_t offset) {
  Tensor y = raw::as_strided(x, shape, strides, offset);
  y.impl()->dtype = dtype;
  return y;
}
Tensor view_as_real(const Tensor& x) {
  static constexpr Op op{.name = "view_as_real", .rules = {{[](B b) { return view_as_complex(b.grad()); }}}};
  raw::check_domain("view_as_real", x.dtype(), kComplex);
  return call(
      op, NoContext{},
      [&](const Tensor& x) {
        Shape shape = x.shape(), strides = x.strides();
        for (int64_t& s : strides) s = int64_t(uint64_t(s) * 2);  // of a tensor without elements it may be anything
        shape.push_back(2);
        strides.push_back(1);
        return reinterpret(x, real_of(x.dtype()), shape, strides, 2 * x.storage_offset());
      },
      x);
}
Tensor view_as_complex(const Tensor& x) {
  static constexpr Op op{.name = "view_as_complex", .rules = {{[](B b) { return view_as_real(b.grad()); }}}};
  if ((x.dtype() != f32 && x.dtype() != f64) || x.dim() == 0 || x.shape().back() != 2)
    throw ShapeError(
        fmt::format("view_as_complex: takes f32 or f64 [..., 2]; got {} {}", name_of(x.dtype()), x.shape().str()));
  return call(
      op, NoContext{},
      [&](const Tensor& x) {
        Shape shape = x.shape(), strides = x.strides();
        bool paired = strides.back() == 1 && x.storage_offset() % 2 == 0;
        for (int d = 0; d + 1 < x.dim(); ++d) paired &= strides[d] % 2 == 0;
        Tensor pairs = paired ? x : raw::clone(x);
        strides = pairs.strides();
        for (int64_t& s : strides) s /= 2;
        shape.pop_back();
        strides.pop_back();
        return reinterpret(pairs, complex_of(x.dtype()), shape, strides, pairs.storage_offset() / 2);
      },
      x);
}

}  // namespace ink
