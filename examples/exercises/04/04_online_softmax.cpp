// Exercise: softmax's maximum and sum in one pass over the scores.
// Note: docs/notes/04_flash_attention.md, exercise 1
//
// Softmax divides e^{x_i} by the sum of all e^{x_j}. From x = 89 on e^x overflows a float, from x = 710 on a double, so
// the maximum is taken off first:
//
//   m = max_j x_j      l = sum_j e^{x_j - m}      softmax(x)_i = e^{x_i - m} / l
//
// As written that is one pass for m and a second one for l. Both can be had in one (Milakov and Gimelshein 2018,
// "Online normalizer calculation for softmax", algorithm 3). Keep the m and l of the scores read so far. When a score x
// comes,
//
//   m' = max(m, x)
//   l' = l e^{m - m'} + e^{x - m'}
//
// The first factor moves the old sum from the old maximum to the new one. With x = 1, 3, 2:
//
//   x     m    l
//   1     1    1                          e^0
//   3     3    1 e^-2 + 1 = 1.13534       the maximum grew by 2: what was summed so far is e^2 times too large
//   2     3    1.13534 + e^-1 = 1.50321   the maximum stays
//
// Before the first score m = -inf and l = 0. A score of -inf is a key that a mask hides: it must add nothing. Look out
// for (-inf) - (-inf), which is NaN: it comes up as long as nothing but hidden keys was read, and then (m, l) stays
// (-inf, 0).
//
// What the checks look at: values; the rescaled sum; large scores; hidden scores; everywhere: each score is read once.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The maximum of the scores, and the sum of e^{score - maximum}.
struct Normaliser {
  double m, l;
};

// `next` gives the scores one by one; there are n of them, and each can be read once only.
Normaliser online_normaliser(int64_t n, const std::function<double()>& next) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Begin with m = -INFINITY and l = 0 and loop n times: read x, compute the new maximum, bring l to it, add the new
// term: std::exp(..) and std::max(m, x).
//]
//[ hint
// Order matters: l must be rescaled with the old m and the new one, so m is overwritten last.
//]
//[ hint
// A score of -inf changes neither m nor l: skip it. Then m' is never -inf, and e^{-inf - m'} = 0 does the rest.
//]

namespace solution {
//[ solution
Normaliser online_normaliser(int64_t n, const std::function<double()>& next) {
  double m = -INFINITY, l = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = next();
    if (x == -INFINITY) continue;
    const double larger = std::max(m, x);
    l = l * std::exp(m - larger) + std::exp(x - larger);
    m = larger;
  }
  return {m, l};
}
//]
}  // namespace solution

//[ wrong
namespace without_rescaling {
Normaliser online_normaliser(int64_t n, const std::function<double()>& next) {
  double m = -INFINITY, l = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = next();
    m = std::max(m, x);
    l += std::exp(x - m);
  }
  return {m, l};
}
}  // namespace without_rescaling
namespace without_maximum {
Normaliser online_normaliser(int64_t n, const std::function<double()>& next) {
  double m = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = next();
    m = std::max(m, x);
    sum += std::exp(x);
  }
  return {m, sum / std::exp(m)};
}
}  // namespace without_maximum
namespace hidden_is_nan {
Normaliser online_normaliser(int64_t n, const std::function<double()>& next) {
  double m = -INFINITY, l = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = next(), larger = std::max(m, x);
    l = l * std::exp(m - larger) + std::exp(x - larger);
    m = larger;
  }
  return {m, l};
}
}  // namespace hidden_is_nan
//]

namespace {

using Function = decltype(&online_normaliser);

// The definition, in two passes.
Normaliser two_passes(const Samples& x) {
  double m = -INFINITY, l = 0;
  for (double v : x) m = std::max(m, v);
  for (double v : x) l += v == -INFINITY ? 0 : std::exp(v - m);
  return {m, l};
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x) {
    check.on(property, {{"scores", x}});
    size_t read = 0;
    Normaliser got = f(int64_t(x.size()), [&] {
      check.holds(read < x.size(), "a score was asked for after the last one", "n calls of next()");
      return x[read++];
    });
    check.holds(read == x.size(), std::to_string(read) + " scores were read", "all " + std::to_string(x.size()));
    Normaliser expected = two_passes(x);
    check.close(got.m, expected.m, "m");
    check.close(got.l, expected.l, "l");
  };
  on("values", {2});
  on("values", {3, 2, 1});
  on("the rescaled sum", {1, 3, 2});
  on("the rescaled sum", {-2, -1, 0, 1, 2});
  on("the rescaled sum", randn({200}, f64).to_vector<double>());
  on("large scores", {1000, 1001});
  on("large scores", {-1000, -1001, -999});
  on("hidden scores", {1, -INFINITY, 2});
  on("hidden scores", {-INFINITY, 1});
  on("hidden scores", {-INFINITY, -INFINITY});
  on("hidden scores", {});
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = online_normaliser,
              .solution = solution::online_normaliser,
              .wrong = {{"the sum is not rescaled", "the rescaled sum", without_rescaling::online_normaliser},
                        {"e^x is summed as it is", "large scores", without_maximum::online_normaliser},
                        {"-inf - (-inf)", "hidden scores", hidden_is_nan::online_normaliser}}});
}
