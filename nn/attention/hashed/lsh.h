// Attention among tokens that hash alike: Reformer; Kitaev et al. 2020, section 2. A softmax is ruled by its largest
// scores, so each token looks only at tokens whose direction is near its own, found by locality-sensitive hashing and
// sorting.
#pragma once
#include <optional>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// Buckets of x [..., n, d] -> i64 [..., rounds, n] in [0, buckets): h(x) = argmax [x R, -x R] with R [d, buckets / 2]
// normal, drawn anew for each round (Andoni et al. 2015) and the same for all in front. Depends on a row's direction
// alone. buckets is even, or 1: all in one. For buckets = 2 two rows at the angle theta meet with probability 1 - theta
// / pi. (no gradient) ValueError for others.
Tensor lsh_hash(const Tensor& x, int64_t buckets, int64_t rounds, Generator* generator = nullptr);

struct LshOptions {
  int64_t bucket_size = 64;  // tokens of a chunk
  int64_t rounds = 4;        // independent hashes: what one misses another finds
  int64_t buckets = 0;       // 0: n / bucket_size, made even; 1 where one chunk holds all
  bool causal = false;       // no later position is seen
  // Only the bucket_size keys of its own bucket just before it, whatever the chunks: then nothing about later tokens
  // matters. With `causal` alone they decide by their hashes where the chunks end, and so which of the earlier ones are
  // seen. Needs causal.
  bool strict = false;
  bool deduplicate = false;           // a pair that meets in several rounds counts once
  std::optional<uint64_t> seed = {};  // the same hashes in every call
  Generator* generator = nullptr;     // without a seed; the device's default
};

// qk [..., n, d], v [..., n, dv] -> [..., n, dv]: softmax(q k^T / sqrt(d)) v over the pairs that meet, where q = qk, k
// = qk / |qk|. Tokens are sorted by (bucket, position) and cut into chunks; each sees its chunk and the one before (the
// first: the last). A token sees itself only if it sees nothing else. Rounds are merged by their log-sum-exp. O(rounds
// n bucket_size d) for attention. Any n: the last chunk is padded. Differentiable any number of times, hashes being
// constants. ShapeError, ValueError.
Tensor lsh_attention(const Tensor& qk, const Tensor& v, const LshOptions& options = {});

// Its rows from `first` on for options.strict, without sorting: each token compares its hashes [..., rounds, n] with
// those of all tokens before. What a step of decoding does (first = n - 1), O(rounds n d) a token; over a whole
// sequence a quadratic reference.
Tensor lsh_lookup(const Tensor& qk, const Tensor& v, const Tensor& hash, int64_t first, const LshOptions& options);

}  // namespace ink
