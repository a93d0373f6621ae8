#include "tensor/linalg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tensor/blas.h"
#include "tensor/parallel.h"

namespace ink::raw {
namespace {

template <class T>
struct Real {
  using type = T;
};
template <class R>
struct Real<complex<R>> {
  using type = R;
};
template <class T>
using real_t = typename Real<T>::type;
template <class T>
constexpr bool is_complex_type = !std::is_same_v<T, real_t<T>>;

double magnitude(double x) { return std::abs(x); }
template <class R>
double magnitude(complex<R> x) {
  return std::hypot(double(x.re), double(x.im));
}
template <class T>
T unit(T x, double length) {
  if constexpr (is_complex_type<T>)
    return T(real_t<T>(x.re / length), real_t<T>(x.im / length));
  else
    return T(x / length);
}

// The LAPACK function of T's letter. Fortran passes the length of each character argument at the end.
template <class T, class F>
F* lapack(const char* name) {
  constexpr char letter = std::is_same_v<T, float> ? 's' : std::is_same_v<T, double> ? 'd' : sizeof(T) == 8 ? 'c' : 'z';
  return blas::function<F>((letter + std::string(name)).c_str());
}

template <class F>
void visit_field(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    case DType::c64:
      return f.template operator()<complex<float>>();
    default:
      return f.template operator()<complex<double>>();
  }
}

DType field_dtype(const char* op, DType t) {
  t = computed_in(op, t, kField);
  if (is_half(t))
    throw DTypeError(fmt::format("{}: dtype not supported; got {}; expected f32, f64, c64 or c128", op, name_of(t)));
  return t;
}
void check_square(const char* op, const Tensor& a) {
  if (a.dim() < 2 || a.size(-1) != a.size(-2))
    throw ShapeError(fmt::format("{}: not square; got {}; expected [..., n, n]", op, a.shape().str()));
}
Shape batch_of(const Tensor& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
Shape with(Shape batch, std::initializer_list<int64_t> sizes) {
  for (int64_t n : sizes) batch.push_back(n);
  return batch;
}

Tensor transposed(const Tensor& x) {
  Shape order;
  for (int d = 0; d < x.dim(); ++d) order.push_back(d);
  std::swap(order[x.dim() - 1], order[x.dim() - 2]);
  return permute(x, order);
}
// LAPACK works in place on matrices that lie by columns: a copy of x^T by rows is x by columns.
Tensor to_columns(const Tensor& x, DType t) { return clone(transposed(cast(x, t))); }
Tensor from_columns(const Tensor& x) { return clone(transposed(x)); }

// Runs f(i), which returns LAPACK's info, for all matrices; then reports the first that failed.
template <class F>
void for_each_matrix(const char* op, int64_t count, int64_t n, const char* problem, F f) {
  std::vector<int> info(size_t(count), 0);
  parallel_for(count, 1 + 20000 / (1 + n * n * n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) info[size_t(i)] = f(i);
  });
  for (int64_t i = 0; i < count; ++i)
    if (info[size_t(i)] != 0)
      throw LinalgError(fmt::format("{}: matrix {} of the batch {} (LAPACK info {})", op, i, problem, info[size_t(i)]));
}

template <class T>
T* matrix(const Tensor& x, int64_t i) {
  return x.data<T>() + i * x.size(-1) * x.size(-2);
}
int leading(int64_t rows) { return int(std::max<int64_t>(1, rows)); }

// Asks LAPACK for the size of its scratch memory (a call with length -1), then calls again with it.
template <class T, class F>
int with_work(F f) {
  T best{};
  f(&best, -1);
  int size;
  if constexpr (is_complex_type<T>)
    size = int(best.re);
  else
    size = int(best);
  std::vector<T> work(size_t(std::max(1, size)));
  return f(work.data(), int(work.size()));
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
    static const auto gesv =
        lapack<T, void(const int*, const int*, T*, const int*, int*, T*, const int*, int*)>("gesv");
    for_each_matrix(op, s.count, n, "is singular", [&](int64_t i) {
      std::vector<int> pivots(size_t(n), 0);
      int info = 0;
      gesv(&n, &k, matrix<T>(s.a, i), &ld, pivots.data(), matrix<T>(s.x, i), &ld, &info);
      return info;
    });
  });
  return from_columns(s.x);
}

Tensor triangular_solve(const char* op, const Tensor& a, const Tensor& b, bool upper) {
  System s = make_system(op, a, b);
  const int n = int(a.size(-1)), k = int(b.size(-1)), ld = leading(n);
  visit_field(s.x.dtype(), [&]<class T>() {
    using Trtrs = void(const char*, const char*, const char*, const int*, const int*, const T*, const int*, T*,
                       const int*, int*, size_t, size_t, size_t);
    static const auto trtrs = lapack<T, Trtrs>("trtrs");
    for_each_matrix(op, s.count, n, "has a zero on its diagonal", [&](int64_t i) {
      int info = 0;
      trtrs(upper ? "U" : "L", "N", "N", &n, &k, matrix<T>(s.a, i), &ld, matrix<T>(s.x, i), &ld, &info, 1, 1, 1);
      return info;
    });
  });
  return from_columns(s.x);
}

std::array<Tensor, 3> determinant(const char* op, const Tensor& a) {
  check_square(op, a);
  DType t = field_dtype(op, a.dtype());
  Tensor lu = to_columns(a, t);
  const Shape batch = batch_of(a);
  Tensor sign = empty(batch, lu.options()), log = empty(batch, {real_of(t), a.device()}),
         det = empty(batch, lu.options());
  const int n = int(a.size(-1)), ld = leading(n);
  visit_field(t, [&]<class T>() {
    static const auto getrf = lapack<T, void(const int*, const int*, T*, const int*, int*, int*)>("getrf");
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
  return {sign, log, det};
}

Tensor cholesky(const char* op, const Tensor& a) {
  check_square(op, a);
  Tensor l = to_columns(a, field_dtype(op, a.dtype()));
  const int n = int(a.size(-1)), ld = leading(n);
  visit_field(l.dtype(), [&]<class T>() {
    static const auto potrf = lapack<T, void(const char*, const int*, T*, const int*, int*, size_t)>("potrf");
    for_each_matrix(op, l.numel() == 0 ? 0 : batch_of(a).numel(), n, "is not positive definite", [&](int64_t i) {
      T* m = matrix<T>(l, i);
      int info = 0;
      potrf("L", &n, m, &ld, &info, 1);
      for (int64_t col = 1; col < n; ++col) std::fill_n(m + col * n, col, T(0));
      return info;
    });
  });
  return from_columns(l);
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
    static const auto geqrf =
        lapack<T, void(const int*, const int*, T*, const int*, T*, T*, const int*, int*)>("geqrf");
    static const auto orgqr =
        lapack<T, void(const int*, const int*, const int*, T*, const int*, const T*, T*, const int*, int*)>(
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
  return {from_columns(q), from_columns(r)};
}

std::array<Tensor, 2> eigh(const char* op, const Tensor& a) {
  check_square(op, a);
  DType t = field_dtype(op, a.dtype());
  Tensor vectors = to_columns(a, t), values = empty(with(batch_of(a), {a.size(-1)}), {real_of(t), a.device()});
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
          lapack<T, Heev>("heev")("V", "L", &n, m, &ld, w, work, &size, real_work.data(), &info, 1, 1);
        } else {
          lapack<T, Syev>("syev")("V", "L", &n, m, &ld, w, work, &size, &info, 1, 1);
        }
        return info;
      });
    });
  });
  return {values, from_columns(vectors)};
}

}  // namespace ink::raw
