// Attention as ops: softmax attention in tiles, and causal linear attention. Layers that use them stand in
// nn/attention/.
#pragma once
#include <optional>
#include <tuple>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// Which keys a causal query sees when there are not as many keys as queries.
enum class Causal {
  no,            // all of them
  top_left,      // j <= i: both sequences begin together
  bottom_right,  // j <= i + nk - nq: both sequences end together, as in a step of decoding
};

enum class AttentionAlgorithm {
  flash,  // tile by tile; the scores are never stored, so memory grows with nq + nk
  naive,  // the formula as it stands, with all nq x nk scores in memory
};

// A mask [nq, nk] by tiles of 64 x 64: tiles[.., i / 64, j / 64] (i32) names the one of bits [count, 64, 64] (bool,
// true: seen) for that place. bits[0] sees nothing and is skipped, bits[1] sees everything; equal tiles are stored
// once. AttentionMask::blocks makes it.
struct BlockMask {
  int64_t nq = 0, nk = 0;
  Tensor tiles, bits;  // tiles [ceil(nq / 64), ceil(nk / 64)], or with dims [batch or 1, heads or 1] in front
  bool defined() const { return tiles.defined(); }
  BlockMask to(Device device) const;
  Tensor dense() const;  // bool [.., nq, nk]
};

struct AttentionOptions {
  Causal causal = Causal::no;
  // A window: at most so many keys to the left and to the right of the diagonal, which is j = i for Causal::top_left
  // and j = i + nk - nq otherwise. ValueError below 0.
  std::optional<int64_t> left = {}, right = {};
  std::optional<double> scale = {};  // of q . k; 1 / sqrt(d)
  double softcap = 0;                // c > 0: scores become c tanh(s / c)
  // ALiBi [heads]: minus slope times the distance from the diagonal (Press et al. 2022); no gradient
  Tensor slopes = {};
  Tensor mask = {};       // bool, true where a key may be seen; broadcast to [batch, heads, nq, nk]
  BlockMask blocks = {};  // the same by tiles; a key must be seen by all of causal, window, mask and blocks
  double dropout = 0;     // on the weights p; the mask is drawn again in the backward pass, never stored
  Generator* generator = nullptr;
  AttentionAlgorithm algorithm = AttentionAlgorithm::flash;
  int64_t block_q = 0, block_k = 0;  // of flash; 0: chosen by the sizes
};

// softmax(scale q k^T) v for q [batch, heads, nq, d], k [batch, kv_heads, nk, d], v [batch, kv_heads, nk, dv] ->
// [batch, heads, nq, dv]; heads is a multiple of kv_heads (grouped queries: head h reads key head h / (heads /
// kv_heads)). Fewer dims: those in front are 1. A query that sees no key gets 0. Differentiable in q, k, v any number
// of times. DTypeError unless q, k and v have one floating point dtype, which the result keeps (autocast lowers it);
// ShapeError for shapes, slopes or masks that do not fit; ValueError for a negative window, softcap or block size, or a
// dropout outside [0, 1]. Dao et al. 2022, 2023.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});
// The same with the log-sum-exp of each query's scores, [batch, heads, nq] (f32 for halves; -inf where no key is seen),
// which is differentiable too. Results over disjoint sets of keys are merged with it: merge_attention.
std::tuple<Tensor, Tensor> attention_with_lse(const Tensor& q, const Tensor& k, const Tensor& v,
                                              const AttentionOptions& options = {});
// Which keys the options (causal, left and right, mask, blocks) let each query of q see: bool, broadcasts to [batch,
// heads, nq, nk]; undefined if every query sees every key. No gradient. Errors as above.
Tensor visible_keys(const Tensor& q, const Tensor& k, const AttentionOptions& options);
// Attention over the union of two disjoint sets of keys, from the results over each. Associative; (0, -inf) is neutral.
//   lse = log(e^{lse_a} + e^{lse_b}),   o = e^{lse_a - lse} o_a + e^{lse_b - lse} o_b
// out_a, out_b [.., nq, dv], lse_a, lse_b [.., nq] -> the same shapes, in out_a's dtype. ShapeError if they do not fit.
std::tuple<Tensor, Tensor> merge_attention(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b,
                                           const Tensor& lse_b);

// o_i = sum over j <= i of e^{decay_i - decay_j} (q_i . k_j) v_j, or over j >= i with `reverse`, for q, k [..., n, d],
// v [..., n, dv], decay [..., n] (undefined: 0; for weights of at most 1 it must not rise along n). Time O(n d dv),
// working memory O(d dv), to any order of derivative. Not normalised: nn/attention/linear/linear.h is. Katharopoulos et
// al. 2020, eq. 9-12; chunks as in Hua et al. 2022. The result has v's shape. ShapeError for shapes that do not fit,
// DTypeError unless all have one floating point dtype.
Tensor causal_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay = {},
                               bool reverse = false);

}  // namespace ink
