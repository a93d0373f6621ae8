// GPT-2 as OpenAI published it: pre-norm blocks over learned positions, the head shares the embedding's weights.
// Radford et al. 2019; weights: load_pretrained (nn/decoding/pretrained/pretrained.h).
#pragma once
#include "nn/layers/embedding.h"
#include "nn/models/causal_lm.h"

namespace ink {

struct GPT2Options {
  int64_t vocabulary = 50257, context = 1024;
  int64_t dim = 768, heads = 12, layers = 12;
  int64_t hidden = 0;  // of the feed-forward layers; 0: 4 dim
  double norm_eps = 1e-5;
};

struct GPT2 : CausalLM {
  GPT2Options options;
  Embedding tokens, positions;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  explicit GPT2(const GPT2Options& options);  // ValueError for sizes that do not fit

  int64_t vocabulary() const override { return options.vocabulary; }
  int64_t context() const override { return options.context; }
  int64_t dim() const override { return options.dim; }
  Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr,
                  const StepPlaces* places = nullptr) const override;
  bool takes_places() const override { return true; }
  Tensor logits(const Tensor& features) const override;  // by the embedding's weights
  Tensor head_weight() const override { return tokens.weight; }
  Tensor embed(const Tensor& ids) const override { return tokens.forward(ids); }
  void fields(Fields& f) override { f("tokens", tokens)("positions", positions)("blocks", blocks)("norm", norm); }
};

}  // namespace ink
