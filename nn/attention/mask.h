// Masks as rules: which query i may see which key j. Rules are combined by & | !, written out as a bool tensor, or
// summed up in tiles of 64 x 64, so that attention skips what nobody sees.
//
//   AttentionMask m = masks::causal() & (masks::local(16) | masks::atrous(8));
//   scaled_dot_product_attention(q, k, v, {.blocks = m.blocks(n, n)});
#pragma once
#include <concepts>
#include <memory>
#include <string>
#include <vector>

#include "autograd/attention.h"

namespace ink {

class AttentionMask {
 public:
  // A rule of your own: f(i, nq, nk, row) writes row i of an nq x nk mask, all nk entries of it: 1 where the key may be
  // seen, else 0. The rules below write whole stretches at once.
  template <std::invocable<int64_t, int64_t, int64_t, uint8_t*> F>
  explicit AttentionMask(F f) : rule_(std::make_shared<RuleOf<F>>(std::move(f))) {}
  void row(int64_t i, int64_t nq, int64_t nk, uint8_t* out) const { rule_->row(i, nq, nk, out); }
  // Whether both are copies of one mask. Masks made apart are not, whatever they show.
  bool is_same(const AttentionMask& other) const { return rule_ == other.rule_; }

  bool operator()(int64_t i, int64_t j, int64_t nq, int64_t nk) const;           // IndexError outside of the mask
  Tensor dense(int64_t nq, int64_t nk, Device device = default_device()) const;  // bool [nq, nk]
  // The tiles, each distinct one once. With orders (i64, undefined: as they are), row r of the result is query
  // order_q[r], column c key order_k[c]: sorted so that what belongs together is together, few tiles are left; an order
  // may leave some out. nq and nk are the whole mask's sizes. What lies in a tile beyond the last row or column plays
  // no role: such a tile can be full.
  BlockMask blocks(int64_t nq, int64_t nk, const Tensor& order_q = {}, const Tensor& order_k = {},
                   Device device = default_device()) const;
  double density(int64_t nq, int64_t nk) const;  // the share of pairs that is seen; 0 if there are none
  // Text, one line a query: '#' seen, '.' not; at most 96 x 96, else every so many rows and columns.
  std::string picture(int64_t nq, int64_t nk) const;

  friend AttentionMask operator&(const AttentionMask& a, const AttentionMask& b);
  friend AttentionMask operator|(const AttentionMask& a, const AttentionMask& b);
  AttentionMask operator!() const;

 private:
  struct Rule {
    virtual ~Rule() = default;
    virtual void row(int64_t i, int64_t nq, int64_t nk, uint8_t* out) const = 0;
  };
  template <class F> struct RuleOf final : Rule {
    F f;
    explicit RuleOf(F f) : f(std::move(f)) {}
    void row(int64_t i, int64_t nq, int64_t nk, uint8_t* out) const override { f(i, nq, nk, out); }
  };
  std::shared_ptr<const Rule> rule_;  // copies share it: nothing changes it
};

// The pairs (i, j) that two layers join, `first` below `second`: i sees by `second` some m that sees j by `first`.
// bool [n, n].
Tensor two_layer_reach(const AttentionMask& first, const AttentionMask& second, int64_t n);

// How full a block mask is: the share of its tiles that is none, all, partly seen.
struct TileCount {
  double empty = 0, full = 0, partial = 0;
};
TileCount count_tiles(const BlockMask& blocks);

namespace masks {

AttentionMask all();
AttentionMask causal(Causal align = Causal::top_left);
AttentionMask window(int64_t left, int64_t right);  // i - left <= j <= i + right; ValueError below 0
AttentionMask local(int64_t k);                     // |i - j| <= k
AttentionMask atrous(int64_t k);                    // (i - j) mod k = 0; ValueError for k < 1
// Sparse Transformer (Child et al. 2019, section 4.2), causal. strided: the last l keys (and itself: l + 1), or
// (i - j) mod l = 0. fixed: the keys of its own block of l, or the last c of each; ValueError unless 1 <= c <= l.
AttentionMask strided(int64_t l);
AttentionMask fixed(int64_t l, int64_t c);
AttentionMask prefix(int64_t length);                   // j < length: a prompt that everybody sees
AttentionMask document(std::vector<int64_t> document);  // both of one document; ValueError if a position has none
AttentionMask tree(std::vector<int64_t> parent);        // j is i or an ancestor; parent -1: a root. ValueError: a cycle
AttentionMask global(std::vector<int64_t> positions);   // see all, are seen by all; those beyond the end do not count

template <std::predicate<int64_t, int64_t> F>  // f(i, j): a pair at a time
AttentionMask rule(F f) {
  return AttentionMask([f = std::move(f)](int64_t i, int64_t, int64_t nk, uint8_t* row) {
    for (int64_t j = 0; j < nk; ++j) row[j] = f(i, j);
  });
}

}  // namespace masks
}  // namespace ink
