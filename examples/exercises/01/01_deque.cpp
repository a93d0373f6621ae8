// Exercise: where the maximum of a moving window stands, by the deque of candidates.
// Note: docs/notes/01_sliding_window_max.md, exercise 1
//
// A window of k samples moves along x_0 ... x_{n-1} one sample at a time; window i covers x_i ... x_{i+k-1}. For each
// of the n - k + 1 windows report the index of its largest sample, at a tie the first. Looking at each window afresh
// costs k - 1 comparisons a window. The deque costs at most two a sample, whatever k.
//
// Keep the indices of candidates: samples that can still become a maximum. A sample that comes later and is larger
// stays longer, so everything smaller before it is out for good. Hence the candidates' indices rise from front to back,
// their samples do not, and the front is the maximum. When sample i comes:
//
//   1. the front leaves if it is too old, that is if its index is at most i - k;
//   2. from the back, every smaller sample leaves;
//   3. i enters at the back; from i = k - 1 on the front answers window i - k + 1.
//
//   x = 1 3 -1 -3 5, k = 3      candidates as value@index
//   i = 0    1@0
//   i = 1    3@1                  1 is smaller and older
//   i = 2    3@1 -1@2             answer 1
//   i = 3    3@1 -1@2 -3@3        answer 1
//   i = 4    5@4                  3@1 is too old, the others are smaller; answer 4
//
// Every index enters once and leaves once, and a comparison either makes one leave or is the last for this sample.
//
// What the checks look at: values; old samples leave; ties (the first wins); windows of 1, of n and of more;
// comparisons.
#include <deque>

#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// Compares samples, and counts how often.
struct Less {
  int64_t count = 0;
  bool operator()(double a, double b) { return ++count, a < b; }
};

// The index of the first maximum of each window of k >= 1 samples: n - k + 1 of them, none if k > n. Compare samples by
// less(a, b) only. A std::deque<size_t> has front(), back(), pop_front(), pop_back(), push_back(i), empty().
std::vector<size_t> window_argmax(const Samples& x, size_t k, Less& less) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// One loop over i. Do the three steps in their order; ask empty() before front() or back().
//]
//[ hint
// Indices are unsigned, so i - k is huge for i < k: write the test of age as front + k <= i.
//]
//[ hint
// At a tie the older sample must stay in front: leave the loop of step 2 as soon as less(x[back], x[i]) is false.
//]

namespace solution {
//[ solution
std::vector<size_t> window_argmax(const Samples& x, size_t k, Less& less) {
  std::deque<size_t> candidates;
  std::vector<size_t> out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!candidates.empty() && candidates.front() + k <= i) candidates.pop_front();
    while (!candidates.empty() && less(x[candidates.back()], x[i])) candidates.pop_back();
    candidates.push_back(i);
    if (i + 1 >= k) out.push_back(candidates.front());
  }
  return out;
}
//]
}  // namespace solution

//[ wrong
namespace old_ones_stay {
std::vector<size_t> window_argmax(const Samples& x, size_t k, Less& less) {
  std::vector<size_t> out;
  size_t best = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (less(x[best], x[i])) best = i;
    if (i + 1 >= k) out.push_back(best);
  }
  return out;
}
}  // namespace old_ones_stay
namespace last_wins {
std::vector<size_t> window_argmax(const Samples& x, size_t k, Less& less) {
  std::deque<size_t> candidates;
  std::vector<size_t> out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!candidates.empty() && candidates.front() + k <= i) candidates.pop_front();
    while (!candidates.empty() && !less(x[i], x[candidates.back()])) candidates.pop_back();
    candidates.push_back(i);
    if (i + 1 >= k) out.push_back(candidates.front());
  }
  return out;
}
}  // namespace last_wins
namespace brute_force {
std::vector<size_t> window_argmax(const Samples& x, size_t k, Less& less) {
  std::vector<size_t> out;
  for (size_t i = 0; i + k <= x.size(); ++i) {
    size_t best = i;
    for (size_t j = i + 1; j < i + k; ++j)
      if (less(x[best], x[j])) best = j;
    out.push_back(best);
  }
  return out;
}
}  // namespace brute_force
//]

namespace {

using Function = decltype(&window_argmax);

Samples by_definition(const Samples& x, size_t k) {
  Samples out;
  for (size_t i = 0; i + k <= x.size(); ++i)
    out.push_back(double(std::max_element(x.begin() + int64_t(i), x.begin() + int64_t(i + k)) - x.begin()));
  return out;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x, size_t k) {
    check.on(property, {{"x", x}, {"k", double(k)}});
    Less less;
    std::vector<size_t> got = f(x, k, less);
    check.close(Samples(got.begin(), got.end()), by_definition(x, k), "indices");
    return less.count;
  };
  on("values", {1, 3, 2, 5}, 2);
  on("old samples leave", {3, 1, 2}, 2);
  on("old samples leave", {1, 3, -1, -3, 5, 3, 6, 7}, 3);
  on("old samples leave", {9, 8, 7, 6, 5, 4}, 3);
  on("ties", {2, 2, 1}, 2);
  on("ties", {1, 1, 1, 1, 1}, 3);
  on("windows of 1, of n and of more", {4, 6, 5}, 1);
  on("windows of 1, of n and of more", {4, 6, 5}, 3);
  on("windows of 1, of n and of more", {4, 6, 5}, 4);
  on("windows of 1, of n and of more", {}, 1);
  const int64_t n = 1000;
  for (const Samples& x : {randn({n}, f64).to_vector<double>(), arange(n).to_vector<double>(),
                           (-arange(n)).to_vector<double>(), Samples(size_t(n), 1.0)})
    for (size_t k : {size_t(2), size_t(10), size_t(100)}) {
      const int64_t count = on("comparisons", x, k);
      check.holds(count <= 2 * n, std::to_string(count) + " comparisons",
                  "at most two a sample, " + std::to_string(2 * n));
    }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = window_argmax,
              .solution = solution::window_argmax,
              .wrong = {{"the largest so far, however old", "old samples leave", old_ones_stay::window_argmax},
                        {"the last of equal samples", "ties", last_wins::window_argmax},
                        {"each window afresh", "comparisons", brute_force::window_argmax}}});
}
