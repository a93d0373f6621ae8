// Systems of equations and determinants.
#include <fmt/format.h>

#include <cmath>

#include "tensor/raw/lapack/lapack.h"
#include "tensor/raw/linalg.h"

namespace ink::raw {

using namespace lapack;

namespace {

double magnitude(double x) { return std::abs(x); }
template <class R> double magnitude(complex<R> x) { return std::hypot(double(x.re), double(x.im)); }
template <class T> T unit(T x, double length) {
  if constexpr (is_complex_type<T>)
    return T(real_t<T>(x.re / length), real_t<T>(x.im / length));
  else
    return T(x / length);
}

struct System {
  Tensor a, x;  // by columns
  int64_t count;
};
System make_system(const char* op, const Tensor& a, const Tensor& b) {
  common_device(op, {&a, &b});
  check_square(op, a);
  if (b.dim() < 2 || b.size(-2) != a.size(-1))
    throw ShapeError(fmt::format(
        "{}: sides do not fit; got {} and {}; expected [..., n, n] and [..., n, k]; hint: unsqueeze(-1) makes "
        "a column of a vector",
        op, a.shape().str(), b.shape().str()));
  DType t = field_dtype(op, promote(a.dtype(), b.dtype()));
  Shape batch = broadcast_shapes(op, batch_of(a), batch_of(b));
  Tensor lu = to_columns(expand(a, with(batch, {a.size(-2), a.size(-1)})), t);
  Tensor x = to_columns(expand(b, with(batch, {b.size(-2), b.size(-1)})), t);
  return {lu, x, x.numel() == 0 ? 0 : batch.numel()};
}

}  // namespace

Tensor solve(const char* op, const Tensor& a, const Tensor& b) {
  System s = make_system(op, a, b);
  const int n = int(a.size(-1)), k = int(b.size(-1)), ld = leading(n);
  visit_field(s.x.dtype(), [&]<class T>() {
    const auto gesv = function<T, void(const int*, const int*, T*, const int*, int*, T*, const int*, int*)>("gesv");
    for_each_matrix(op, s.count, n, "is singular", [&](int64_t i) {
      std::vector<int> pivots(size_t(n), 0);
      int info = 0;
      gesv(&n, &k, matrix<T>(s.a, i), &ld, pivots.data(), matrix<T>(s.x, i), &ld, &info);
      return info;
    });
  });
  return from_columns(s.x, a.device());
}

Tensor triangular_solve(const char* op, const Tensor& a, const Tensor& b, bool upper) {
  System s = make_system(op, a, b);
  const int n = int(a.size(-1)), k = int(b.size(-1)), ld = leading(n);
  visit_field(s.x.dtype(), [&]<class T>() {
    using Trtrs = void(const char*, const char*, const char*, const int*, const int*, const T*, const int*, T*,
                       const int*, int*, size_t, size_t, size_t);
    const auto trtrs = function<T, Trtrs>("trtrs");
    for_each_matrix(op, s.count, n, "has a zero on its diagonal", [&](int64_t i) {
      int info = 0;
      trtrs(upper ? "U" : "L", "N", "N", &n, &k, matrix<T>(s.a, i), &ld, matrix<T>(s.x, i), &ld, &info, 1, 1, 1);
      return info;
    });
  });
  return from_columns(s.x, a.device());
}

std::array<Tensor, 3> determinant(const char* op, const Tensor& a) {
  check_square(op, a);
  DType t = field_dtype(op, a.dtype());
  Tensor lu = to_columns(a, t);
  const Shape batch = batch_of(a);
  Tensor sign = empty(batch, lu.options()), log = empty(batch, {real_of(t), Device::cpu()}),
         det = empty(batch, lu.options());
  const int n = int(a.size(-1)), ld = leading(n);
  visit_field(t, [&]<class T>() {
    const auto getrf = function<T, void(const int*, const int*, T*, const int*, int*, int*)>("getrf");
    for_each_matrix(op, batch.numel(), n, "", [&](int64_t i) {
      std::vector<int> pivots(size_t(n), 0);
      T* m = matrix<T>(lu, i);
      int info = 0;
      getrf(&n, &n, m, &ld, pivots.data(), &info);  // info > 0: singular, U has a zero on its diagonal
      T s(1), d(1);
      double l = 0;
      for (int64_t j = 0; j < n; ++j) {
        T u = pivots[size_t(j)] == j + 1 ? m[j * n + j] : -m[j * n + j];  // each swap of rows changes the sign
        double length = magnitude(u);
        s = length == 0 ? T(0) : s * unit(u, length);
        d = d * u;
        l += std::log(length);
      }
      sign.data<T>()[i] = s, det.data<T>()[i] = d;
      log.data<real_t<T>>()[i] = real_t<T>(l);
      return std::min(info, 0);
    });
  });
  return {to_device(sign, a.device()), to_device(log, a.device()), to_device(det, a.device())};
}

}  // namespace ink::raw
