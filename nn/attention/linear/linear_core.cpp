// The linear kinds as cores: which masks they take, and how their states become AttentionState.
#include "nn/attention/linear/linear_core.h"

#include <fmt/format.h>

#include "autograd/ops.h"

namespace ink {

namespace {
// mask [..., 1, time] as a key mask [..., time]; undefined stays undefined.
Tensor key_mask(const char* core, const Tensor& mask, const Tensor& q) {
  if (!mask.defined()) return mask;
  if (mask.dtype() != boolean)
    throw DTypeError(fmt::format("{}: the mask must be bool; got {}; expected true where a key may be seen", core,
                                 name_of(mask.dtype())));
  if (mask.dim() < 2 || mask.size(-2) != 1 || mask.dim() > q.dim())
    throw NotSupported(fmt::format(
        "{}: the sums over keys are shared by all queries, so a key is hidden from all or none; got mask {}; "
        "expected [..., 1, time]; hint: .causal, or a softmax kind",
        core, mask.shape().str()));
  return select(mask, -2, 0);
}
void check_causal(const char* core, bool causal) {
  if (!causal)
    throw NotSupported(
        fmt::format("{}: a step needs the causal form; got causal = false; expected causal = true", core));
}
// One token is a rank-one update; the chunked form has nothing to cut there.
LinearForm form_of_step(LinearForm form, const Tensor& q) { return q.size(-2) == 1 ? LinearForm::recurrent : form; }
}  // namespace

LinearCore::LinearCore(const LinearAttentionOptions& o) : options(o) {}
Tensor LinearCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  LinearAttentionOptions o = options;
  o.key_mask = key_mask("LinearCore", mask, q);
  return linear_attention(q, k, v, o);
}
Tensor LinearCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  check_causal("LinearCore", options.causal);
  LinearAttentionOptions o = options;
  o.form = form_of_step(o.form, q);
  LinearState s{state.sum, state.norm, {}, state.time};
  Tensor out = linear_attention(q, k, v, o, &s);
  state.sum = s.sum, state.norm = s.norm, state.time = s.time;
  return out;
}

EfficientCore::EfficientCore(const EfficientAttentionOptions& o) : options(o) {}
Tensor EfficientCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  EfficientAttentionOptions o = options;
  o.key_mask = key_mask("EfficientCore", mask, q);
  return efficient_attention(q, k, v, o);
}
Tensor EfficientCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  check_causal("EfficientCore", options.causal);
  EfficientAttentionOptions o = options;
  o.form = form_of_step(o.form, q);
  EfficientState s{state.sum, state.norm};
  Tensor out = efficient_attention(q, k, v, o, &s);
  state.sum = s.mean, state.norm = s.lse, state.time += q.size(-2);
  return out;
}

static int64_t feature_rows(const PerformerOptions& o) {
  return o.features ? o.features : favor_feature_count(o.width);
}
PerformerCore::PerformerCore(const PerformerOptions& o, Generator* generator)
    : options(o), projection(random_projection(feature_rows(o), o.width, o.projection, {}, generator)) {}
void PerformerCore::redraw(Generator* generator) {
  projection =
      random_projection(projection.size(0), projection.size(1), options.projection, projection.options(), generator);
}
Tensor PerformerCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  PerformerAttentionOptions o = options.attention;
  o.key_mask = key_mask("PerformerCore", mask, q);
  return performer_attention(q, k, v, projection, o);
}
Tensor PerformerCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  check_causal("PerformerCore", options.attention.causal);
  PerformerAttentionOptions o = options.attention;
  o.form = form_of_step(o.form, q);
  LinearState s{state.sum, state.norm, state.extra, state.time};
  Tensor out = performer_attention(q, k, v, projection, o, &s);
  state.sum = s.sum, state.norm = s.norm, state.extra = s.decay, state.time = s.time;
  return out;
}

}  // namespace ink
