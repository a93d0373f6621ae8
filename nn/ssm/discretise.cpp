// Discretisation of linear systems: dense ones by solving, diagonal ones element by element, and those that slow down
// as 1 / t.
#include "nn/ssm/discretise.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/ssm/poles.h"
#include "tensor/capture.h"

namespace ink {
namespace {

Tensor identity_like(const Tensor& A) { return eye(A.size(0), A.options()); }

// f(A, B) with both of one dtype: complex if one of them is. Halves in f32.
template <class F> DiscreteSystem in_common(const char* op, const Tensor& A, const Tensor& B, F f) {
  if (A.dim() != 2 || A.size(0) != A.size(1) || B.dim() != 1 || B.size(0) != A.size(0))
    throw ShapeError(fmt::format("{}: shapes do not fit; got A {}, B {}; expected [n, n] and [n]", op, A.shape().str(),
                                 B.shape().str()));
  const DType t = promote(A.dtype(), B.dtype()), wide = is_half(t) ? f32 : t;
  if (!is_floating(t) && !is_complex(t))
    throw DTypeError(fmt::format("{}: got A {}, B {}; expected real or complex numbers", op, name_of(A.dtype()),
                                 name_of(B.dtype())));
  const DiscreteSystem s = f(to(A, wide), to(B, wide));
  return {to(s.A, t), to(s.B, t)};
}
DiscreteSystem watched(const char* op, const DiscreteSystem& s) {
  warn_if_unstable_matrix(op, s.A);
  return s;
}
void check_step(const char* op, double step) {
  if (!(step > 0) || !std::isfinite(step))
    throw ValueError(fmt::format("{}: got a step of {}; expected a positive, finite one", op, step));
}
// Not while a graph is being captured, as it needs values on the host.
void check_steps(const char* op, const Tensor& step) {
  if (is_complex(step.dtype()))
    throw DTypeError(fmt::format("{}: got a step in {}; expected a real one", op, name_of(step.dtype())));
  if (capture::active()) return;
  NoGrad guard;
  const Tensor flat = to(reshape(step.detach(), {step.numel()}), f64),
               bad = logical_not(logical_and(flat > 0, flat < INFINITY));
  if (any(bad).item<bool>()) check_step(op, flat[argmax(to(bad, i32), 0).item<int64_t>()].item());
}

// (I - left A) x_k = (I + right A) x_{k-1} + input B u
DiscreteSystem implicit_step(const Tensor& A, const Tensor& B, double left, double right, double input) {
  const Tensor one = identity_like(A);
  const Tensor before = one + right * A, after = one - left * A;  // (9.11)
  return {solve(after, before), squeeze(solve(after, unsqueeze(input * B, -1)), -1)};
}

// e^{[[A, B], [0, 0]]} = [[e^A, integral of e^{A s} B over [0, 1]], [0, 1]] needs no inverse of A.
DiscreteSystem exact_step(const Tensor& A, const Tensor& B) {
  const int64_t n = A.size(0);
  const Tensor system = cat({cat({A, unsqueeze(B, -1)}, 1), zeros({1, n + 1}, A.options())}, 0);
  const Tensor e = matrix_exp(system);  // (9.12)
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

DiscreteSystem dense_step(const Tensor& A, const Tensor& B, double step, Discretisation method) {
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

DiscreteSystem diagonal_step(const Tensor& a, const Tensor& B, const Tensor& step, Discretisation method) {
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

DiscreteSystem over_time_step(const Tensor& A, const Tensor& B, int64_t k, OverTimeScheme scheme) {
  const double now = 1 / double(k), next = 1 / double(k + 1), middle = 1 / (double(k) + 0.5);
  switch (scheme) {
    case OverTimeScheme::forward_euler:
      return {identity_like(A) + now * A, now * B};
    case OverTimeScheme::backward_euler:
      return implicit_step(A, B, next, 0, next);
    case OverTimeScheme::bilinear_plain:
      return implicit_step(A, B, next / 2, now / 2, now);  // (9.14)
    case OverTimeScheme::midpoint:
      return implicit_step(A, B, middle / 2, middle / 2, middle);  // (9.15)
    case OverTimeScheme::zoh: {
      const double log_step = std::log1p(now);
      return exact_step(log_step * A, log_step * B);  // (9.13)
    }
  }
  throw ValueError(fmt::format("step_over_time: no such scheme; got {}", int(scheme)));
}

}  // namespace

DiscreteSystem discretise(const Tensor& A, const Tensor& B, double step, Discretisation method) {
  check_step("discretise", step);
  return in_common("discretise", A, B, [&](const Tensor& A, const Tensor& B) {
    return watched("discretise", dense_step(A, B, step, method));
  });
}

DiscreteSystem discretise_gbt(const Tensor& A, const Tensor& B, double step, double alpha) {
  check_step("discretise_gbt", step);
  if (!(alpha >= 0 && alpha <= 1))
    throw ValueError(fmt::format("discretise_gbt: got alpha {}; expected 0 to 1", alpha));
  return in_common("discretise_gbt", A, B, [&](const Tensor& A, const Tensor& B) {
    return watched("discretise_gbt", implicit_step(A, B, alpha * step, (1 - alpha) * step, step));
  });
}

DiscreteSystem discretise_diagonal(const Tensor& a, const Tensor& B, const Tensor& step, Discretisation method) {
  check_steps("discretise_diagonal", step);
  const DiscreteSystem s = diagonal_step(widened(a), widened(B), widened(step), method);
  warn_if_unstable("discretise_diagonal", s.A);
  const DType t = promote(promote(a.dtype(), B.dtype()), step.dtype());
  return is_half(t) ? DiscreteSystem{to(s.A, t), to(s.B, t)} : s;
}

DiscreteSystem step_over_time(const Tensor& A, const Tensor& B, int64_t k, OverTimeScheme scheme) {
  if (k < 1)
    throw ValueError(
        fmt::format("step_over_time: got time {}; expected at least 1, where the system is not singular", k));
  return in_common("step_over_time", A, B,
                   [&](const Tensor& A, const Tensor& B) { return over_time_step(A, B, k, scheme); });
}

}  // namespace ink
