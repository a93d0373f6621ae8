// LSH, Linformer and Nystrom attention as cores.
#include "nn/attention/lowrank/lowrank_core.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/attention/lowrank/linformer.h"
#include "nn/init.h"

namespace ink {
namespace {

void refuse_mask(const char* name, const Tensor& mask, const char* reason) {
  if (mask.defined()) throw NotSupported(fmt::format("{}: no mask; got {}; {}", name, mask.shape().str(), reason));
}

}  // namespace

LshCore::LshCore(const LshOptions& o) : options(o) {}
Tensor LshCore::attend(const Tensor& q, const Tensor&, const Tensor& v, const Tensor& mask) const {
  refuse_mask("LshCore", mask,
              "the pairs that meet are found by sorting, no matrix of pairs is made; hint: LshOptions::causal");
  return lsh_attention(q, v, options);
}
Tensor LshCore::step(const Tensor& q, const Tensor&, const Tensor& v, AttentionState& state) const {
  if (!options.strict || !options.seed || options.buckets < 1)
    throw NotSupported(
        "LshCore: no step; which tokens meet changes with every token that comes, as it moves the ends of the chunks; "
        "hint: LshOptions{.causal = true, .strict = true} with a seed and a number of buckets");
  Generator generator(*options.seed);
  Tensor hash = lsh_hash(q, options.buckets, options.rounds, &generator);  // [batch, heads, rounds, new]
  const int64_t before = state.time;
  state.append(q, v);
  state.extra = state.extra.defined() ? cat({state.extra, hash}, 3) : hash;
  return lsh_lookup(state.key, state.value, state.extra, before, options);
}

LinformerCore::LinformerCore(const LinformerOptions& o) : options(o) {
  if (o.length < 1 || o.rows < 1)
    throw ValueError(fmt::format("LinformerCore: got length {}, rows {}; expected positive sizes", o.length, o.rows));
  const double bound = 1 / std::sqrt(double(o.rows));
  e = init::uniform({o.rows, o.length}, -bound, bound);
  if (!o.share) f = init::uniform({o.rows, o.length}, -bound, bound);
}
Tensor LinformerCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  refuse_mask("LinformerCore", mask,
              "each projected row mixes all positions, so that none can be hidden from one query and shown to another; "
              "hint: padding is hidden from all by zeroing its keys and values");
  return linformer_attention(q, k, v, e, options.share ? e : f);
}
Tensor LinformerCore::step(const Tensor&, const Tensor&, const Tensor&, AttentionState&) const {
  throw NotSupported("LinformerCore: no step; not causal: each projected key mixes all positions, later ones too");
}
void LinformerCore::fields(Fields& fields) {
  fields("e", e);
  if (!options.share) fields("f", f);
}

NystromCore::NystromCore(const NystromCoreOptions& o) : options(o) {
  if (o.convolution < 0 || (o.convolution && (o.convolution % 2 == 0 || o.heads < 1)))
    throw ValueError(fmt::format("NystromCore: got convolution {}, heads {}; expected an odd size, one kernel a head",
                                 o.convolution, o.heads));
  if (o.convolution) kernel = init::kaiming_uniform({o.heads, 1, o.convolution});
}
Tensor NystromCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  refuse_mask("NystromCore", mask,
              "landmarks are means over all positions; hint: LinearCore or PerformerCore have causal forms");
  Tensor y = nystrom_attention(q, k, v, options.nystrom);
  return options.convolution ? y + depthwise_over_time(v, kernel) : y;
}
Tensor NystromCore::step(const Tensor&, const Tensor&, const Tensor&, AttentionState&) const {
  throw NotSupported("NystromCore: no step; not causal: landmarks are means over later positions too");
}
void NystromCore::fields(Fields& fields) {
  if (options.convolution) fields("kernel", kernel);
}

}  // namespace ink
