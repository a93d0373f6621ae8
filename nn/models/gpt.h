// A small GPT: pre-norm transformer blocks over learned positions (Radford et al. 2019), with any causal kind of
// attention.
#pragma once
#include "nn/layers/embedding.h"
#include "nn/models/transformer.h"

namespace ink {

struct GPTOptions {
  int64_t vocabulary, context;  // context: the longest sequence
  int64_t dim = 128, heads = 4, layers = 4;
  double dropout = 0;
  KindChoice kind = AttentionKind::softmax;  // with its usual sizes, or kinds::Local{.window = 16} and the like
};

struct GPT : Module {
  GPTOptions options;
  Embedding tokens, positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;
  explicit GPT(const GPTOptions& options);
  Tensor forward(const Tensor& ids) const;  // i64 [batch, time] -> logits [batch, time, vocabulary]
  // Continues sequences: ids holds the new tokens; states (one per block, empty at the start) what is kept of those
  // before.
  Tensor step(const Tensor& ids, std::vector<BlockState>& states) const;
  void fields(Fields& f) override {
    f("tokens", tokens)("positions", positions)("blocks", blocks)("norm", norm)("head", head);
  }

 private:
  Tensor embed(const Tensor& ids, int64_t past) const;
};

}  // namespace ink
