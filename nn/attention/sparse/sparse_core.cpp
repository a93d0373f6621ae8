// Sparse and top-k attention as cores.
#include "nn/attention/sparse/sparse_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/ops.h"

namespace ink {
namespace {

[[noreturn]] void throw_not_causal(const char* what, const std::string& name) {
  throw NotSupported(fmt::format(
      "{}: {} lets tokens see later ones, which have not come yet; hint: build it with causal = true", what, name));
}

}  // namespace

SparseCore::SparseCore(SparseRule rule, double dropout) : rule(std::move(rule)), dropout(dropout) {}

Tensor SparseCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  return sparse_attention(q, k, v, patterns_(rule, q.size(-2), q.device()),
                          {.mask = mask, .dropout = is_training() ? dropout : 0});
}

Tensor SparseCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  if (!rule.causal) throw_not_causal("SparseCore::step", rule.name);
  const int64_t past = state.time;
  state.append(k, v);
  const Tensor rows = arange(past, state.time, 1, {i64, Device::cpu()});
  return scaled_dot_product_attention(q, state.key, state.value,
                                      {.blocks = rule.mask.blocks(state.time, state.time, rows, {}, q.device()),
                                       .dropout = is_training() ? dropout : 0});
}

TopKCore::TopKCore(int64_t keep, bool causal, double dropout) : keep(keep), causal(causal), dropout(dropout) {
  if (keep < 1) throw ValueError(fmt::format("TopKCore: got keep {}; expected at least 1", keep));
}

Tensor TopKCore::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const {
  return topk_attention(
      q, k, v, std::clamp<int64_t>(k.size(-2), 1, keep),
      {.causal = causal ? Causal::bottom_right : Causal::no, .mask = mask, .dropout = is_training() ? dropout : 0});
}

Tensor TopKCore::step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const {
  if (!causal) throw_not_causal("TopKCore::step", name());
  state.append(k, v);
  return attend(q, state.key, state.value, {});
}

}  // namespace ink
