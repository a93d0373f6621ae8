// Exercise: the backward pass of a moving maximum.
// Note: docs/notes/01_sliding_window_max.md, exercise 3
//
// out_i = max(x_i, ..., x_{i+k-1}). Move a sample a little: a window's maximum moves with it if the sample is that
// maximum, and not at all otherwise. So of the gradient g_i = dL/dout_i everything goes to the window's maximum and
// nothing to its other samples. One sample may be the maximum of several windows, up to k of them; their
// gradients add up:
//
//   dL/dx_j = sum of g_i over the windows i whose maximum is x_j
//
// At a tie there is no derivative, and a choice must be made: here, as in the library, the first of the equal samples
// gets all.
//
//   k = 2     x = 1 3 2 2      windows    1 3    3 2    2 2
//             g = 10 20 30     maximum    x_1    x_1    x_2 (the first)
//             dx = 0 30 30 0
//
// Whatever x is, the gradient that comes out adds up to the gradient that goes in.
//
// What the checks look at: one window each; windows that share their maximum; ties; windows of 1 and of n; differences.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x of n samples, 1 <= k <= n, g of n - k + 1 numbers -> dL/dx, n numbers.
Samples window_max_backward(const Samples& x, size_t k, const Samples& g) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Samples dx(x.size(), 0) is a row of zeros. For each window find the index of its maximum, then add its g there.
//]
//[ hint
// Starting with best = i and moving on only for a sample that is larger (not larger or equal) finds the first maximum.
//]

namespace solution {
//[ solution
Samples window_max_backward(const Samples& x, size_t k, const Samples& g) {
  Samples dx(x.size(), 0);
  for (size_t i = 0; i < g.size(); ++i) {
    size_t best = i;
    for (size_t j = i + 1; j < i + k; ++j)
      if (x[j] > x[best]) best = j;
    dx[best] += g[i];
  }
  return dx;
}
//]
}  // namespace solution

//[ wrong
namespace overwritten {
Samples window_max_backward(const Samples& x, size_t k, const Samples& g) {
  Samples dx(x.size(), 0);
  for (size_t i = 0; i < g.size(); ++i) {
    auto begin = x.begin() + int64_t(i);
    dx[size_t(std::max_element(begin, begin + int64_t(k)) - x.begin())] = g[i];
  }
  return dx;
}
}  // namespace overwritten
namespace last_of_equals {
Samples window_max_backward(const Samples& x, size_t k, const Samples& g) {
  Samples dx(x.size(), 0);
  for (size_t i = 0; i < g.size(); ++i) {
    size_t best = i;
    for (size_t j = i + 1; j < i + k; ++j)
      if (x[j] >= x[best]) best = j;
    dx[best] += g[i];
  }
  return dx;
}
}  // namespace last_of_equals
namespace to_all_equals {
Samples window_max_backward(const Samples& x, size_t k, const Samples& g) {
  Samples dx(x.size(), 0);
  for (size_t i = 0; i < g.size(); ++i) {
    const double top = *std::max_element(x.begin() + int64_t(i), x.begin() + int64_t(i + k));
    for (size_t j = i; j < i + k; ++j)
      if (x[j] == top) dx[j] += g[i];
  }
  return dx;
}
}  // namespace to_all_equals
//]

namespace {

using Function = decltype(&window_max_backward);

// L = sum of g times the windows' maxima.
double loss(const Samples& x, size_t k, const Samples& g) {
  double sum = 0;
  for (size_t i = 0; i < g.size(); ++i)
    sum += g[i] * *std::max_element(x.begin() + int64_t(i), x.begin() + int64_t(i + k));
  return sum;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x, size_t k, const Samples& g, const Samples& expected) {
    check.on(property, {{"x", x}, {"k", double(k)}, {"g", g}});
    check.close(f(x, k, g), expected, "dx");
  };
  on("one window each", {1, 3}, 2, {10}, {0, 10});
  on("one window each", {1, 2, 3}, 2, {10, 20}, {0, 10, 20});
  on("windows that share their maximum", {1, 3, 2}, 2, {10, 20}, {0, 30, 0});
  on("windows that share their maximum", {0, 1, 9, 1, 0}, 3, {1, 2, 4}, {0, 0, 7, 0, 0});
  on("ties", {1, 3, 2, 2}, 2, {10, 20, 30}, {0, 30, 30, 0});
  on("ties", {5, 5, 5, 5}, 3, {1, 2}, {1, 2, 0, 0});
  on("windows of 1 and of n", {4, 6, 5}, 1, {1, 2, 3}, {1, 2, 3});
  on("windows of 1 and of n", {4, 6, 5}, 3, {7}, {0, 7, 0});

  for (size_t k : {size_t(3), size_t(17)}) {
    Samples x = randperm(60).to_vector<double>(), g = randn({int64_t(61 - k)}, f64).to_vector<double>(), slopes;
    for (size_t j = 0; j < x.size(); ++j) {
      Samples up = x, down = x;
      up[j] += 0.25, down[j] -= 0.25;  // different integers keep their order
      slopes.push_back((loss(up, k, g) - loss(down, k, g)) / 0.5);
    }
    check.on("differences", {{"x", x}, {"k", double(k)}, {"g", g}});
    check.close(from_data(f(x, k, g), {60}), from_data(slopes, {60}), {1e-9, 1e-9}, "dx");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = window_max_backward,
              .solution = solution::window_max_backward,
              .wrong = {{"a second window overwrites the first", "windows that share their maximum",
                         overwritten::window_max_backward},
                        {"the last of equal samples", "ties", last_of_equals::window_max_backward},
                        {"all equal samples get the whole gradient", "ties", to_all_equals::window_max_backward}}});
}
