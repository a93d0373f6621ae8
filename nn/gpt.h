// A small GPT: pre-norm transformer blocks over learned positions; Radford et al. 2019.
#pragma once
#include "nn/activation.h"
#include "nn/attention/multihead.h"
#include "nn/embedding.h"
#include "nn/norm.h"

namespace ink {

// x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)) with a hidden layer of 4 dim.
struct TransformerBlock : Module {
  LayerNorm norm1, norm2;
  MultiHeadAttention attention;
  Linear up, down;
  Dropout drop;
  explicit TransformerBlock(const MultiHeadAttentionOptions& options);
  Tensor forward(const Tensor& x) const;                       // [batch, time, dim]
  Tensor step(const Tensor& x, KeyValueCache& cache) const;    // the new tokens only
  void fields(Fields& f) override {
    f("norm1", norm1)("attention", attention)("norm2", norm2)("up", up)("down", down)("drop", drop);
  }

 private:
  Tensor mlp(const Tensor& x) const;
};

struct GPTOptions {
  int64_t vocabulary, context;  // context: the longest sequence
  int64_t dim = 128, heads = 4, layers = 4;
  double dropout = 0;
};

struct GPT : Module {
  GPTOptions options;
  Embedding tokens, positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;
  explicit GPT(const GPTOptions& options);
  Tensor forward(const Tensor& ids) const;  // i64 [batch, time] -> logits [batch, time, vocabulary]
  // Continues sequences: ids holds the new tokens; caches (one per layer, empty at the start) those before.
  Tensor step(const Tensor& ids, std::vector<KeyValueCache>& caches) const;
  void fields(Fields& f) override {
    f("tokens", tokens)("positions", positions)("blocks", blocks)("norm", norm)("head", head);
  }

 private:
  Tensor embed(const Tensor& ids, int64_t past) const;
};

}  // namespace ink
