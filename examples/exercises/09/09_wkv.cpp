// Exercise: RWKV's mean over all values so far, with keys whose exponentials no number holds.
// Note: docs/notes/09d_linear_rnn.md, exercise 1
//
// RWKV-4 (Peng et al. 2023, eq. 16) gives for one channel
//
//   y_t = (sum over i < t of e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t) / (the same sum without v)
//
// a mean of the values, in which older ones fade by e^w per step (w <= 0) and the newest counts by u instead. As sums
//
//   p_t = e^w p_{t-1} + e^{k_t} v_t,   q_t = e^w q_{t-1} + e^{k_t},
//   y_t = (p_{t-1} + e^{u + k_t} v_t) / (q_{t-1} + e^{u + k_t})
//
// it takes two numbers. From k = 710 on e^k overflows a double, below -745 it is 0, and y = 0 / 0. So keep p and q in
// units of e^o, with o the largest exponent in them: o_t = max(w + o_{t-1}, k_t). Then every exponential that is taken
// is at most 1.
//
// With w = 0, u = 0 and equal keys y_t is the running mean: v = 2 4 6 gives 2 3 4, whether k is 0, 1000 or -1000.
//
// What the checks look at: equal keys; the decay; the newest token's u; large keys; very small keys; keys far apart; no
// tokens.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// k and v of the same length n; w <= 0 -> y, n numbers. Each of k may be as large as 1e6 or as small as -1e6.
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Write it with p and q as they are first: y from p, q and token t, then token t into p and q. In that order: y_t sees
// token t by u, not by the sum.
//]
//[ hint
// p stands for p e^o from now on. The largest exponent in y_t is top = max(o, u + k_t): divide numerator and
// denominator by e^top, and the factors are e^{o - top} and e^{u + k_t - top}.
//]
//[ hint
// Into the sums with next = max(w + o, k_t): p = e^{w + o - next} p + e^{k_t - next} v_t, q alike, o = next. At the
// start p = q = 0 and o = -INFINITY, whose exponential is 0.
//]

namespace solution {
//[ solution
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  double p = 0, q = 0, o = -INFINITY;
  Samples y;
  for (size_t t = 0; t < k.size(); ++t) {
    const double top = std::max(o, u + k[t]), past = std::exp(o - top), now = std::exp(u + k[t] - top);
    y.push_back((past * p + now * v[t]) / (past * q + now));
    const double next = std::max(w + o, k[t]), fade = std::exp(w + o - next), add = std::exp(k[t] - next);
    p = fade * p + add * v[t], q = fade * q + add, o = next;
  }
  return y;
}
//]
}  // namespace solution

//[ wrong
namespace as_written {
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  double p = 0, q = 0;
  Samples y;
  for (size_t t = 0; t < k.size(); ++t) {
    const double now = std::exp(u + k[t]);
    y.push_back((p + now * v[t]) / (q + now));
    p = std::exp(w) * p + std::exp(k[t]) * v[t], q = std::exp(w) * q + std::exp(k[t]);
  }
  return y;
}
}  // namespace as_written
namespace clamped {
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  Samples low;
  for (double x : k) low.push_back(std::min(x, 300.));
  return as_written::wkv_channel(low, v, w, u);
}
}  // namespace clamped
namespace unit_does_not_fade {
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  double p = 0, q = 0, o = -INFINITY;
  Samples y;
  for (size_t t = 0; t < k.size(); ++t) {
    const double top = std::max(o, u + k[t]), past = std::exp(o - top), now = std::exp(u + k[t] - top);
    y.push_back((past * p + now * v[t]) / (past * q + now));
    const double next = std::max(o, k[t]), fade = std::exp(o - next), add = std::exp(k[t] - next);
    p = fade * p + add * v[t], q = fade * q + add, o = next;
  }
  return y;
}
}  // namespace unit_does_not_fade
namespace without_bonus {
Samples wkv_channel(const Samples& k, const Samples& v, double w, double) { return solution::wkv_channel(k, v, w, 0); }
}  // namespace without_bonus
namespace one_maximum {
Samples wkv_channel(const Samples& k, const Samples& v, double w, double u) {
  double top = -INFINITY;
  for (double x : k) top = std::max(top, x);
  Samples low;
  for (double x : k) low.push_back(x - top);
  return as_written::wkv_channel(low, v, w, u);
}
}  // namespace one_maximum
//]

namespace {

using Function = decltype(&wkv_channel);

// The definition, with the largest exponent of each sum taken off.
Samples by_pairs(const Samples& k, const Samples& v, double w, double u) {
  Samples y;
  for (size_t t = 0; t < k.size(); ++t) {
    Samples exponent;
    for (size_t i = 0; i < t; ++i) exponent.push_back(double(t - 1 - i) * w + k[i]);
    exponent.push_back(u + k[t]);
    const double top = *std::max_element(exponent.begin(), exponent.end());
    double above = 0, below = 0;
    for (size_t i = 0; i <= t; ++i) above += std::exp(exponent[i] - top) * v[i], below += std::exp(exponent[i] - top);
    y.push_back(above / below);
  }
  return y;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& k, const Samples& v, double w, double u) {
    check.on(property, {{"k", k}, {"v", v}, {"w", w}, {"u", u}});
    check.close(f(k, v, w, u), by_pairs(k, v, w, u), "y");
  };
  on("equal keys", {0}, {2}, 0, 0);
  on("equal keys", {0, 0, 0}, {2, 4, 6}, 0, 0);
  on("the decay", {0, 0, 0}, {2, 4, 6}, -1, 0);
  on("the decay", {1, -1, 2, 0}, {1, 2, 3, 4}, -0.25, 0);
  on("the newest token's u", {0, 0}, {2, 4}, 0, 1);
  on("the newest token's u", {1, 0, -1}, {2, 4, 5}, -0.5, -2);
  on("large keys", {1000, 999, 1000}, {2, 4, 6}, 0, 0);
  on("very small keys", {-1000, -1000, -1001}, {2, 4, 6}, -1, 0);
  on("keys far apart", {0, 1000, 999, 2, 1001}, {1, 2, 3, 4, 5}, -1, 0.5);
  on("keys far apart", {-1e6, -1e6, 1e6, 1e6}, {1, 3, 5, 7}, -1, 0);
  on("no tokens", {}, {}, -1, 0);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = wkv_channel,
              .solution = solution::wkv_channel,
              .wrong = {{"exponentials as they are written", "large keys", as_written::wkv_channel},
                        {"keys cut at 300", "large keys", clamped::wkv_channel},
                        {"the unit e^o grows and the sums do not fade", "the decay", unit_does_not_fade::wkv_channel},
                        {"no u", "the newest token's u", without_bonus::wkv_channel},
                        {"one maximum for the whole sequence", "keys far apart", one_maximum::wkv_channel}}});
}
