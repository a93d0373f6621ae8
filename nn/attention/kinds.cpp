// The table of kinds: a row says what a kind can do and makes its core, or the layers of a block.
#include "nn/attention/kinds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "nn/attention/gated/flash_gau.h"
#include "nn/attention/linear/linear_core.h"
#include "nn/attention/lowrank/lowrank_core.h"
#include "nn/attention/softmax_core.h"
#include "nn/attention/sparse/sparse_core.h"

namespace ink {
namespace {

using K = AttentionKind;
using LayerOptions = MultiHeadAttentionOptions;
using MadeCore = std::unique_ptr<AttentionCore>;

MadeCore softmax_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::Softmax>();
  return std::make_unique<SoftmaxCore>(AttentionOptions{.causal = o.causal ? Causal::bottom_right : Causal::no,
                                                        .left = z.window,
                                                        .right = z.window,
                                                        .softcap = o.softcap,
                                                        .dropout = o.dropout,
                                                        .algorithm = z.algorithm},
                                       o.alibi);
}
MadeCore sparse_core(SparseRule rule, const LayerOptions& o) {
  return std::make_unique<SparseCore>(std::move(rule), o.dropout);
}
MadeCore local_core(const LayerOptions& o) {
  return sparse_core(sparse::local(o.kind.sizes<kinds::Local>().window, o.causal), o);
}
MadeCore atrous_core(const LayerOptions& o) {
  return sparse_core(sparse::atrous(o.kind.sizes<kinds::Atrous>().stride, o.causal), o);
}
MadeCore local_atrous_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::LocalAtrous>();
  return sparse_core(sparse::local_and_atrous(z.window, z.stride, o.causal), o);
}
MadeCore strided_core(const LayerOptions& o) {
  return sparse_core(sparse::strided(o.kind.sizes<kinds::Strided>().stride), o);
}
MadeCore fixed_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::Fixed>();
  return sparse_core(sparse::fixed(z.block, z.tail), o);
}
MadeCore longformer_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::Longformer>();
  return sparse_core(sparse::longformer(z.window, z.global, o.causal), o);
}
MadeCore topk_core(const LayerOptions& o) {
  return std::make_unique<TopKCore>(o.kind.sizes<kinds::TopK>().keep, o.causal, o.dropout);
}
MadeCore lsh_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::Lsh>();
  return std::make_unique<LshCore>(LshOptions{.bucket_size = z.bucket,
                                              .rounds = z.rounds,
                                              .buckets = z.buckets,
                                              .causal = o.causal,
                                              .strict = o.causal,  // else later tokens decide which earlier are seen
                                              .seed = z.seed});
}
MadeCore linformer_core(const LayerOptions& o) {
  const auto z = o.kind.sizes<kinds::Linformer>();
  return std::make_unique<LinformerCore>(LinformerOptions{.length = z.length, .rows = z.rows});
}
MadeCore nystrom_core(const LayerOptions& o) {
  return std::make_unique<NystromCore>(
      NystromCoreOptions{.nystrom = {.landmarks = o.kind.sizes<kinds::Nystrom>().landmarks}});
}
template <class Sizes, FeatureMap map> MadeCore linear_core(const LayerOptions& o) {
  return std::make_unique<LinearCore>(LinearAttentionOptions{
      .feature = map, .causal = o.causal, .chunk = o.kind.sizes<Sizes>().chunk, .rotary = o.rotary});
}
MadeCore efficient_core(const LayerOptions& o) {
  return std::make_unique<EfficientCore>(EfficientAttentionOptions{.causal = o.causal});
}
MadeCore performer_core(const LayerOptions& o) {
  return std::make_unique<PerformerCore>(PerformerOptions{.width = o.dim / o.heads,
                                                          .features = o.kind.sizes<kinds::Performer>().features,
                                                          .attention = {.causal = o.causal}});
}

// Two gated units weigh about as much as attention and a feed-forward layer.
std::vector<AnyMixer> gau_mixers(const LayerOptions& o) {
  const GauOptions unit{.dim = o.dim, .causal = o.causal, .bias = o.bias, .rotary = o.rotary};
  return {mixer("gau.0", GatedAttentionUnit(unit)), mixer("gau.1", GatedAttentionUnit(unit))};
}
std::vector<AnyMixer> flash_mixers(const LayerOptions& o) {
  const FlashGauOptions unit{.dim = o.dim,
                             .chunk = o.kind.sizes<kinds::Flash>().chunk,
                             .causal = o.causal,
                             .bias = o.bias,
                             .rotary = o.rotary};
  return {mixer("flash.0", FlashGau(unit)), mixer("flash.1", FlashGau(unit))};
}

constexpr bool yes = true, no = false;
constexpr KindRow kKinds[] = {
    // kind, name, causal, whole, weights, core, mixers
    {K::softmax, "softmax", yes, yes, yes, softmax_core, nullptr},
    {K::local, "local", yes, yes, yes, local_core, nullptr},
    {K::atrous, "atrous", yes, yes, yes, atrous_core, nullptr},
    {K::local_atrous, "local_atrous", yes, yes, yes, local_atrous_core, nullptr},
    {K::strided, "strided", yes, no, yes, strided_core, nullptr},
    {K::fixed, "fixed", yes, no, yes, fixed_core, nullptr},
    {K::longformer, "longformer", yes, yes, yes, longformer_core, nullptr},
    {K::topk, "topk", yes, yes, yes, topk_core, nullptr},
    {K::lsh, "lsh", yes, yes, no, lsh_core, nullptr},
    {K::linformer, "linformer", no, yes, no, linformer_core, nullptr},
    {K::nystrom, "nystrom", no, yes, no, nystrom_core, nullptr},
    {K::linear, "linear", yes, yes, no, linear_core<kinds::Linear, FeatureMap::elu_plus_one>, nullptr},
    {K::taylor, "taylor", yes, yes, no, linear_core<kinds::Taylor, FeatureMap::taylor>, nullptr},
    {K::taylor2, "taylor2", yes, yes, no, linear_core<kinds::Taylor2, FeatureMap::taylor2>, nullptr},
    {K::efficient, "efficient", yes, yes, no, efficient_core, nullptr},
    {K::performer, "performer", yes, yes, no, performer_core, nullptr},
    {K::gau, "gau", yes, yes, no, nullptr, gau_mixers},
    {K::flash, "flash", yes, yes, no, nullptr, flash_mixers},
};

[[noreturn]] void refuse(const KindRow& row, const char* why) {
  throw NotSupported(fmt::format("make_attention_core: no {} attention like this: {}", row.name, why));
}

}  // namespace

const KindRow& row_of(AttentionKind kind) {
  for (const KindRow& row : kKinds)
    if (row.kind == kind) return row;
  throw ValueError(fmt::format("row_of: unknown kind of attention; got number {}", int(kind)));
}

void check_kind(const MultiHeadAttentionOptions& o) {
  const KindRow& row = row_of(o.kind);
  if (o.dropout > 0 && !row.weights)
    throw ValueError(
        fmt::format("make_attention_core: {} attention has no weights to drop; got dropout {}; hint: drop its output",
                    row.name, o.dropout));
  if ((o.softcap != 0 || o.alibi) && row.kind != K::softmax)
    throw ValueError(
        fmt::format("make_attention_core: softcap and alibi belong to softmax attention; got kind {}", row.name));
  if (o.causal && !row.causal)
    refuse(row, "every row of the projected keys holds all tokens, so nothing can be hidden from an earlier one");
  if (!o.causal && !row.whole)
    refuse(row, "the pattern is causal by definition; hint: .causal = true, or local_atrous");
}

std::unique_ptr<AttentionCore> make_attention_core(const MultiHeadAttentionOptions& o) {
  check_kind(o);
  const KindRow& row = row_of(o.kind);
  if (!row.core)
    refuse(row,
           "it is attention and feed-forward layer in one; hint: TransformerBlock, GatedAttentionUnit or FlashGau");
  return row.core(o);
}

const char* name_of(AttentionKind kind) { return row_of(kind).name; }
AttentionKind attention_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const KindRow& row : kKinds) {
    if (name == row.name) return row.kind;
    names.push_back(row.name);
  }
  throw ValueError(
      fmt::format("attention_kind: unknown kind; got {}; expected one of {}", name, fmt::join(names, ", ")));
}
std::vector<AttentionKind> all_attention_kinds() {
  std::vector<AttentionKind> all;
  for (const KindRow& row : kKinds) all.push_back(row.kind);
  return all;
}
bool has_causal_form(AttentionKind kind) { return row_of(kind).causal; }
bool has_weights(AttentionKind kind) { return row_of(kind).weights; }

}  // namespace ink
