// One system, LegS without 1/t, and the roads to its kernel that lesson 09b compares.
#pragma once
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"

namespace ink::lesson {

inline double largest(const Tensor& x) { return max(abs(x)).item(); }
inline double distance(const Tensor& a, const Tensor& b) { return largest(a - b) / largest(b); }
inline Options doubles() { return {f64, default_device()}; }

// Counted operations of f.
template <class F> double operations(const F& f) {
  NoGrad guard;
  Profile profile;
  f();
  double sum = 0;
  for (const ProfileRow& row : profile.rows()) sum += row.flops;
  return sum;
}

// x' = A x + B u, y = C x with LegS's A and B. C = B^T needs no change of basis to be compared: in the basis V of the
// DPLR form it is B^T V = (V^* B)^*.
struct Legs {
  int64_t n;
  double step;
  Tensor A, B, C;
  DiscreteSystem bar;
  Dplr split;
  Legs(int64_t n, double step) : n(n), step(step), split(hippo_dplr(HippoKind::legs, n)) {
    const Hippo h = hippo(HippoKind::legs, n);
    A = h.A, B = h.B, C = h.B / double(n);
    bar = discretise(A, B, step, Discretisation::bilinear);
    split.C = conj(split.B) / double(n);
  }
  Tensor delta() const { return full({}, step, doubles()); }
};

// ---- the roads; each gives K_0 .. K_{length-1}

// Powers of the matrix, one after the other.
inline Tensor by_powers(const Legs& s, int64_t length) {
  Tensor x = s.bar.B;
  std::vector<Tensor> taps;
  for (int64_t t = 0; t < length; ++t) {
    taps.push_back(dot(s.C, x));  // (9.27)
    x = matmul(s.bar.A, x);
  }
  return stack(taps, 0);
}

// An inverse at each root of unity in place of the powers, and an inverse Fourier transform.
inline Tensor by_inverses(const Legs& s, int64_t length, const Tensor& C_tilde) {
  const Tensor angle = arange(0, length / 2 + 1, 1, doubles()) * (-2 * std::numbers::pi / double(length));
  const Tensor z = polar(ones_like(angle), angle).reshape({-1, 1, 1}), one = eye(s.n, doubles());
  const Tensor resolvent = solve(one - z * s.bar.A, s.bar.B.to(c128).reshape({1, s.n, 1}));
  return irfft(matmul(resolvent.squeeze(-1), C_tilde.to(c128)), length);  // (9.29)
}
inline Tensor by_inverses(const Legs& s, int64_t length) {
  return by_inverses(s, length, truncated(s.C, s.bar.A, length));
}

// The same with A = V (Lambda - P P^*) V^*: sums over n instead of inverses.
inline Tensor by_low_rank(const Legs& s, int64_t length) {
  const DenseSystem d = dense(s.split);
  const DiscreteSystem bar = discretise(d.A, d.B, s.step, Discretisation::bilinear);
  Dplr with = s.split;
  with.C = narrow(truncated(d.C, bar.A, length), 0, 0, s.n / 2);
  return dplr_kernel(with, s.delta(), length);
}

// The recurrence, whose step is O(n) by Woodbury's identity, on an impulse.
inline Tensor by_steps(const Legs& s, int64_t length) {
  const DplrStep step(s.split, s.delta());
  Tensor x = zeros({1, s.n / 2}, {c128, default_device()});
  std::vector<Tensor> taps;
  for (int64_t t = 0; t < length; ++t) {
    x = step(x, full({1}, t == 0, doubles()));
    taps.push_back(2 * real(sum(s.split.C * x)));
  }
  return stack(taps, 0);
}

// ---- the road that is closed: A = W Lambda W^{-1}

// A's eigenvectors as columns of length 1. A is triangular, so that they follow row by row from (A + j + 1) w = 0.
inline Tensor eigenvectors(const Legs& s) {
  std::vector<double> w(size_t(s.n * s.n), 0.);
  for (int64_t j = 0; j < s.n; ++j) {
    double below = 0;  // sum over k of sqrt(2k + 1) w_k
    for (int64_t i = j; i < s.n; ++i) {
      const double root = std::sqrt(2. * double(i) + 1), value = i == j ? 1 : -root * below / double(i - j);
      w[size_t(i * s.n + j)] = value;
      below += root * value;
    }
  }
  const Tensor W = from_data(std::span<const double>(w), {s.n, s.n}).to(default_device());
  return W / norm(W, {0}, true);
}
inline double spectral_norm(const Tensor& M) {
  const Tensor values = std::get<0>(eigh(matmul(M.t(), M)));
  return std::sqrt(max(values).item());
}
// |W| |W^{-1}|: by so much an error may grow on the way into the eigenvectors' basis and back.
inline double condition_number(const Tensor& W) {
  return spectral_norm(W) * spectral_norm(triangular_solve(W, eye(W.size(0), doubles()), false));
}
inline Tensor by_eigenvectors(const Legs& s, int64_t length) {
  const Tensor W = eigenvectors(s), z = arange(1, s.n + 1, 1, doubles()) * (-s.step);
  const Tensor bar = (1 + z / 2) / (1 - z / 2);
  const Tensor inner = squeeze(triangular_solve(W, unsqueeze(s.bar.B, 1), false), 1);
  return mode_sum(matmul(W.t(), s.C) * inner, bar, length);  // (9.34)
}

// What the paper prints, at the root z = -1 itself.
inline double printed_at_minus_one(const Legs& s) {
  const Tensor z = full({}, -1, doubles()), g = 2 / s.step * (1 - z) / (1 + z);
  const auto k = [&](const Tensor& a, const Tensor& b) { return 2 * real(sum(a * b / (g - s.split.lambda))); };
  const Tensor P = s.split.P[0], C = s.split.C, B = s.split.B;
  return (2 / (1 + z) * (k(C, B) - k(C, P) * k(conj(P), B) / (1 + k(conj(P), P)))).item();  // (9.40)
}

}  // namespace ink::lesson
