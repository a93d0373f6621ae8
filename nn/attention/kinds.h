// The kinds of attention by name: one option of MultiHeadAttention and TransformerBlock chooses among them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/attention/core.h"

namespace ink {

// clang-format off
enum class AttentionKind {
  softmax,                                                  // exact, O(n^2) time, O(n) memory
  local, atrous, local_atrous, strided, fixed, longformer,  // softmax over a pattern of pairs
  topk,                                                     // softmax over the largest scores
  lsh,                                                      // softmax over pairs found by hashing (Reformer)
  linformer, nystrom,                                       // low rank; not causal
  linear, taylor, taylor2, efficient, performer,            // O(n): no softmax over pairs
  gau, flash,                                               // with the feed-forward layer in one; TransformerBlock only
};
// clang-format on

// Sizes that some of the kinds have.
struct AttentionSizes {
  std::optional<int64_t> window = {};  // local kinds, longformer: keys to each side, else 64; softmax: else all
  int64_t stride = 16;                 // atrous kinds: every how many; strided, fixed: l
  int64_t tail = 4;                    // fixed: c
  std::vector<int64_t> global = {0};   // longformer: positions that see all and are seen by all
  int64_t keep = 8;                    // topk
  int64_t bucket = 64, rounds = 4;     // lsh; causal: each token sees the last `bucket` ones of its hash
  int64_t buckets = 0;  // lsh; 0: as many as the length asks for. With a number and a seed it goes token by token
  std::optional<uint64_t> seed = {};  // lsh: the same hashes in every call, else drawn anew
  int64_t length = 0, rows = 256;     // linformer: longest sequence (needed), rows of E and F
  int64_t landmarks = 64;             // nystrom
  int64_t features = 0;               // performer; 0: width ln(width)
  int64_t chunk = 0;                  // linear kinds: 0 is the kernel's own, else in plain ops; flash: 256 unless given
};

struct CoreOptions {
  AttentionKind kind = AttentionKind::softmax;
  int64_t width;  // of a head
  bool causal = false;
  bool rotary = false;  // only told to kinds that turn queries and keys themselves
  double softcap = 0;   // softmax
  bool alibi = false;   // softmax
  double dropout = 0;   // on the weights: softmax and sparse kinds. ValueError for the others
  AttentionSizes sizes = {};
};
// ValueError for sizes or options that do not fit the kind; NotSupported for a causal linformer or nystrom, and for gau
// and flash, which are no cores.
std::unique_ptr<AttentionCore> make_attention_core(const CoreOptions& options);

const char* name_of(AttentionKind kind);
AttentionKind attention_kind(const std::string& name);  // ValueError listing the names
std::vector<AttentionKind> all_attention_kinds();
bool has_causal_form(AttentionKind kind);
bool has_weights(AttentionKind kind);  // softmax over pairs with dropout on their weights

}  // namespace ink
