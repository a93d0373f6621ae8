// The rules of masks::, each as a function that writes one row.
#include <fmt/format.h>

#include <algorithm>

#include "nn/attention/mask.h"

namespace ink::masks {
namespace {

// Ones at begin <= j < end, as far as the row goes.
void ones_at(uint8_t* row, int64_t nk, int64_t begin, int64_t end) {
  begin = std::clamp<int64_t>(begin, 0, nk), end = std::clamp<int64_t>(end, begin, nk);
  std::fill(row + begin, row + end, uint8_t(1));
}
// Ones at begin, begin + step, ... < end; begin >= 0.
void ones_every(uint8_t* row, int64_t nk, int64_t begin, int64_t step, int64_t end) {
  for (int64_t j = begin; j < std::min(nk, end); j += step) row[j] = 1;
}
// A mask from f(i, nq, nk, row), which writes the ones into a row of zeros.
template <class F> AttentionMask on_zeros(F f) {
  return AttentionMask([f](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    std::fill(row, row + nk, uint8_t(0));
    f(i, nq, nk, row);
  });
}
int64_t at_least(const char* who, const char* what, int64_t value, int64_t least) {
  if (value < least)
    throw ValueError(fmt::format("masks::{}: got {} {}; expected at least {}", who, what, value, least));
  return value;
}

}  // namespace

AttentionMask all() {
  return AttentionMask([](int64_t, int64_t, int64_t nk, uint8_t* row) { std::fill(row, row + nk, uint8_t(1)); });
}

AttentionMask causal(Causal align) {
  if (align == Causal::no) return all();
  return on_zeros([align](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    ones_at(row, nk, 0, i + 1 + (align == Causal::bottom_right ? nk - nq : 0));
  });
}

AttentionMask window(int64_t left, int64_t right) {
  at_least("window", "left", left, 0), at_least("window", "right", right, 0);
  // Wider than any mask is as good as that, and i + right cannot overflow.
  left = std::min(left, int64_t(1) << 40), right = std::min(right, int64_t(1) << 40);
  return on_zeros(
      [left, right](int64_t i, int64_t, int64_t nk, uint8_t* row) { ones_at(row, nk, i - left, i + right + 1); });
}
AttentionMask local(int64_t k) { return at_least("local", "k", k, 0), window(k, k); }  // (11.2)

AttentionMask atrous(int64_t k) {
  at_least("atrous", "k", k, 1);
  return on_zeros([k](int64_t i, int64_t, int64_t nk, uint8_t* row) { ones_every(row, nk, i % k, k, nk); });  // (11.2)
}

AttentionMask strided(int64_t l) {
  at_least("strided", "l", l, 1);
  return on_zeros([l](int64_t i, int64_t, int64_t nk, uint8_t* row) {  // (11.4)
    ones_at(row, nk, i - l, i + 1);                                    // A1 = {max(0, i - l), ..., i}
    ones_every(row, nk, i % l, l, i + 1);                              // A2 = {j <= i: (i - j) mod l = 0}
  });
}

AttentionMask fixed(int64_t l, int64_t c) {
  at_least("fixed", "l", l, 1);
  if (at_least("fixed", "c", c, 1) > l)
    throw ValueError(
        fmt::format("masks::fixed: a block has no more than l "
                    "keys to sum it up; got c {} and l {}",
                    c, l));
  return on_zeros([l, c](int64_t i, int64_t, int64_t nk, uint8_t* row) {
    ones_at(row, nk, i / l * l, i + 1);                                             // A1 = {j <= i: [j / l] = [i / l]}
    for (int64_t b = 0; b < i / l * l; b += l) ones_at(row, nk, b + l - c, b + l);  // A2 = {j <= i: j mod l >= l - c}
  });
}

AttentionMask prefix(int64_t length) {
  at_least("prefix", "length", length, 0);
  return on_zeros([length](int64_t, int64_t, int64_t nk, uint8_t* row) { ones_at(row, nk, 0, length); });
}

AttentionMask document(std::vector<int64_t> document) {
  return AttentionMask([document = std::move(document)](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    if (std::max(nq, nk) > int64_t(document.size()))
      throw ValueError(
          fmt::format("masks::document: every position needs a "
                      "document; got {} for a mask of {} x {}",
                      document.size(), nq, nk));
    for (int64_t j = 0; j < nk; ++j) row[j] = document[size_t(j)] == document[size_t(i)];
  });
}

AttentionMask tree(std::vector<int64_t> parent) {
  const auto n = int64_t(parent.size());
  // 0 not met, 1 reaches a root, 2 on the path that is being walked: met again,
  // it is a cycle.
  std::vector<uint8_t> state(parent.size(), 0);
  for (int64_t i = 0; i < n; ++i) {
    std::vector<int64_t> path;
    for (int64_t p = i; p != -1 && state[size_t(p)] != 1; p = parent[size_t(p)]) {
      if (state[size_t(p)] == 2)
        throw ValueError(
            fmt::format("masks::tree: node {} is its own ancestor; expected "
                        "every path to end in a root (-1)",
                        p));
      if (parent[size_t(p)] < -1 || parent[size_t(p)] >= n)
        throw ValueError(
            fmt::format("masks::tree: the parent of node {} does "
                        "not exist; got {}; expected -1 .. {}",
                        p, parent[size_t(p)], n - 1));
      state[size_t(p)] = 2, path.push_back(p);
    }
    for (int64_t p : path) state[size_t(p)] = 1;
  }
  return on_zeros([parent = std::move(parent)](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    if (nq > int64_t(parent.size()))
      throw ValueError(
          fmt::format("masks::tree: every position needs a parent; got {} for {} queries", parent.size(), nq));
    for (int64_t p = i; p != -1; p = parent[size_t(p)])
      if (p < nk) row[p] = 1;
  });
}

AttentionMask global(std::vector<int64_t> positions) {
  for (int64_t p : positions) at_least("global", "position", p, 0);
  std::sort(positions.begin(), positions.end());
  return on_zeros([positions = std::move(positions)](int64_t i, int64_t, int64_t nk, uint8_t* row) {
    if (std::binary_search(positions.begin(), positions.end(), i)) return ones_at(row, nk, 0, nk);
    for (int64_t p : positions)
      if (p < nk) row[p] = 1;
  });
}

}  // namespace ink::masks
