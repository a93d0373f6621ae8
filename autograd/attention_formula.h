// Attention written out in public ops, with all nq x nk scores: what AttentionAlgorithm::naive computes, and what the
// fused op records for higher derivatives. q [batch, heads, nq, d], k and v [batch, kv_heads, nk, ..].
#pragma once
#include <array>

#include "tensor/raw_attention.h"

namespace ink {

std::array<Tensor, 2> attention_formula(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& v,
                                        const raw::AttentionMasks& masks);
// {dq, dk, dv} from the gradients of out and lse (dlse may be undefined).
std::array<Tensor, 3> attention_formula_backward(const AttentionArgs& a, const Tensor& dout, const Tensor& dlse,
                                                 const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const raw::AttentionMasks& masks);

}  // namespace ink
