// Attention written out in public ops, with all nq x nk scores: what AttentionAlgorithm::naive computes, and what the
// fused op records for higher derivatives. q [batch, heads, nq, d], k and v [batch, kv_heads, nk, ..].
#pragma once
#include <array>

#include "autograd/attention.h"
#include "tensor/raw/attention.h"

namespace ink {

// Which pairs count: bool, broadcasts to [batch, heads, nq, nk]; undefined if every query sees every key.
Tensor seen_by(const AttentionArgs& a, const raw::AttentionMasks& masks, int64_t nq, int64_t nk, Device device);
// The same, from what a user asks for. Errors as scaled_dot_product_attention.
Tensor seen_by(const AttentionOptions& options, const Tensor& q, const Tensor& k);

std::array<Tensor, 2> attention_formula(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& v,
                                        const raw::AttentionMasks& masks);
// {dq, dk, dv} from the gradients of out and lse (dlse may be undefined).
std::array<Tensor, 3> attention_formula_backward(const AttentionArgs& a, const Tensor& dout, const Tensor& dlse,
                                                 const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const raw::AttentionMasks& masks);

}  // namespace ink
