// Efficient Attention: two softmaxes apart instead of one over their product. Shen et al. 2021, eq. 5.
//
//   o_i = sum_c p_ic G_c,   p_i = softmax over the d features of q_i,   G_c = sum_j softmax_j(k_jc) v_j:
//
// feature c keeps a mean of the values, weighted by its own softmax over the tokens; a query mixes the d means. The
// implied weights sum_c p_ic softmax_j(k_jc) are >= 0 and sum to 1 in each row.
// Causal: the softmax of feature c runs over j <= i only,
//
//   softmax_{j <= i}(k_jc) = e^{k_jc - L_ic},   L_ic = log sum_{j <= i} e^{k_jc},
//
// with the running L. A maximum over all tokens would show the future, and e^{k - max} of the first could be 0.
#pragma once
#include "nn/attention/linear/linear.h"

namespace ink {

struct EfficientAttentionOptions {
  bool causal = false;
  LinearForm form = LinearForm::chunked;  // parallel, causal: all n x n x d weights
  int64_t chunk = 16;                     // tokens of a causal chunk; its weights are chunk x chunk x d
  Tensor key_mask = {};  // bool, broadcasts to [..., nk]: true where a key counts; each row must see one
};

struct EfficientState {
  Tensor mean, lse;  // G [..., d, dv] and L [..., d] after the tokens seen; undefined at the start
};

// q [..., nq, d], k [..., nk, d], v [..., nk, dv] -> [..., nq, dv], without a scale. `state` (causal only) goes in and
// comes out. ShapeError, ValueError.
Tensor efficient_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                           const EfficientAttentionOptions& options = {}, EfficientState* state = nullptr);

}  // namespace ink
