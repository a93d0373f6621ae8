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
  Shape missing = x.shape();
  missing[dim] = n - have;
  return cat({x, zeros(missing, x.options())}, dim);
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
  return slice(full_transform("rfft", x, n, dim, false), s.dim, 0, s.n / 2 + 1);
}

// y_j = 1/n Re sum_k c_k X_k e^(2 pi i j k / n), k = 0 .. n/2, where c_k = 2 counts X_k and its conjugate X_(n-k), and
// c_k = 1 for the entries that are their own partner, 0 and (n even) n/2.
Tensor irfft(const Tensor& x, int64_t n, int64_t dim) {
  Size s = size_of("irfft", x, n, dim, checked_product("irfft", 2, length(x, dim) - 1));
  const int64_t half = s.n / 2 + 1;
  Tensor c = full({half}, 2, {real_of(complex_of(x.dtype())), x.device()});
  raw::fill(select(c, 0, 0), 1);
  if (s.n % 2 == 0) raw::fill(select(c, 0, half - 1), 1);
  Shape along = Shape::filled(x.dim(), 1);
  along[s.dim] = half;
  Tensor weighted = complex_input(fit(x, s.dim, half)) * reshape(c, along);
  return real(transform(fit(weighted, s.dim, s.n), {s.dim, true, 1.0 / double(s.n)}));
}

}  // namespace ink
