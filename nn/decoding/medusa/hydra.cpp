// Hydra's heads.
#include "nn/decoding/medusa/hydra.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {

HydraHead::HydraHead(int64_t dim, int64_t k, const Options& options)
    : weight(zeros({dim, (k + 2) * dim}, options)), bias(zeros({dim}, options)) {}
Tensor HydraHead::forward(const Tensor& features, const Tensor& embeddings) const {
  const Tensor told = cat({features, flatten(embeddings, -2)}, -1);  // [.., (k + 2) dim]
  const Tensor u = linear(told, weight, bias);
  return in_f32_if_half([](const Tensor& h, const Tensor& u) { return h + silu(u); }, features, u);
}

HydraHeads::HydraHeads(const CausalLM& model, const HydraOptions& o) : model_(&model) {
  constexpr int64_t most = 1024;  // more are a mistake
  if (o.heads < 1 || o.heads > most)
    throw ValueError(fmt::format("HydraHeads: got {} heads; expected 1 to {}", o.heads, most));
  const Tensor w = model.head_weight();
  model.embed(zeros({1}, {i64, w.device()}));  // NotSupported comes now
  for (int64_t k = 0; k < o.heads; ++k) heads.emplace_back(model.dim(), k, w.options());
}

const HydraHead& HydraHeads::head(const Tensor& features, const Tensor& path, int64_t k) const {
  if (k < 0 || k >= count())
    throw IndexError(fmt::format("HydraHeads: got head {}; expected one of 0 .. {}", k, count() - 1));
  Shape expected = path.shape();  // of the features
  if (path.dim() >= 1) expected[path.dim() - 1] = model_->dim();
  if (path.dim() < 1 || path.size(-1) != k + 1 || !(features.shape() == expected))
    throw ShapeError(
        fmt::format("HydraHeads: got features {} and a path {} for head {}; expected [.., {}] and [.., {}]",
                    features.shape().str(), path.shape().str(), k, model_->dim(), k + 1));
  return heads[size_t(k)];
}

Tensor HydraHeads::logits(const Tensor& features, const Tensor& path, int64_t k) const {
  return model_->logits(head(features, path, k).forward(features, model_->embed(path)));
}
Tensor HydraHeads::logits_beside_frozen_model(const Tensor& features, const Tensor& path, int64_t k) const {
  const Tensor hidden = head(features, path, k).forward(features, model_->embed(path).detach());
  return linear(hidden, model_->head_weight().detach());
}

Tensor paths_of_text(const Tensor& ids, int64_t first, int64_t places, int64_t k) {
  std::vector<Tensor> next;
  for (int64_t j = 1; j <= k + 1; ++j) next.push_back(ids.narrow(1, first + j, places));
  return stack(next, -1);
}

}  // namespace ink
