// Trees filled by Medusa's and by Hydra's heads, and whole texts written with them.
#include "autograd/graph/mode.h"
#include "nn/decoding/generate.h"
#include "nn/decoding/medusa/accuracy.h"
#include "nn/decoding/medusa/drafter.h"
#include "nn/decoding/medusa/training.h"
#include "nn/decoding/tree_search.h"
#include "nn/init.h"
#include "nn/models/gpt.h"
#include "optim/adam.h"
#include "tests/catch.h"
#include "tests/decoding/table_model.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using Tokens = std::vector<int64_t>;

Tensor table_of(std::initializer_list<double> p) { return from_data(p, {4, 4}, {f32, default_device()}); }
// Scores of the next token after each of four.
const auto kAfter = {0., 4., 3., 1., 2., 1., 0., 5., 3., 3., 1., 0., 9., 1., 8., 2.};
const auto kLater = {1., 2., 3., 4., 4., 3., 2., 1., 0., 0., 7., 6., 5., 9., 0., 0.};

// Requests for texts, with the features of the token before the last.
struct Requests {
  std::vector<Tokens> texts;
  std::vector<DraftRequest> all;
  Requests(const CausalLM& model, std::vector<Tokens> t, std::vector<int64_t> most_depth) : texts(std::move(t)) {
    const NoGrad guard;
    for (size_t i = 0; i < texts.size(); ++i) {
      const Tokens seen(texts[i].begin(), texts[i].end() - 1);
      const Tensor ids = from_data(std::span<const int64_t>(seen), {1, int64_t(seen.size())}).to(default_device());
      const Tensor feature = model.features(ids).select(1, int64_t(seen.size()) - 1).select(0, 0);
      all.push_back({.row = int64_t(i), .tokens = &texts[i], .feature = feature, .most_depth = most_depth[i]});
    }
  }
};

GPT lively_gpt() {
  manual_seed(4);
  GPT model({.vocabulary = 13, .context = 32, .dim = 16, .heads = 2, .layers = 1});
  const NoGrad guard;
  for (auto& [name, p] : model.named_parameters())
    if (p.dim() == 2) p.copy_(init::normal(p.shape(), name.starts_with("blocks") ? 0.25 : 1.0).to(p.options()));
  model.eval();
  return model;
}
template <class Heads> void fill_at_random(Heads& heads) {
  const NoGrad guard;
  for (Tensor p : heads.parameters()) p.copy_(init::normal(p.shape(), 0.5).to(p.options()));
}
const std::vector<std::vector<int64_t>> kPaths = {{0}, {1}, {2}, {0, 0}, {0, 1}, {1, 0}, {2, 2}, {0, 0, 0}, {1, 0, 1}};

}  // namespace

TEST_CASE("a Medusa draft holds each head's likeliest tokens, row by row", "[medusa]") {
  const TableModel model(table_of(kAfter));
  MedusaHeads heads(model, {.heads = 3, .output = HeadOutput::own});
  heads.heads[1].output->weight = transpose(table_of(kLater), 0, 1);
  MedusaDrafter drafter(heads, TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 2}, {1, 1}}));
  const Requests requests(model, {{3, 0, 2}, {1, 3}, {2, 2, 2, 0}}, {5, 5, 1});
  const std::vector<Draft> drafts = drafter.draft(requests.all);
  REQUIRE(drafts.size() == 3);
  // Before the roots stand 0, 1 and 2. Head 0 says 1 2, 3 0 and 0 1 (equal), head 1 says 3 2 1, 0 1 2 and 2 3 0.
  CHECK(drafts[0].token == Tokens{2, 1, 2, 3, 1, 2});
  CHECK(drafts[0].parent == Tokens{-1, 0, 0, 1, 1, 2});
  CHECK(drafts[1].token == Tokens{3, 3, 0, 0, 2, 1});
  CHECK(drafts[2].token == Tokens{0, 0, 1});  // one token below the root was asked for
  CHECK(drafts[2].parent == Tokens{-1, 0, 0});
  for (const Draft& d : drafts) check(d, 4);
  CHECK(drafter.draft({}).empty());
  CHECK(MedusaDrafter(heads, TreeShape()).draft(requests.all)[1].token == Tokens{3});
}

TEST_CASE("a Hydra draft follows from the tokens of each path", "[hydra]") {
  const TableModel model(table_of(kAfter));
  HydraHeads heads(model, {.heads = 2});
  {
    const NoGrad guard;  // head k passes on what follows the last token it is told
    for (int64_t k = 0; k < 2; ++k)
      heads.heads[size_t(k)].weight.narrow(1, (k + 1) * 4, 4).copy_(90 * eye(4, {f32, default_device()}));
  }
  HydraDrafter drafter(heads, TreeShape::from_paths({{0}, {1}, {0, 0}, {1, 0}, {1, 1}}));
  const Requests requests(model, {{3, 0, 2}, {1, 3}, {2, 2, 2, 1}}, {2, 1, 0});
  const std::vector<Draft> drafts = drafter.draft(requests.all);
  // After the root 2 come 0 and 1 alike, and the feature is for 1; after 1 comes 3, after 0 come 1 and 2.
  CHECK(drafts[0].token == Tokens{2, 1, 0, 3, 1, 2});
  CHECK(drafts[0].parent == Tokens{-1, 0, 0, 1, 2, 2});
  CHECK(drafts[1].token == Tokens{3, 0, 2});
  CHECK(drafts[2].token == Tokens{1});
  for (const Draft& d : drafts) check(d, 4);
  CHECK(drafter.draft({}).empty());
}

TEST_CASE("a draft of many paths holds what the heads say of each by itself", "[medusa][hydra]") {
  const GPT model = lively_gpt();
  MedusaHeads medusa(model, {.heads = 3, .blocks = 2, .output = GENERATE(HeadOutput::shared, HeadOutput::own)});
  HydraHeads hydra(model, {.heads = 4});
  fill_at_random(medusa), fill_at_random(hydra);
  const TreeShape shape = TreeShape::from_paths(kPaths);
  const Requests requests(model, {{3, 0, 2}, {7, 11, 12, 1}}, {3, 3});
  const std::vector<Draft> by_medusa = MedusaDrafter(medusa, shape).draft(requests.all),
                           by_hydra = HydraDrafter(hydra, shape).draft(requests.all);
  const auto guess = [](const Tensor& logits, int64_t rank) {
    return std::get<1>(topk(logits, rank + 1)).select(0, rank).item<int64_t>();
  };
  for (size_t b = 0; b < 2; ++b)
    for (int64_t node = 1; node < shape.nodes(); ++node) {
      const int64_t head = shape.depths()[size_t(node)] - 1, rank = shape.rank()[size_t(node)];
      const Tensor& h = requests.all[b].feature;
      CHECK(by_medusa[b].token[size_t(node)] == guess(medusa.logits(h, head), rank));
      Tokens path;
      for (const int64_t at : path_to(shape.parent(), shape.parent()[size_t(node)]))
        path.push_back(by_hydra[b].token[size_t(at)]);
      const Tensor told = from_data(std::span<const int64_t>(path), {head + 1}).to(default_device());
      CHECK(by_hydra[b].token[size_t(node)] == guess(hydra.logits(h, told, head), rank));
    }
}

TEST_CASE("a tree that does not fit the heads is refused when the drafter is made", "[medusa]") {
  const GPT model = lively_gpt();
  const MedusaHeads medusa(model, {.heads = 2});
  const HydraHeads hydra(model, {.heads = 2});
  CHECK_NOTHROW(MedusaDrafter(medusa, TreeShape::cartesian({13, 1})));
  CHECK_THROWS_AS(MedusaDrafter(medusa, TreeShape::chain(3)), ValueError);
  CHECK_THROWS_AS(MedusaDrafter(medusa, TreeShape::cartesian({14})), ValueError);
  CHECK_THROWS_AS(HydraDrafter(hydra, TreeShape::chain(3)), ValueError);
  CHECK_THROWS_AS(HydraDrafter(hydra, TreeShape::cartesian({14})), ValueError);
}

TEST_CASE("a tree with branches is refused before the first pass by a model that goes along one line", "[medusa]") {
  GPT model({.vocabulary = 11, .context = 16, .dim = 8, .heads = 2, .stack = {SsmKind::mamba}});
  model.eval();
  MedusaHeads heads(model, {.heads = 2});
  MedusaDrafter branches(heads, TreeShape::cartesian({2, 2})), chain(heads, TreeShape::chain(2));
  CHECK_THROWS_WITH(generate(model, {{1, 2}}, {.max_tokens = 4}, branches), contains("a tree with branches"));
  CHECK(generate(model, {{1, 2}}, {.max_tokens = 4}, chain).rows[0].tokens.size() == 4);
}

TEST_CASE("greedy text with untrained heads is the plain one, for several rows", "[medusa][hydra]") {
  const GPT model = lively_gpt();
  MedusaHeads medusa(model, {.heads = 3});
  HydraHeads hydra(model, {.heads = 3});
  fill_at_random(medusa), fill_at_random(hydra);
  const TreeShape shape = TreeShape::from_paths(kPaths);
  MedusaDrafter by_medusa(medusa, shape);
  HydraDrafter by_hydra(hydra, shape);
  const int64_t count = default_device().is_cuda() ? 4 : 25;
  const std::vector<Tokens> prompts = {{1, 2, 3, 4, 5, 6}, {0}, {12, 12}};
  const GenerateOptions o{.max_tokens = count};
  const Generation plain = generate(model, prompts, o), a = generate(model, prompts, o, by_medusa),
                   b = generate(model, prompts, o, by_hydra);
  for (size_t i = 0; i < prompts.size(); ++i) {
    CHECK(int64_t(plain.rows[i].tokens.size()) == count);
    CHECK(a.rows[i].tokens == plain.rows[i].tokens);
    CHECK(b.rows[i].tokens == plain.rows[i].tokens);
  }
}

TEST_CASE("trained heads bring as many tokens a step as their hits say", "[medusa][hydra]") {
  if (default_device().is_cuda()) return;  // long
  GPT model = lively_gpt();
  const std::vector<Tokens> prompts = {{1, 2}, {5, 0}, {9, 4}, {3, 3}, {8, 12}, {0, 7}, {6, 6}, {2, 11}};
  Tensor starts = zeros({8, 2}, {i64});
  for (int64_t i = 0; i < 16; ++i) starts[i / 2][i % 2].fill_(prompts[size_t(i / 2)][size_t(i % 2)]);
  const Tensor text = self_written(model, starts, {.tokens = 30});
  MedusaHeads medusa(model, {.heads = 3, .output = HeadOutput::own});
  HydraHeads hydra(model, {.heads = 3});
  const auto train = [&](auto& heads, auto loss) {
    Adam optimizer(heads.parameters(), {.lr = 1e-2});
    for (int64_t i = 0; i < 60; ++i) loss(heads, text).backward(), optimizer.step(), optimizer.zero_grad();
  };
  train(medusa, [](const auto& heads, const Tensor& ids) { return medusa_loss(heads, ids); });
  train(hydra, [](const auto& heads, const Tensor& ids) { return hydra_loss(heads, ids); });
  const auto check_rate = [&](const auto& heads, auto make_drafter) {
    const auto hit = head_hits(heads, text, {.ranks = 4, .first = 1});
    const GrownTree grown = grow_tree(rank_accuracy(hit, 4), 12);
    const double expected = tokens_per_step(grown.shape, hit);
    auto drafter = make_drafter(heads, grown.shape);
    const Generation g = generate(model, prompts, {.max_tokens = 30}, drafter);
    const Tokens want = text.select(0, 3).to_vector<int64_t>();
    CHECK(g.rows[3].tokens == Tokens(want.begin() + 2, want.end()));
    CHECK(expected > 1.5);
    CHECK(g.tokens_per_step() == Approx(expected).epsilon(0.15));  // steps begin at other places, and end at the last
    double by_paths = 1;
    for (const double share : path_accuracy(hit, grown.shape.paths())) by_paths += share;
    CHECK(by_paths == Approx(expected).epsilon(1e-12));
  };
  check_rate(medusa, [](const MedusaHeads& h, const TreeShape& s) { return MedusaDrafter(h, s); });
  check_rate(hydra, [](const HydraHeads& h, const TreeShape& s) { return HydraDrafter(h, s); });
}
