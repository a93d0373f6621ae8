// Softmax attention as a core.
#include "nn/attention/softmax_core.h"

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

Tensor alibi_slopes(int64_t heads, Device device) {
  NoGrad guard;
  return pow(Scalar(2.0), arange(1, heads + 1, 1, {f32, device}) * (-8.0 / double(heads)));
}

SoftmaxCore::SoftmaxCore(const AttentionOptions& options, bool alibi) : options(options), alibi(alibi) {}

AttentionOptions SoftmaxCore::of(int64_t heads, const Tensor& like) const {
  AttentionOptions o = options;
  if (!is_training()) o.dropout = 0;
  if (alibi) o.slopes = alibi_slopes(heads, like.device());
  return o;
}

Tensor SoftmaxCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  AttentionOptions o = of(q.size(1), q);
  o.mask = mask;
  return scaled_dot_product_attention(q, k, v, o);
}

Tensor SoftmaxCore::step_seen(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state,
                              const Tensor& mask) const {
  if (!takes_step_mask()) return AttentionCore::step_seen(q, k, v, state, mask);  // weighs by the distance of columns
  AttentionOptions o = of(q.size(1), q);
  o.causal = Causal::no;
  o.mask = mask;
  state.append(k, v);
  return scaled_dot_product_attention(q, state.key, state.value, o);
}

Tensor SoftmaxCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  state.append(k, v);
  Tensor y = scaled_dot_product_attention(q, state.key, state.value, of(q.size(1), q));
  if (options.causal != Causal::no && options.left)  // what has left the window is never seen again
    for (Tensor* kept : {&state.key, &state.value})
      if (kept->size(2) > *options.left) *kept = kept->slice(2, kept->size(2) - *options.left, kept->size(2)).clone();
  return y;
}

}  // namespace ink
