// A language model whose answers are written down: what follows depends on the last token alone, by a table.
#pragma once
#include "autograd/ops.h"
#include "nn/models/causal_lm.h"

namespace ink::test {

// log p(next | token) for every token, [vocabulary, vocabulary], rows by token.
struct TableModel : CausalLM {
  Param table;  // [vocabulary (next), dim = vocabulary (token)]: features are one-hot
  int64_t longest;
  explicit TableModel(const Tensor& log_p, int64_t context = 64)
      : table(contiguous(transpose(log_p, 0, 1))), longest(context) {}

  int64_t vocabulary() const override { return table.size(0); }
  int64_t context() const override { return longest; }
  int64_t dim() const override { return table.size(1); }
  Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr,
                  const StepPlaces* places = nullptr) const override {
    begin("TableModel", ids, states, 0, places);
    return embed(ids);
  }
  Tensor embed(const Tensor& ids) const override {
    const Tensor classes = arange(0, dim(), 1, {i64, ids.device()});
    return (ids.unsqueeze(-1) == classes).to(table.dtype());
  }
  bool takes_places() const override { return true; }
  Tensor logits(const Tensor& features) const override { return linear(features, table); }
  Tensor head_weight() const override { return table; }
  void fields(Fields& f) override { f("table", table); }
};

}  // namespace ink::test
