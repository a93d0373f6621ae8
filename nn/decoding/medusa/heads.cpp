// Medusa's heads: blocks, logits, and files.
#include "nn/decoding/medusa/heads.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"
#include "tensor/io.h"

namespace ink {

MedusaBlock::MedusaBlock(int64_t dim, const Options& options)
    : weight(zeros({dim, dim}, options)), bias(zeros({dim}, options)) {}
Tensor MedusaBlock::forward(const Tensor& x) const {
  const Tensor u = linear(x, weight, bias);
  return in_f32_if_half([](const Tensor& x, const Tensor& u) { return x + silu(u); }, x, u);  // (12.2)
}

Tensor MedusaHead::forward(const Tensor& features) const {
  Tensor h = features;
  for (const MedusaBlock& block : blocks) h = block.forward(h);
  return h;
}

MedusaHeads::MedusaHeads(const CausalLM& model, const MedusaOptions& o) : options(o), model_(&model) {
  constexpr int64_t most = 1024;  // more are a mistake
  if (o.heads < 1 || o.blocks < 1 || o.heads > most || o.blocks > most)
    throw ValueError(
        fmt::format("MedusaHeads: got heads {}, blocks {}; expected 1 to {} of each", o.heads, o.blocks, most));
  const Tensor w = model.head_weight();
  const init::Skip nothing_drawn;  // what Linear begins with is overwritten
  for (int64_t k = 0; k < o.heads; ++k) {
    MedusaHead& h = heads.emplace_back();
    for (int64_t i = 0; i < o.blocks; ++i) h.blocks.emplace_back(model.dim(), w.options());
    if (o.output == HeadOutput::own) {
      h.output.emplace(model.dim(), model.vocabulary(), LinearOptions{.bias = false});
      h.output->weight = w;
    }
  }
}

const MedusaHead& MedusaHeads::head(const Tensor& features, int64_t k) const {
  if (k < 0 || k >= count())
    throw IndexError(fmt::format("MedusaHeads: got head {}; expected one of 0 .. {}", k, count() - 1));
  if (features.dim() < 1 || features.size(-1) != model_->dim())
    throw ShapeError(
        fmt::format("MedusaHeads: wrong features; got {}; expected [.., {}]", features.shape().str(), model_->dim()));
  return heads[size_t(k)];
}

Tensor MedusaHeads::logits(const Tensor& features, int64_t k) const {
  const MedusaHead& h = head(features, k);
  const Tensor hidden = h.forward(features);
  return h.output ? h.output->forward(hidden) : model_->logits(hidden);
}
Tensor MedusaHeads::logits_beside_frozen_head(const Tensor& features, int64_t k) const {
  const MedusaHead& h = head(features, k);
  const Tensor hidden = h.forward(features);
  return h.output ? h.output->forward(hidden) : linear(hidden, model_->head_weight().detach());
}

Tensor MedusaHeads::first(int64_t heads, const Tensor& features) const {
  if (heads < 1) throw IndexError(fmt::format("MedusaHeads: got {} heads; expected 1 to {}", heads, count()));
  std::vector<Tensor> each;
  for (int64_t k = 0; k < heads; ++k) {
    const MedusaHead& h = head(features, k);
    const Tensor hidden = h.forward(features);
    each.push_back(h.output ? h.output->forward(hidden) : hidden);
  }
  const Tensor stacked = stack(each);
  return options.output == HeadOutput::shared ? model_->logits(stacked) : stacked;  // one product for all heads
}

// ---- files

void save_medusa(const std::string& path, MedusaHeads& heads) {
  const CausalLM& model = heads.model();
  const NamedTensors frame = {{"dim", integer_state(model.dim())},
                              {"vocabulary", integer_state(model.vocabulary())},
                              {"heads", integer_state(heads.count())},
                              {"blocks", integer_state(heads.options.blocks)},
                              {"own_output", integer_state(heads.options.output == HeadOutput::own)}};
  save_safetensors(path, merge_states({{"medusa", frame}, {"weights", heads.state_dict()}}));
}

MedusaHeads load_medusa(const std::string& path, const CausalLM& model) {
  const NamedTensors state = load_safetensors(path);
  if (!has_state_part(state, "medusa") || !has_state_part(state, "weights"))
    throw ValueError(fmt::format("load_medusa: '{}' holds no Medusa heads; hint: save_medusa writes such files", path));
  const NamedTensors frame = state_part(state, "medusa"), weights = state_part(state, "weights");
  const int64_t dim = state_integer(frame, "dim"), vocabulary = state_integer(frame, "vocabulary");
  if (dim != model.dim() || vocabulary != model.vocabulary())
    throw ValueError(
        fmt::format("load_medusa: '{}' has heads of another model; got dim {}, vocabulary {}; the model "
                    "has dim {}, vocabulary {}",
                    path, dim, vocabulary, model.dim(), model.vocabulary()));
  const int64_t heads = state_integer(frame, "heads"), blocks = state_integer(frame, "blocks"),
                most = int64_t(weights.size());  // a head or block has at least one tensor
  if (heads < 1 || heads > most || blocks < 1 || blocks > most)
    throw ValueError(fmt::format("load_medusa: '{}' names {} heads of {} blocks and holds {} tensors", path, heads,
                                 blocks, weights.size()));
  const bool own = state_integer(frame, "own_output") != 0;
  MedusaHeads made(model, {.heads = heads, .blocks = blocks, .output = own ? HeadOutput::own : HeadOutput::shared});
  made.load_state_dict(weights);
  return made;
}

}  // namespace ink
