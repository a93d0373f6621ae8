// Exercise: a sparse mask as a rule: the Sparse Transformer's strided pattern.
// Note: docs/notes/11_efficient_attention.md, exercise 1
//
// A mask is a table of n queries and n keys: true where the query may see the key. A sparse one leaves most pairs out,
// but so that two layers still join all. The strided pattern of Child et al. 2019, section 4.2, for a stride l and a
// causal model:
//
//   query i sees key j if j <= i and either i - j <= l (the last l keys and itself) or i - j is a multiple of l
//
// n = 7, l = 3, '#' for true; row i, column j:
//
//   #......
//   ##.....
//   ###....
//   ####...
//   .####..        4 sees 4, 3, 2, 1: the last three and itself
//   ..####.
//   #..####        6 sees 6, 5, 4, 3, and 0: i - j = 6
//
// How far does it reach? A jump of any length is so many times l and a rest below l: one layer goes the rest, the next
// one the multiple. So after two layers every token has heard of every earlier one, with about l + n / l keys a row
// instead of n.
//
// Whole tables are made without a loop: with i as a column [n, 1] and j as a row [1, n] every expression of both
// is [n, n].
//
// What the checks look at: causality; the last l keys; multiples of l; strides of 1 and of more than n; reach.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// bool [n, n] for a stride l >= 1.
Tensor strided_mask(int64_t n, int64_t l) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// arange(n) is 0 ... n - 1; .unsqueeze(1) makes it a column, .unsqueeze(0) a row.
//]
//[ hint
// Comparisons give bool tensors, and & and | join them (put brackets around each comparison). remainder(x, l)
// is x modulo l.
//]

namespace solution {
//[ solution
Tensor strided_mask(int64_t n, int64_t l) {
  Tensor i = arange(n).unsqueeze(1), j = arange(n).unsqueeze(0);
  Tensor distance = i - j;  // [n, n]
  Tensor near = distance <= l, multiple = remainder(distance, l) == 0;
  return (distance >= 0) & (near | multiple);
}
//]
}  // namespace solution

//[ wrong
namespace sees_later_keys {
Tensor strided_mask(int64_t n, int64_t l) {
  Tensor distance = abs(arange(n).unsqueeze(1) - arange(n).unsqueeze(0));
  return (distance <= l) | (remainder(distance, l) == 0);
}
}  // namespace sees_later_keys
namespace one_key_short {
Tensor strided_mask(int64_t n, int64_t l) {
  Tensor distance = arange(n).unsqueeze(1) - arange(n).unsqueeze(0);
  return (distance >= 0) & ((distance < l - 1) | (remainder(distance, l) == 0));
}
}  // namespace one_key_short
namespace multiples_of_j {
Tensor strided_mask(int64_t n, int64_t l) {
  Tensor j = arange(n).unsqueeze(0), distance = arange(n).unsqueeze(1) - j;
  return (distance >= 0) & ((distance <= l) | (remainder(j, l) == 0));
}
}  // namespace multiples_of_j
namespace window_only {
Tensor strided_mask(int64_t n, int64_t l) {
  Tensor distance = arange(n).unsqueeze(1) - arange(n).unsqueeze(0);
  return (distance >= 0) & (distance <= l);
}
}  // namespace window_only
//]

namespace {

using Function = decltype(&strided_mask);

std::string picture(const Tensor& mask) {
  std::string text;
  for (int64_t i = 0; i < mask.size(0); ++i) {
    text += '\n';
    for (int64_t j = 0; j < mask.size(1); ++j) text += mask[i][j].item<bool>() ? '#' : '.';
  }
  return text;
}

void checks(Check& check, Function f) {
  // Compares with the rule, pair by pair, those pairs that `counts` names.
  auto on = [&](const char* property, int64_t n, int64_t l, auto counts) {
    check.on(property, {{"n", double(n)}, {"l", double(l)}});
    Tensor got = f(n, l), expected = zeros({n, n}, boolean);
    if (!got.defined()) throw NotWritten{};
    check.holds(got.shape() == expected.shape() && got.dtype() == boolean,
                got.shape().str() + " " + std::string(name_of(got.dtype())), expected.shape().str() + " bool");
    std::string wrong;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const bool seen = j <= i && (i - j <= l || (i - j) % l == 0);
        if (seen) expected[i][j].fill_(true);
        if (wrong.empty() && counts(i - j) && got[i][j].item<bool>() != seen)
          wrong = "query " + std::to_string(i) + (seen ? " does not see key " : " sees key ") + std::to_string(j);
      }
    check.holds(wrong.empty(), wrong + picture(got), "the rule's pairs" + picture(expected));
  };
  on("causality", 4, 1, [](int64_t distance) { return distance < 0; });
  on("causality", 7, 3, [](int64_t distance) { return distance < 0; });
  on("the last l keys", 7, 3, [](int64_t distance) { return distance <= 3; });
  on("multiples of l", 7, 3, [](int64_t) { return true; });
  on("multiples of l", 20, 4, [](int64_t) { return true; });
  on("strides of 1 and of more than n", 5, 1, [](int64_t) { return true; });
  on("strides of 1 and of more than n", 4, 9, [](int64_t) { return true; });
  on("strides of 1 and of more than n", 1, 1, [](int64_t) { return true; });

  check.on("reach", {{"n", 50}, {"l", 7}});
  Tensor steps = f(50, 7).to(f32), two = matmul(steps, steps) > 0;
  check.holds(equal(two, tri(50, 50)), "some pairs are not joined by two layers", "all pairs j <= i are, and no other");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = strided_mask,
              .solution = solution::strided_mask,
              .wrong = {{"the distance without its sign", "causality", sees_later_keys::strided_mask},
                        {"a window that is two keys short", "the last l keys", one_key_short::strided_mask},
                        {"keys whose own number is a multiple", "multiples of l", multiples_of_j::strided_mask},
                        {"the window alone", "multiples of l", window_only::strided_mask}}});
}
