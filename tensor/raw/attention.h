// Attention of the graph-free layer. f16 and bf16 are computed in f32 where the device has no kernels for them, and
// rounded once.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

// The tensors beside q, k and v that say what is seen; each may be undefined. On q's device.
struct AttentionMasks {
  Tensor slopes;       // [heads]
  Tensor mask;         // bool, expanded to [batch, heads, nq, nk]
  Tensor tiles, bits;  // i32 [batch, heads, .., ..] (expanded), bool [count, kMaskTile, kMaskTile]
};

// Arguments with the sizes of q [batch, heads, nq, d], k [batch, kv_heads, nk, d], v [batch, kv_heads, nk, dv] filled
// in, and nothing else.
AttentionArgs attention_sizes(const Tensor& q, const Tensor& k, const Tensor& v);

// {out [batch, heads, nq, dv], lse [batch, heads, nq]}. `args` brings everything but what follows from where the
// tensors lie: their dtype, strides and pointers are filled in here.
std::array<Tensor, 2> attention(const char* op, AttentionArgs args, const Tensor& q, const Tensor& k, const Tensor& v,
                                const AttentionMasks& masks);
// What a call of attention took and gave, and the gradients of what it gave; dlse may be undefined.
struct AttentionCall {
  Tensor q, k, v, out = {}, lse = {}, dout = {}, dlse = {};
};
// {dq, dk, dv}
std::array<Tensor, 3> attention_backward(AttentionArgs args, const AttentionCall& call, const AttentionMasks& masks);

// q, k [batch, n, d], v [batch, n, dv], decay [batch, n] or undefined, of one dtype.
Tensor linear_attention(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay,
                        bool reverse);

}  // namespace ink::raw
