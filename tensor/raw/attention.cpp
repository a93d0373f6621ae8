// Operands of attention brought to what the kernels take, results allocated, one slot called.
#include "tensor/raw/attention.h"

#include <algorithm>
#include <limits>

namespace ink::raw {
namespace {

// What the kernels of x's device compute in: halves themselves where they take them.
DType working(const Tensor& x) { return kernels_of(x).half_products ? x.dtype() : compute_type(x.dtype()); }
DType statistics(DType t) { return t == f64 ? f64 : f32; }  // of log-sum-exps

// Elements of a row side by side; any strides for the rest.
Tensor rows_in(const Tensor& x, DType t) {
  Tensor y = cast(x, t);
  return y.size(-1) <= 1 || y.stride(-1) == 1 ? y : contiguous(y);
}
void strides_of(const Tensor& x, int64_t (&out)[3]) {
  for (int d = 0; d < 3; ++d) out[d] = x.stride(d);
}
void* data(const Tensor& x) { return x.defined() ? x.raw_data() : nullptr; }

// Fills in where the tensors lie, and their dtype. `slopes` keeps the cast ones alive.
void describe(AttentionArgs& a, Tensor& slopes, const Tensor& q, const Tensor& k, const Tensor& v,
              const AttentionMasks& m) {
  a.dtype = q.dtype();
  strides_of(q, a.q_strides), strides_of(k, a.k_strides), strides_of(v, a.v_strides);
  if (m.slopes.defined()) slopes = contiguous(cast(m.slopes, statistics(a.dtype)));
  a.slopes = data(slopes);
  a.mask = static_cast<const bool*>(data(m.mask));
  if (m.mask.defined())
    for (int d = 0; d < 4; ++d) a.mask_strides[d] = m.mask.size(d) == 1 ? 0 : m.mask.stride(d);
  a.tiles = static_cast<const int32_t*>(data(m.tiles));
  a.bits = static_cast<const bool*>(data(m.bits));
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
  const DType t = working(q);
  Tensor qi = rows_in(q, t), ki = rows_in(k, t), vi = rows_in(v, t), slopes;
  Tensor out = empty({args.batch, args.heads, args.nq, args.dv}, {t, device});
  Tensor lse = empty({args.batch, args.heads, args.nq}, {statistics(t), device});
  if (lse.numel() == 0 || args.nk == 0) {
    fill(out, 0);
    fill(lse, -std::numeric_limits<double>::infinity());
  } else {
    describe(args, slopes, qi, ki, vi, masks);
    kernels_of(out).attention(args, out.raw_data(), lse.raw_data(), qi.raw_data(), ki.raw_data(), vi.raw_data());
  }
  return {cast(out, q.dtype()), lse};
}

std::array<Tensor, 3> attention_backward(AttentionArgs args, const Tensor& dout, const Tensor& dlse, const Tensor& q,
                                         const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& lse,
                                         const AttentionMasks& masks) {
  const DType t = working(q);
  Tensor qi = rows_in(q, t), ki = rows_in(k, t), vi = rows_in(v, t), slopes;
  Tensor g = contiguous(cast(dout, t)), o = contiguous(cast(out, t)),
         gl = dlse.defined() ? contiguous(cast(dlse, lse.dtype())) : dlse;
  std::array<Tensor, 3> d{empty(q.shape(), qi.options()), empty(k.shape(), qi.options()),
                          empty(v.shape(), qi.options())};
  if (lse.numel() == 0 || args.nk == 0) {
    for (const Tensor& x : d) fill(x, 0);
  } else {
    describe(args, slopes, qi, ki, vi, masks);
    kernels_of(q).attention_backward(args, d[0].raw_data(), d[1].raw_data(), d[2].raw_data(), g.raw_data(), data(gl),
                                     qi.raw_data(), ki.raw_data(), vi.raw_data(), o.raw_data(),
                                     contiguous(lse).raw_data());
  }
  for (Tensor& x : d) x = cast(x, q.dtype());
  return d;
}

Tensor linear_attention(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay,
                        bool reverse) {
  Device device = common_device(op, {&q, &k, &v, &decay});
  const DType t = compute_type(q.dtype());
  auto in = [t](const Tensor& x) { return x.defined() ? contiguous(cast(x, t)) : x; };
  Tensor qi = in(q), ki = in(k), vi = in(v), gi = in(decay),
         out = empty({q.size(0), q.size(1), v.size(2)}, {t, device});
  if (q.size(2) == 0)
    fill(out, 0);
  else if (out.numel() > 0)
    kernels_of(out).linear_attention({t, q.size(0), q.size(1), q.size(2), v.size(2), reverse}, out.raw_data(),
                                     qi.raw_data(), ki.raw_data(), vi.raw_data(), data(gi));
  return cast(out, q.dtype());
}

}  // namespace ink::raw
