// Operands of attention brought to what the kernels take, results allocated, one slot called.
#include "tensor/raw/attention.h"

#include <algorithm>
#include <limits>

#include "tensor/batch_invariant.h"
#include "tensor/raw/operand.h"

namespace ink::raw {
namespace {

DType statistics(DType t) { return t == f64 ? f64 : f32; }  // of log-sum-exps

void strides_of(const Tensor& x, int64_t (&out)[3]) {
  for (int d = 0; d < 3; ++d) out[d] = x.stride(d);
}

// Fills in where the tensors lie, and their dtype. `slopes` keeps the cast ones alive.
void describe(AttentionArgs& a, Tensor& slopes, const Tensor& q, const Tensor& k, const Tensor& v,
              const AttentionMasks& m) {
  a.dtype = q.dtype();
  strides_of(q, a.q_strides), strides_of(k, a.k_strides), strides_of(v, a.v_strides);
  slopes = contiguous_in(m.slopes, statistics(a.dtype));
  a.slopes = data_or_null(slopes);
  a.mask = static_cast<const bool*>(data_or_null(m.mask));
  if (m.mask.defined())
    for (int d = 0; d < 4; ++d) a.mask_strides[d] = m.mask.size(d) == 1 ? 0 : m.mask.stride(d);
  a.tiles = static_cast<const int32_t*>(data_or_null(m.tiles));
  a.bits = static_cast<const bool*>(data_or_null(m.bits));
  if (m.tiles.defined())
    for (int d = 0; d < 2; ++d) a.tile_strides[d] = m.tiles.size(d) == 1 ? 0 : m.tiles.stride(d);
}

}  // namespace

AttentionArgs attention_sizes(const Tensor& q, const Tensor& k, const Tensor& v) {
  AttentionArgs a{};
  a.batch = q.size(0), a.heads = q.size(1), a.kv_heads = k.size(1);
  a.nq = q.size(2), a.nk = k.size(2), a.d = q.size(3), a.dv = v.size(3);
  return a;
}

std::array<Tensor, 2> attention(const char* op, AttentionArgs args, const Tensor& q, const Tensor& k, const Tensor& v,
                                const AttentionMasks& masks) {
  Device device = common_device(op, {&q, &k, &v, &masks.slopes, &masks.mask, &masks.tiles, &masks.bits});
  const DType t = attention_dtype(q.dtype(), q.device());
  Tensor qi = rows_contiguous_in(q, t), ki = rows_contiguous_in(k, t), vi = rows_contiguous_in(v, t), slopes;
  Tensor out = empty({args.batch, args.heads, args.nq, args.dv}, {t, device});
  Tensor lse = empty({args.batch, args.heads, args.nq}, {statistics(t), device});
  if (lse.numel() == 0 || args.nk == 0) {
    fill(out, 0);
    fill(lse, -std::numeric_limits<double>::infinity());
  } else {
    describe(args, slopes, qi, ki, vi, masks);
    args.batch_invariant = batch_invariant();
    kernels_of(out).attention(args, out.raw_data(), lse.raw_data(), qi.raw_data(), ki.raw_data(), vi.raw_data());
  }
  return {cast(out, q.dtype()), lse};
}

std::array<Tensor, 3> attention_backward(AttentionArgs args, const AttentionCall& call, const AttentionMasks& masks) {
  const auto& [q, k, v, out, lse, dout, dlse] = call;
  const DType t = attention_dtype(q.dtype(), q.device());
  Tensor qi = rows_contiguous_in(q, t), ki = rows_contiguous_in(k, t), vi = rows_contiguous_in(v, t), slopes;
  Tensor g = contiguous_in(dout, t), o = contiguous_in(out, t), gl = contiguous_in(dlse, lse.dtype());
  std::array<Tensor, 3> d{empty(q.shape(), qi.options()), empty(k.shape(), qi.options()),
                          empty(v.shape(), qi.options())};
  if (lse.numel() == 0 || args.nk == 0) {
    for (const Tensor& x : d) fill(x, 0);
  } else {
    describe(args, slopes, qi, ki, vi, masks);
    const Tensor own_lse = contiguous(lse);
    kernels_of(q).attention_backward(args, {.dq = d[0].raw_data(),
                                            .dk = d[1].raw_data(),
                                            .dv = d[2].raw_data(),
                                            .dout = g.raw_data(),
                                            .dlse = data_or_null(gl),
                                            .q = qi.raw_data(),
                                            .k = ki.raw_data(),
                                            .v = vi.raw_data(),
                                            .out = o.raw_data(),
                                            .lse = own_lse.raw_data()});
  }
  for (Tensor& x : d) x = cast(x, q.dtype());
  return d;
}

Tensor linear_attention(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay,
                        bool reverse) {
  Device device = common_device(op, {&q, &k, &v, &decay});
  const DType t = compute_type(q.dtype());
  Tensor qi = contiguous_in(q, t), ki = contiguous_in(k, t), vi = contiguous_in(v, t), gi = contiguous_in(decay, t),
         out = empty({q.size(0), q.size(1), v.size(2)}, {t, device});
  if (q.size(2) == 0)
    fill(out, 0);
  else if (out.numel() > 0)
    kernels_of(out).linear_attention(
        {.dtype = t, .batch = q.size(0), .n = q.size(1), .d = q.size(2), .dv = v.size(2), .reverse = reverse},
        out.raw_data(), qi.raw_data(), ki.raw_data(), vi.raw_data(), data_or_null(gi));
  return cast(out, q.dtype());
}

}  // namespace ink::raw
