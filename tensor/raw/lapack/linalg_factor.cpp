// Factorisations: Cholesky, QR, eigenvalues of hermitian and of general matrices.
#include <fmt/format.h>

#include "tensor/raw/lapack/lapack.h"
#include "tensor/raw/linalg.h"

namespace ink::raw {

using namespace lapack;

Tensor cholesky(const char* op, const Tensor& a) {
  check_square(op, a);
  Tensor l = to_columns(a, field_dtype(op, a.dtype()));
  const int n = int(a.size(-1)), ld = leading(n);
  visit_field(l.dtype(), [&]<class T>() {
    const auto potrf = function<T, void(const char*, const int*, T*, const int*, int*, size_t)>("potrf");
    for_each_matrix(op, l.numel() == 0 ? 0 : batch_of(a).numel(), n, "is not positive definite", [&](int64_t i) {
      T* m = matrix<T>(l, i);
      int info = 0;
      potrf("L", &n, m, &ld, &info, 1);
      for (int64_t col = 1; col < n; ++col) std::fill_n(m + col * n, col, T(0));
      return info;
    });
  });
  return from_columns(l, a.device());
}

std::array<Tensor, 2> qr(const char* op, const Tensor& a) {
  if (a.dim() < 2) throw ShapeError(fmt::format("{}: got {}; expected [..., m, n]", op, a.shape().str()));
  DType t = field_dtype(op, a.dtype());
  Tensor work_a = to_columns(a, t);
  const int m = int(a.size(-2)), n = int(a.size(-1)), k = std::min(m, n), ld = leading(m);
  const Shape batch = batch_of(a);
  Tensor q = empty(with(batch, {k, m}), work_a.options()),
         r = zeros(with(batch, {n, k}), work_a.options());  // by columns
  visit_field(t, [&]<class T>() {
    const auto geqrf = function<T, void(const int*, const int*, T*, const int*, T*, T*, const int*, int*)>("geqrf");
    const auto orgqr =
        function<T, void(const int*, const int*, const int*, T*, const int*, const T*, T*, const int*, int*)>(
            is_complex_type<T> ? "ungqr" : "orgqr");
    for_each_matrix(op, work_a.numel() == 0 ? 0 : batch.numel(), std::max(m, n), "failed", [&](int64_t i) {
      T *from = matrix<T>(work_a, i), *to_q = matrix<T>(q, i), *to_r = matrix<T>(r, i);
      std::vector<T> tau(size_t(k), T(0));
      int info = 0;
      with_work<T>([&](T* work, int size) { return geqrf(&m, &n, from, &ld, tau.data(), work, &size, &info), info; });
      for (int64_t col = 0; col < n; ++col) std::copy_n(from + col * m, std::min<int64_t>(col + 1, k), to_r + col * k);
      std::copy_n(from, int64_t(k) * m, to_q);
      return with_work<T>(
          [&](T* work, int size) { return orgqr(&m, &k, &k, to_q, &ld, tau.data(), work, &size, &info), info; });
    });
  });
  return {from_columns(q, a.device()), from_columns(r, a.device())};
}

std::array<Tensor, 2> eigh(const char* op, const Tensor& a) {
  check_square(op, a);
  DType t = field_dtype(op, a.dtype());
  Tensor vectors = to_columns(a, t), values = empty(with(batch_of(a), {a.size(-1)}), {real_of(t), Device::cpu()});
  const int n = int(a.size(-1)), ld = leading(n);
  visit_field(t, [&]<class T>() {
    using R = real_t<T>;
    using Syev = void(const char*, const char*, const int*, T*, const int*, R*, T*, const int*, int*, size_t, size_t);
    using Heev =
        void(const char*, const char*, const int*, T*, const int*, R*, T*, const int*, R*, int*, size_t, size_t);
    for_each_matrix(op, vectors.numel() == 0 ? 0 : batch_of(a).numel(), n, "did not converge", [&](int64_t i) {
      T* m = matrix<T>(vectors, i);
      R* w = values.data<R>() + i * n;
      int info = 0;
      return with_work<T>([&](T* work, int size) {
        if constexpr (is_complex_type<T>) {
          std::vector<R> real_work(size_t(std::max(1, 3 * n)));
          const auto heev = function<T, Heev>("heev");
          heev("V", "L", &n, m, &ld, w, work, &size, real_work.data(), &info, 1, 1);
        } else {
          const auto syev = function<T, Syev>("syev");
          syev("V", "L", &n, m, &ld, w, work, &size, &info, 1, 1);
        }
        return info;
      });
    });
  });
  return {to_device(values, a.device()), from_columns(vectors, a.device())};
}

Tensor eigvals(const char* op, const Tensor& a) {
  check_square(op, a);
  const DType t = field_dtype(op, a.dtype());
  Tensor spoilt = to_columns(a, t), values = empty(with(batch_of(a), {a.size(-1)}), {complex_of(t), Device::cpu()});
  const int n = int(a.size(-1)), ld = leading(n), one = 1;
  visit_field(t, [&]<class T>() {
    using R = real_t<T>;
    using RealGeev = void(const char*, const char*, const int*, T*, const int*, T*, T*, T*, const int*, T*, const int*,
                          T*, const int*, int*, size_t, size_t);
    using ComplexGeev = void(const char*, const char*, const int*, T*, const int*, T*, T*, const int*, T*, const int*,
                             T*, const int*, R*, int*, size_t, size_t);
    for_each_matrix(op, spoilt.numel() == 0 ? 0 : batch_of(a).numel(), n, "did not converge", [&](int64_t i) {
      T* m = matrix<T>(spoilt, i);
      complex<R>* w = values.data<complex<R>>() + i * n;
      std::vector<R> parts(size_t(2 * n));
      int info = 0;
      with_work<T>([&](T* work, int size) {
        if constexpr (is_complex_type<T>)
          function<T, ComplexGeev>("geev")("N", "N", &n, m, &ld, w, nullptr, &one, nullptr, &one, work, &size,
                                           parts.data(), &info, 1, 1);
        else
          function<T, RealGeev>("geev")("N", "N", &n, m, &ld, parts.data(), parts.data() + n, nullptr, &one, nullptr,
                                        &one, work, &size, &info, 1, 1);
        return info;
      });
      if constexpr (!is_complex_type<T>)
        for (int k = 0; k < n; ++k) w[k] = complex<R>(parts[size_t(k)], parts[size_t(n + k)]);
      return info;
    });
  });
  return to_device(values, a.device());
}

}  // namespace ink::raw
