// Attention without softmax. If a similarity is a product of features, sim(q, k) = phi(q) . phi(k), then
//
//   o_i = sum_j sim(q_i, k_j) v_j / sum_j sim(q_i, k_j) = S^T phi(q_i) / (phi(q_i) . z),
//   S = sum_j phi(k_j) v_j^T,   z = sum_j phi(k_j):
//
// linear in the number of tokens, and, summed over j <= i, a recurrent net with the state S, z.
// Katharopoulos et al. 2020, eq. 4-12.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

enum class FeatureMap {
  elu_plus_one,  // elu(x) + 1 > 0; Katharopoulos et al. 2020, eq. 7. d features
  taylor,        // sim = 1 + cos(q, k), in [0, 2]: e^s to first order, q and k of length 1; Su 2020. d + 1 features
  taylor2,   // sim = 1 + s + s^2 / 2 >= 1/2 with s = q . k / sqrt(d); Arora et al. 2024. 1 + d + d (d + 1) / 2 features
  identity,  // sim = q . k of any sign. A sum of such weights may be 0, so the output is not divided by it: (Q K^T) V
};

enum class LinearForm {
  parallel,   // the definition: all similarities, n x n of them
  recurrent,  // token by token, the state S, z between them; causal only
  chunked,    // parallel inside a chunk, the state between chunks. Without `causal`: (phi(k)^T v) once
};

struct LinearAttentionOptions {
  FeatureMap feature = FeatureMap::elu_plus_one;
  bool causal = false;  // j <= i
  LinearForm form = LinearForm::chunked;
  // Tokens of a causal chunk, in plain ops; 0: the kernel of causal_linear_attention, which cuts as it likes (fastest).
  int64_t chunk = 0;
  // Added to the denominator, which can be 0: e^x of a very negative key is 0 in f32, and 1 + cos is 0 for an opposite
  // one. The weights of a row then sum to c / (c + eps), c the sum of its similarities, instead of 1.
  double eps = 1e-6;
  // Positions by rotation (Su et al. 2021, section 3.3): phi(q) and phi(k) are rotated in the numerator only, since the
  // denominator must stay positive. The Taylor maps stay positive for any q and k, so these are rotated themselves,
  // numerator and denominator alike.
  bool rotary = false;
  Tensor key_mask = {};  // bool, broadcasts to [..., nk]: true where a key counts (false: padding)
};

// What is known of the tokens before; undefined at the start. A value: its tensors are replaced, never written.
struct LinearState {
  Tensor sum, norm;  // S [..., features, dv], z [..., features]
  Tensor decay;      // [...]: S and z are in units of e^{-decay}; undefined: 0. See LinearFeatures
  int64_t time = 0;  // tokens seen
};

// q [..., nq, d], k [..., nk, d], v [..., nk, dv], usually [batch, heads, ...], -> [..., nq, dv]. With `causal` nq must
// be nk. `state` (causal only) goes in and comes out: a sequence in pieces gives what it gives as a whole, gradients
// through the state included. ShapeError, ValueError.
Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttentionOptions& options = {},
                        LinearState* state = nullptr);

// ---- the parts, for similarities of one's own
Tensor feature_map(FeatureMap map, const Tensor& x);  // phi(x), [..., d] -> [..., features]
int64_t feature_count(FeatureMap map, int64_t d);

// o_i = sum_j w_ij v_j / (sum_j n_ij + eps),  w_ij = e^{decay_i - decay_j} q_i . k_j,  n_ij the same of norm_q, norm_k.
struct LinearFeatures {
  Tensor q = {}, k = {};            // phi(q) [..., nq, features], phi(k) [..., nk, features]
  Tensor norm_q = {}, norm_k = {};  // of the denominator; undefined: q and k
  Tensor decay = {};       // [..., n], causal only: must not rise along n, so that no weight is above 1; undefined: 0
  bool normalised = true;  // false: no denominator
};
Tensor linear_attention(const LinearFeatures& features, const Tensor& v, const LinearAttentionOptions& options,
                        LinearState* state = nullptr);  // uses causal, form, chunk, eps

}  // namespace ink
