// A small GPT: pre-norm transformer blocks over learned positions (Radford et al. 2019), with any causal kind of
// attention, any state space layer or linear recurrent network, or a list of them.
//
//   GPT hybrid({.vocabulary = 96, .context = 512, .stack = {SsmKind::retnet, AttentionKind::softmax}});
#pragma once
#include <limits>
#include <optional>
#include <variant>

#include "nn/layers/embedding.h"
#include "nn/models/causal_lm.h"

namespace ink {

// What mixes tokens in a block: a kind of attention, with sizes of its own if it has some, or a state space layer.
using BlockKind = std::variant<KindChoice, SsmKind>;
BlockKind block_kind(const std::string& name);  // of either table; ValueError listing the names
const char* name_of(const BlockKind& kind);

struct GPTOptions {
  int64_t vocabulary, context;  // context: the longest sequence
  int64_t dim = 128, heads = 4, layers = 4;
  double dropout = 0;
  KindChoice kind = AttentionKind::softmax;  // with its usual sizes, or kinds::Local{.window = 16} and the like
  std::vector<BlockKind> stack = {};         // a kind for each block, instead of `kind` and `layers`
  // Learned positions. A stack that begins with a recurrence tells the order of tokens without; sequences may then be
  // longer than `context`.
  bool positions = true;
};

struct GPT : CausalLM {
  GPTOptions options;
  Embedding tokens;
  std::optional<Embedding> positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;
  explicit GPT(const GPTOptions& options);

  int64_t vocabulary() const override { return options.vocabulary; }
  // Without learned positions sequences have no longest length.
  int64_t context() const override { return positions ? options.context : std::numeric_limits<int64_t>::max(); }
  int64_t dim() const override { return options.dim; }
  Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr,
                  const StepPlaces* places = nullptr) const override;
  Tensor logits(const Tensor& features) const override { return head.forward(features); }
  Tensor head_weight() const override { return head.weight; }
  Tensor embed(const Tensor& ids) const override { return tokens.forward(ids); }
  bool takes_places() const override;
  void fields(Fields& f) override {
    f("tokens", tokens)("positions", positions)("blocks", blocks)("norm", norm)("head", head);
  }
};

}  // namespace ink
