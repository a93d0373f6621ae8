// How Medusa's heads learn: losses on windows of text. Cai et al. 2024, arXiv:2401.10774, sections 2.2 and 2.3.2.
//
// Medusa-1, the model as it is:
//
//   model.eval();
//   Adam optimizer(heads.parameters(), {.lr = 1e-3});
//   medusa_loss(heads, ids).backward(); optimizer.step(); optimizer.zero_grad();
//
// Medusa-2, both together, after the heads have learnt alone for a while, else their large gradients spoil the model:
//
//   Adam optimizer({{heads.parameters(), {.lr = 4 * rate}}, {model.parameters(), {.lr = rate}}});
//   joint_loss(heads, ids).backward(); optimizer.step(); optimizer.zero_grad();
//
// All losses are f32 (f64 for f64 models) and 0-dim.
#pragma once
#include "nn/decoding/medusa/heads.h"
#include "nn/decoding/medusa/hydra.h"
#include "tensor/random.h"

namespace ink {

// The loss of each head on ids i64 [batch, time], [count()]: for head k the mean over the places t = 0 .. time - k - 3
// of -log p_k(ids[t + k + 2] | features of t). What lies beyond the window is no target. Gradients reach the heads
// alone: the model runs unrecorded and gets none, a shared W2 neither. ShapeError unless ids is [batch, time] with
// batch >= 1 and time >= count() + 2, so that every head has a target.
std::vector<Tensor> medusa_head_losses(const MedusaHeads& heads, const Tensor& ids);

struct MedusaLossOptions {
  double decay = 0.8;  // lambda; ValueError unless finite and > 0
};
// Medusa-1: sum over the heads k = 0, 1, .. of lambda^{k+1} times its loss (the paper counts heads from 1, so it writes
// lambda^k).
Tensor medusa_loss(const MedusaHeads& heads, const Tensor& ids, const MedusaLossOptions& options = {});

// The same for Hydra's heads, each told the tokens that the text has on the way (teacher forcing). Here too gradients
// reach the heads alone.
std::vector<Tensor> hydra_head_losses(const HydraHeads& heads, const Tensor& ids);
Tensor hydra_loss(const HydraHeads& heads, const Tensor& ids, const MedusaLossOptions& options = {});

struct JointLossOptions {
  double decay = 0.8;                 // lambda
  double weight = 0.2;                // lambda_0; ValueError unless finite and >= 0
  const CausalLM* teacher = nullptr;  // a copy of the model as it was; none: the text is what the model learns
};
// Medusa-2: L_LM + lambda_0 (sum lambda^{k+1} loss of head k), recorded through the model. L_LM is the mean of
// -log p(ids[t + 1] | ids[.. t]) over t = 0 .. time - 2; with a teacher, which runs unrecorded, the mean of
// KL(teacher || model) over all places: text that the model wrote itself then does not sharpen it. ShapeError as above,
// and for a teacher of another vocabulary.
Tensor joint_loss(const MedusaHeads& heads, const Tensor& ids, const JointLossOptions& options = {});

struct SelfWrittenOptions {
  int64_t tokens = 64;             // new ones; ValueError below 0
  double temperature = 0;          // 0: greedy, always the likeliest token; ValueError unless finite and >= 0
  Generator* generator = nullptr;  // null: the thread's default one
};
// Self-distillation: prompts i64 [batch, time] and what the model writes after them, [batch, time + tokens]. The model
// should be in eval mode. ShapeError unless prompts are [batch, time >= 1] and all fits the model's context.
Tensor self_written(const CausalLM& model, const Tensor& prompts, const SelfWrittenOptions& options = {});

}  // namespace ink
