// Llama and its kind (Llama 1 to 3, Mistral, and others of that shape): RMSNorm, rotary positions, grouped heads,
// SwiGLU. Touvron et al. 2023, arXiv:2302.13971 and 2307.09288; Llama Team 2024, arXiv:2407.21783. Weights:
// load_pretrained (nn/decoding/pretrained/pretrained.h).
#pragma once
#include <optional>
#include "nn/attention/rope.h"
#include "nn/layers/embedding.h"
#include "nn/layers/norm.h"

#include "nn/models/causal_lm.h"

namespace ink {

struct LlamaOptions {
  int64_t vocabulary = 32000, context = 2048;
  int64_t dim = 4096, heads = 32, layers = 32;
  int64_t kv_heads = 0;  // heads of keys and values, each read by heads / kv_heads heads; 0: heads
  int64_t width = 0;     // of a head; 0: dim / heads
  int64_t hidden = 11008;
  double norm_eps = 1e-6;
  RopeOptions rope = {};  // its dim 0: width
  int64_t window = 0;     // a query sees so many tokens, itself included; 0: all before it
  bool tied = false;      // the head shares the embedding's weights
  bool attention_bias = false, query_key_value_bias = false;  // of all four projections; of three
};

// softmax(q k^T / sqrt(width)) v with q and k turned by their positions. State: keys and values, already turned.
struct LlamaAttention : Module {
  using State = AttentionState;
  LlamaOptions options;
  Rope rope;
  Linear query, key, value, out;
  explicit LlamaAttention(const LlamaOptions& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim]
  // NotSupported beyond a length where angles of cached keys change, and with `places` beyond a window.
  Tensor step(const Tensor& x, State& state, const StepPlaces* places = nullptr) const;
  void fields(Fields& f) override { f("query", query)("key", key)("value", value)("out", out); }

 private:
  Tensor attend(const Tensor& x, State& state, const StepPlaces* places, bool whole) const;
};

// down(silu(gate(x)) * up(x)). Shazeer 2020, arXiv:2002.05202
struct SwiGLU : Module {
  Linear gate, up, down;
  SwiGLU(int64_t dim, int64_t hidden, bool bias = false);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("gate", gate)("up", up)("down", down); }
};

struct LlamaBlock : Module {
  RMSNorm norm1;
  LlamaAttention attention;
  RMSNorm norm2;
  SwiGLU feed_forward;
  explicit LlamaBlock(const LlamaOptions& options);
  Tensor forward(const Tensor& x, BlockState* state, const StepPlaces* places = nullptr) const;
  void fields(Fields& f) override {
    f("norm1", norm1)("attention", attention)("norm2", norm2)("feed_forward", feed_forward);
  }
};

struct Llama : CausalLM {
  LlamaOptions options;
  Embedding tokens;
  std::vector<LlamaBlock> blocks;
  RMSNorm norm;
  std::optional<Linear> head;                   // none if tied
  explicit Llama(const LlamaOptions& options);  // ValueError for sizes that do not fit

  int64_t vocabulary() const override { return options.vocabulary; }
  int64_t context() const override { return options.context; }
  int64_t dim() const override { return options.dim; }
  Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr,
                  const StepPlaces* places = nullptr) const override;
  // A window counts columns, not positions.
  bool takes_places() const override { return options.window == 0 || options.window >= options.context; }
  Tensor logits(const Tensor& features) const override;
  Tensor head_weight() const override { return head ? head->weight : tokens.weight; }
  Tensor embed(const Tensor& ids) const override { return tokens.forward(ids); }
  void fields(Fields& f) override { f("tokens", tokens)("blocks", blocks)("norm", norm)("head", head); }
};

}  // namespace ink
