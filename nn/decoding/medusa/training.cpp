// Losses of Medusa's heads, alone and together with the model; text for self-distillation.
#include "nn/decoding/medusa/training.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {
namespace {

void check_window(const char* name, int64_t heads, const Tensor& ids) {
  const int64_t needed = heads + 2;
  if (ids.dim() != 2 || ids.size(0) < 1 || ids.size(1) < needed)
    throw ShapeError(
        fmt::format("{}: got ids {}; expected [batch, time] with at least {} tokens: the last of {} heads looks {} "
                    "places on",
                    name, ids.shape().str(), needed, heads, heads + 1));
}
void check_decay(const char* name, double decay) {
  if (!(decay > 0) || !std::isfinite(decay))
    throw ValueError(fmt::format("{}: got decay {}; expected a finite number above 0", name, decay));
}

// The mean of -log p(ids[t + offset]) over t = 0 .. time - offset - 1, for logits [batch, time - offset, vocabulary].
Tensor token_loss(const Tensor& logits, const Tensor& ids, int64_t offset) {
  const Tensor target = ids.narrow(1, offset, ids.size(1) - offset);
  return cross_entropy(widened(flatten(logits, 0, 1)), flatten(target));
}
Tensor features_with_target(const Tensor& features, int64_t offset) {
  return features.narrow(1, 0, features.size(1) - offset);
}

// sum lambda^{k+1} loss_k
Tensor decayed_sum(const std::vector<Tensor>& losses, double decay) {
  Tensor total;
  double factor = 1;
  for (const Tensor& loss : losses) {
    factor *= decay;
    total = total.defined() ? total + factor * loss : factor * loss;  // (12.3)
  }
  return total;
}

Tensor unrecorded_features(const CausalLM& model, const Tensor& ids) {
  const NoGrad guard;
  return model.features(ids);
}
Tensor unrecorded_logits(const CausalLM& model, const Tensor& ids) {
  const NoGrad guard;
  return model.forward(ids);
}
// The mean over rows of sum p log(p / q), for logits of p and q [batch, time, vocabulary].
Tensor mean_kl(const Tensor& of, const Tensor& from) {
  const Tensor log_q = log_softmax(widened(flatten(from, 0, 1)), 1), p = softmax(widened(flatten(of, 0, 1)), 1);
  return kl_div(log_q, p.to(log_q.dtype()), Reduction::sum) / double(log_q.size(0));
}

}  // namespace

std::vector<Tensor> medusa_head_losses(const MedusaHeads& heads, const Tensor& ids) {
  check_window("medusa_head_losses", heads.count(), ids);
  const Tensor features = unrecorded_features(heads.model(), ids);
  std::vector<Tensor> losses;
  for (int64_t k = 0; k < heads.count(); ++k) {
    const Tensor logits = heads.logits_beside_frozen_head(features_with_target(features, k + 2), k);
    losses.push_back(token_loss(logits, ids, k + 2));
  }
  return losses;
}

Tensor medusa_loss(const MedusaHeads& heads, const Tensor& ids, const MedusaLossOptions& o) {
  check_decay("medusa_loss", o.decay);
  return decayed_sum(medusa_head_losses(heads, ids), o.decay);
}

std::vector<Tensor> hydra_head_losses(const HydraHeads& heads, const Tensor& ids) {
  check_window("hydra_head_losses", heads.count(), ids);
  const Tensor features = unrecorded_features(heads.model(), ids);
  std::vector<Tensor> losses;
  for (int64_t k = 0; k < heads.count(); ++k) {
    const Tensor path = paths_of_text(ids, 0, ids.size(1) - k - 2, k);
    losses.push_back(
        token_loss(heads.logits_beside_frozen_model(features_with_target(features, k + 2), path, k), ids, k + 2));
  }
  return losses;
}

Tensor hydra_loss(const HydraHeads& heads, const Tensor& ids, const MedusaLossOptions& o) {
  check_decay("hydra_loss", o.decay);
  return decayed_sum(hydra_head_losses(heads, ids), o.decay);
}

Tensor joint_loss(const MedusaHeads& heads, const Tensor& ids, const JointLossOptions& o) {
  check_window("joint_loss", heads.count(), ids);
  check_decay("joint_loss", o.decay);
  if (!(o.weight >= 0) || !std::isfinite(o.weight))
    throw ValueError(fmt::format("joint_loss: got weight {}; expected a finite number from 0", o.weight));
  const CausalLM& model = heads.model();
  if (o.teacher && o.teacher->vocabulary() != model.vocabulary())
    throw ShapeError(fmt::format("joint_loss: the teacher has another vocabulary; got {}; expected {}",
                                 o.teacher->vocabulary(), model.vocabulary()));
  const Tensor features = model.features(ids);
  const Tensor own = o.teacher ? mean_kl(unrecorded_logits(*o.teacher, ids), model.logits(features))
                               : token_loss(model.logits(features_with_target(features, 1)), ids, 1);
  std::vector<Tensor> losses;
  for (int64_t k = 0; k < heads.count(); ++k)
    losses.push_back(token_loss(heads.logits(features_with_target(features, k + 2), k), ids, k + 2));
  return own + o.weight * decayed_sum(losses, o.decay);  // (12.4)
}

Tensor self_written(const CausalLM& model, const Tensor& prompts, const SelfWrittenOptions& o) {
  if (o.tokens < 0 || !(o.temperature >= 0) || !std::isfinite(o.temperature))
    throw ValueError(fmt::format("self_written: got tokens {}, temperature {}; expected finite numbers from 0",
                                 o.tokens, o.temperature));
  if (prompts.dim() != 2 || prompts.size(1) < 1 || o.tokens > model.context() - prompts.size(1))
    throw ShapeError(
        fmt::format("self_written: got prompts {} and {} more tokens; expected [batch, time] with at least one "
                    "token, and at most {} in all",
                    prompts.shape().str(), o.tokens, model.context()));
  const NoGrad guard;
  std::vector<Tensor> text = {prompts};
  std::vector<BlockState> states;
  for (int64_t i = 0; i < o.tokens; ++i) {
    const Tensor h = model.features(text.back(), &states);
    const Tensor logits = model.logits(h.select(1, h.size(1) - 1));  // [batch, vocabulary]
    if (any(isnan(logits)).item<bool>()) throw ValueError("self_written: the model's logits are NaN");
    text.push_back(o.temperature == 0
                       ? argmax(logits, 1, true)
                       : multinomial(softmax(widened(logits) / o.temperature, 1), 1, false, o.generator));
  }
  return cat(text, 1);
}

}  // namespace ink
