// Rows of linear algebra. References: elimination, Gram-Schmidt, power series. Functions of qr and eigh do not depend
// on the sign or phase that LAPACK chooses.
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
Tensor adjoint(T x) { return conj(transpose(x, -2, -1)); }

// Far from singular: a large diagonal.
Tensor regular(const Shape& shape, int seed, bool is_complex) {
  Tensor a = is_complex ? complex_away(shape, seed) : away(shape, seed);
  return a + eye(shape.back(), a.options()) * 3;
}

using Matrix = std::vector<std::vector<C>>;
Matrix zeros_matrix(size_t m, size_t n) { return Matrix(m, std::vector<C>(n, C(0))); }
// f(matrix) for each matrix of the batch.
Nd per_matrix(const Nd& x, const std::function<Matrix(const Matrix&)>& f) {
  int dims = x.shape.size();
  size_t m = size_t(x.shape[dims - 2]), n = size_t(x.shape[dims - 1]);
  Shape batch(x.shape.begin(), x.shape.end() - 2);
  Matrix sample = f(zeros_matrix(m, n));
  Shape shape = batch;
  shape.push_back(int64_t(sample.size()));
  shape.push_back(sample.empty() ? 0 : int64_t(sample[0].size()));
  Nd y(shape);
  size_t at = 0;
  for (size_t b = 0; b < size_t(batch.numel()); ++b) {
    Matrix a = zeros_matrix(m, n);
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j) a[i][j] = x.v[(b * m + i) * n + j];
    for (const auto& row : f(a))
      for (C v : row) y.v[at++] = v;
  }
  return y;
}
Matrix inverse_of(Matrix a) {  // Gauss-Jordan with pivots
  size_t n = a.size();
  Matrix y = zeros_matrix(n, n);
  for (size_t i = 0; i < n; ++i) y[i][i] = 1;
  for (size_t c = 0; c < n; ++c) {
    size_t p = c;
    for (size_t r = c; r < n; ++r)
      if (std::abs(a[r][c]) > std::abs(a[p][c])) p = r;
    std::swap(a[c], a[p]), std::swap(y[c], y[p]);
    C d = a[c][c];
    for (size_t j = 0; j < n; ++j) a[c][j] /= d, y[c][j] /= d;
    for (size_t r = 0; r < n; ++r) {
      C f = a[r][c];
      for (size_t j = 0; r != c && j < n; ++j) a[r][j] -= f * a[c][j], y[r][j] -= f * y[c][j];
    }
  }
  return y;
}
C determinant(const Matrix& a) {  // Laplace, along the first row
  if (a.empty()) return 1;
  C d = 0;
  for (size_t c = 0; c < a.size(); ++c) {
    Matrix minor;
    for (size_t i = 1; i < a.size(); ++i) {
      minor.push_back(a[i]);
      minor.back().erase(minor.back().begin() + long(c));
    }
    d += (c % 2 ? -1. : 1.) * a[0][c] * determinant(minor);
  }
  return d;
}
Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix y = zeros_matrix(a.size(), b.empty() ? 0 : b[0].size());
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < b.size(); ++k)
      for (size_t j = 0; j < b[k].size(); ++j) y[i][j] += a[i][k] * b[k][j];
  return y;
}
Matrix adjoint_of(const Matrix& a) {
  Matrix y = zeros_matrix(a.empty() ? 0 : a[0].size(), a.size());
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[i].size(); ++j) y[j][i] = std::conj(a[i][j]);
  return y;
}
// Orthonormal columns of the leading square or tall part (Gram-Schmidt, twice for accuracy).
Matrix orthonormal(const Matrix& a) {
  size_t m = a.size(), k = std::min(m, a[0].size());
  Matrix q = zeros_matrix(m, k);
  for (size_t c = 0; c < k; ++c) {
    for (size_t i = 0; i < m; ++i) q[i][c] = a[i][c];
    for (int twice = 0; twice < 2; ++twice)
      for (size_t b = 0; b < c; ++b) {
        C p = 0;
        for (size_t i = 0; i < m; ++i) p += std::conj(q[i][b]) * q[i][c];
        for (size_t i = 0; i < m; ++i) q[i][c] -= p * q[i][b];
      }
    double length = 0;
    for (size_t i = 0; i < m; ++i) length += std::norm(q[i][c]);
    for (size_t i = 0; length > 0 && i < m; ++i) q[i][c] /= std::sqrt(length);
  }
  return q;
}
// sum_k weight_k q_k q_k^H, the same for every phase of the columns
Matrix weighted(const Matrix& q) {
  Matrix scaled = q;
  for (auto& row : scaled)
    for (size_t k = 0; k < row.size(); ++k) row[k] *= double(k + 1);
  return multiply(scaled, adjoint_of(q));
}
Tensor weighted(T q) { return matmul(q * arange(1, q.size(-1) + 1, 1, real(q).dtype()), adjoint(q)); }

std::vector<Case> square_cases(std::function<TensorList(T)> f, std::function<NdList(const Nd&)> g, bool empty = true) {
  std::vector<Case> cases;
  OpFn op = [f](const TensorList& in) { return f(in[0]); };
  Reference reference = [g](const NdList& in) { return g(in[0]); };
  for (const Shape& shape : {Shape{2, 2}, {3, 3}, {1, 1}, {2, 2, 2}, {0, 2, 2}, {0, 0}, {2, 0, 0}, {7, 7}})
    if (empty || shape.numel() > 0)
      cases.push_back(make_case(shape.str(), {regular(shape, 3, false)}, op, reference, shape.numel() < 10));
  for (const Shape& shape : {Shape{2, 2}, {2, 2, 2}})
    cases.push_back(make_case("complex " + shape.str(), {regular(shape, 3, true)}, op, reference));
  return cases;
}
std::vector<ErrorInput> square_errors(std::function<void(T)> f, bool half = true) {
  std::vector<ErrorInput> e{fails<ShapeError>("ShapeError", "expected [..., n, n]",
                                              [f] {
                                                f(away({2, 3}));
                                              }),
                            fails<ShapeError>("ShapeError", "expected [..., n, n]", [f] { f(away({3})); })};
  if (half)
    e.push_back(fails<DTypeError>("DTypeError", "dtype not supported; got f16; expected f32, f64, c64 or c128",
                                  [f] { f(to(eye(2), f16)); }));
  return e;
}
const std::vector<DType> kLapack{f32};

}  // namespace

void add_linalg_specs(Specs& s) {
  auto sides = [](std::function<Tensor(T, T)> f, Reference reference) {
    std::vector<Case> cases;
    struct Pair {
      Shape a, b;
    };
    for (const Pair& p : std::initializer_list<Pair>{{{2, 2}, {2, 1}},
                                                     {{3, 3}, {3, 2}},
                                                     {{2, 2, 2}, {2, 1}},
                                                     {{2, 2}, {2, 2, 1}},
                                                     {{0, 0}, {0, 2}},
                                                     {{2, 2}, {2, 0}},
                                                     {{0, 2, 2}, {2, 1}},
                                                     {{7, 7}, {7, 3}}}) {
      cases.push_back(make_case(p.a.str() + " " + p.b.str(), {regular(p.a, 3, false), away(p.b, 9)}, fn2(f), reference,
                                p.a.numel() < 10));
      if (cases.size() < 4)
        cases.push_back(make_case("complex " + p.a.str() + " " + p.b.str(),
                                  {regular(p.a, 3, true), complex_away(p.b, 9)}, fn2(f), reference));
    }
    return cases;
  };
  s.push_back(
      {.name = "solve",
       .cases =
           [=] {
             return sides([](T a, T b) { return solve(a, b); },
                          [](const NdList& in) { return NdList{product(per_matrix(in[0], inverse_of), in[1])}; });
           },
       .expandable = false,
       .dtypes = kLapack,
       .factor = 16,
       .errors = square_errors([](T a) { solve(a, a); })});
  s.back().errors.push_back(
      fails<LinalgError>("LinalgError", "solve: matrix 0 of the batch is singular (LAPACK info 1)", [] {
        return solve(zeros({2, 2}, f64), away({2, 1}));
      }));
  s.back().errors.push_back(fails<LinalgError>("LinalgError", "solve: matrix 1 of the batch is singular", [] {
    return solve(stack({eye(2, f64), ones({2, 2}, f64)}), away({2, 1}));
  }));
  s.back().errors.push_back(fails<ShapeError>("ShapeError", "solve: sides do not fit; got [2, 2] and [3, 1]", [] {
    return solve(eye(2, f64), away({3, 1}));
  }));
  s.back().errors.push_back(fails<ShapeError>("ShapeError", "hint: unsqueeze(-1) makes a column of a vector",
                                              [] { return solve(eye(2, f64), away({2})); }));
  for (bool upper : {false, true}) {
    s.push_back({.name = upper ? "triangular_solve.upper" : "triangular_solve",
                 .cases =
                     [=] {
                       return sides([upper](T a, T b) { return triangular_solve(a, b, upper); },
                                    [upper](const NdList& in) {
                                      Nd a = in[0];
                                      int last = a.shape.size() - 1;
                                      each_index(a.shape, [&](const Shape& i) {
                                        a(i) = (upper ? i[last] < i[last - 1] : i[last] > i[last - 1]) ? C(0) : a(i);
                                      });
                                      return NdList{product(per_matrix(a, inverse_of), in[1])};
                                    });
                     },
                 .expandable = false,
                 .dtypes = kLapack,
                 .factor = 16,
                 .errors = square_errors([upper](T a) { triangular_solve(a, a, upper); })});
    s.back().errors.push_back(fails<LinalgError>(
        "LinalgError", "triangular_solve: matrix 0 of the batch has a zero on its diagonal", [upper] {
          return triangular_solve(zeros({2, 2}, f64), away({2, 1}), upper);
        }));
  }
  s.push_back({.name = "inverse",
               .cases =
                   [] {
                     return square_cases([](T a) { return TensorList{inverse(a)}; },
                                         [](const Nd& a) { return NdList{per_matrix(a, inverse_of)}; });
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 16,
               .errors = square_errors([](T a) { inverse(a); })});
  s.back().errors.push_back(fails<LinalgError>("LinalgError", "inverse: matrix 0 of the batch is singular", [] {
    return inverse(ones({2, 2}, f64));
  }));
  auto dropped = [](Nd x) {
    x.shape.pop_back(), x.shape.pop_back();
    return x;
  };
  s.push_back({.name = "det",
               .cases =
                   [=] {
                     return square_cases([](T a) { return TensorList{det(a)}; },
                                         [=](const Nd& a) {
                                           return NdList{dropped(per_matrix(a, [](const Matrix& m) {
                                             return Matrix{{determinant(m)}};
                                           }))};
                                         });
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 16,
               .errors = square_errors([](T a) { det(a); })});
  s.push_back({.name = "det.singular",
               .cases =
                   [] {
                     return std::vector{make_case("ones", {ones({2, 2}, f64)}, fn1([](T a) { return det(detach(a)); }),
                                                  [](const NdList&) { return NdList{Nd(Shape{}, C(0))}; })};
                   },
               .gradient = false,
               .expandable = false,
               .dtypes = {}});
  s.push_back({.name = "slogdet",
               .cases =
                   [=] {
                     return square_cases(
                         [](T a) {
                           auto [sign, log] = slogdet(a);
                           return TensorList{sign, log};
                         },
                         [=](const Nd& a) {
                           Nd d = dropped(per_matrix(a, [](const Matrix& m) { return Matrix{{determinant(m)}}; }));
                           return NdList{map(d, [](C x) { return x / std::abs(x); }),
                                         map(d, [](C x) { return C(std::log(std::abs(x))); })};
                         });
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 16,
               .errors = square_errors([](T a) { slogdet(a); })});
  s.push_back({.name = "cholesky",
               .cases =
                   [] {
                     return square_cases([](T a) { return TensorList{cholesky(matmul(a, adjoint(a)))}; },
                                         [](const Nd& a) {
                                           return NdList{per_matrix(a, [](const Matrix& m) {
                                             Matrix p = multiply(m, adjoint_of(m)),
                                                    l = zeros_matrix(m.size(), m.size());
                                             for (size_t j = 0; j < m.size(); ++j)
                                               for (size_t i = j; i < m.size(); ++i) {
                                                 C t = p[i][j];
                                                 for (size_t k = 0; k < j; ++k) t -= l[i][k] * std::conj(l[j][k]);
                                                 l[i][j] = i == j ? std::sqrt(t) : t == 0. ? C(0) : t / l[j][j];
                                               }
                                             return l;
                                           })};
                                         });
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 64,
               .errors = square_errors([](T a) { cholesky(a); })});
  s.back().errors.push_back(
      fails<LinalgError>("LinalgError", "cholesky: matrix 0 of the batch is not positive definite (LAPACK info 1)",
                         [] { return cholesky(-eye(2, f64)); }));
  auto qr_op = [](T a) {
    auto [q, r] = qr(a);
    return TensorList{weighted(q), real(r * conj(r)), matmul(q, r)};
  };
  auto qr_reference = [](const Nd& a) {
    return NdList{per_matrix(a,
                             [](const Matrix& m) {
                               return m.empty() || m[0].empty() ? zeros_matrix(m.size(), m.size())
                                                                : weighted(orthonormal(m));
                             }),
                  per_matrix(a,
                             [](const Matrix& m) {
                               if (m.empty() || m[0].empty())
                                 return zeros_matrix(std::min(m.size(), m.empty() ? 0 : m[0].size()),
                                                     m.empty() ? 0 : m[0].size());
                               Matrix r = multiply(adjoint_of(orthonormal(m)), m);
                               for (auto& row : r)
                                 for (C& x : row) x = std::norm(x);
                               return r;
                             }),
                  a};
  };
  s.push_back(
      {.name = "qr",
       .cases =
           [=] {
             std::vector<Case> cases = square_cases(qr_op, qr_reference, false);
             for (const Shape& shape : {Shape{3, 2}, {2, 3}, {2, 3, 2}, {7, 4}})
               cases.push_back(make_case(
                   shape.str(), {away(shape, 2)}, [=](const TensorList& in) { return qr_op(in[0]); },
                   [=](const NdList& in) { return qr_reference(in[0]); }, shape.numel() < 13));
             cases.push_back(make_case(
                 "complex [3, 2]", {complex_away({3, 2}, 2)}, [=](const TensorList& in) { return qr_op(in[0]); },
                 [=](const NdList& in) { return qr_reference(in[0]); }));
             return cases;
           },
       .expandable = false,
       .dtypes = kLapack,
       .factor = 64,
       .errors = {fails<ShapeError>("ShapeError", "qr: got [3]; expected [..., m, n]", [] { return qr(away({3})); })}});
  // A matrix made from its eigenvalues and eigenvectors.
  s.push_back({.name = "eigh",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (bool is_complex : {false, true})
                       for (int64_t n : {1, 2, 3, 6}) {
                         Nd seed = nd(is_complex ? complex_away({n, n}, 4) : away({n, n}, 4));
                         Nd q = per_matrix(seed, orthonormal), a = per_matrix(q, [](const Matrix&m) {
                                                                 Matrix scaled = m;
                                                                 for (auto& row : scaled)
                                                                   for (size_t k = 0; k < row.size(); ++k)
                                                                     row[k] *= double(k) - 1.5;
                                                                 return multiply(scaled, adjoint_of(m));
                                                               });
                         std::vector<double> reals;
                         for (C v : a.v) reals.push_back(v.real()), reals.push_back(v.imag());
                         Tensor pairs = from_data(std::span<const double>(reals), {n, n, 2});
                         Tensor input = is_complex ? clone(view_as_complex(pairs)) : contiguous(select(pairs, 2, 0));
                         cases.push_back(
                             make_case((is_complex ? "complex " : "") + std::to_string(n), {input},
                                       [](const TensorList& in) {
                                         auto [w, v] = eigh((in[0] + adjoint(in[0])) * 0.5);
                                         return TensorList{w, weighted(v)};
                                       },
                                       [q, n](const NdList&) {
                                         Nd w({n});
                                         for (int64_t i = 0; i < n; ++i) w.v[size_t(i)] = double(i) - 1.5;
                                         return NdList{w, per_matrix(q, [](const Matrix& m) { return weighted(m); })};
                                       },
                                       n < 4));
                       }
                     return cases;
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 128,
               .errors = square_errors([](T a) { eigh(a); })});
  s.push_back({.name = "matrix_exp",
               .cases =
                   [] {
                     auto reference = [](const Nd& a) {
                       return NdList{per_matrix(a, [](const Matrix& m) {
                         // e^A = (e^(A / 16))^16: a series of small terms, which do not cancel
                         Matrix term = zeros_matrix(m.size(), m.size());
                         for (size_t i = 0; i < m.size(); ++i) term[i][i] = 1;
                         Matrix total = term;
                         for (int k = 1; k < 40; ++k) {
                           term = multiply(term, m);
                           for (size_t i = 0; i < m.size(); ++i)
                             for (size_t j = 0; j < m.size(); ++j) total[i][j] += term[i][j] /= 16. * double(k);
                         }
                         for (int i = 0; i < 4; ++i) total = multiply(total, total);
                         return total;
                       })};
                     };
                     auto cases =
                         square_cases([](T a) { return TensorList{matrix_exp(a * 0.4)}; },
                                      [=](const Nd& a) { return reference(map(a, [](C x) { return 0.4 * x; })); });
                     // a norm that needs squarings
                     cases.push_back(make_case("large norm", {away({3, 3}) * 3}, fn1(matrix_exp),
                                               [=](const NdList& in) { return reference(in[0]); }));
                     return cases;
                   },
               .expandable = false,
               .dtypes = kLapack,
               .factor = 64,
               .errors = square_errors([](T a) { matrix_exp(a); }, false)});
}

}  // namespace ink::test
