// Attention written out in public ops, with all nq x nk scores: what AttentionAlgorithm::naive computes, and what the
// fused op records for higher derivatives. q [batch, heads, nq, d], k and v [batch, kv_heads, nk, ..].
#pragma once
#include <array>

#include "tensor/raw/attention.h"

namespace ink {

// Which pairs count: bool, broadcasts to [batch, heads, nq, nk]; undefined if every query sees every key.
Tensor seen_by(const AttentionArgs& a, const raw::AttentionMasks& masks, Device device);

std::array<Tensor, 2> attention_formula(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& v,
                                        const raw::AttentionMasks& masks);
// {dq, dk, dv}. Reads neither out nor lse, which depend on q, k and v: it computes them again.
std::array<Tensor, 3> attention_formula_backward(const AttentionArgs& a, const raw::AttentionCall& call,
                                                 const raw::AttentionMasks& masks);

}  // namespace ink
