// Linear algebra. Rules after Giles 2008 (An extended collection of matrix derivative results), in the complex form
// where A^T becomes A^H. qr assumes full rank and eigh distinct eigenvalues: otherwise the factors are no smooth
// functions of A and their gradients are infinite. A function of the factors must not depend on their sign or phase,
// which LAPACK chooses.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/linalg/adjoint.h"
#include "tensor/raw/linalg.h"

namespace ink {

using B = const Backward&;

namespace {

Tensor per_matrix(const Tensor& x) { return unsqueeze(unsqueeze(x, -1), -1); }
Tensor eye_like(const Tensor& a) { return eye(a.size(-1), a.options()); }
Tensor hermitian_part(const Tensor& x) { return (x + adjoint(x)) * 0.5; }

// The leading terms (Golub & Van Loan 2013, sec. 3.2, 4.2, 5.2, 8.3), for each matrix in(0) [m, n].
double for_each_matrix(const Call& c, double flops) {
  const Tensor& a = c.in(0);
  const double matrices = double(a.numel()) / std::max(double(a.size(-1)) * double(a.size(-2)), 1.0);
  return matrices * flops * (is_complex(a.dtype()) ? 4 : 1);
}
template <int thirds>  // of n^3
double cubic_flops(const Call& c) {
  return for_each_matrix(c, thirds / 3. * std::pow(double(c.in(0).size(-1)), 3));
}
double triangular_flops(const Call& c) {  // n^2 for each column of in(1)
  return for_each_matrix(c, std::pow(double(c.in(0).size(-1)), 2) * double(c.in(1).size(-1)));
}
// The factors L and U, and both solved.
double solve_flops(const Call& c) { return cubic_flops<2>(c) + 2 * triangular_flops(c); }
// r, and as much again for q.
double qr_flops(const Call& c) {
  const double m = double(c.in(0).size(-2)), n = double(c.in(0).size(-1));
  return for_each_matrix(c, 4 * n * n * (m - n / 3));
}

}  // namespace

// X = A^-1 B:  dB = A^-H dX,  dA = -dB X^H
static void solve_rule(B b, std::span<Tensor> grads) {
  Tensor of_b = solve(adjoint(b.in(0)), b.grad());
  if (b.needs(0)) grads[0] = -matmul(of_b, adjoint(b.out()));
  if (b.needs(1)) grads[1] = of_b;
}
Tensor solve(const Tensor& a, const Tensor& b) {
  static constexpr Op op{
      .name = "solve", .backward = solve_rule, .saves = kIn0 | kOut0, .cast = Cast::raise, .flops = solve_flops};
  return call(
      op, NoContext{}, [](const Tensor& a, const Tensor& b) { return raw::solve("solve", a, b); }, a, b);
}

// Y = A^-1:  dA = -Y^H dY Y^H
static Tensor inverse_rule(B b) {
  Tensor y = adjoint(b.out());
  return -matmul(matmul(y, b.grad()), y);
}
Tensor inverse(const Tensor& a) {
  static constexpr Op op{
      .name = "inverse", .rules = {{inverse_rule, kOut0}}, .cast = Cast::raise, .flops = cubic_flops<8>};
  return call(
      op, NoContext{},
      [](const Tensor& a) {
        if (a.dim() < 2) throw ShapeError(fmt::format("inverse: got {}; expected [..., n, n]", a.shape().str()));
        return raw::solve("inverse", a, eye_like(a));
      },
      a);
}

// d = det A:  dA = conj(d) A^-H dd. At a singular matrix this is a LinalgError, although the adjugate exists.
Tensor det(const Tensor& a) {
  static constexpr Op op{
      .name = "det",
      .rules = {{[](B b) { return per_matrix(b.grad() * conj(b.out())) * adjoint(inverse(b.in(0))); }, kIn0 | kOut0}},
      .cast = Cast::raise,
      .flops = cubic_flops<2>};
  return call(
      op, NoContext{}, [](const Tensor& a) { return raw::determinant("det", a)[2]; }, a);
}

// With t = tr(A^-1 dA): d log|det| = Re t and d sign = i sign Im t. A real sign is constant.
static Tensor slogdet_rule(B b) {
  Tensor a = b.in(0), c = b.grad(1).defined() ? b.grad(1) : zeros_like(real(b.out(0)));
  if (is_complex(a.dtype()) && b.grad(0).defined()) c = ink::complex_of(c, -imag(conj(b.grad(0)) * b.out(0)));
  return per_matrix(c) * adjoint(inverse(a));
}
std::tuple<Tensor, Tensor> slogdet(const Tensor& a) {
  static constexpr Op op{.name = "slogdet",
                         .rules = {{slogdet_rule, kIn0 | kOut0}},
                         .cast = Cast::raise,
                         .differentiable = 2,
                         .flops = cubic_flops<2>};
  auto [sign, log] = call(
      op, NoContext{},
      [](const Tensor& a) {
        auto d = raw::determinant("slogdet", a);
        return std::array<Tensor, 2>{d[0], d[1]};
      },
      a);
  return {sign, log};
}

// Murray 2016, eq. 9: dA is the hermitian part of L^-H P L^-1, where P is the lower triangle of L^H dL with half its
// diagonal.
static Tensor cholesky_rule(B b) {
  Tensor l = b.out(), p = matmul(adjoint(l), b.grad());
  p = tril(p) - eye_like(p) * p * 0.5;
  Tensor left = triangular_solve(adjoint(l), p, true);                       // L^-H P
  return hermitian_part(triangular_solve(adjoint(l), adjoint(left), true));  // (L^-H P L^-1)^H
}
Tensor cholesky(const Tensor& a) {
  static constexpr Op op{
      .name = "cholesky", .rules = {{cholesky_rule, kOut0}}, .cast = Cast::raise, .flops = cubic_flops<1>};
  return call(
      op, NoContext{}, [](const Tensor& a) { return raw::cholesky("cholesky", a); }, a);
}

// As solve; only the triangle of A that was read gets a gradient.
static void triangular_solve_rule(B b, std::span<Tensor> grads) {
  const bool upper = b.context<bool>();
  Tensor of_b = triangular_solve(adjoint(b.in(0)), b.grad(), !upper);
  if (b.needs(1)) grads[1] = of_b;
  if (!b.needs(0)) return;
  Tensor full = -matmul(of_b, adjoint(b.out()));
  grads[0] = upper ? triu(full) : tril(full);
}
Tensor triangular_solve(const Tensor& a, const Tensor& b, bool upper) {
  static constexpr Op op{.name = "triangular_solve",
                         .backward = triangular_solve_rule,
                         .saves = kIn0 | kOut0,
                         .cast = Cast::raise,
                         .flops = triangular_flops};
  auto forward = [&](const Tensor& a, const Tensor& b) {
    return raw::triangular_solve("triangular_solve", a, b, upper);
  };
  return call(op, upper, forward, a, b);
}

// Seeger et al. 2017: with M = R dR^H - dQ^H Q,  dA = (dQ + Q copyltu(M)) R^-H, where copyltu mirrors the lower
// triangle.
static Tensor qr_rule(B b) {
  Tensor q = b.out(0), r = b.out(1);
  Tensor dq = b.grad(0).defined() ? b.grad(0) : zeros_like(q), dr = b.grad(1).defined() ? b.grad(1) : zeros_like(r);
  Tensor m = matmul(r, adjoint(dr)) - matmul(adjoint(dq), q);
  Tensor lower = tril(m, -1), on_diagonal = hermitian_part(eye_like(m) * m);
  Tensor x = dq + matmul(q, lower + adjoint(lower) + on_diagonal);
  return adjoint(triangular_solve(r, adjoint(x), true));
}
std::tuple<Tensor, Tensor> qr(const Tensor& a) {
  static constexpr Op op{
      .name = "qr", .rules = {{qr_rule, kOut0 | kOut1}}, .cast = Cast::raise, .differentiable = 2, .flops = qr_flops};
  if (a.dim() >= 2 && a.size(-2) < a.size(-1)) {  // A = [X Y]: X = Q U, and R = [U  Q^H Y]
    const int64_t m = a.size(-2);
    auto [q, u] = qr(slice(a, -1, 0, m));
    return {q, cat({u, matmul(adjoint(q), slice(a, -1, m, a.size(-1)))}, -1)};
  }
  auto [q, r] = call(
      op, NoContext{}, [](const Tensor& a) { return raw::qr("qr", a); }, a);
  return {q, r};
}

// dA = V (diag(dw) + (V^H dV) / E) V^H with E_ij = w_j - w_i, and 0 on the diagonal of the second term.
static Tensor eigh_rule(B b) {
  Tensor w = b.out(0), v = b.out(1), inside = zeros({w.size(-1), w.size(-1)}, v.options());
  if (b.grad(0).defined()) inside = inside + eye_like(v) * unsqueeze(b.grad(0), -1);
  if (b.grad(1).defined()) {
    Tensor id = eye(w.size(-1), w.options());
    Tensor gaps = unsqueeze(w, -2) - unsqueeze(w, -1) + id;
    inside = inside + matmul(adjoint(v), b.grad(1)) * ((1 - id) / gaps);
  }
  return hermitian_part(matmul(matmul(v, inside), adjoint(v)));
}
std::tuple<Tensor, Tensor> eigh(const Tensor& a) {
  static constexpr Op op{.name = "eigh",
                         .rules = {{eigh_rule, kOut0 | kOut1}},
                         .cast = Cast::raise,
                         .differentiable = 2,
                         .flops = cubic_flops<27>};
  auto [w, v] = call(
      op, NoContext{}, [](const Tensor& a) { return raw::eigh("eigh", a); }, a);
  return {w, v};
}

}  // namespace ink
