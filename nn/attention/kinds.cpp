#include "nn/attention/kinds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "nn/attention/linear/linear_core.h"
#include "nn/attention/lowrank/lowrank_core.h"
#include "nn/attention/softmax_core.h"
#include "nn/attention/sparse/sparse_core.h"

namespace ink {
namespace {

using K = AttentionKind;

constexpr std::pair<K, const char*> kNames[] = {
    {K::softmax, "softmax"},
    {K::local, "local"},
    {K::atrous, "atrous"},
    {K::local_atrous, "local_atrous"},
    {K::strided, "strided"},
    {K::fixed, "fixed"},
    {K::longformer, "longformer"},
    {K::topk, "topk"},
    {K::lsh, "lsh"},
    {K::linformer, "linformer"},
    {K::nystrom, "nystrom"},
    {K::linear, "linear"},
    {K::taylor, "taylor"},
    {K::taylor2, "taylor2"},
    {K::efficient, "efficient"},
    {K::performer, "performer"},
    {K::gau, "gau"},
    {K::flash, "flash"},
};

SparseRule sparse_rule(K kind, const AttentionSizes& s, bool causal) {
  const int64_t window = s.window.value_or(64);
  switch (kind) {
    case K::local:
      return sparse::local(window, causal);
    case K::atrous:
      return sparse::atrous(s.stride, causal);
    case K::local_atrous:
      return sparse::local_and_atrous(window, s.stride, causal);
    case K::strided:
      return sparse::strided(s.stride);
    case K::fixed:
      return sparse::fixed(s.stride, s.tail);
    default:
      return sparse::longformer(window, s.global, causal);
  }
}

FeatureMap feature_map(K kind) {
  return kind == K::taylor ? FeatureMap::taylor : kind == K::taylor2 ? FeatureMap::taylor2 : FeatureMap::elu_plus_one;
}

[[noreturn]] void refuse(K kind, const char* why) {
  throw NotSupported(fmt::format("make_attention_core: no {} attention like this: {}", name_of(kind), why));
}
void check(const CoreOptions& o) {
  if (o.dropout > 0 && !has_weights(o.kind))
    throw ValueError(
        fmt::format("make_attention_core: {} attention has no weights to drop; got dropout {}; hint: drop its output",
                    name_of(o.kind), o.dropout));
  if ((o.softcap != 0 || o.alibi) && o.kind != K::softmax)
    throw ValueError(fmt::format("make_attention_core: softcap and alibi belong to softmax attention; got kind {}",
                                 name_of(o.kind)));
  if (o.causal && !has_causal_form(o.kind))
    refuse(o.kind, "every row of the projected keys holds all tokens, so nothing can be hidden from an earlier one");
  if (!o.causal && (o.kind == K::strided || o.kind == K::fixed))
    refuse(o.kind, "the pattern is causal by definition; hint: .causal = true, or local_atrous");
}

}  // namespace

std::unique_ptr<AttentionCore> make_attention_core(const CoreOptions& o) {
  check(o);
  const AttentionSizes& s = o.sizes;
  switch (o.kind) {
    case K::softmax:
      return std::make_unique<SoftmaxCore>(SoftmaxCoreOptions{
          .causal = o.causal, .window = s.window, .softcap = o.softcap, .alibi = o.alibi, .dropout = o.dropout});
    case K::topk:
      return std::make_unique<TopKCore>(s.keep, o.causal, o.dropout);
    case K::lsh:
      return std::make_unique<LshCore>(
          LshOptions{.bucket_size = s.bucket,
                     .rounds = s.rounds,
                     .buckets = s.buckets,
                     .causal = o.causal,
                     .strict = o.causal,  // else later tokens decide which earlier ones are seen
                     .seed = s.seed});
    case K::linformer:
      return std::make_unique<LinformerCore>(LinformerOptions{.length = s.length, .rows = s.rows});
    case K::nystrom:
      return std::make_unique<NystromCore>(NystromCoreOptions{.nystrom = {.landmarks = s.landmarks}});
    case K::linear:
    case K::taylor:
    case K::taylor2:
      return std::make_unique<LinearCore>(LinearAttentionOptions{
          .feature = feature_map(o.kind), .causal = o.causal, .chunk = s.chunk, .rotary = o.rotary});
    case K::efficient:
      return std::make_unique<EfficientCore>(EfficientAttentionOptions{.causal = o.causal});
    case K::performer:
      return std::make_unique<PerformerCore>(
          PerformerOptions{.width = o.width, .features = s.features, .attention = {.causal = o.causal}});
    case K::gau:
    case K::flash:
      refuse(o.kind,
             "it is attention and feed-forward layer in one; hint: TransformerBlock, GatedAttentionUnit or FlashGau");
    default:
      return std::make_unique<SparseCore>(sparse_rule(o.kind, s, o.causal), o.dropout);
  }
}

const char* name_of(AttentionKind kind) {
  for (auto [k, name] : kNames)
    if (k == kind) return name;
  return "?";
}
AttentionKind attention_kind(const std::string& name) {
  std::vector<std::string> names;
  for (auto [k, n] : kNames) {
    if (name == n) return k;
    names.push_back(n);
  }
  throw ValueError(
      fmt::format("attention_kind: unknown kind; got {}; expected one of {}", name, fmt::join(names, ", ")));
}
std::vector<AttentionKind> all_attention_kinds() {
  std::vector<AttentionKind> all;
  for (auto [k, name] : kNames) all.push_back(k);
  return all;
}
bool has_weights(AttentionKind kind) {
  return kind == K::softmax || kind == K::topk || (kind >= K::local && kind <= K::longformer);
}
bool has_causal_form(AttentionKind kind) { return kind != K::linformer && kind != K::nystrom; }

}  // namespace ink
