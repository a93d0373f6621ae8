// The table of kinds: a row makes what mixes tokens in a block.
#include "nn/ssm/kinds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "nn/ssm/linear/delta_net.h"
#include "nn/ssm/linear/gla.h"
#include "nn/ssm/linear/retention.h"
#include "nn/ssm/lru.h"
#include "nn/ssm/mamba.h"
#include "nn/ssm/mamba2.h"
#include "nn/ssm/mamba3.h"
#include "nn/ssm/rwkv/rwkv4.h"
#include "nn/ssm/rwkv/rwkv6.h"
#include "nn/ssm/rwkv/rwkv7.h"
#include "nn/ssm/s4/rtf.h"
#include "nn/ssm/s4/s4.h"
#include "nn/ssm/s4/s4_block.h"
#include "nn/ssm/s4/s4d.h"

namespace ink {
namespace {

using S = SsmKind;

MatrixStateOptions matrix_options(const SsmOptions& o) { return {.form = o.form, .chunk = o.chunk}; }

std::vector<AnyMixer> retnet_mixers(const SsmOptions& o) {
  return {mixer("retnet", Retention({.dim = o.dim, .heads = o.heads, .state = matrix_options(o)}))};
}
std::vector<AnyMixer> gla_mixers(const SsmOptions& o) {
  return {mixer("gla", GatedLinearAttention({.dim = o.dim, .heads = o.heads, .state = matrix_options(o)}))};
}
std::vector<AnyMixer> delta_mixers(const SsmOptions& o) {
  return {mixer("delta_net", DeltaNet({.dim = o.dim, .heads = o.heads, .state = matrix_options(o)}))};
}
std::vector<AnyMixer> gated_delta_mixers(const SsmOptions& o) {
  return {mixer("gated_delta_net", DeltaNet({.dim = o.dim,
                                             .heads = o.heads,
                                             .decay = DeltaDecay::per_head,
                                             .gate = DeltaGate::silu,
                                             .state = matrix_options(o)}))};
}
std::vector<AnyMixer> kimi_mixers(const SsmOptions& o) {
  return {mixer("kimi_delta", DeltaNet({.dim = o.dim,
                                        .heads = o.heads,
                                        .decay = DeltaDecay::per_channel,
                                        .gate = DeltaGate::sigmoid,
                                        .state = matrix_options(o)}))};
}

Depth depth_of(const SsmOptions& o) { return {.layer = o.layer, .layers = o.layers}; }
// Ranks of a wide model are most of a narrow one.
int64_t rank_of(const SsmOptions& o, int64_t published) { return std::max<int64_t>(1, std::min(published, o.dim / 4)); }

std::vector<AnyMixer> rwkv4_mixers(const SsmOptions& o) {
  return {mixer("rwkv4", Rwkv4TimeMix({.dim = o.dim, .algorithm = scan_of(o.form), .depth = depth_of(o)})),
          mixer("channel_mix", RwkvChannelMix({.dim = o.dim, .depth = depth_of(o)}))};
}
std::vector<AnyMixer> rwkv6_mixers(const SsmOptions& o) {
  return {mixer("rwkv6", Rwkv6TimeMix({.dim = o.dim,
                                       .heads = o.heads,
                                       .shift_rank = rank_of(o, 32),
                                       .decay_rank = rank_of(o, 64),
                                       .depth = depth_of(o),
                                       .state = matrix_options(o)})),
          mixer("channel_mix", RwkvChannelMix({.dim = o.dim, .depth = depth_of(o)}))};
}
std::vector<AnyMixer> rwkv7_mixers(const SsmOptions& o) {
  return {mixer("rwkv7", Rwkv7TimeMix({.dim = o.dim,
                                       .heads = o.heads,
                                       .decay_rank = rank_of(o, 64),
                                       .erase_rank = rank_of(o, 64),
                                       .value_rank = rank_of(o, 32),
                                       .gate_rank = rank_of(o, 128),
                                       .depth = depth_of(o),
                                       .state = matrix_options(o)})),
          mixer("channel_mix", RwkvChannelMix({.dim = o.dim, .gate = false, .depth = depth_of(o)}))};
}

template <bool is_complex> std::vector<AnyMixer> lru_mixers(const SsmOptions& o) {
  return {mixer(is_complex ? "lru" : "slru",
                LRU({.dim = o.dim, .state = o.dim, .complex = is_complex, .algorithm = scan_of(o.form)}))};
}

// Fixed systems: all states one after the other, or the convolution with their kernel.
SsmForm fixed_form(const SsmOptions& o) {
  return o.form == StateForm::recurrent ? SsmForm::recurrent : SsmForm::convolution;
}
std::vector<AnyMixer> fixed_mixers(const char* name, int64_t dim, AnyMixer ssm) {
  return {mixer(name, SsmGlu(dim, std::move(ssm)))};
}
std::vector<AnyMixer> s4d_mixers(const SsmOptions& o) {
  const SsmForm form = o.form == StateForm::chunked ? SsmForm::scan : fixed_form(o);
  return fixed_mixers("s4d", o.dim, mixer("ssm", S4D({.dim = o.dim, .state = 32, .form = form})));
}
std::vector<AnyMixer> s4_mixers(const SsmOptions& o) {
  return fixed_mixers("s4", o.dim,
                      mixer("ssm", S4({.dim = o.dim, .length = o.length, .state = 32, .form = fixed_form(o)})));
}
std::vector<AnyMixer> rtf_mixers(const SsmOptions& o) {
  return fixed_mixers("rtf", o.dim,
                      mixer("ssm", RTF({.dim = o.dim, .length = o.length, .state = 16, .form = fixed_form(o)})));
}

// The width of a head of a layer that is twice as wide inside.
int64_t inner_head(const SsmOptions& o) {
  if (o.dim < 1 || o.heads < 1 || 2 * o.dim % o.heads)
    throw ValueError(
        fmt::format("SsmOptions: 2 dim must be a multiple of heads; got dim {}, heads {}", o.dim, o.heads));
  return 2 * o.dim / o.heads;
}
// Two layers of Mamba weigh as much as attention and a feed-forward layer.
std::vector<AnyMixer> mamba_mixers(const SsmOptions& o) {
  SelectiveOptions scan;
  if (o.form == StateForm::recurrent) scan.form = SelectiveForm::recurrent;
  if (o.form == StateForm::parallel) scan = {SelectiveForm::associative, ScanAlgorithm::hillis_steele};
  const MambaOptions layer{.dim = o.dim, .scan = scan};
  return {mixer("mamba.0", Mamba(layer)), mixer("mamba.1", Mamba(layer))};
}
std::vector<AnyMixer> mamba2_mixers(const SsmOptions& o) {
  const Mamba2Options layer{.dim = o.dim, .state = 16, .head = inner_head(o), .scan = matrix_options(o)};
  return {mixer("mamba2.0", Mamba2(layer)), mixer("mamba2.1", Mamba2(layer))};
}
std::vector<AnyMixer> mamba3_mixers(const SsmOptions& o) {
  const Mamba3Options layer{.dim = o.dim, .state = 16, .head = inner_head(o), .scan = matrix_options(o)};
  return {mixer("mamba3.0", Mamba3(layer)), mixer("mamba3.1", Mamba3(layer))};
}

constexpr bool yes = true, no = false;
constexpr SsmRow kSsmKinds[] = {
    // kind, name, matrix, mixers
    {S::s4, "s4", no, s4_mixers},
    {S::s4d, "s4d", no, s4d_mixers},
    {S::rtf, "rtf", no, rtf_mixers},
    {S::lru, "lru", no, lru_mixers<true>},
    {S::slru, "slru", no, lru_mixers<false>},
    {S::mamba, "mamba", no, mamba_mixers},
    {S::mamba2, "mamba2", yes, mamba2_mixers},
    {S::mamba3, "mamba3", yes, mamba3_mixers},
    {S::retnet, "retnet", yes, retnet_mixers},
    {S::gla, "gla", yes, gla_mixers},
    {S::delta_net, "delta_net", yes, delta_mixers},
    {S::gated_delta_net, "gated_delta_net", yes, gated_delta_mixers},
    {S::kimi_delta, "kimi_delta", yes, kimi_mixers},
    {S::rwkv4, "rwkv4", no, rwkv4_mixers},
    {S::rwkv6, "rwkv6", yes, rwkv6_mixers},
    {S::rwkv7, "rwkv7", yes, rwkv7_mixers},
};

}  // namespace

const SsmRow& row_of(SsmKind kind) {
  for (const SsmRow& row : kSsmKinds)
    if (row.kind == kind) return row;
  throw ValueError(fmt::format("row_of: unknown kind of state space layer; got number {}", int(kind)));
}

ScanAlgorithm scan_of(StateForm form) {
  switch (form) {
    case StateForm::recurrent:
      return ScanAlgorithm::sequential;
    case StateForm::parallel:
      return ScanAlgorithm::hillis_steele;
    case StateForm::chunked:
      return ScanAlgorithm::chunked;
  }
  throw ValueError(fmt::format("scan_of: no such form; got number {}", int(form)));
}

const char* name_of(SsmKind kind) { return row_of(kind).name; }
SsmKind ssm_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const SsmRow& row : kSsmKinds) {
    if (name == row.name) return row.kind;
    names.push_back(row.name);
  }
  throw ValueError(fmt::format("ssm_kind: unknown kind; got {}; expected one of {}", name, fmt::join(names, ", ")));
}
std::vector<SsmKind> all_ssm_kinds() {
  std::vector<SsmKind> all;
  for (const SsmRow& row : kSsmKinds) all.push_back(row.kind);
  return all;
}

}  // namespace ink
