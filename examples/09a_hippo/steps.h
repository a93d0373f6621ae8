// What lesson 09a shows step by step: a memory as a signal arrives, one step of a scheme, two samples under two
// schemes, and LegS's product and solution as running sums.
#pragma once
#include <fmt/format.h>

#include "examples/09a_hippo/memory.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

inline Tensor vector_of(const Samples& v) { return from_data(std::span<const double>(v), {int64_t(v.size())}); }

// LegS with five coefficients over eight samples.
inline void a_memory_sample_by_sample(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("a memory of five numbers");
  const Samples u{2, 3, 4, 1, 0, 1, 3, 4};
  const Hippo h = hippo(HippoKind::legs, 5);
  const std::vector<Tensor> states = run_legs(h, u);
  for (size_t k = 0; k < u.size(); ++k) {
    Samples read(u.size(), NAN), said(u.size(), NAN), places;
    for (size_t j = 0; j <= k; ++j) places.push_back((double(j) + 0.5) / double(k + 1)), read[j] = u[j];
    const Samples found = seen(h, states[k], places);
    std::copy(found.begin(), found.end(), said.begin());
    const double mean = states[k][0].item();
    lesson.frame(fmt::format("after {} sample{}", k + 1, k ? "s" : ""),
                 {{"$u$", read, {{0, int64_t(k)}}}, {"$x$", states[k]}, {"what $x$ says of $u$", said}},
                 k == 0  ? "One sample is a constant function: $x = (u_0, 0, 0, 0, 0)$."
                 : k < 5 ? fmt::format("The past is squeezed to make room, the new sample enters at its end. $x_0 = "
                                       "{:.3f}$ is the mean of {}.",
                                       mean, k + 1)
                         : fmt::format("{} samples, still five numbers: the mean {:.3f}, the trend, and three more "
                                       "bends. What is finer is smoothed away.",
                                       k + 1, mean));
  }
}

// Bilinear, for a mass on a spring.
inline void one_step_of_a_scheme(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("one bilinear step");
  const double step = 0.25, u = 1;
  const Tensor A = tensor({{0, 1}, {-4, -1}}, f64), B = tensor({0, 4}, f64), x = tensor({1, 0}, f64), one = eye(2, f64),
               right = one + (step / 2) * A, left = one - (step / 2) * A, now = matmul(right, x),
               pushed = now + step * u * B, next = solve(left, unsqueeze(pushed, 1)).squeeze(1);
  const DiscreteSystem exact = discretise(A, B, step, Discretisation::zoh);
  const Tensor truth = matmul(exact.A, x) + exact.B * u, none = full({2}, NAN, f64), blank = full({2, 2}, NAN, f64);
  const auto show = [&](const char* title, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
                        const std::string& text) {
    lesson.frame(title,
                 {{"A", A},
                  {"B", B},
                  {"$x_k$", x},
                  {"$I + \\frac{\\Delta}{2} A$", a},
                  {"right side", b},
                  {"$I - \\frac{\\Delta}{2} A$", c},
                  {"$x_{k+1}$", d}},
                 text);
  };
  show("the system", blank, none, blank, none,
       "Place and speed of a mass on a spring, $x = (1, 0)$, under a force $u = 1$; a step of $\\Delta = 1/4$.");
  show("half a step forward", right, none, blank, none, "The slope at the beginning, for half of the step.");
  show("applied", right, now, blank, none,
       "The old state goes half a step along it: the spring pulls, the speed falls.");
  show("the input", right, pushed, blank, none, "$\\Delta B u$: the force pushes for the whole step.");
  show("half a step back", right, pushed, left, none,
       "The other half takes the slope at the end, which is not known yet: it stands on the left side.");
  show("solved", right, pushed, left, next,
       fmt::format("A solution of two equations. Exact steps give ({:.4f}, {:.4f}).", truth[0].item(),
                   truth[1].item()));
}

// LegS from one sample, 1, to two, 1 and 2: the mean is 1.5.
inline void two_samples(Lesson& lesson, const char* player, OverTimeScheme scheme, double left, double right,
                        double input, const std::string& why) {
  if (!lesson.wants_frames()) return;
  lesson.player(player);
  const Hippo h = hippo(HippoKind::legs, 3);
  const Tensor x = tensor({1, 0, 0}, f64), I = eye(3, f64), before = I + right * h.A, after = I - left * h.A,
               none = full({3}, NAN, f64);
  const DiscreteSystem s = step_over_time(h.A, h.B, 1, scheme);
  const Tensor side = matmul(before, x) + input * 2 * h.B, next = matmul(s.A, x) + s.B * 2.;
  lesson.frame("one sample", {{"$x$ at $k = 1$", x}, {"A", h.A}, {"B", h.B}}, "$u_0 = 1$: the constant 1.");
  lesson.frame("the right side", {{"$x$ at $k = 1$", x}, {"to the right", before}, {"right side", side}},
               fmt::format("$I + {:.4g} A$ times $x$, and ${:.4g} B u$ with $u_1 = 2$.", right, input));
  lesson.frame("the left side",
               {{"to the right", before}, {"right side", side}, {"to the left", after}, {"$x$ at $k = 2$", none}},
               fmt::format("$I - {:.4g} A$: the slope at the end of the step.", left));
  lesson.frame("solved", {{"right side", side}, {"to the left", after}, {"$x$ at $k = 2$", next, {{0, 0}}}}, why);
}

// A x for LegS: n x_n minus v_n times the sum of v_k x_k up to n.
inline void product_as_running_sum(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("A x as a running sum");
  const int64_t n = 5;
  const Hippo h = hippo(HippoKind::legs, n);
  const Samples x{2, 1, -1, 0.5, 1}, v = h.B.to_vector<double>();
  Samples sums(size_t(n), NAN), product(size_t(n), NAN);
  double sum = 0;
  lesson.frame("nothing is computed yet", {{"$x$", x}, {"$v$", v}, {"$S$", sums}, {"$A x$", product}},
               "$A = \\mathrm{diag}(n) - \\mathrm{tril}(v v^\\top)$ has 15 entries here; none is written down.");
  for (size_t k = 0; k < size_t(n); ++k) {
    sums[k] = sum += v[k] * x[k], product[k] = double(k) * x[k] - v[k] * sum;
    lesson.frame(
        fmt::format("row {}", k),
        {{"$x$", x, {{0, int64_t(k)}}}, {"$v$", v, {{0, int64_t(k)}}}, {"$S$", sums}, {"$A x$", product}},
        fmt::format("$S_{0}$ grows by $v_{0} x_{0}$ to {1:.4g}; $(A x)_{0} = {0} x_{0} - v_{0} S_{0}$ = {2:.4g}.", k,
                    sum, product[k]));
  }
  const Tensor dense = matmul(h.A, vector_of(x));
  lesson.frame("the same, dense", {{"A", h.A}, {"$x$", x}, {"$A x$", dense}}, "Fifteen products instead of ten.");
}

// (I - h A) z = x for LegS: one recurrence for the sums S, from which z follows.
inline void solution_as_recurrence(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("(I - h A) z = x as a recurrence");
  const int64_t n = 5;
  const double h = 0.25;
  const Samples x{2, 1, -1, 0.5, 1}, v = hippo(HippoKind::legs, n).B.to_vector<double>();
  Samples sums(size_t(n), NAN), z(size_t(n), NAN);
  double sum = 0;
  lesson.frame("nothing is computed yet", {{"$x$", x}, {"$v$", v}, {"$S$", sums}, {"$z$", z}},
               "$h = 1/4$. Row $n$ of the system holds $z_n$ and $S_n = \\sum_{k \\le n} v_k z_k$ alone.");
  for (size_t k = 0; k < size_t(n); ++k) {
    const double before = sum;
    sums[k] = sum = ((1 - h * double(k)) * sum + v[k] * x[k]) / (1 + h * double(k + 1));
    z[k] = (sum - before) / v[k];
    lesson.frame(
        fmt::format("row {}", k),
        {{"$x$", x, {{0, int64_t(k)}}}, {"$v$", v, {{0, int64_t(k)}}}, {"$S$", sums}, {"$z$", z}},
        fmt::format("$S_{0}$ is {1:.4g} times the sum before, plus $v_{0} x_{0}$ / {2:.4g}; $z_{0}$ is its growth over "
                    "$v_{0}$.",
                    k, (1 - h * double(k)) / (1 + h * double(k + 1)), 1 + h * double(k + 1)));
  }
}

}  // namespace ink::lesson
