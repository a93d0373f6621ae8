// Joining pairs of neighbours by a list of merges: the heart of byte pair encoding.
#pragma once
#include <cstdint>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace ink {

class Merges {
 public:
  // The pair `left right` becomes `joined`; earlier merges go first. A pair that is there already keeps its first
  // place.
  void add(int64_t left, int64_t right, int64_t joined) {
    places_.try_emplace(key(left, right), Joined{int64_t(places_.size()), joined});
  }

  // Of all neighbours the pair whose merge came first is joined, the leftmost of equal ones, until no merge applies:
  // O(n log n). Symbols are ids below 2^32.
  void apply(std::vector<int64_t>& symbols) const {
    struct Link {
      int64_t symbol, before, after;
    };
    struct Candidate {
      int64_t rank, at, left, right, joined;
      bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
    };
    const int64_t n = int64_t(symbols.size());
    std::vector<Link> links;
    for (int64_t i = 0; i < n; ++i) links.push_back({symbols[size_t(i)], i - 1, i + 1 < n ? i + 1 : -1});
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> next;
    auto consider = [&](int64_t at) {  // the pair that begins there
      if (at < 0 || links[size_t(at)].after < 0) return;
      const int64_t left = links[size_t(at)].symbol, right = links[size_t(links[size_t(at)].after)].symbol;
      if (const auto it = places_.find(key(left, right)); it != places_.end())
        next.push({it->second.rank, at, left, right, it->second.symbol});
    };
    for (int64_t i = 0; i + 1 < n; ++i) consider(i);
    while (!next.empty()) {
      const Candidate c = next.top();
      next.pop();
      Link& here = links[size_t(c.at)];
      if (here.symbol != c.left || here.after < 0 || links[size_t(here.after)].symbol != c.right) continue;  // gone
      Link& taken = links[size_t(here.after)];
      here.symbol = c.joined;
      here.after = taken.after;
      if (taken.after >= 0) links[size_t(taken.after)].before = c.at;
      taken.symbol = -1;
      consider(here.before);
      consider(c.at);
    }
    symbols.clear();
    for (int64_t i = n > 0 ? 0 : -1; i >= 0; i = links[size_t(i)].after) symbols.push_back(links[size_t(i)].symbol);
  }

 private:
  struct Joined {
    int64_t rank, symbol;
  };
  static uint64_t key(int64_t left, int64_t right) { return uint64_t(left) << 32 | uint64_t(right); }
  std::unordered_map<uint64_t, Joined> places_;
};

}  // namespace ink
