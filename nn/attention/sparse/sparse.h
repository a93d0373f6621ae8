// Sparse attention: each query sees a few keys, chosen by a rule, and work falls with their number. Tiles of 64 x 64
// are what a machine computes, so a pattern is cut into parts, each in an order of queries and keys in which its pairs
// lie together: the last keys in natural order, every k-th key sorted by the remainder, columns that all see gathered
// into a short list. The parts' keys are disjoint for every query, so merge_attention joins their results exactly.
//
//   SparseRule rule = sparse::local_and_atrous(32, 16, true);       // the rule, and how it is laid out
//   SparsePattern pattern = rule.pattern(n);                         // for sequences of n tokens: make it once
//   Tensor y = sparse_attention(q, k, v, pattern);                   // [batch, heads, n, dv]
#pragma once
#include "nn/attention/mask.h"
#include "tensor/function_ref.h"

namespace ink {

// One part of a pattern: the queries order_q[0], order_q[1], ... against the keys order_k[0], order_k[1], ... (i64;
// undefined: all, in natural order), which see each other by `blocks`. A key may stand in order_k twice, if no query
// sees it twice: once beside its neighbours, and once in a short list of keys that all queries see.
struct SparsePart {
  Tensor order_q, order_k;
  // [nq], undefined with order_q: where each query finds its row of the result. If every query takes part, among this
  // part's rows. If some do not, among the nq rows of the parts before followed by this part's rows.
  Tensor place;
  BlockMask blocks;
};
// The part of `mask`, of a whole size of nq x nk, that the orders pick. ValueError for a position named twice.
SparsePart sparse_part(const AttentionMask& mask, int64_t nq, int64_t nk, const Tensor& order_q = {},
                       const Tensor& order_k = {}, Device device = default_device());

struct SparsePattern {
  int64_t nq = 0, nk = 0;
  std::vector<SparsePart> parts;  // no pair in two of them
  int64_t visited_tiles() const;  // tiles that are computed
  double work() const;   // pairs of those tiles, computed whether seen or not, over nq nk: 1 for full attention
  Tensor dense() const;  // bool [nq, nk]; ValueError if two parts hold the same pair
};

// softmax over the pattern's pairs: q [batch, heads, nq, d], k [batch, kv_heads, nk, d], v [batch, kv_heads, nk, dv] ->
// [batch, heads, nq, dv], differentiable any number of times. A query that sees no key gets 0. Of the options, scale,
// softcap, mask (in natural order; it costs nq x nk bools), dropout, generator, algorithm and block sizes are taken;
// what is causal or a window is the pattern's matter: ValueError. NotSupported with slopes.
Tensor sparse_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SparsePattern& pattern,
                        const AttentionOptions& options = {});

// Explicit Sparse Transformer (Zhao et al. 2019, eq. 4-6): each query keeps the keys whose scores are not below its
// `keep`-th largest (all that tie with it), and softmax runs over those; the gradient passes through them alone. A
// query that sees fewer keys keeps them all. All scores are computed: the gain is focus, not time. ValueError unless 1
// <= keep <= nk; NotSupported with slopes. All other options as for scaled_dot_product_attention.
Tensor topk_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t keep,
                      const AttentionOptions& options = {});

// ---- the rules that this file knows

// Positions 0 .. n - 1, or some of them, in an order that can be told for any n.
struct SparseOrder {
  enum class Kind {
    natural,         // 0, 1, 2, ...
    by_remainder,    // by i mod length, and for equal remainders by i
    ends_of_blocks,  // the last `last` positions of each block of `length`
    listed,          // `positions`, those below n
  } kind = Kind::natural;
  int64_t length = 1, last = 0;
  std::vector<int64_t> positions = {};
  Tensor of(int64_t n, Device device) const;  // i64; undefined for natural
  bool operator==(const SparseOrder&) const = default;
};
// Queries against lists of keys, which stand side by side in one softmax.
struct SparsePiece {
  struct Keys {
    AttentionMask mask;
    SparseOrder order = {};
  };
  std::vector<Keys> keys;
  SparseOrder queries = {};
};
struct SparseRule {
  std::string name;
  AttentionMask mask;               // the definition: all pairs
  bool causal = false;              // no query sees a later key
  std::vector<SparsePiece> pieces;  // the same pairs, each once
  SparsePattern pattern(int64_t n, Device device = default_device()) const;
};

// The last few patterns that were asked for, each for a rule, a length and a device. Rules are the same if their pieces
// are: copies of the same masks in the same orders. A name says nothing. Copies of a cache share what it keeps; several
// threads may ask.
class PatternCache {
 public:
  PatternCache();
  SparsePattern operator()(const SparseRule& rule, int64_t n, Device device) const;
  // The rule that was made last for this key, or else make()'s. Who makes rules as they are needed gets the same one
  // again, and so its patterns.
  SparseRule rule(const std::vector<int64_t>& key, FunctionRef<SparseRule()> make) const;

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

namespace sparse {

SparseRule local(int64_t k, bool causal = false);   // |i - j| <= k
SparseRule atrous(int64_t k, bool causal = false);  // (i - j) mod k = 0
// Either of them: near keys all, far keys every k_atrous-th.
SparseRule local_and_atrous(int64_t k_local, int64_t k_atrous, bool causal = false);
// Sparse Transformer (Child et al. 2019), causal, for l about sqrt(n): O(n sqrt n). The paper's A1 = {max(0, i - l),
// ..., i} has l + 1 keys, and so has this; the authors' code keeps l of them (j > i - l), which loses no pair: i - l is
// in A2 too.
SparseRule strided(int64_t l);
SparseRule fixed(int64_t l, int64_t c);
// Longformer (Beltagy et al. 2020): w keys to either side, and global positions that see all and are seen by all. One
// softmax over both: a global key within the window counts once.
SparseRule longformer(int64_t w, std::vector<int64_t> global, bool causal = false);
// Any mask, in natural order: work falls by the tiles that it leaves empty. `causal` is the caller's promise.
SparseRule custom(AttentionMask mask, bool causal = false);

}  // namespace sparse
}  // namespace ink
