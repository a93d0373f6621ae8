// Medusa's heads: how they start, formulas, losses by hand, what is frozen, files, and how often they are right.
#include <cmath>

#include "autograd/graph/mode.h"
#include "include/inkstone/testing.h"
#include "nn/decoding/medusa/accuracy.h"
#include "nn/decoding/medusa/training.h"
#include "nn/decoding/pretrained/gpt2.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/init.h"
#include "nn/models/gpt.h"
#include "optim/adam.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/decoding/table_model.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

GPT tiny_gpt(DType dtype = f32, int64_t vocabulary = 7) {
  manual_seed(3);
  GPT model({.vocabulary = vocabulary, .context = 16, .dim = 4, .heads = 2, .layers = 1});
  const NoGrad guard;
  for (Tensor p : model.parameters()) p.mul_(10);  // logits that differ
  model.to(dtype);
  return model;
}
Tensor tokens(const Shape& shape, int64_t vocabulary, unsigned seed) {
  return whole(shape, vocabulary, seed).to(default_device());
}
void fill_at_random(Module& module, double std) {
  const NoGrad guard;
  for (Tensor p : module.parameters()) p.copy_(init::normal(p.shape(), std).to(p.options()));
}
std::vector<std::vector<double>> copies(Module& module) {
  std::vector<std::vector<double>> all;
  for (const auto& [name, t] : module.state_dict()) all.push_back(values(t));
  return all;
}
bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && values(a) == values(b);
}
Tensor at_once(std::initializer_list<double> data, const Shape& shape, DType dtype = f64) {
  return from_data(data, shape, {dtype, default_device()});
}
Tensor ids_of(std::initializer_list<double> data, const Shape& shape) { return at_once(data, shape, i64); }

// log p(next | token) over three tokens.
Tensor log_table(std::initializer_list<double> p) { return log(at_once(p, {3, 3})); }
const auto kNext = {0.5, 0.25, 0.25, 0.1, 0.2, 0.7, 0.3, 0.4, 0.3};
const auto kHead0 = {0.6, 0.3, 0.1, 0.2, 0.2, 0.6, 0.8, 0.1, 0.1};
const auto kHead1 = {0.4, 0.4, 0.2, 0.5, 0.1, 0.4, 0.25, 0.5, 0.25};
// Two heads of own weights for a TableModel: each guesses by a table, too.
MedusaHeads table_heads(const CausalLM& model) {
  MedusaHeads heads(model, {.heads = 2, .output = HeadOutput::own});
  heads.heads[0].output->weight = transpose(log_table(kHead0), 0, 1);
  heads.heads[1].output->weight = transpose(log_table(kHead1), 0, 1);
  return heads;
}

struct Both : Module {  // model and heads, for gradients of all parameters
  GPT model;
  MedusaHeads heads;
  explicit Both(const MedusaOptions& o) : model(tiny_gpt(f64, 5)), heads(model, o) {}
  void fields(Fields& f) override { f("model", model)("heads", heads); }
};

}  // namespace

TEST_CASE("heads start as the model's own head, bit for bit", "[medusa]") {
  GPT model = tiny_gpt();
  const HeadOutput output = GENERATE(HeadOutput::shared, HeadOutput::own);
  const int64_t blocks = GENERATE(1, 2);
  const MedusaHeads heads(model, {.heads = 3, .blocks = blocks, .output = output});
  for (const Shape& shape : {Shape{4}, Shape{5, 4}, Shape{2, 3, 4}, Shape{0, 4}}) {
    const Tensor h = random_tensor(shape, 5, f32).to(default_device());
    const Tensor expected = model.logits(h), all = heads.all(h);
    CHECK(all.size(0) == 3);
    for (int64_t k = 0; k < 3; ++k) {
      CHECK(same(heads.logits(h, k), expected));
      CHECK(same(heads.logits_beside_frozen_head(h, k), expected));
      CHECK(verify::close(all.select(0, k), expected));
    }
  }
}

TEST_CASE("a head is W2 (h + silu(W1 h + b)), and another block does that again", "[medusa]") {
  GPT model = tiny_gpt(f64);
  const HeadOutput output = GENERATE(HeadOutput::shared, HeadOutput::own);
  MedusaHeads heads(model, {.heads = 2, .blocks = 2, .output = output});
  fill_at_random(heads, 1);
  const Tensor h = normal({2, 3, 4}, 1).to(default_device());
  for (int64_t k = 0; k < 2; ++k) {
    const MedusaHead& head = heads.heads[size_t(k)];
    Tensor z = h;
    for (const MedusaBlock& b : head.blocks) {
      const Tensor u = matmul(z, transpose(b.weight, 0, 1)) + b.bias;
      z = z + u / (1 + exp(-u));
    }
    const Tensor w2 = output == HeadOutput::own ? head.output->weight : model.head.weight;
    const Tensor expected = matmul(z, transpose(w2, 0, 1));
    CHECK(verify::close(heads.logits(h, k), expected));
    CHECK(verify::close(heads.all(h).select(0, k), expected));
    CHECK(verify::close(heads.logits_beside_frozen_head(h, k), expected));
  }
}

TEST_CASE("every block and every head has weights of its own; a shared W2 is the model's", "[medusa]") {
  GPT model = tiny_gpt();
  MedusaHeads heads(model, {.heads = 3, .blocks = 2});
  CHECK(heads.num_parameters() == 3 * 2 * (4 * 4 + 4));
  MedusaHeads own(model, {.heads = 3, .blocks = 2, .output = HeadOutput::own});
  CHECK(own.num_parameters() == 3 * (2 * (4 * 4 + 4) + 7 * 4));
  fill_at_random(heads, 0.5);
  const Tensor h = random_tensor({5, 4}, 2, f32).to(default_device());
  const NoGrad guard;
  for (int64_t k = 0; k < 3; ++k)
    for (int64_t b = 0; b < 2; ++b) {
      MedusaHeads changed = heads;
      changed.heads[size_t(k)].blocks[size_t(b)].weight.mul_(2);
      for (int64_t other = 0; other < 3; ++other)
        CHECK(same(changed.logits(h, other), heads.logits(h, other)) == (other != k));
      CHECK(same(changed.heads[size_t(k)].blocks[size_t(1 - b)].weight,
                 heads.heads[size_t(k)].blocks[size_t(1 - b)].weight));
    }
  const Tensor before = heads.logits(h, 0), own_before = own.logits(h, 0);
  model.head.weight.mul_(2);
  CHECK(verify::close(heads.logits(h, 0), 2 * before));
  CHECK(same(own.logits(h, 0), own_before));
}

TEST_CASE("halves: the sum in a block is rounded once", "[medusa]") {
  GPT model = tiny_gpt();
  model.to(bf16);
  MedusaHeads heads(model, {.heads = 1});
  CHECK(heads.heads[0].blocks[0].weight.dtype() == bf16);
  const Tensor h = random_tensor({3, 4}, 2, f32).to(default_device()).to(bf16);
  CHECK(same(heads.logits(h, 0), model.logits(h)));
  fill_at_random(heads, 1);
  const MedusaBlock& b = heads.heads[0].blocks[0];
  const Tensor u = linear(h, b.weight, b.bias).to(f32);
  CHECK(same(heads.heads[0].forward(h), (h.to(f32) + silu(u)).to(bf16)));
  CHECK(medusa_loss(heads, tokens({2, 6}, 7, 1)).dtype() == f32);
  heads.to(f32);  // to be trained beside a model in halves
  const Tensor loss = medusa_loss(heads, tokens({2, 6}, 7, 1));
  loss.backward();
  CHECK(heads.heads[0].blocks[0].weight.grad().dtype() == f32);
}

TEST_CASE("losses on five tokens, by hand", "[medusa]") {
  const TableModel model(log_table(kNext));
  const MedusaHeads heads = table_heads(model);
  const Tensor ids = ids_of({0, 1, 2, 1, 0}, {1, 5});
  // Head 0 at t = 0, 1, 2 wants the tokens of t = 2, 3, 4; head 1 at t = 0, 1 those of 3, 4.
  const double loss0 = -(std::log(0.1) + std::log(0.2) + std::log(0.8)) / 3;
  const double loss1 = -(std::log(0.4) + std::log(0.5)) / 2;
  const std::vector<Tensor> each = medusa_head_losses(heads, ids);
  REQUIRE(each.size() == 2);
  CHECK(each[0].item<double>() == Approx(loss0).epsilon(1e-12));
  CHECK(each[1].item<double>() == Approx(loss1).epsilon(1e-12));
  CHECK(medusa_loss(heads, ids).item<double>() == Approx(0.8 * loss0 + 0.64 * loss1).epsilon(1e-12));
  CHECK(medusa_loss(heads, ids, {.decay = 0.5}).item<double>() == Approx(0.5 * loss0 + 0.25 * loss1).epsilon(1e-12));
  // The model at t = 0 .. 3 wants the tokens of 1 .. 4.
  const double own = -(std::log(0.25) + std::log(0.7) + std::log(0.4) + std::log(0.1)) / 4;
  CHECK(joint_loss(heads, ids).item<double>() == Approx(own + 0.2 * (0.8 * loss0 + 0.64 * loss1)).epsilon(1e-12));
  CHECK(joint_loss(heads, ids, {.decay = 0.5, .weight = 3}).item<double>() ==
        Approx(own + 3 * (0.5 * loss0 + 0.25 * loss1)).epsilon(1e-12));
  // Two rows are the mean of each alone.
  const Tensor more = ids_of({2, 2, 0, 1, 1}, {1, 5});
  const double alone = medusa_loss(heads, ids).item<double>() + medusa_loss(heads, more).item<double>();
  CHECK(medusa_loss(heads, cat({ids, more}, 0)).item<double>() == Approx(alone / 2).epsilon(1e-12));
}

TEST_CASE("with a teacher the model learns its distribution at every place", "[medusa]") {
  const TableModel model(log_table(kNext)), teacher(log_table(kHead0));
  const MedusaHeads heads = table_heads(model);
  const Tensor ids = ids_of({0, 1, 2, 1, 0}, {1, 5});
  const double medusa = medusa_loss(heads, ids).item<double>();
  CHECK(joint_loss(heads, ids, {.teacher = &model}).item<double>() == Approx(0.2 * medusa).epsilon(1e-12));
  const std::vector<double> p(kHead0), q(kNext);
  double divergence = 0;
  for (const int64_t token : {0, 1, 2, 1, 0})
    for (int64_t i = 0; i < 3; ++i) {
      const size_t at = size_t(3 * token + i);
      divergence += p[at] * std::log(p[at] / q[at]) / 5;
    }
  CHECK(joint_loss(heads, ids, {.teacher = &teacher}).item<double>() ==
        Approx(divergence + 0.2 * medusa).epsilon(1e-12));
}

TEST_CASE("Medusa-1 leaves the model alone: no bit changes, nothing is recorded", "[medusa]") {
  GPT model = tiny_gpt();
  MedusaHeads heads(model, {.heads = 2, .output = GENERATE(HeadOutput::shared, HeadOutput::own)});
  const auto before = copies(model), heads_before = copies(heads);
  const Tensor ids = tokens({3, 8}, 7, 1);
  Adam optimizer(heads.parameters(), {.lr = 1e-2});
  const Tensor loss = medusa_loss(heads, ids);
  check_covers(loss, heads);  // throws for a leaf that is none of the heads'
  loss.backward();
  optimizer.step();
  for (const Tensor& p : model.parameters()) {
    CHECK(p.requires_grad());
    CHECK_FALSE(p.grad().defined());
  }
  CHECK(copies(model) == before);
  const auto heads_after = copies(heads);
  for (size_t i = 0; i < heads_after.size(); ++i) CHECK(heads_after[i] != heads_before[i]);
  CHECK(medusa_loss(heads, ids).item<double>() < loss.item<double>());
}

TEST_CASE("a step lowers the loss beside models of other makers, which stay as they are", "[medusa]") {
  manual_seed(5);
  std::unique_ptr<CausalLM> model;
  if (GENERATE(true, false))
    model = std::make_unique<GPT2>(GPT2Options{.vocabulary = 11, .context = 16, .dim = 8, .heads = 2, .layers = 1});
  else
    model = std::make_unique<Llama>(LlamaOptions{.vocabulary = 11,
                                                 .context = 16,
                                                 .dim = 8,
                                                 .heads = 2,
                                                 .layers = 1,
                                                 .kv_heads = 1,
                                                 .hidden = 12,
                                                 .tied = GENERATE(true, false)});
  model->eval();
  MedusaHeads heads(*model, {.heads = 3});
  const auto before = copies(*model);
  const Tensor ids = tokens({4, 10}, 11, 2);
  CHECK(same(heads.logits(model->features(ids), 1), model->forward(ids)));
  CHECK(same(linear(model->features(ids), model->head_weight()), model->forward(ids)));
  Adam optimizer(heads.parameters(), {.lr = 1e-2});
  const Tensor loss = medusa_loss(heads, ids);
  loss.backward();
  optimizer.step();
  CHECK(medusa_loss(heads, ids).item<double>() < loss.item<double>());
  CHECK(copies(*model) == before);
}

TEST_CASE("Medusa-2: heads alone first, then both, the heads four times as fast", "[medusa]") {
  GPT model = tiny_gpt();
  const GPT teacher = model;
  MedusaHeads heads(model, {.heads = 2});
  const Tensor ids = tokens({3, 8}, 7, 1);
  const double rate = 1e-3;
  Adam optimizer({{heads.parameters(), {.lr = 4 * rate}}, {model.parameters(), {.lr = rate}}});
  const auto start = copies(model);
  const Tensor head_before = heads.heads[0].blocks[0].bias.clone(), model_before = model.head.weight.clone();
  medusa_loss(heads, ids).backward();  // the same optimizer leaves the model alone as long as it has no gradients
  optimizer.step(), optimizer.zero_grad();
  CHECK(copies(model) == start);
  // Adam's first step of a parameter is its rate, whatever the gradient.
  CHECK(max(abs(heads.heads[0].blocks[0].bias - head_before)).item<double>() == Approx(4 * rate).epsilon(0.01));
  const JointLossOptions o{.teacher = GENERATE(true, false) ? &teacher : nullptr};
  const Tensor loss = joint_loss(heads, ids, o);
  loss.backward();
  for (const Tensor& p : model.parameters()) CHECK(p.grad().defined());
  for (Tensor p : const_cast<GPT&>(teacher).parameters()) CHECK_FALSE(p.grad().defined());
  optimizer.step();
  CHECK(joint_loss(heads, ids, o).item<double>() < loss.item<double>());
  CHECK(max(abs(model.head.weight - model_before)).item<double>() == Approx(rate).epsilon(0.01));
}

TEST_CASE("gradients of the losses, to second order", "[medusa]") {
  if (default_device().is_cuda()) return;  // thousands of runs: the same ops are checked there one by one
  Both both({.heads = 2, .output = GENERATE(HeadOutput::shared, HeadOutput::own)});
  fill_at_random(both.heads, 0.5);
  const Tensor ids = tokens({2, 5}, 5, 1), factor = at_once({1.5}, {1});
  CHECK(verify::gradients(
      both.heads, [&](const Tensor& x) { return x * medusa_loss(both.heads, ids); }, factor));
  const GPT teacher = tiny_gpt(f64, 5);
  const JointLossOptions o{.teacher = GENERATE(true, false) ? &teacher : nullptr};
  CHECK(verify::gradients(
      both, [&](const Tensor& x) { return x * joint_loss(both.heads, ids, o); }, factor));
}

TEST_CASE("heads are saved and loaded; those of another model are refused before anything changes", "[medusa]") {
  GPT model = tiny_gpt();
  const HeadOutput output = GENERATE(HeadOutput::shared, HeadOutput::own);
  MedusaHeads heads(model, {.heads = 3, .blocks = 2, .output = output});
  fill_at_random(heads, 0.5);
  const TemporaryFolder folder;
  const std::string path = folder / "heads.safetensors", plain = folder / "plain.safetensors";
  save_medusa(path, heads);
  heads.save(plain);
  const Tensor h = random_tensor({2, 4}, 2, f32).to(default_device());
  const MedusaHeads again = load_medusa(path, model);
  CHECK(again.options.output == output);
  CHECK(same(again.all(h), heads.all(h)));

  GPT wider({.vocabulary = 7, .context = 16, .dim = 6, .heads = 2, .layers = 1});
  GPT richer({.vocabulary = 9, .context = 16, .dim = 4, .heads = 2, .layers = 1});
  CHECK_THROWS_WITH(load_medusa(path, wider), contains("got dim 4, vocabulary 7; the model has dim 6, vocabulary 7"));
  CHECK_THROWS_AS(load_medusa(path, richer), ValueError);
  CHECK_THROWS_WITH(load_medusa(plain, model), contains("holds no Medusa heads"));

  auto refused = [&](MedusaHeads into) {
    const auto before = copies(into);
    CHECK_THROWS_AS(into.load(plain), Error);
    CHECK_THROWS_AS(into.adopt_state_dict(load_safetensors(plain)), Error);
    CHECK(copies(into) == before);
  };
  refused(MedusaHeads(wider, {.heads = 3, .blocks = 2, .output = output}));
  refused(MedusaHeads(model, {.heads = 4, .blocks = 2, .output = output}));
  refused(MedusaHeads(model, {.heads = 2, .blocks = 2, .output = output}));
  refused(MedusaHeads(model, {.heads = 3, .blocks = 1, .output = output}));
  if (output == HeadOutput::own) refused(MedusaHeads(richer, {.heads = 3, .blocks = 2, .output = output}));
  MedusaHeads fits(model, {.heads = 3, .blocks = 2, .output = output});
  fits.load(plain);
  CHECK(same(fits.all(h), heads.all(h)));
}

TEST_CASE("a file that names more heads than it holds is refused", "[medusa]") {
  GPT model = tiny_gpt();
  MedusaHeads heads(model, {.heads = 1});
  const TemporaryFolder folder;
  const std::string path = folder / "heads.safetensors";
  save_medusa(path, heads);
  NamedTensors state = load_safetensors(path);
  for (auto& [name, t] : state)
    if (name == "medusa.heads") t = integer_state(int64_t(1) << 40);
  save_safetensors(path, state);
  CHECK_THROWS_WITH(load_medusa(path, model), contains("names 1099511627776 heads"));
}

TEST_CASE("a model writes its own text, greedily or by chance", "[medusa]") {
  GPT model = tiny_gpt();
  model.eval();
  const Tensor prompts = tokens({3, 2}, 7, 4);
  const Tensor text = self_written(model, prompts, {.tokens = 6});
  CHECK(text.shape() == Shape{3, 8});
  CHECK_FALSE(text.requires_grad());
  Tensor longhand = prompts;
  for (int64_t i = 0; i < 6; ++i) {
    const Tensor logits = model.forward(longhand);
    longhand = cat({longhand, argmax(logits.select(1, logits.size(1) - 1), 1, true)}, 1);
  }
  CHECK(same(text, longhand));
  CHECK(same(self_written(model, prompts, {.tokens = 0}), prompts));

  Generator g(1), same_seed(1), other(2);
  const Tensor drawn = self_written(model, prompts, {.tokens = 6, .temperature = 1, .generator = &g});
  CHECK(same(drawn, self_written(model, prompts, {.tokens = 6, .temperature = 1, .generator = &same_seed})));
  CHECK_FALSE(same(drawn, self_written(model, prompts, {.tokens = 6, .temperature = 1, .generator = &other})));
  // p^(1 / T) / sum at T = 0.5: 0.25, 0.0625, 0.0625 after token 0
  const TableModel table(log_table(kNext));
  const Tensor rows = zeros({4000, 1}, {i64, default_device()});
  const std::vector<int64_t> next =
      self_written(table, rows, {.tokens = 1, .temperature = 0.5, .generator = &g}).select(1, 1).to_vector<int64_t>();
  CHECK(double(std::count(next.begin(), next.end(), 0)) / 4000 == Approx(2. / 3).margin(0.03));
  CHECK(double(std::count(next.begin(), next.end(), 1)) / 4000 == Approx(1. / 6).margin(0.03));
}

TEST_CASE("how often heads are right, on a text with known answers", "[medusa]") {
  const TableModel model(log_table(kNext));
  const MedusaHeads heads = table_heads(model);
  // Guesses of head 0 after 0: 0 1 2; after 1: 2 0 1 (a tie, the lower first); after 2: 0 1 2 (a tie).
  // Of head 1 after 0: 0 1 2 (a tie); after 1: 0 2 1; after 2: 1 0 2 (a tie).
  const Tensor ids = ids_of({0, 1, 2, 1, 0, 2,  //
                             2, 0, 0, 1, 1, 0},
                            {2, 6});
  using Hits = std::vector<std::vector<int64_t>>;
  const Hits expected = {{2, 1}, {2, 0}, {0, 2},   // wants (2, 1), (1, 0), (0, 2)
                         {0, 0}, {1, 1}, {1, 0}};  // wants (0, 1), (1, 1), (1, 0)
  CHECK(head_hits(heads, ids, {.ranks = 3}) == expected);
  CHECK(head_hits(heads, ids, {.ranks = 1}) == Hits{{-1, -1}, {-1, 0}, {0, -1}, {0, 0}, {-1, -1}, {-1, 0}});
  CHECK(head_hits(heads, ids, {.ranks = 3, .first = 2}) == Hits{{0, 2}, {1, 0}});
  // Of the six steps: head 0's first guess right in two, its second in two; first and first in one.
  CHECK(path_accuracy(expected, {{0}, {1}, {2}, {0, 0}, {1, 1}, {2, 2}, {7}}) ==
        std::vector<double>{2. / 6, 2. / 6, 2. / 6, 1. / 6, 1. / 6, 0, 0});
  CHECK(path_accuracy(expected, {}).empty());
}

TEST_CASE("texts are read a few rows at a time", "[medusa]") {
  if (default_device().is_cuda()) return;  // large
  // One feature, and a vocabulary so large that three rows do not fit at once; token 5 is the likeliest of all.
  struct Large : CausalLM {
    Param weight{zeros({1 << 18, 1})};
    Large() {
      const NoGrad guard;
      weight.narrow(0, 5, 1).fill_(1);
    }
    int64_t vocabulary() const override { return weight.size(0); }
    int64_t context() const override { return 8; }
    int64_t dim() const override { return 1; }
    Tensor features(const Tensor& ids, std::vector<BlockState>*, const StepPlaces*) const override {
      return unsqueeze(ids, -1).to(f32);
    }
    bool takes_places() const override { return true; }
    Tensor logits(const Tensor& features) const override { return linear(features, weight); }
    Tensor head_weight() const override { return weight; }
  };
  const Large model;
  const MedusaHeads heads(model, {.heads = 1});
  const Tensor ids = ids_of({5, 5, 5, 5, 5, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 5, 1, 5, 1, 5, 1, 5, 1}, {3, 8});
  std::vector<std::vector<int64_t>> expected(18, {0});
  for (size_t i = 6; i < 18; ++i) expected[i] = {i < 12 || i % 2 ? 2 : 0};  // guesses: 5, 0, 1
  CHECK(head_hits(heads, ids, {.ranks = 3}) == expected);
}

TEST_CASE("logits that are NaN are no text and no hit", "[medusa]") {
  GPT model({.vocabulary = 11, .context = 16, .dim = 8, .heads = 2, .layers = 1});
  model.eval();
  MedusaHeads heads(model, {.heads = 2});
  const Tensor ids = zeros({1, 8}, i64);
  {
    NoGrad guard;
    heads.heads[1].blocks[0].bias.fill_(NAN);
  }
  CHECK_THROWS_WITH(head_hits(heads, ids, {.ranks = 3}), contains("head 1 are NaN"));
  {
    NoGrad guard;
    model.head.weight.fill_(NAN);
  }
  CHECK_THROWS_WITH(self_written(model, ids, {.tokens = 2}), contains("NaN"));
}

TEST_CASE("bad input is refused", "[medusa]") {
  GPT model = tiny_gpt();
  CHECK_THROWS_AS(MedusaHeads(model, {.heads = 0}), ValueError);
  CHECK_THROWS_AS(MedusaHeads(model, {.heads = INT64_MAX}), ValueError);
  CHECK_THROWS_AS(MedusaHeads(model, {.blocks = 0}), ValueError);
  const MedusaHeads heads(model, {.heads = 3});
  const Tensor h = zeros({2, 4});
  CHECK_THROWS_AS(heads.logits(h, 3), IndexError);
  CHECK_THROWS_AS(heads.logits(h, -1), IndexError);
  CHECK_THROWS_AS(heads.logits(zeros({2, 5}), 0), ShapeError);
  CHECK_THROWS_AS(heads.all(at_once({1}, {}, f32)), ShapeError);
  const Tensor ids = tokens({2, 5}, 7, 1);
  CHECK_NOTHROW(medusa_loss(heads, ids));
  CHECK_THROWS_WITH(medusa_loss(heads, ids.narrow(1, 0, 4)), contains("at least 5 tokens"));
  CHECK_THROWS_AS(joint_loss(heads, ids.narrow(1, 0, 4)), ShapeError);
  CHECK_THROWS_AS(medusa_loss(heads, ids.select(0, 0)), ShapeError);
  CHECK_THROWS_AS(medusa_loss(heads, ids.narrow(0, 0, 0)), ShapeError);
  for (const double bad : {0., -1., double(INFINITY), double(NAN)}) {
    CHECK_THROWS_AS(medusa_loss(heads, ids, {.decay = bad}), ValueError);
    CHECK_THROWS_AS(joint_loss(heads, ids, {.decay = bad}), ValueError);
    if (bad != 0) CHECK_THROWS_AS(joint_loss(heads, ids, {.weight = bad}), ValueError);
    if (bad != 0) CHECK_THROWS_AS(self_written(model, ids, {.temperature = bad}), ValueError);
  }
  const GPT other = tiny_gpt(f32, 8);
  CHECK_THROWS_AS(joint_loss(heads, ids, {.teacher = &other}), ShapeError);
  CHECK_THROWS_AS(self_written(model, ids, {.tokens = 12}), ShapeError);
  CHECK_THROWS_AS(self_written(model, ids, {.tokens = -1}), ValueError);
  CHECK_THROWS_AS(self_written(model, ids.narrow(1, 0, 0), {.tokens = 1}), ShapeError);
  CHECK_THROWS_AS(head_hits(heads, ids, {.ranks = 8}), ValueError);
  CHECK_THROWS_AS(head_hits(heads, ids, {.ranks = 0}), ValueError);
  CHECK_THROWS_AS(head_hits(heads, ids, {.ranks = 3, .first = -1}), ValueError);
  CHECK_THROWS_AS(head_hits(heads, ids, {.ranks = 3, .first = 1}), ShapeError);
  CHECK_THROWS_AS(path_accuracy({}, {{0}}), ValueError);
  CHECK_THROWS_AS(path_accuracy({{0, 1}, {0}}, {{0}}), ValueError);
  CHECK_THROWS_AS(path_accuracy({{0, 1}}, {{0, 1, 2}}), ValueError);
  CHECK_THROWS_AS(path_accuracy({{0, 1}}, {{}}), ValueError);
  CHECK_THROWS_AS(path_accuracy({{0, -1}}, {{0, -1}}), ValueError);
  struct Silent : GPT {  // a model that does not show its head
    using GPT::GPT;
    Tensor head_weight() const override { return CausalLM::head_weight(); }
  };
  const Silent silent({.vocabulary = 7, .context = 16, .dim = 4, .heads = 2, .layers = 1});
  CHECK_THROWS_AS(MedusaHeads(silent), NotSupported);
}
