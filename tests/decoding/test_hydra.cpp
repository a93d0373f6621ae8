// Hydra's heads: how they start, what they are told, losses by hand, what is frozen.
#include <cmath>

#include "autograd/graph/mode.h"
#include "include/inkstone/testing.h"
#include "nn/decoding/medusa/accuracy.h"
#include "nn/decoding/medusa/training.h"
#include "nn/init.h"
#include "nn/models/gpt.h"
#include "optim/adam.h"
#include "tests/catch.h"
#include "tests/decoding/table_model.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

GPT tiny_gpt(DType dtype) {
  manual_seed(3);
  GPT model({.vocabulary = 5, .context = 16, .dim = 4, .heads = 2, .layers = 1});
  model.to(dtype);
  return model;
}
Tensor tokens(const Shape& shape, unsigned seed) { return whole(shape, 5, seed).to(default_device()); }
bool same(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && values(a) == values(b); }
Tensor ids_of(std::initializer_list<double> data, const Shape& shape) {
  return from_data(data, shape, {i64, default_device()});
}
// log p(next | token): 1 or 2 after 0, then 0 after 1, 3 after 2, 0 after 3; the rest is unlikely.
TableModel table() {
  return TableModel(log(from_data({0.02, 0.48, 0.48, 0.02,  //
                                   0.94, 0.02, 0.02, 0.02,  //
                                   0.02, 0.02, 0.02, 0.94,  //
                                   0.94, 0.02, 0.02, 0.02},
                                  {4, 4}, {f64, default_device()})));
}
// Head k passes on what stands in the table after the last token it is told, and little else.
HydraHeads repeating_heads(const TableModel& model) {
  HydraHeads heads(model, {.heads = 2});
  const NoGrad guard;
  for (int64_t k = 0; k < 2; ++k)
    heads.heads[size_t(k)].weight.narrow(1, (k + 1) * 4, 4).copy_(50 * eye(4, {f64, default_device()}));
  return heads;
}

}  // namespace

TEST_CASE("Hydra's heads start as the model's own head, bit for bit", "[hydra]") {
  const GPT model = tiny_gpt(f32);
  const HydraHeads heads(model, {.heads = 3});
  CHECK(HydraHeads(heads).num_parameters() == 4 * (2 + 3 + 4) * 4 + 3 * 4);
  for (const Shape& batch : {Shape{}, Shape{5}, Shape{2, 3}})
    for (int64_t k = 0; k < 3; ++k) {
      Shape at = batch, of = batch;
      at.push_back(4), of.push_back(k + 1);
      const Tensor h = random_tensor(at, 5, f32).to(default_device()), path = tokens(of, 1);
      CHECK(same(heads.logits(h, path, k), model.logits(h)));
      CHECK(same(heads.logits_beside_frozen_model(h, path, k), model.logits(h)));
    }
}

TEST_CASE("a Hydra head is W2 (h + silu(W [h; e1; ..] + b))", "[hydra]") {
  const GPT model = tiny_gpt(f64);
  HydraHeads heads(model, {.heads = 2});
  {
    const NoGrad guard;
    for (Tensor p : heads.parameters()) p.copy_(init::normal(p.shape(), 1).to(p.options()));
  }
  const Tensor h = normal({3, 4}, 1).to(default_device()), path = tokens({3, 2}, 2);
  const HydraHead& head = heads.heads[1];
  const Tensor told = cat({h, model.tokens.forward(path.select(1, 0)), model.tokens.forward(path.select(1, 1))}, 1);
  const Tensor u = matmul(told, transpose(head.weight, 0, 1)) + head.bias;
  const Tensor expected = matmul(h + u / (1 + exp(-u)), transpose(model.head.weight, 0, 1));
  CHECK(verify::close(heads.logits(h, path, 1), expected));
  CHECK(verify::close(heads.logits_beside_frozen_model(h, path, 1), expected));
}

TEST_CASE("a Hydra head knows the token before its guess", "[hydra]") {
  const TableModel model = table();
  const HydraHeads heads = repeating_heads(model);
  CHECK(same(paths_of_text(ids_of({0, 1, 2, 3, 0}, {1, 5}), 1, 2, 1), ids_of({2, 3, 3, 0}, {1, 2, 2})));
  // What follows 0 is open, all else is certain. Head 0 at t is told token t + 1 and wants t + 2; head 1 wants t + 3.
  const Tensor ids = ids_of({0, 2, 3, 0, 1, 0, 2, 3, 0, 1}, {1, 10});
  using Hits = std::vector<std::vector<int64_t>>;
  CHECK(head_hits(heads, ids, {.ranks = 2}) == Hits{{0, 0}, {0, 0}, {0, 0}, {0, 1}, {1, 0}, {0, 0}, {0, 0}});
}

TEST_CASE("Hydra's loss, by hand", "[hydra]") {
  const TableModel model = table();
  const HydraHeads heads(model, {.heads = 2});  // as they start: guesses from the feature's own token
  const Tensor ids = ids_of({0, 1, 0, 2, 3}, {1, 5});
  const double loss0 = -(std::log(0.02) + std::log(0.02) + std::log(0.02)) / 3;  // 0 -> 0, 1 -> 2, 0 -> 3
  const double loss1 = -(std::log(0.48) + std::log(0.02)) / 2;                   // 0 -> 2, 1 -> 3
  CHECK(hydra_loss(heads, ids).item<double>() == Approx(0.8 * loss0 + 0.64 * loss1).epsilon(1e-12));
  // Told 1, 0, 2: logits of head 0 are those after 0, 1, 0 and 50 times those after 1, 0, 2.
  const HydraHeads told = repeating_heads(model);
  const double sure = hydra_head_losses(told, ids)[0].item<double>();
  CHECK(sure == Approx(std::log(2.) / 3).epsilon(1e-9));  // 0 after 1, 2 or 1 after 0, 3 after 2
}

TEST_CASE("Hydra's training leaves the model alone", "[hydra]") {
  GPT model = tiny_gpt(f32);
  HydraHeads heads(model, {.heads = 2});
  std::vector<std::vector<double>> before;
  for (const Tensor& p : model.parameters()) before.push_back(values(p));
  const Tensor ids = tokens({3, 8}, 1);
  Adam optimizer(heads.parameters(), {.lr = 1e-2});
  const Tensor loss = hydra_loss(heads, ids);
  check_covers(loss, heads);
  loss.backward();
  optimizer.step();
  CHECK(hydra_loss(heads, ids).item<double>() < loss.item<double>());
  size_t i = 0;
  for (const Tensor& p : model.parameters()) {
    CHECK_FALSE(p.grad().defined());
    CHECK(values(p) == before[i++]);
  }
}

TEST_CASE("gradients of Hydra's loss, to second order", "[hydra]") {
  if (default_device().is_cuda()) return;  // thousands of runs: the same ops are checked there one by one
  const GPT model = tiny_gpt(f64);
  HydraHeads heads(model, {.heads = 2});
  {
    const NoGrad guard;
    for (Tensor p : heads.parameters()) p.copy_(init::normal(p.shape(), 0.5).to(p.options()));
  }
  const Tensor ids = tokens({2, 5}, 1), factor = from_data({1.5}, {1}, {f64, default_device()});
  CHECK(verify::gradients(
      heads, [&](const Tensor& x) { return x * hydra_loss(heads, ids); }, factor));
}

TEST_CASE("what Hydra's heads refuse", "[hydra]") {
  const GPT model = tiny_gpt(f32);
  CHECK_THROWS_AS(HydraHeads(model, {.heads = 0}), ValueError);
  const HydraHeads heads(model, {.heads = 2});
  const Tensor h = zeros({2, 4}), path = tokens({2, 2}, 1);
  CHECK_NOTHROW(heads.logits(h, path, 1));
  CHECK_THROWS_AS(heads.logits(h, path, 0), ShapeError);
  CHECK_THROWS_AS(heads.logits(h, path, 2), IndexError);
  CHECK_THROWS_AS(heads.logits(zeros({2, 5}), path, 1), ShapeError);
  CHECK_THROWS_AS(heads.logits(zeros({3, 4}), path, 1), ShapeError);
  CHECK_THROWS_AS(heads.logits(zeros({4}), path, 1), ShapeError);
  CHECK_THROWS_AS(hydra_loss(heads, tokens({2, 3}, 1)), ShapeError);
  CHECK_THROWS_AS(hydra_loss(heads, tokens({2, 4}, 1), {.decay = 0}), ValueError);
  CHECK_THROWS_AS(head_hits(heads, tokens({2, 3}, 1)), ValueError);
}
