// Fourier transforms. The matrix F of the transform is symmetric, so the adjoint is conj(F): the gradient of a
// transform is the transform in the other direction with the same scale. Everything else here is padding, cutting and
// conversion.
#include <fmt/format.h>

#include <cmath>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

struct Transform {
  int dim;
  bool inverse;
  double scale;
};
// 5 n log2 n for n complex numbers (Cooley & Tukey 1965), whatever n is.
double transform_flops(const Call& c) {
  return 5 * double(c.in(0).numel()) * std::log2(double(c.in(0).size(c.context<Transform>().dim)));
}
Tensor transform(const Tensor& x, const Transform& t) {
  static constexpr Op op{.name = "fft",
                         .rules = {{[](B b) {
                           Transform t = b.context<Transform>();
                           t.inverse = !t.inverse;
                           return transform(b.grad(), t);
                         }}},
                         .flops = transform_flops};
  return call(
      op, t, [&](const Tensor& x) { return raw::dft("fft", x, t.dim, t.inverse, t.scale); }, x);
}

// With c_k as in raw::partners, <G, rfft x> = sum of Re(conj G_k X_k) = n <irfft(G / c), x>, for the spectrum of a real
// signal: the two are adjoint but for c and the scale.
struct RealTransform {
  int dim;
  int64_t n;
};
double real_transform_flops(const Call& c) {
  const RealTransform& t = c.context<RealTransform>();
  const double rows = double(c.out().numel()) / double(c.out().size(t.dim));
  return 2.5 * rows * double(t.n) * std::log2(double(t.n));
}
Tensor count_partners(const Tensor& x, const RealTransform& t) {
  Shape along = Shape::filled(x.dim(), 1);
  along[t.dim] = t.n / 2 + 1;
  return raw::reshape(raw::partners(t.n, {real_of(x.dtype()), x.device()}), along);
}
Tensor to_real(const Tensor& x, const RealTransform& t);
Tensor of_real(const Tensor& x, const RealTransform& t) {
  static constexpr Op op{.name = "rfft",
                         .rules = {{[](B b) {
                           const RealTransform& t = b.context<RealTransform>();
                           return to_real(b.grad() / count_partners(b.grad(), t), t) * double(t.n);
                         }}},
                         .flops = real_transform_flops};
  return call(
      op, t, [&](const Tensor& x) { return raw::dft_of_real("rfft", x, t.dim, 1); }, x);
}
Tensor to_real(const Tensor& x, const RealTransform& t) {
  static constexpr Op op{.name = "irfft",
                         .rules = {{[](B b) {
                           const RealTransform& t = b.context<RealTransform>();
                           const Tensor X = of_real(b.grad(), t);
                           return X * count_partners(X, t) / double(t.n);
                         }}},
                         .flops = real_transform_flops};
  return call(
      op, t, [&](const Tensor& x) { return raw::dft_to_real("irfft", x, t.dim, t.n, 1 / double(t.n)); }, x);
}

struct Size {
  int dim;
  int64_t n;
};
Size size_of(const char* op, const Tensor& x, int64_t n, int64_t dim, int64_t standard) {
  if (x.dim() == 0) throw ShapeError(fmt::format("{}: the input has no dims; expected at least one", op));
  Size s{wrap_dim(op, dim, x.dim()), n == -1 ? standard : n};
  if (s.n < 1)
    throw ValueError(fmt::format("{}: nothing to transform; got n = {} for shape {} and dim {}; expected at least 1",
                                 op, s.n, x.shape().str(), dim));
  return s;
}
int64_t length(const Tensor& x, int64_t dim) {
  return x.dim() == 0 || dim < -x.dim() || dim >= x.dim() ? 1 : x.size(dim);  // size_of reports the error
}

// Cuts or pads x with zeros to n along dim.
Tensor fit(const Tensor& x, int dim, int64_t n) {
  const int64_t have = x.size(dim);
  if (have == n) return x;
  if (have > n) return slice(x, dim, 0, n);
  return transpose(pad(transpose(x, dim, -1), {0, n - have}), dim, -1);
}

Tensor complex_input(const Tensor& x) { return to(x, complex_of(x.dtype())); }

Tensor full_transform(const char* op, const Tensor& x, int64_t n, int64_t dim, bool inverse) {
  Size s = size_of(op, x, n, dim, length(x, dim));
  return transform(complex_input(fit(x, s.dim, s.n)), {s.dim, inverse, inverse ? 1.0 / double(s.n) : 1.0});
}

}  // namespace

Tensor fft(const Tensor& x, int64_t n, int64_t dim) { return full_transform("fft", x, n, dim, false); }
Tensor ifft(const Tensor& x, int64_t n, int64_t dim) { return full_transform("ifft", x, n, dim, true); }

// The second half of a real signal's spectrum is the conjugate of the first.
Tensor rfft(const Tensor& x, int64_t n, int64_t dim) {
  raw::check_domain("rfft", x.dtype(), kBool | kReal);
  Size s = size_of("rfft", x, n, dim, length(x, dim));
  return of_real(to(fit(x, s.dim, s.n), real_of(complex_of(x.dtype()))), {s.dim, s.n});
}

Tensor irfft(const Tensor& x, int64_t n, int64_t dim) {
  Size s = size_of("irfft", x, n, dim, checked_product("irfft", 2, length(x, dim) - 1));
  return to_real(complex_input(fit(x, s.dim, s.n / 2 + 1)), {s.dim, s.n});
}

}  // namespace ink
