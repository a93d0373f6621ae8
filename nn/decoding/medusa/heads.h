// Medusa's heads: small nets beside a language model's own head that guess the tokens after the next one, all from one
// and the same features. Cai et al. 2024, arXiv:2401.10774, section 2.1.1.
//
//   MedusaHeads heads(model, {.heads = 4});
//   Tensor h = model.features(ids);          // [batch, time, dim]
//   model.logits(h);                         // the token 1 place on
//   heads.logits(h, 0);                      // 2 places on
//   heads.logits(h, 3);                      // 5 places on
#pragma once
#include <optional>

#include "nn/layers/linear.h"
#include "nn/models/causal_lm.h"

namespace ink {

// What turns a head's features into logits, W2.
enum class HeadOutput {
  shared,  // the model's own head, whatever it is at the time: nothing more to train or to store
  own,     // a matrix for each head, which starts as a copy of the model's: the paper's
};

struct MedusaOptions {
  int64_t heads = 4;   // head k, from 0, guesses the token k + 2 places on
  int64_t blocks = 1;  // residual blocks of a head
  HeadOutput output = HeadOutput::shared;
};

// x + silu(W1 x + b), for x [.., dim]. W1 and b are 0 at the start, so that the block is the identity. (The paper says
// so of W1 alone; the authors' code leaves b as a linear layer draws it, and their heads begin a little off.)
struct MedusaBlock : Module {
  Param weight, bias;  // W1 [dim, dim], b [dim]
  explicit MedusaBlock(int64_t dim, const Options& options = {});
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

// One head. Each block has weights of its own. (The authors' code makes its list of blocks by `[block] * n`, which is
// one block n times.)
struct MedusaHead : Module {
  std::vector<MedusaBlock> blocks;
  std::optional<Linear> output;                  // W2 [vocabulary, dim]; none: the model's head
  Tensor forward(const Tensor& features) const;  // [.., dim] -> [.., dim]: what W2 is applied to
  void fields(Fields& f) override { f("blocks", blocks)("output", output); }
};

// The heads of one model, on its device and in its dtype. They begin as the model's own head: their logits are its, bit
// for bit.
struct MedusaHeads : Module {
  MedusaOptions options;
  std::vector<MedusaHead> heads;

  // The model must outlive the heads. ValueError unless heads, blocks >= 1; NotSupported for a model without
  // head_weight().
  explicit MedusaHeads(const CausalLM& model, const MedusaOptions& options = {});
  explicit MedusaHeads(const CausalLM&& model, const MedusaOptions& options = {}) = delete;

  const CausalLM& model() const { return *model_; }
  int64_t count() const { return int64_t(heads.size()); }
  // features [.., dim] -> logits [.., vocabulary] of the token k + 2 places after the one whose features these are:
  // W2_k (h + silu(W1_k h + b_k)). ShapeError for features of another width, IndexError unless 0 <= k < count().
  Tensor logits(const Tensor& features, int64_t k) const;
  // Of all heads, or of the first few, [heads, .., vocabulary]. IndexError for more heads than there are.
  Tensor all(const Tensor& features) const { return first(count(), features); }
  Tensor first(int64_t heads, const Tensor& features) const;
  // logits(), with a shared W2 held fixed: gradients reach the features and the heads, but not the model's head.
  Tensor logits_beside_frozen_head(const Tensor& features, int64_t k) const;
  void fields(Fields& f) override { f("heads", heads); }

 private:
  const MedusaHead& head(const Tensor& features, int64_t k) const;
  const CausalLM* model_;
};

// The heads' weights in a safetensors file, and beside them how many heads there are and which sizes of a model they
// belong to.
void save_medusa(const std::string& path, MedusaHeads& heads);
// Makes the heads that the file describes, for a model. ValueError if the file holds no heads, or heads of a model with
// another dim or vocabulary. Where heads are there already, heads.load(path of Module::save) refuses other shapes and
// numbers of heads.
MedusaHeads load_medusa(const std::string& path, const CausalLM& model);
MedusaHeads load_medusa(const std::string& path, const CausalLM&& model) = delete;

}  // namespace ink
