// Discretisation of linear systems: dense ones by solving, diagonal ones element by element, and those that slow down
// as 1 / t.
#include "nn/ssm/discretise.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink {
namespace {

Tensor identity_like(const Tensor& A) { return eye(A.size(0), A.options()); }

void check_system(const char* op, const Tensor& A, const Tensor& B) {
  if (A.dim() != 2 || A.size(0) != A.size(1) || B.dim() != 1 || B.size(0) != A.size(0))
    throw ShapeError(fmt::format("{}: shapes do not fit; got A {}, B {}; expected [n, n] and [n]", op, A.shape().str(),
                                 B.shape().str()));
}
void check_step(const char* op, double step) {
  if (!(step > 0) || !std::isfinite(step))
    throw ValueError(fmt::format("{}: got a step of {}; expected a positive, finite one", op, step));
}

// (I - left A) x_k = (I + right A) x_{k-1} + input B u
DiscreteSystem implicit_step(const Tensor& A, const Tensor& B, double left, double right, double input) {
  const Tensor one = identity_like(A), after = one - left * A;
  return {solve(after, one + right * A), squeeze(solve(after, unsqueeze(input * B, -1)), -1)};
}

// e^{[[A, B], [0, 0]]} = [[e^A, integral of e^{A s} B over [0, 1]], [0, 1]] needs no inverse of A.
DiscreteSystem exact_step(const Tensor& A, const Tensor& B) {
  const int64_t n = A.size(0);
  const Tensor system = cat({cat({A, unsqueeze(B, -1)}, 1), zeros({1, n + 1}, A.options())}, 0), e = matrix_exp(system);
  return {slice(slice(e, 0, 0, n), 1, 0, n), select(slice(e, 0, 0, n), 1, n)};
}

// (e^z - 1) / z, 1 at 0. For small |z| the quotient of rounded numbers loses digits: a Taylor polynomial there.
Tensor growth(const Tensor& z) {
  const Tensor small = abs(z) < 0.05;
  const Tensor safe = where(small, ones_like(z), z);
  Tensor series = ones_like(z);
  // 1 + z/2 (1 + z/3 (1 + ...)): error below z^9 / 10!
  for (int k = 9; k >= 2; --k) series = 1 + series * z / double(k);
  return where(small, series, (exp(safe) - 1) / safe);
}

}  // namespace

DiscreteSystem discretise(const Tensor& A, const Tensor& B, double step, Discretisation method) {
  check_system("discretise", A, B);
  check_step("discretise", step);
  switch (method) {
    case Discretisation::forward_euler:
      return {identity_like(A) + step * A, step * B};
    case Discretisation::backward_euler:
      return implicit_step(A, B, step, 0, step);
    case Discretisation::bilinear:
      return implicit_step(A, B, step / 2, step / 2, step);
    case Discretisation::zoh:
      return exact_step(step * A, step * B);
    case Discretisation::euler_b:
      return {matrix_exp(step * A), step * B};
  }
  throw ValueError(fmt::format("discretise: no such method; got {}", int(method)));
}

DiscreteSystem discretise_gbt(const Tensor& A, const Tensor& B, double step, double alpha) {
  check_system("discretise_gbt", A, B);
  check_step("discretise_gbt", step);
  if (!(alpha >= 0 && alpha <= 1))
    throw ValueError(fmt::format("discretise_gbt: got alpha {}; expected 0 to 1", alpha));
  return implicit_step(A, B, alpha * step, (1 - alpha) * step, step);
}

DiscreteSystem discretise_diagonal(const Tensor& a, const Tensor& B, const Tensor& step, Discretisation method) {
  const Tensor z = step * a;
  switch (method) {
    case Discretisation::forward_euler:
      return {1 + z, step * B};
    case Discretisation::backward_euler:
      return {1 / (1 - z), step * B / (1 - z)};
    case Discretisation::bilinear:
      return {(1 + z / 2) / (1 - z / 2), step * B / (1 - z / 2)};
    case Discretisation::zoh:
      return {exp(z), step * growth(z) * B};
    case Discretisation::euler_b:
      return {exp(z), step * B};
  }
  throw ValueError(fmt::format("discretise_diagonal: no such method; got {}", int(method)));
}

DiscreteSystem step_over_time(const Tensor& A, const Tensor& B, int64_t k, OverTimeScheme scheme) {
  check_system("step_over_time", A, B);
  if (k < 1)
    throw ValueError(
        fmt::format("step_over_time: got time {}; expected at least 1, where the system is not singular", k));
  const double now = 1 / double(k), next = 1 / double(k + 1), middle = 1 / (double(k) + 0.5);
  switch (scheme) {
    case OverTimeScheme::forward_euler:
      return {identity_like(A) + now * A, now * B};
    case OverTimeScheme::backward_euler:
      return implicit_step(A, B, next, 0, next);
    case OverTimeScheme::bilinear_plain:
      return implicit_step(A, B, next / 2, now / 2, now);
    case OverTimeScheme::midpoint:
      return implicit_step(A, B, middle / 2, middle / 2, middle);
    case OverTimeScheme::zoh: {
      const double log_step = std::log1p(now);
      return exact_step(log_step * A, log_step * B);
    }
  }
  throw ValueError(fmt::format("step_over_time: no such scheme; got {}", int(scheme)));
}

}  // namespace ink
