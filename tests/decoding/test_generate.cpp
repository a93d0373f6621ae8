// Generation: whatever is guessed, the text is that of plain decoding, or its distribution.
#include "nn/decoding/generate.h"

#include <algorithm>
#include <map>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/decoding/pretrained/pretrained.h"
#include "nn/decoding/tree.h"
#include "nn/init.h"
#include "nn/models/gpt.h"
#include "tensor/batch_invariant.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using Tokens = std::vector<int64_t>;

// The simulator is a thousand times slower: shorter texts, fewer shapes.
bool on_device() { return default_device().is_cuda(); }

// A GPT whose next token depends on what came before: weights so large that it does not say the same for ever.
GPT restless(int64_t context = 48, int64_t layers = 2) {
  manual_seed(4);
  GPT model({.vocabulary = 13, .context = context, .dim = 16, .heads = 2, .layers = layers});
  NoGrad guard;
  for (auto& [name, p] : model.named_parameters())
    if (p.dim() == 2) p.copy_(init::normal(p.shape(), name == "head.weight" || name == "tokens.weight" ? 1.0 : 0.25));
  model.eval();
  return model;
}

// Token by token by the model's own step, without anything of this folder.
Tokens plain_text(const CausalLM& model, const Tokens& prompt, int64_t count) {
  NoGrad guard;
  BatchInvariant invariant;
  std::vector<BlockState> states;
  const Device device = const_cast<CausalLM&>(model).parameters().front().device();
  Tensor logits = model.step(from_data(prompt, {1, int64_t(prompt.size())}).to(device), states);
  Tokens text;
  while (true) {
    text.push_back(argmax(logits[0][logits.size(1) - 1], 0).item<int64_t>());
    if (int64_t(text.size()) == count) return text;
    logits = model.step(from_data(Tokens{text.back()}, {1, 1}).to(device), states);
  }
}

// Trees of a fixed shape. It knows the right text and puts the right token at a node with a given probability, else one
// from 0 .. vocabulary - 1 that no sibling has: adversarial at 0, perfect at 1.
struct KnowingDrafter final : Drafter {
  TreeShape shape;
  std::vector<Tokens> texts;  // with the prompts
  double right;
  int64_t vocabulary = 13;
  Generator generator{5};
  KnowingDrafter(TreeShape shape, std::vector<Tokens> texts, double right)
      : shape(std::move(shape)), texts(std::move(texts)), right(right) {}
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override {
    std::vector<Draft> all;
    for (const DraftRequest& r : requests) {
      Draft d{.token = {r.tokens->back()}, .parent = shape.parent(), .proposal = {}};
      std::vector<Tokens> used(shape.parent().size());
      for (size_t i = 1; i < shape.parent().size(); ++i) {
        Tokens& taken = used[size_t(shape.parent()[i])];
        const size_t at = r.tokens->size() + size_t(shape.depths()[i]) - 1;
        const Tokens& text = texts[size_t(r.row)];
        int64_t token = at < text.size() && uniform(generator) < right
                            ? text[at]
                            : int64_t(uniform(generator) * double(vocabulary));
        while (std::find(taken.begin(), taken.end(), token) != taken.end()) token = (token + 1) % vocabulary;
        taken.push_back(token);
        d.token.push_back(token);
      }
      all.push_back(std::move(d));
    }
    return all;
  }
};

Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct Watcher final : GenerationListener {
  std::vector<Tokens> told{8};
  int64_t most = 1 << 20;
  bool on_tokens(int64_t row, const Tokens& tokens) override {
    told[size_t(row)] = joined(told[size_t(row)], tokens);
    return int64_t(told[size_t(row)].size()) < most;
  }
};

const std::vector<TreeShape>& shapes() {
  static const std::vector<TreeShape> all{
      TreeShape(),
      TreeShape::chain(1),
      TreeShape::chain(4),
      TreeShape::from_paths({{0}, {1}}),
      TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}}),
      TreeShape::cartesian({3, 2}),
      TreeShape::cartesian({2, 2, 2}),
      TreeShape::from_paths({{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}}),
      TreeShape::from_paths({{0}, {0, 0}, {0, 0, 0}, {0, 0, 0, 0}, {1}, {1, 0}, {1, 0, 0}, {1, 0, 0, 0}}),
      TreeShape::cartesian({5, 3, 2}),
  };
  static const std::vector<TreeShape> few{all[0], all[2], all[4]};
  return on_device() ? few : all;
}

}  // namespace

TEST_CASE("greedy text by any tree is plain greedy text, token for token", "[decoding]") {
  const int64_t count = on_device() ? 24 : 1000;
  const GPT model = restless(1200);
  const Tokens prompt{3}, text = plain_text(model, prompt, count);
  std::map<int64_t, int64_t> counts;
  for (int64_t token : text) ++counts[token];
  if (!on_device()) {
    REQUIRE(counts.size() >= 5);  // else the test would be easy
    REQUIRE(counts[0] > 0);       // token 0 is one like any other
  }
  for (const TreeShape& shape : shapes())
    for (double right : {0.0, 0.5, 1.0}) {
      KnowingDrafter drafter(shape, {joined(prompt, text)}, right);
      const Generation g = generate(model, {prompt}, {.max_tokens = count}, drafter);
      INFO(shape.picture() << right);
      CHECK(g.rows[0].tokens == text);
      CHECK(g.rows[0].stop == StopReason::length);
      int64_t gained = 1;
      for (int64_t n : g.rows[0].gained) gained += n;
      CHECK(gained == count);
      if (right == 1) CHECK(int64_t(g.rows[0].gained.size()) == (count - 1 + shape.depth()) / (shape.depth() + 1));
      if (shape.depth() == 0) CHECK(g.tokens_per_step() == 1);
    }
}

TEST_CASE("rows of different lengths are each as if alone", "[decoding]") {
  const GPT model = restless(40);
  const std::vector<Tokens> prompts{{3}, {1, 2, 3, 4, 5, 6, 0, 0}, {0}, {7, 7, 7}};
  std::vector<Tokens> alone, whole;
  for (const Tokens& prompt : prompts) {
    alone.push_back(plain_text(model, prompt, 30));
    whole.push_back(joined(prompt, alone.back()));
  }
  for (const TreeShape& shape : shapes()) {
    KnowingDrafter drafter(shape, whole, 0.6);
    Watcher watcher;
    const Generation g = generate(model, prompts, {.max_tokens = 30}, drafter, &watcher);
    for (size_t b = 0; b < prompts.size(); ++b) {
      CHECK(g.rows[b].tokens == alone[b]);
      CHECK(watcher.told[b] == alone[b]);
    }
  }
  // Drawn texts too: each row has a stream of its own.
  auto drawn = [&](const std::vector<Tokens>& some) {
    Generator generator(11);
    return generate(model, some, {.max_tokens = 20, .sampling = SamplingOptions{}, .generator = &generator});
  };
  const Generation together = drawn(prompts), first = drawn({prompts[0]});
  CHECK(together.rows[0].tokens == first.rows[0].tokens);
  CHECK(together.rows[0].tokens != together.rows[2].tokens);
  // And each call: no row of the next one says the same again.
  Generator generator(11);
  const GenerateOptions options{.max_tokens = 12,
                                .sampling = SamplingOptions{.temperature = 3},
                                .generator = &generator};
  const std::vector<Tokens> same(7, Tokens{3});
  const Generation one = generate(model, same, options), two = generate(model, same, options);
  for (const Generated& a : one.rows)
    for (const Generated& b : two.rows) CHECK(a.tokens != b.tokens);
}

TEST_CASE("a text ends at tokens, strings, the context, the length and when nobody listens", "[decoding]") {
  const GPT model = restless(40);
  const Tokens prompt{3}, text = plain_text(model, prompt, 39);
  auto letters = token_bytes([](int64_t token) { return std::string(1, char('a' + token)); });
  for (const TreeShape& shape : shapes()) {
    KnowingDrafter drafter(shape, {joined(prompt, text)}, 0.7);
    auto run = [&](GenerateOptions options, GenerationListener* listener = nullptr) {
      return generate(model, {prompt}, options, drafter, listener).rows[0];
    };
    // The context holds 40 tokens: 1 of the prompt, 39 read, and one more is written after the last.
    const Generated full = run({.max_tokens = 1000});
    CHECK(full.stop == StopReason::context);
    CHECK(full.tokens.size() == 40);
    CHECK(std::equal(text.begin(), text.end(), full.tokens.begin()));

    const int64_t stop = text[17];
    const size_t first = size_t(std::find(text.begin(), text.end(), stop) - text.begin());
    const Generated ended = run({.stop_tokens = {stop}});
    CHECK(ended.stop == StopReason::token);
    CHECK(ended.tokens == Tokens(text.begin(), text.begin() + int64_t(first) + 1));

    std::string all;
    for (int64_t token : text) all += letters->of(token);
    const std::string wanted = all.substr(20, 3);
    const Generated at_string = run({.stop_strings = {"!", wanted}, .bytes = letters});
    CHECK(at_string.stop == StopReason::string);
    CHECK(at_string.tokens.size() == all.find(wanted) + 3);

    Watcher watcher;
    watcher.most = 9;
    const Generated left = run({}, &watcher);
    CHECK(left.stop == StopReason::listener);
    CHECK(left.tokens.size() >= 9);
    CHECK(std::equal(left.tokens.begin(), left.tokens.end(), text.begin()));

    CHECK(run({.max_tokens = 0}).tokens.empty());
    CHECK(run({.max_tokens = 1}).tokens == Tokens{text[0]});
  }
}

TEST_CASE("all kinds of models write on, by recurrences, windows and rotations", "[decoding]") {
  std::vector<std::unique_ptr<CausalLM>> models;
  for (const std::vector<BlockKind>& stack : std::vector<std::vector<BlockKind>>{
           {SsmKind::mamba},
           {SsmKind::rwkv6, KindChoice(AttentionKind::softmax)},
           {KindChoice(AttentionKind::linear)},
           {KindChoice(kinds::Local{.window = 5})},
           {KindChoice(kinds::Softmax{.window = 8})},
           {KindChoice(AttentionKind::softmax), KindChoice(kinds::Softmax{.window = 3})}})
    models.push_back(
        std::make_unique<GPT>(GPTOptions{.vocabulary = 13, .context = 64, .dim = 16, .heads = 2, .stack = stack}));
  models.push_back(std::make_unique<Llama>(
      LlamaOptions{.vocabulary = 13, .context = 64, .dim = 16, .heads = 4, .layers = 2, .kv_heads = 2, .hidden = 24}));
  for (const auto& model : models) {
    model->to(f64), model->eval();
    const std::vector<Tokens> prompts{{3, 1, 2, 1, 2}, {5}};
    const Generation plain = generate(*model, prompts, {.max_tokens = 25});
    for (size_t b = 0; b < prompts.size(); ++b) CHECK(plain.rows[b].tokens == plain_text(*model, prompts[b], 25));
    LookupDrafter lookup;
    CHECK(generate(*model, prompts, {.max_tokens = 25}, lookup).rows[0].tokens == plain.rows[0].tokens);
    ModelDrafter itself(*model);
    const Generation by_itself = generate(*model, prompts, {.max_tokens = 25}, itself);
    for (size_t b = 0; b < prompts.size(); ++b) CHECK(by_itself.rows[b].tokens == plain.rows[b].tokens);
    CHECK(by_itself.tokens_per_step() > 4);  // a model that agrees with itself: 5 tokens a pass, until the end
  }
}

TEST_CASE("checkpoints of others continue as in the public implementations, with and without drafts", "[decoding]") {
  for (const char* name : {"gpt2", "llama", "llama_tied", "mistral", "qwen2", "rope_yarn"}) {
    INFO(name);
    const std::string folder = std::string(INK_SOURCE_DIR) + "/tests/golden/language_models/" + name;
    const Pretrained p = load_pretrained(folder);
    Tokens text;
    for (const auto& [key, tensor] : load_npz(folder + "/expected.npz"))
      if (key == "greedy") text = tensor.to_vector<int64_t>();
    REQUIRE(text.size() > 6);
    const Tokens prompt(text.begin(), text.begin() + 5), rest(text.begin() + 5, text.end());
    const GenerateOptions options{.max_tokens = int64_t(rest.size())};
    CHECK(generate(*p.model, {prompt}, options).rows[0].tokens == rest);
    KnowingDrafter chain(TreeShape::chain(4), {text}, 0.6);
    chain.vocabulary = p.model->vocabulary();
    CHECK(generate(*p.model, {prompt}, options, chain).rows[0].tokens == rest);
    KnowingDrafter drafter(TreeShape::cartesian({3, 2, 2}), {text}, 0.6);
    drafter.vocabulary = p.model->vocabulary();
    CHECK(p.model->takes_places() == (std::string(name) != "mistral"));
    if (p.model->takes_places())
      CHECK(generate(*p.model, {prompt}, options, drafter).rows[0].tokens == rest);
    else  // a window is shorter than the context: a tree is refused at its first step
      CHECK_THROWS_AS(generate(*p.model, {prompt}, options, drafter), NotSupported);
  }
}

TEST_CASE("drafts by another model change no drawn distribution", "[decoding]") {
  if (on_device()) return;  // thousands of texts
  const GPT model = restless(12), small = restless(12, 1);
  const Tokens prompt{3, 1};
  // P(second and third token) in closed form: sum over the first.
  NoGrad guard;
  const SamplingOptions sampling{.temperature = 2.5};
  auto distribution = [&](const Tokens& tokens) {
    const Tensor ids =
        from_data(tokens, {1, int64_t(tokens.size())}).to(const_cast<GPT&>(model).parameters()[0].device());
    return next_distribution(model.forward(ids)[0][int64_t(tokens.size()) - 1], sampling);
  };
  std::map<std::pair<int64_t, int64_t>, double> law;
  const auto first = distribution(prompt);
  for (int64_t a = 0; a < 13; ++a) {
    const auto second = distribution(joined(prompt, {a}));
    for (int64_t b = 0; b < 13; ++b) law[{a, b}] += first[size_t(a)] * second[size_t(b)];
  }
  ModelDrafter drafter(small, {.length = 3, .sampling = SamplingOptions{}});
  Generator generator(3);
  constexpr int64_t kDraws = 4000;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;
  int64_t gained = 0;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Generation g =
        generate(model, {prompt}, {.max_tokens = 4, .sampling = sampling, .generator = &generator}, drafter);
    ++counts[{g.rows[0].tokens[0], g.rows[0].tokens[1]}];
    gained += g.rows[0].gained[0];
  }
  CHECK(gained > kDraws);      // drafts were accepted, and
  CHECK(gained < 3 * kDraws);  // others were not
  double chi = 0;
  int64_t cells = 0;
  double rest_expected = 0, rest_seen = 0;
  for (const auto& [pair, p] : law) {
    const double expected = p * double(kDraws), seen = double(counts[pair]);
    if (expected < 5) {
      rest_expected += expected, rest_seen += seen;
      continue;
    }
    chi += (seen - expected) * (seen - expected) / expected;
    ++cells;
  }
  if (rest_expected > 5) chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected, ++cells;
  REQUIRE(cells > 10);
  const double freedom = double(cells - 1);
  CHECK(chi < freedom + 4 * std::sqrt(2 * freedom));
}

TEST_CASE("what cannot be decoded is refused before the first pass", "[decoding]") {
  const GPT model = restless(12);
  auto run = [&](const std::vector<Tokens>& prompts, GenerateOptions options = {}) {
    return generate(model, prompts, options);
  };
  CHECK_THROWS_WITH(run({}), contains("got no prompts"));
  CHECK_THROWS_WITH(run({{1}, {}}), contains("prompt 1 is empty"));
  CHECK_THROWS_AS(run({{13}}), IndexError);
  CHECK_THROWS_AS(run({{-1}}), IndexError);
  CHECK_THROWS_WITH(run({Tokens(13, 1)}), contains("at most the context, 12"));
  CHECK_THROWS_WITH(run({{1}}, {.max_tokens = -1}), contains("max_tokens"));
  CHECK_THROWS_AS(run({{1}}, {.sampling = SamplingOptions{.temperature = 0}}), ValueError);
  CHECK_THROWS_AS(run({{1}}, {.sampling = SamplingOptions{.temperature = -1}}), ValueError);
  CHECK_THROWS_WITH(run({{1}}, {.acceptance = Acceptance::typical}), contains("hint: .sampling"));
  CHECK_THROWS_WITH(run({{1}}, {.stop_strings = {"a"}}), contains(".bytes = token_bytes"));
  CHECK_THROWS_AS(run({{1}}, {.stop_strings = {""}, .bytes = token_bytes([](int64_t) { return std::string(); })}),
                  ValueError);
  CHECK_THROWS_AS(run({{1}}, {.stop_tokens = {13}}), IndexError);
  CHECK_THROWS_AS(ModelDrafter(model, {.length = 0}), ValueError);
  CHECK_THROWS_AS(LookupDrafter({.longest = 1, .shortest = 2}), ValueError);
  CHECK(run({Tokens(12, 1)}).rows[0].tokens.size() == 1);  // a full context: one token more, after it

  struct Wrong final : Drafter {
    std::vector<Draft> draft(const std::vector<DraftRequest>&) override { return {}; }
  } wrong;
  CHECK_THROWS_WITH(generate(model, {{1}}, {}, wrong), contains("the drafter returned 0 drafts"));
  struct OtherRoot final : Drafter {
    std::vector<Draft> draft(const std::vector<DraftRequest>& r) override {
      return {{.token = {(r[0].tokens->back() + 1) % 13}, .parent = {-1}, .proposal = {}}};
    }
  } other;
  CHECK_THROWS_WITH(generate(model, {{1}}, {}, other), contains("the root of a draft"));
  const GPT larger({.vocabulary = 14, .context = 12, .dim = 8, .heads = 2, .layers = 1});
  ModelDrafter stranger(larger);
  CHECK_THROWS_WITH(generate(model, {{1}}, {}, stranger), contains("another vocabulary; got 14; expected 13"));
}

TEST_CASE("what stood in the text before is looked up", "[decoding]") {
  const Tokens tokens{1, 2, 3, 4, 9, 1, 2, 3, 5, 8, 1, 2, 3};
  DraftRequest request;
  request.tokens = &tokens;
  request.most_depth = 10;
  LookupDrafter drafter({.length = 3});
  Draft draft = drafter.draft({request})[0];
  CHECK(draft.token == Tokens{3, 5, 8, 1});  // the latest place of 1 2 3
  CHECK(draft.parent == Tokens{-1, 0, 1, 2});
  request.most_depth = 1;
  CHECK(drafter.draft({request})[0].token == Tokens{3, 5});
  const Tokens fresh{1, 2, 3}, one{4}, same{6, 6, 6};
  request.most_depth = 10;
  request.tokens = &fresh;
  CHECK(drafter.draft({request})[0].token == Tokens{3});
  request.tokens = &one;
  CHECK(drafter.draft({request})[0].token == Tokens{4});
  request.tokens = &same;
  CHECK(drafter.draft({request})[0].token == Tokens{6, 6});  // the latest run has one token behind it
}
