// Causal linear attention. With w_ij = e^{decay_i - decay_j} and g the gradient of out,
//
//   o_i = sum_{j <= i} w_ij (q_i . k_j) v_j        dq_i = sum_{j <= i} w_ij (g_i . v_j) k_j
//   dk_j = sum_{i >= j} w_ij (v_j . g_i) q_i       dv_j = sum_{i >= j} w_ij (k_j . q_i) g_i
//
// so each gradient is the op itself with its operands exchanged, two of them backwards in time: the rule needs no
// kernel of its own and no state but [d, dv]. w depends on decay_i through row i and column i: d decay_i = q_i . dq_i -
// k_i . dk_i.
#include <fmt/format.h>

#include "autograd/attention.h"
#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/attention.h"

namespace ink {

using B = const Backward&;

namespace {

struct Direction {
  bool reverse;
};
Tensor run(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay, bool reverse);

// As a recurrence: each token adds k v^T to the state [d, dv] and reads q times the state.
double linear_attention_flops(const Call& c) {
  return multiply_adds(c.in(0).dtype(), 2 * double(c.in(0).numel()) * double(c.in(2).size(-1)));
}

void linear_attention_rule(B b, std::span<Tensor> grads) {
  const bool reverse = b.context<Direction>().reverse;
  Tensor q = b.in(0), k = b.in(1), v = b.in(2), decay = b.in(3), g = b.grad();
  const bool of_decay = b.needs(3);
  if (of_decay)  // a difference of sums of products
    for (Tensor* x : {&q, &k, &v, &decay, &g}) *x = widened(*x);
  Tensor opposite = decay.defined() ? -decay : decay;
  Tensor dq = b.needs(0) || of_decay ? run(g, v, k, decay, reverse) : Tensor();
  Tensor dk = b.needs(1) || of_decay ? run(v, g, q, opposite, !reverse) : Tensor();
  if (b.needs(0)) grads[0] = dq;
  if (b.needs(1)) grads[1] = dk;
  if (b.needs(2)) grads[2] = run(k, q, g, opposite, !reverse);
  if (of_decay) grads[3] = sum(q * dq, -1) - sum(k * dk, -1);
}

Tensor run(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay,
           bool reverse) {  // all [batch, n, ..]
  static constexpr Op op{.name = "causal_linear_attention",
                         .backward = linear_attention_rule,
                         .saves = kIn0 | kIn1 | kIn2 | kIn3,
                         .cast = Cast::raise,
                         .flops = linear_attention_flops};
  auto forward = [&](const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay) {
    return raw::linear_attention("causal_linear_attention", q, k, v, decay, reverse);
  };
  return call(op, Direction{reverse}, forward, q, k, v, decay);
}

Shape without_last(const Tensor& x, int dims) { return Shape(x.shape().begin(), x.shape().end() - dims); }

}  // namespace

Tensor causal_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay, bool reverse) {
  auto wrong = [&](const char* what) {
    return fmt::format(
        "causal_linear_attention: {}; got q {}, k {}, v {}{}; expected [..., n, d], [..., n, d], [..., n, dv]{}", what,
        q.shape().str(), k.shape().str(), v.shape().str(),
        decay.defined() ? ", decay " + decay.shape().str() : std::string(), decay.defined() ? " and [..., n]" : "");
  };
  if (q.dim() < 2 || v.dim() != q.dim() || !(q.shape() == k.shape()) || !(without_last(q, 1) == without_last(v, 1)) ||
      (decay.defined() && !(decay.shape() == without_last(q, 1))))
    throw ShapeError(wrong("shapes do not fit"));
  for (const Tensor* x : {&k, &v, &decay})
    if (x->defined() && x->dtype() != q.dtype())
      throw DTypeError(fmt::format("causal_linear_attention: operands differ in dtype; got {} and {}",
                                   name_of(q.dtype()), name_of(x->dtype())));
  raw::check_domain("causal_linear_attention", q.dtype(), kFloat);
  const int64_t n = q.size(-2), batch = without_last(q, 2).numel();
  auto flat = [&](const Tensor& x) { return reshape(x, {batch, n, x.size(-1)}); };
  Tensor out = run(flat(q), flat(k), flat(v), decay.defined() ? reshape(decay, {batch, n}) : decay, reverse);
  return reshape(out, v.shape());
}

}  // namespace ink
