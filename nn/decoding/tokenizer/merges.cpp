// Byte pair encoding with a queue of the pairs that may be joined.
#include "nn/decoding/tokenizer/merges.h"

#include <queue>
#include <unordered_map>

namespace ink {

static uint64_t key_of(int64_t left, int64_t right) { return uint64_t(left) << 32 | uint64_t(right); }

struct Merges::Table {
  struct Joined {
    int64_t rank, symbol;
  };
  std::unordered_map<uint64_t, Joined> pairs;
};

Merges::Merges() : table_(std::make_shared<Table>()) {}

void Merges::add(int64_t left, int64_t right, int64_t joined) {
  table_->pairs.try_emplace(key_of(left, right), Table::Joined{int64_t(table_->pairs.size()), joined});
}

void Merges::apply(std::vector<int64_t>& symbols) const {
  struct Link {
    int64_t symbol, before, after;  // symbol -1: taken into the one before
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
    if (const auto it = table_->pairs.find(key_of(left, right)); it != table_->pairs.end())
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

}  // namespace ink
