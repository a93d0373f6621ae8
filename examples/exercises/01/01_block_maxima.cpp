// Exercise: the maximum of a moving window by blocks, without a queue.
// Note: docs/notes/01_sliding_window_max.md, exercise 2
//
// The deque's next step depends on the data, so a vector unit cannot take many samples at once. Van Herk (1992) and Gil
// and Werman (1993) cut the line into blocks of k samples, the last one perhaps shorter. Inside each block run two
// maxima:
//
//   L_i = max of the block's samples up to i        R_i = max of the block's samples from i on
//
// A window of k samples, x_i ... x_{i+k-1}, touches at most two blocks: the end of the first, which is R_i, and the
// start of the second, which is L_{i+k-1}. So its maximum is max(R_i, L_{i+k-1}).
//
//   k = 3      block 0     block 1     block 2
//   x          1  3 -1     -3  5  3     6  7
//   L          1  3  3     -3  5  5     6  7
//   R          3  3 -1      5  5  3     7  7
//   out_i      3  3  5      5  6  7                  out_1 = max(R_1, L_3) = max(3, -3): the window 3 -1 -3
//
// L goes from left to right and starts anew where a block starts, R from right to left and starts anew where a block
// ends. That is less than one comparison a sample for each of them, and at most one for their merge. Nothing here is
// about maxima: any associative operation will do, also one without an inverse.
//
// What the checks look at: values; a short last block; windows of 1, of n and of more; comparisons (at most 3 n, and as
// many for any data).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The larger of two samples; counts how often it is asked.
struct Larger {
  int64_t count = 0;
  double operator()(double a, double b) { return ++count, a < b ? b : a; }
};

// The maximum of each window of k >= 1 samples: n - k + 1 of them, none if k > n. Samples meet in larger(a, b) only.
Samples block_maxima(const Samples& x, size_t k, Larger& larger) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Begin with two copies of x, `left` and `right`. i is the first of its block if i % k is 0.
//]
//[ hint
// left[i] = larger(left[i - 1], x[i]) unless i starts a block. right[i] = larger(x[i], right[i + 1]) unless i ends one,
// that is unless (i + 1) % k is 0 or i is the last sample.
//]
//[ hint
// `for (size_t i = n; i-- > 0;)` counts down with unsigned numbers. The windows are those i with i + k <= n.
//]

namespace solution {
//[ solution
Samples block_maxima(const Samples& x, size_t k, Larger& larger) {
  const size_t n = x.size();
  Samples left = x, right = x, out;
  for (size_t i = 1; i < n; ++i)
    if (i % k != 0) left[i] = larger(left[i - 1], x[i]);
  for (size_t i = n; i-- > 0;)
    if (i + 1 < n && (i + 1) % k != 0) right[i] = larger(x[i], right[i + 1]);
  for (size_t i = 0; i + k <= n; ++i) out.push_back(larger(right[i], left[i + k - 1]));
  return out;
}
//]
}  // namespace solution

//[ wrong
namespace never_anew {
Samples block_maxima(const Samples& x, size_t k, Larger& larger) {
  const size_t n = x.size();
  Samples left = x, right = x, out;
  for (size_t i = 1; i < n; ++i) left[i] = larger(left[i - 1], x[i]);
  for (size_t i = n; i-- > 0;)
    if (i + 1 < n && (i + 1) % k != 0) right[i] = larger(x[i], right[i + 1]);
  for (size_t i = 0; i + k <= n; ++i) out.push_back(larger(right[i], left[i + k - 1]));
  return out;
}
}  // namespace never_anew
namespace full_blocks_only {
Samples block_maxima(const Samples& x, size_t k, Larger& larger) {
  return solution::block_maxima(Samples(x.begin(), x.begin() + int64_t(x.size() / k * k)), k, larger);
}
}  // namespace full_blocks_only
namespace brute_force {
Samples block_maxima(const Samples& x, size_t k, Larger& larger) {
  Samples out;
  for (size_t i = 0; i + k <= x.size(); ++i) {
    out.push_back(x[i]);
    for (size_t j = i + 1; j < i + k; ++j) out.back() = larger(out.back(), x[j]);
  }
  return out;
}
}  // namespace brute_force
//]

namespace {

using Function = decltype(&block_maxima);

Samples by_definition(const Samples& x, size_t k) {
  Samples out;
  for (size_t i = 0; i + k <= x.size(); ++i)
    out.push_back(*std::max_element(x.begin() + int64_t(i), x.begin() + int64_t(i + k)));
  return out;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x, size_t k) {
    check.on(property, {{"x", x}, {"k", double(k)}});
    Larger larger;
    check.close(f(x, k, larger), by_definition(x, k), "maxima");
    return larger.count;
  };
  on("values", {5, 1, 2, 3}, 2);
  on("values", {1, 3, -1, -3, 5, 3}, 3);
  on("values", {6, 5, 4, 3, 2, 1}, 3);
  on("a short last block", {1, 3, -1, -3, 5, 3, 6, 7}, 3);
  on("a short last block", {7, 6, 5, 4, 3, 2, 1}, 3);
  on("windows of 1, of n and of more", {4, 6, 5}, 1);
  on("windows of 1, of n and of more", {4, 6, 5}, 3);
  on("windows of 1, of n and of more", {4, 6, 5}, 4);
  on("windows of 1, of n and of more", {}, 1);
  const int64_t n = 1001;
  for (size_t k : {size_t(2), size_t(10), size_t(100)}) {
    const int64_t count = on("comparisons", randn({n}, f64).to_vector<double>(), k);
    check.holds(count <= 3 * n, std::to_string(count) + " comparisons",
                "at most three a sample, " + std::to_string(3 * n));
    const int64_t rising = on("comparisons", arange(n).to_vector<double>(), k);
    check.holds(count == rising, std::to_string(rising) + " comparisons",
                std::to_string(count) + ", as for random samples");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = block_maxima,
              .solution = solution::block_maxima,
              .wrong = {{"L runs on through all blocks", "values", never_anew::block_maxima},
                        {"the samples after the last full block are left out", "a short last block",
                         full_blocks_only::block_maxima},
                        {"each window afresh", "comparisons", brute_force::block_maxima}}});
}
