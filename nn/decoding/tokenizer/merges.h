// Joining pairs of neighbours by a list of merges: the heart of byte pair encoding.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

namespace ink {

class Merges {
 public:
  Merges();
  // The pair `left right` becomes `joined`; earlier merges go first. A pair that is there already keeps its first
  // place. Symbols are ids from 0 to 2^32 - 1.
  void add(int64_t left, int64_t right, int64_t joined);
  // Of all neighbours the pair whose merge came first is joined, the leftmost of equal ones, until no merge applies:
  // O(n log n).
  void apply(std::vector<int64_t>& symbols) const;

 private:
  struct Table;
  std::shared_ptr<Table> table_;  // copies share it
};

}  // namespace ink
