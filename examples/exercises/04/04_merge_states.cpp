// Exercise: merging two softmax states, each over a part of the keys.
// Note: docs/notes/04_flash_attention.md, exercise 2
//
// A query met some keys with scores s_t and values v_t. All that attention has to remember of them is
//
//   m = max_t s_t       l = sum_t e^{s_t - m}       o = sum_t e^{s_t - m} v_t       the answer is o / l
//
// Another part of the keys left (m', l', o'). The state of both parts together follows from the two states alone:
//
//   M = max(m, m')      L = l e^{m - M} + l' e^{m' - M}      O = o e^{m - M} + o' e^{m' - M}
//
// Each side is moved from its own maximum to the common one, then sums are sums. With scores 1 3 | 2 5 and values 10 20
// | 30 40:
//
//   first    m = 3   l = e^-2 + 1 = 1.1353   o = 10 e^-2 + 20 = 21.3534
//   second   m = 5   l = e^-3 + 1 = 1.0498   o = 30 e^-3 + 40 = 41.4936
//   both     m = 5   l = 1.1353 e^-2 + 1.0498 = 1.2034   o = 21.3534 e^-2 + 41.4936 = 44.3835     answer 36.8806
//
// The merge is associative and commutative: tiles, cores and caches may share the keys out as they like. Its neutral
// element is the state that saw no key: m = -inf, l = 0, o = 0. Look out: merging two of those takes -inf - (-inf),
// which is NaN.
//
// What the checks look at: values; both sides rescaled; large scores; a side without keys; any order.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The states of n queries at once: m and l [n], o [n, d].
struct SoftmaxState {
  Tensor m, l, o;
};

SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// maximum(a.m, b.m) is M, element by element. Each side has one factor a query, e^{m - M}; for o, [n, d], it must be
// [n, 1]: x.unsqueeze(1).
//]
//[ hint
// Where M is -inf nobody saw a key, and any finite number may stand in M's place in the exponents: e^{-inf - 0} = 0,
// which is right.
//]
//[ hint
// where(M == -INFINITY, zeros_like(M), M) is that number. The M that is returned stays -inf.
//]

namespace solution {
//[ solution
SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) {
  Tensor m = maximum(a.m, b.m);
  Tensor finite = where(m == -INFINITY, zeros_like(m), m);
  Tensor from_a = exp(a.m - finite), from_b = exp(b.m - finite);
  return {m, a.l * from_a + b.l * from_b, a.o * from_a.unsqueeze(1) + b.o * from_b.unsqueeze(1)};
}
//]
}  // namespace solution

//[ wrong
namespace sums_only {
SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) { return {maximum(a.m, b.m), a.l + b.l, a.o + b.o}; }
}  // namespace sums_only
namespace outputs_not_rescaled {
SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) {
  SoftmaxState s = solution::merged(a, b);
  return {s.m, s.l, a.o + b.o};
}
}  // namespace outputs_not_rescaled
namespace without_maximum {
SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) {
  Tensor m = maximum(a.m, b.m), ea = exp(a.m), eb = exp(b.m), em = exp(m);
  return {m, (a.l * ea + b.l * eb) / em, (a.o * ea.unsqueeze(1) + b.o * eb.unsqueeze(1)) / em.unsqueeze(1)};
}
}  // namespace without_maximum
namespace nothing_is_nan {
SoftmaxState merged(const SoftmaxState& a, const SoftmaxState& b) {
  Tensor m = maximum(a.m, b.m), from_a = exp(a.m - m), from_b = exp(b.m - m);
  return {m, a.l * from_a + b.l * from_b, a.o * from_a.unsqueeze(1) + b.o * from_b.unsqueeze(1)};
}
}  // namespace nothing_is_nan
//]

namespace {

using Function = decltype(&merged);

// The state of scores [n, keys] with values [keys, d], by definition.
SoftmaxState state(const Tensor& scores, const Tensor& values) {
  const int64_t n = scores.size(0);
  if (scores.size(1) == 0) return {full({n}, -INFINITY, f64), zeros({n}, f64), zeros({n, values.size(1)}, f64)};
  Tensor m = max(scores, {1}), weights = exp(scores - m.unsqueeze(1));
  return {m, sum(weights, {1}), matmul(weights, values)};
}

void checks(Check& check, Function f) {
  // Merges the states of the first `cut` keys and of the others, and compares with the state of all.
  auto on = [&](const char* property, const Tensor& scores, const Tensor& values, int64_t cut) {
    const int64_t keys = scores.size(1);
    SoftmaxState a = state(scores.narrow(1, 0, cut), values.narrow(0, 0, cut));
    SoftmaxState b = state(scores.narrow(1, cut, keys - cut), values.narrow(0, cut, keys - cut)),
                 all = state(scores, values);
    for (int swapped = 0; swapped < 2; ++swapped, std::swap(a, b)) {
      check.on(property, {{"a.m", a.m}, {"a.l", a.l}, {"a.o", a.o}, {"b.m", b.m}, {"b.l", b.l}, {"b.o", b.o}});
      SoftmaxState got = f(a, b);
      check.close(got.m, all.m, "m");
      check.close(got.l, all.l, "l");
      check.close(got.o, all.o, "o");
    }
  };
  on("values", matrix({{2, 2}}), matrix({{10}, {20}}), 1);
  on("both sides rescaled", matrix({{1, 3, 2, 5}}), matrix({{10}, {20}, {30}, {40}}), 2);
  on("both sides rescaled", randn({3, 9}, f64), randn({9, 2}, f64), 4);
  on("large scores", matrix({{1000, 999}}), matrix({{10}, {20}}), 1);
  on("large scores", matrix({{-1000, -1002}}), matrix({{10}, {20}}), 1);
  on("a side without keys", matrix({{1, 3}}), matrix({{10}, {20}}), 0);
  on("a side without keys", zeros({1, 0}, f64), zeros({0, 1}, f64), 0);

  Tensor scores = randn({4, 60}, f64) * 5, values = randn({60, 3}, f64);
  SoftmaxState all = state(scores, values);
  check.on("any order", {{"scores", scores},
                         {"values", values},
                         {"merged", std::string("20 parts of 3 keys, as a chain, then in pairs")}});
  std::vector<SoftmaxState> parts;
  for (int64_t i = 0; i < 60; i += 3) parts.push_back(state(scores.narrow(1, i, 3), values.narrow(0, i, 3)));
  SoftmaxState chain = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) chain = f(chain, parts[i]);
  for (; parts.size() > 1; parts.pop_back()) parts[parts.size() / 2 - 1] = f(parts[parts.size() / 2 - 1], parts.back());
  for (const SoftmaxState& got : {chain, parts[0]}) {
    check.close(got.l, all.l, "l");
    check.close(got.o, all.o, "o");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = merged,
              .solution = solution::merged,
              .wrong = {{"l and o are added as they are", "both sides rescaled", sums_only::merged},
                        {"o is added as it is", "both sides rescaled", outputs_not_rescaled::merged},
                        {"e^m without the maximum taken off", "large scores", without_maximum::merged},
                        {"-inf - (-inf)", "a side without keys", nothing_is_nan::merged}}});
}
