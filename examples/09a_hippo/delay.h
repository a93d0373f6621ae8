// The delay line of lesson 09a: linear systems of 64 real numbers of state, driven by noise, and a read-out by least
// squares that must say what the input was half a second ago.
#pragma once
#include <string>
#include <vector>

#include "examples/09a_hippo/memory.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

void a_delay_line(Lesson& lesson, int64_t samples, int64_t state);

struct DelayTask {
  int64_t samples;      // 1000 a second; half of them to fit, half to test
  int64_t delay = 500;  // samples
  int64_t state = 64;   // real numbers
  double ridge = 1e-8;  // on features of variance 1
  uint64_t seed = 0;
};

struct DelayLine {
  std::string name;
  Tensor features;  // [samples, state]: what the system holds after each sample
};

// The states of a dense system, x' = A x + B u with time in units of the delay, by exact steps.
inline Tensor dense_features(const Tensor& A, const Tensor& B, const DelayTask& task, const Samples& u) {
  const Tensor x = stack(run(discretise(A, B, 1 / double(task.delay), Discretisation::zoh), u), 0);
  if (!is_complex(x.dtype())) return x;
  const int64_t n = x.size(1), half = n / 2;  // the coefficient of -k is the conjugate of that of k
  return cat({real(slice(x, 1, half, n)), imag(slice(x, 1, half + 1, n))}, 1);
}
// The same of a system whose A is diagonal: all steps in one scan.
inline Tensor diagonal_features(const DiscreteSystem& s, const Samples& u) {
  const Tensor in = from_data(std::span<const double>(u), {int64_t(u.size()), 1}).to(s.A.device());
  const Tensor x = linear_recurrence(s.A, s.B * in, 0);
  return is_complex(x.dtype()) ? cat({real(x), imag(x)}, 1) : x;
}

inline std::vector<DelayLine> delay_lines(const DelayTask& task, const Samples& u) {
  const int64_t n = task.state, half = n / 2;
  const auto of = [&](HippoKind kind, int64_t count) {
    const Hippo h = hippo(kind, count);
    return dense_features(h.A, h.B, task, u);
  };
  const auto diagonal = [&](const Tensor& a) {
    const Tensor step = full({1}, 1 / double(task.delay), f64);
    return diagonal_features(discretise_diagonal(a, ones_like(a), step, Discretisation::zoh), u);
  };
  const Tensor k = arange(0, half, 1, f64);
  Generator generator(task.seed + 1);
  // moduli from 0.9 to 0.999 and phases up to pi / 10, as the ring of an LRU is drawn
  const Tensor square = rand({half}, f64, &generator) * (0.999 * 0.999 - 0.81) + 0.81,
               phase = rand({half}, f64, &generator) * (std::numbers::pi / 10), ring = polar(sqrt(square), phase);
  const Tensor random = randn({n, n}, f64, &generator) * (0.9 / std::sqrt(double(n)));
  return {{"LegT", of(HippoKind::legt, n)},
          {"LegS, no 1/t", of(HippoKind::legs, n)},
          {"FouT", of(HippoKind::fout, n - 1)},
          {"FouT of the note", of(HippoKind::fout_plain, n - 1)},
          {"S4D-Lin", diagonal(complex_of(full_like(k, -0.5), std::numbers::pi * k))},
          {"LRU ring", diagonal_features({ring, to(sqrt(1 - square), c128)}, u)},
          {"S4D-Real", diagonal(-(arange(0, n, 1, f64) + 1))},
          {"random", stack(run({random, randn({n}, f64, &generator)}, u), 0)}};
}

// w = (X^T X / m + ridge I)^{-1} X^T y / m over m rows, each feature scaled to variance 1.
inline Tensor read_out(const Tensor& X, const Tensor& y, double ridge) {
  const double rows = double(X.size(0));
  const Tensor gram = matmul(X.t(), X) / rows + ridge * eye(X.size(1), X.options());  // (9.22)
  return solve(gram, matmul(X.t(), y) / rows);
}

// The root of the mean square error on the second half, over the size of the signal.
inline double delay_error(const DelayLine& line, const DelayTask& task, const Samples& u) {
  const int64_t m = task.samples, skip = 2 * task.delay, middle = (m + skip) / 2;
  const Tensor in = from_data(std::span<const double>(u), {m}).to(line.features.device());
  const Tensor X = slice(line.features, 0, skip, m), y = unsqueeze(slice(in, 0, skip - task.delay, m - task.delay), 1);
  const Tensor scaled = X / (sqrt(mean(square(X), {0}, true)) + 1e-30);
  const auto part = [&](const Tensor& t, bool test) {
    return test ? slice(t, 0, middle - skip, m - skip) : slice(t, 0, 0, middle - skip);
  };
  const Tensor w = read_out(part(scaled, false), part(y, false), task.ridge);
  const Tensor wanted = part(y, true), missed = matmul(part(scaled, true), w) - wanted;
  return std::sqrt((mean(square(missed)) / mean(square(wanted))).item());
}

}  // namespace ink::lesson
