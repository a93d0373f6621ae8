// Attention with its rules. With P the weights, Z the dropout mask over 1 - p, S the scores, and g and h the gradients
// of out and lse:
//
//   out = (P o Z) V,   dV = (P o Z)^T g,   dP = (g V^T) o Z,   dS = P o (dP - rowsum(P o dP) + h),
//   dQ = scale dS K,   dK = scale dS^T Q       (a soft cap c multiplies dS by 1 - (S / c)^2)
//
// Dao et al. 2022, appendix B.2. The kernels never store P; while a higher derivative is recorded the same lines run in
// public ops.
#include "autograd/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/observe/autocast.h"
#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/attention/attention_formula.h"
#include "tensor/batch_invariant.h"
#include "tensor/capture.h"
#include "tensor/raw/attention.h"
#include "tensor/raw/index.h"
#include "tensor/raw/random.h"

namespace ink {

using B = const Backward&;
using raw::AttentionMasks;

BlockMask BlockMask::to(Device device) const { return {nq, nk, tiles.to(device), bits.to(device)}; }
Tensor BlockMask::dense() const {
  NoGrad guard;
  const int n = tiles.dim();
  Shape by_tiles = tiles.shape(), by_rows(tiles.shape().begin(), tiles.shape().end() - 2);
  by_tiles.push_back(kMaskTile), by_tiles.push_back(kMaskTile);
  for (int64_t d : {-2, -1}) by_rows.push_back(checked_product("BlockMask::dense", tiles.size(d), kMaskTile));
  Tensor all = reshape(index_select(bits, 0, reshape(tiles, {-1})),
                       by_tiles);  // [.., row of tiles, column of tiles, row, column]
  return slice(slice(reshape(transpose(all, n - 1, n), by_rows), -2, 0, nq), -1, 0, nk);
}

namespace {

constexpr const char* kName = "scaled_dot_product_attention";

void attention_rule(B b, std::span<Tensor> grads) {
  const AttentionArgs& args = b.context<AttentionArgs>();
  AttentionMasks masks{b.in(3), b.in(4), b.in(5), b.in(6)};
  raw::AttentionCall call{
      .q = b.in(0), .k = b.in(1), .v = b.in(2), .out = b.out(0), .dout = b.grad(0), .dlse = b.grad(1)};
  if (!call.dout.defined()) call.dout = zeros_like(call.out);
  const bool formula = grad_enabled();
  if (!formula) call.lse = b.out(1);
  auto d = formula ? attention_formula_backward(args, call, masks) : raw::attention_backward(args, call, masks);
  for (size_t i = 0; i < 3; ++i)
    if (b.needs(int(i))) grads[i] = d[i];
}

// Two products: q . k and p v, d + dv multiply-adds for every pair of a query and a key; the softmax between them is
// left out, as is usual. Pairs hidden by causality, a window or an empty tile of a block mask are skipped and do not
// count. Pairs hidden by a dense mask, or in a tile of which something is seen, are computed and do count.
double attention_flops(const Call& c) {
  const AttentionArgs& a = c.context<AttentionArgs>();
  const auto pairs = [&](const Rectangle& r) { return pairs_in_band(r, a.low, a.high); };
  const Tensor& tiles = c.in(5);
  double seen = 0;
  if (tiles.defined() && !capture::active()) {  // a captured step cannot look at values
    Tensor names = tiles.to(Device::cpu()).contiguous();
    const int32_t* name = names.data<int32_t>();
    for (int64_t head = 0; head < a.batch * a.heads; ++head)
      for (int64_t i = 0; i < a.nq; i += kMaskTile)
        for (int64_t j = 0; j < a.nk; j += kMaskTile)
          if (*name++ != 0) seen += pairs({i, std::min(i + kMaskTile, a.nq), j, std::min(j + kMaskTile, a.nk)});
  } else {
    seen = double(a.batch * a.heads) * pairs({0, a.nq, 0, a.nk});
  }
  return multiply_adds(c.in(0).dtype(), seen * double(c.in(0).size(-1) + c.in(2).size(-1)));
}

template <class... A> std::string what_is_wrong(fmt::format_string<A...> text, A&&... args) {
  return fmt::format("{}: {}", kName, fmt::format(text, std::forward<A>(args)...));
}

void check_shapes(const Tensor& q, const Tensor& k, const Tensor& v) {
  auto shapes = [&] { return fmt::format("q {}, k {}, v {}", q.shape().str(), k.shape().str(), v.shape().str()); };
  if (q.dtype() != k.dtype() || q.dtype() != v.dtype() || !(is_floating(q.dtype())))
    throw DTypeError(what_is_wrong("q, k and v must have one floating point dtype; got {}, {} and {}",
                                   name_of(q.dtype()), name_of(k.dtype()), name_of(v.dtype())));
  if (q.size(0) != k.size(0) || q.size(0) != v.size(0))
    throw ShapeError(what_is_wrong("batch sizes differ; got {}; expected one batch size", shapes()));
  if (k.size(1) != v.size(1) || k.size(2) != v.size(2))
    throw ShapeError(
        what_is_wrong("keys and values do not belong together; got {}; expected the same heads and length", shapes()));
  if (q.size(3) != k.size(3))
    throw ShapeError(what_is_wrong("queries and keys differ in width; got {}; expected the same last dim", shapes()));
  if (k.size(1) < 1 || q.size(1) % k.size(1))
    throw ShapeError(
        what_is_wrong("the query heads cannot be shared out among the key heads; got {} and {}; expected a multiple",
                      q.size(1), k.size(1)));
}

AttentionArgs arguments(const AttentionOptions& o, const Tensor& q, const Tensor& k, const Tensor& v) {
  if (o.left.value_or(0) < 0 || o.right.value_or(0) < 0)
    throw ValueError(what_is_wrong("a window cannot be negative; got left {}, right {}; expected at least 0, or none",
                                   o.left.value_or(0), o.right.value_or(0)));
  if (!(o.softcap >= 0))
    throw ValueError(what_is_wrong("softcap must not be negative; got {}; expected 0 for none", o.softcap));
  if (!(o.dropout >= 0 && o.dropout <= 1))
    throw ValueError(what_is_wrong("dropout must lie in [0, 1]; got {}", o.dropout));
  if (o.block_q < 0 || o.block_k < 0)
    throw ValueError(what_is_wrong("block sizes cannot be negative; got {} and {}; expected 0 for a choice by size",
                                   o.block_q, o.block_k));
  AttentionArgs a = raw::attention_sizes(q, k, v);
  a.scale = o.scale.value_or(a.d ? 1 / std::sqrt(double(a.d)) : 1);
  a.softcap = o.softcap;
  a.diagonal = o.causal == Causal::top_left ? 0 : a.nk - a.nq;
  a.low = o.left ? a.diagonal - std::min(*o.left, kNoBound) : -kNoBound;
  a.high = o.causal != Causal::no ? a.diagonal : o.right ? a.diagonal + std::min(*o.right, kNoBound) : kNoBound;
  a.dropout = o.dropout;
  a.block_q = std::min(o.block_q, std::max<int64_t>(a.nq, 1)),
  a.block_k = std::min(o.block_k, std::max<int64_t>(a.nk, 1));
  return a;
}

AttentionMasks masks_of(const AttentionOptions& o, const AttentionArgs& a) {
  NoGrad guard;
  AttentionMasks m;
  if (o.slopes.defined()) {
    if (o.slopes.numel() != a.heads || !is_floating(o.slopes.dtype()))
      throw ShapeError(what_is_wrong("slopes must be one number per head; got {} {}; expected [{}]",
                                     name_of(o.slopes.dtype()), o.slopes.shape().str(), a.heads));
    m.slopes = reshape(o.slopes.detach(), {a.heads});
  }
  if (o.mask.defined()) {
    if (o.mask.dtype() != boolean)
      throw DTypeError(
          what_is_wrong("the mask must be bool; got {}; expected true where a key may be seen; hint: mask == 0 if "
                        "it is added to scores",
                        name_of(o.mask.dtype())));
    const Shape full{a.batch, a.heads, a.nq, a.nk};
    try {
      m.mask = raw::expand(o.mask, full);
    } catch (const ShapeError&) {
      throw ShapeError(
          what_is_wrong("the mask does not broadcast to [batch, heads, queries, keys]; got {}; expected {}",
                        o.mask.shape().str(), full.str()));
    }
  }
  if (o.blocks.defined()) {
    const BlockMask& b = o.blocks;
    const auto tiles_of = [](int64_t n) { return n / kMaskTile + (n % kMaskTile != 0); };
    const int64_t rows = tiles_of(a.nq), columns = tiles_of(a.nk);
    if (b.nq != a.nq || b.nk != a.nk || b.tiles.dim() < 2 || b.tiles.size(-2) != rows || b.tiles.size(-1) != columns)
      throw ShapeError(
          what_is_wrong("the block mask is of another size; got [{}, {}]; expected [{}, {}]", b.nq, b.nk, a.nq, a.nk));
    if (b.bits.dim() != 3 || b.bits.dtype() != boolean || b.bits.size(1) != kMaskTile || b.bits.size(2) != kMaskTile)
      throw ShapeError(what_is_wrong("the bits of a block mask are bool [count, {0}, {0}]; got {1} {2}", kMaskTile,
                                     name_of(b.bits.dtype()), b.bits.shape().str()));
    raw::common_device(kName, {&b.tiles, &b.bits});
    Tensor tiles = raw::cast(raw::checked_index({kName, b.bits.size(0), true}, b.tiles), i32);
    m.tiles = raw::expand(tiles, {a.batch, a.heads, rows, columns});
    m.bits = b.bits.contiguous();
  }
  return m;
}

// Missing dims in front become 1.
Tensor as4(const Tensor& x) {
  if (x.dim() < 2 || x.dim() > 4)
    throw ShapeError(
        what_is_wrong("wrong number of dims; got {}; expected [batch, heads, time, width]", x.shape().str()));
  Tensor y = x;
  while (y.dim() < 4) y = unsqueeze(y, 0);
  return y;
}

}  // namespace

Tensor visible_keys(const Tensor& q0, const Tensor& k0, const AttentionOptions& o) {
  Tensor q = as4(q0), k = as4(k0);
  const AttentionArgs args = arguments(o, q, k, k);
  return seen_by(args, masks_of(o, args), q.device());
}

std::tuple<Tensor, Tensor> attention_with_lse(const Tensor& q0, const Tensor& k0, const Tensor& v0,
                                              const AttentionOptions& o) {
  static constexpr Op op{.name = kName,
                         .backward = attention_rule,
                         .saves = 0x7f | kOut0 | kOut1,
                         .cast = Cast::lower,
                         .differentiable = 2,
                         .flops = attention_flops};
  Tensor q = lowered(as4(q0)), k = lowered(as4(k0)), v = lowered(as4(v0));
  check_shapes(q, k, v);
  AttentionArgs args = arguments(o, q, k, v);
  if (batch_invariant() && (args.dropout > 0 || o.algorithm == AttentionAlgorithm::naive))
    throw NotSupported(
        what_is_wrong("not within BatchInvariant; got {}; expected the flash algorithm without dropout",
                      args.dropout > 0 ? fmt::format("dropout {}", args.dropout) : "the naive algorithm"));
  AttentionMasks m = masks_of(o, args);
  if (args.dropout > 0) args.key = raw::next_key(o.generator, args.batch * args.heads * args.nq * args.nk);
  auto forward = [&](const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& slopes, const Tensor& mask,
                     const Tensor& tiles, const Tensor& bits) {
    return raw::attention(kName, args, q, k, v, {slopes, mask, tiles, bits});
  };
  auto [out, lse] = o.algorithm == AttentionAlgorithm::naive
                        ? attention_formula(args, q, k, v, m)
                        : call(op, args, forward, q, k, v, m.slopes, m.mask, m.tiles, m.bits);
  const int dims = std::max({q0.dim(), k0.dim(), v0.dim()});
  for (int d = 4; d > dims; --d) out = squeeze(out, 0), lse = squeeze(lse, 0);
  return {out, lse};
}

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  return std::get<0>(attention_with_lse(q, k, v, options));
}

std::tuple<Tensor, Tensor> merge_attention(const Tensor& out_a, const Tensor& lse_a, const Tensor& out_b,
                                           const Tensor& lse_b) {
  Tensor lse = logsumexp(stack({lse_a, lse_b}, -1), -1);
  Tensor safe = where(lse == -std::numeric_limits<double>::infinity(), zeros_like(lse), lse);
  auto share = [&](const Tensor& out, const Tensor& part) { return unsqueeze(exp(part - safe), -1) * out; };
  return {to(share(out_a, lse_a) + share(out_b, lse_b), out_a.dtype()), lse};
}

}  // namespace ink
