// The kinds of attention, and the options of a layer that one option chooses among them:
//
//   MultiHeadAttention({.dim = 64, .heads = 4, .kind = AttentionKind::local});          // with its usual sizes
//   MultiHeadAttention({.dim = 64, .heads = 4, .kind = kinds::Local{.window = 16}});    // with sizes of one's own
//   MultiHeadAttention({.dim = 64, .heads = 4, .kind = attention_kind("local")});       // by its name
#pragma once
#include <any>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autograd/attention.h"
#include "nn/attention/core.h"
#include "nn/mixer.h"

namespace ink {

// n: the number of tokens. kinds.cpp has a row for each.
enum class AttentionKind {
  softmax,       // all pairs, exactly: O(n^2) time, O(n) memory
  local,         // softmax over the keys near by
  atrous,        // softmax over every so many keys
  local_atrous,  // softmax over both of these
  strided,       // softmax over the last keys and every so many before; causal. Child et al. 2019
  fixed,         // softmax over the own block of keys and the ends of all blocks; causal. Child et al. 2019
  longformer,    // softmax over the keys near by and a few global ones. Beltagy et al. 2020
  topk,          // softmax over the largest scores. Zhao et al. 2019
  lsh,           // softmax over keys of the same hash. Kitaev et al. 2020
  linformer,     // keys and values projected to a fixed number of rows; not causal. Wang et al. 2020
  nystrom,       // a matrix of low rank from a few rows and columns; not causal. Xiong et al. 2021
  linear,        // products of features elu + 1: O(n). Katharopoulos et al. 2020
  taylor,        // 1 + cos(q, k): O(n)
  taylor2,       // 1 + s + s^2 / 2 for a score s: O(n). Arora et al. 2024
  efficient,     // a softmax over features times one over tokens: O(n). Shen et al. 2021
  performer,     // softmax by random features: O(n). Choromanski et al. 2021
  gau,           // attention and feed-forward layer in one; for blocks, no core. Hua et al. 2022
  flash,         // the same in O(n). Hua et al. 2022
};

// The sizes of each kind that has some, with the values that a kind's name alone stands for.
namespace kinds {

struct Softmax {
  static constexpr AttentionKind kind = AttentionKind::softmax;
  std::optional<int64_t> window = {};  // keys to each side, causal: to the left; all if not given
  AttentionAlgorithm algorithm = AttentionAlgorithm::flash;
};
struct Local {
  static constexpr AttentionKind kind = AttentionKind::local;
  int64_t window = 64;  // keys to each side
};
struct Atrous {
  static constexpr AttentionKind kind = AttentionKind::atrous;
  int64_t stride = 16;  // every so many keys
};
struct LocalAtrous {
  static constexpr AttentionKind kind = AttentionKind::local_atrous;
  int64_t window = 64;  // keys to each side
  int64_t stride = 16;  // every so many keys
};
struct Strided {
  static constexpr AttentionKind kind = AttentionKind::strided;
  int64_t stride = 16;  // so many last keys, and every so many before; the paper's l, about the root of the length
};
struct Fixed {
  static constexpr AttentionKind kind = AttentionKind::fixed;
  int64_t block = 16;  // keys of a block; the paper's l
  int64_t tail = 4;    // the last so many of each block are seen by all that come later; the paper's c
};
struct Longformer {
  static constexpr AttentionKind kind = AttentionKind::longformer;
  int64_t window = 64;                // keys to each side
  std::vector<int64_t> global = {0};  // positions that see all and are seen by all
};
struct TopK {
  static constexpr AttentionKind kind = AttentionKind::topk;
  int64_t keep = 8;  // keys of each query
};
struct Lsh {
  static constexpr AttentionKind kind = AttentionKind::lsh;
  int64_t bucket = 64;  // tokens of a chunk; causal: each token sees the last so many of its hash
  int64_t rounds = 4;   // hashes of each token
  int64_t buckets = 0;  // 0: as many as the length asks for. With a number and a seed it goes token by token
  std::optional<uint64_t> seed = {};  // the same hashes in every call, else drawn anew
};
struct Linformer {
  static constexpr AttentionKind kind = AttentionKind::linformer;
  int64_t length = 0;  // of the longest sequence; must be given
  int64_t rows = 256;  // what keys and values are projected to
};
struct Nystrom {
  static constexpr AttentionKind kind = AttentionKind::nystrom;
  int64_t landmarks = 64;  // rows and columns that stand for all
};
template <AttentionKind K> struct InChunks {
  static constexpr AttentionKind kind = K;
  int64_t chunk = 0;  // tokens of a causal chunk, in plain ops; 0: the kernel, which cuts as it likes
};
using Linear = InChunks<AttentionKind::linear>;
using Taylor = InChunks<AttentionKind::taylor>;
using Taylor2 = InChunks<AttentionKind::taylor2>;
struct Performer {
  static constexpr AttentionKind kind = AttentionKind::performer;
  int64_t features = 0;  // random features; 0: width ln(width)
};
struct Flash {
  static constexpr AttentionKind kind = AttentionKind::flash;
  int64_t chunk = 256;  // tokens whose pairs are all weighed
};

}  // namespace kinds

// A kind, and its sizes if they are not the usual ones.
class KindChoice {
 public:
  KindChoice(AttentionKind kind) : kind_(kind) {}
  template <class Sizes>
  requires std::same_as<decltype(Sizes::kind), const AttentionKind> KindChoice(Sizes sizes)
      : kind_(Sizes::kind), sizes_(std::move(sizes)) {}
  operator AttentionKind() const { return kind_; }
  template <class Sizes> Sizes sizes() const {  // of the kind that Sizes belongs to
    const Sizes* given = std::any_cast<Sizes>(&sizes_);
    return given ? *given : Sizes();
  }

 private:
  AttentionKind kind_;
  std::any sizes_;
};

struct MultiHeadAttentionOptions {
  int64_t dim, heads;
  bool causal = false, bias = true;
  bool rotary = false;  // rotate q and k by their positions
  double dropout = 0;   // on the attention weights, while training. ValueError for kinds without
  // Fewer heads for keys and values, each serving heads / kv_heads query heads; 0: heads. 1: multi-query.
  int64_t kv_heads = 0;
  KindChoice kind = AttentionKind::softmax;
  double softcap = 0;  // softmax: scores s become softcap tanh(s / softcap)
  bool alibi = false;  // softmax: penalties by distance; Press et al. 2022
};

// What is known of a kind. A new one is a row in kinds.cpp, and what the row makes.
struct KindRow {
  AttentionKind kind;
  const char* name;
  bool causal, whole;  // has a form that looks back only, one in which tokens see later ones
  bool weights;        // softmax over pairs, whose weights dropout may drop
  // What stands between the projections of MultiHeadAttention; null for a kind that is no core.
  std::unique_ptr<AttentionCore> (*core)(const MultiHeadAttentionOptions&);
  // The layers of a block; null: attention with this core, and a feed-forward layer.
  std::vector<AnyMixer> (*mixers)(const MultiHeadAttentionOptions&);
};
const KindRow& row_of(AttentionKind kind);

// ValueError for sizes or options that do not fit the kind; NotSupported for a form that the kind does not have.
void check_kind(const MultiHeadAttentionOptions& options);
// The core of a layer with these options. Errors as check_kind; NotSupported for gau and flash, which are no cores.
std::unique_ptr<AttentionCore> make_attention_core(const MultiHeadAttentionOptions& options);

const char* name_of(AttentionKind kind);
AttentionKind attention_kind(const std::string& name);  // ValueError listing the names
std::vector<AttentionKind> all_attention_kinds();
bool has_causal_form(AttentionKind kind);
bool has_weights(AttentionKind kind);  // softmax over pairs with dropout on their weights

}  // namespace ink
