// What models remember of sequences while drafts are run: every node sees its own path alone, and what is kept is what
// a fresh reading would give.
#include "nn/decoding/cache.h"

#include <memory>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/attention/core.h"
#include "nn/decoding/pretrained/gpt2.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/models/gpt.h"
#include "tensor/batch_invariant.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using Tokens = std::vector<int64_t>;

// One of each kind of model that takes trees, in f64: learned positions, tied heads, rotary positions.
std::vector<std::unique_ptr<CausalLM>> models_with_columns() {
  std::vector<std::unique_ptr<CausalLM>> all;
  all.push_back(std::make_unique<GPT>(GPTOptions{.vocabulary = 11, .context = 24, .dim = 8, .heads = 2, .layers = 2}));
  all.push_back(
      std::make_unique<GPT2>(GPT2Options{.vocabulary = 11, .context = 24, .dim = 8, .heads = 2, .layers = 2}));
  all.push_back(std::make_unique<Llama>(
      LlamaOptions{.vocabulary = 11, .context = 24, .dim = 8, .heads = 4, .layers = 2, .kv_heads = 2, .hidden = 12}));
  for (auto& model : all) model->to(f64), model->eval();
  return all;
}

//     0
//    / \ .
//   1   2
//  /|   |
// 3 4   5
//       |
//       6
Draft bushy() { return {.token = {3, 0, 7, 9, 0, 10, 1}, .parent = {-1, 0, 0, 1, 1, 2, 5}, .proposal = {}}; }
Draft chain(const Tokens& tokens) {
  Draft draft{.token = tokens, .parent = {}, .proposal = {}};
  for (size_t i = 0; i < tokens.size(); ++i) draft.parent.push_back(int64_t(i) - 1);
  return draft;
}
Tokens path_to(const Draft& draft, int64_t node) {
  Tokens path;
  for (int64_t n = node; n >= 0; n = draft.parent[size_t(n)]) path.insert(path.begin(), draft.token[size_t(n)]);
  return path;
}
// The features of the last of these tokens, by the whole sequence at once.
Tensor plain_features(const CausalLM& model, Tokens tokens, const Tokens& more) {
  NoGrad guard;
  tokens.insert(tokens.end(), more.begin(), more.end());
  const int64_t n = int64_t(tokens.size());
  const Device device = const_cast<CausalLM&>(model).parameters().front().device();
  return model.features(from_data(tokens, {1, n}).to(device))[0][n - 1];
}

const verify::Tolerance kClose{1e-11, 1e-12};

}  // namespace

TEST_CASE("each node of a tree has the features of its path run by itself, in rows of different lengths",
          "[decoding]") {
  for (const auto& model : models_with_columns()) {
    const std::vector<Tokens> prompts{{5, 1, 2}, {4}, {9, 9, 8, 0, 1, 6}};
    const std::vector<Draft> drafts{bushy(),
                                    chain({6, 0, 0}),
                                    {.token = {2, 8, 1}, .parent = {-1, 0, 0}, .proposal = {}}};
    SequenceCache cache(*model);
    const Tensor last = cache.begin(prompts);
    for (size_t b = 0; b < prompts.size(); ++b)
      CHECK(verify::close(last[int64_t(b)], plain_features(*model, prompts[b], {}), kClose).message == "");
    const Tensor features = cache.run(drafts);
    CHECK(features.shape() == Shape{3, 7, 8});
    for (size_t b = 0; b < drafts.size(); ++b)
      for (size_t node = 0; node < drafts[b].token.size(); ++node)
        CHECK(verify::close(features[int64_t(b)][int64_t(node)],
                            plain_features(*model, prompts[b], path_to(drafts[b], int64_t(node))), kClose)
                  .message == "");
  }
}

TEST_CASE("with BatchInvariant a tree's features and the cache are those of plain decoding, bit for bit",
          "[decoding]") {
  for (const DType dtype : {f32, bf16})
    for (const auto& model : models_with_columns()) {
      NoGrad guard;
      BatchInvariant invariant;
      model->to(dtype);
      std::vector<Tokens> texts{{5, 1, 2}, {4}};
      SequenceCache cache(*model);
      CHECK(equal(cache.begin(texts)[1], plain_features(*model, texts[1], {})));
      const std::vector<Draft> drafts{bushy(), chain({6, 0, 0})};
      for (const std::vector<Tokens>& nodes :
           std::vector<std::vector<Tokens>>{{{0, 2, 5}, {0}}, {{0, 1, 4}, {0, 1, 2}}}) {
        const Tensor features = cache.run(drafts);
        for (size_t b = 0; b < 2; ++b)
          for (int64_t node = 0; node < drafts[b].nodes(); ++node)
            CHECK(equal(features[int64_t(b)][node], plain_features(*model, texts[b], path_to(drafts[b], node))));
        cache.keep(nodes);
        for (size_t b = 0; b < 2; ++b)
          for (int64_t node : nodes[b]) texts[b].push_back(drafts[b].token[size_t(node)]);
      }
    }
}

TEST_CASE("a sibling's token does not leak into other branches", "[decoding]") {
  for (const auto& model : models_with_columns()) {
    SequenceCache cache(*model);
    cache.begin({{5, 1, 2}});
    Draft draft = bushy();
    const Tensor before = cache.run({draft});
    cache.keep({{}});
    draft.token[1] = 8;
    const Tensor after = cache.run({draft});
    for (int64_t node : {0, 2, 5, 6}) CHECK(ink::equal(before[0][node], after[0][node]));
    for (int64_t node : {1, 3, 4}) CHECK_FALSE(ink::equal(before[0][node], after[0][node]));
  }
}

TEST_CASE("what is kept is what a fresh reading gives, whatever was forgotten", "[decoding]") {
  for (const auto& model : models_with_columns()) {
    std::vector<Tokens> texts{{5, 1, 2}, {4}};
    SequenceCache cache(*model);
    cache.begin(texts);
    const std::vector<std::vector<Tokens>> kept{{{0, 2, 5, 6}, {0}}, {{0, 1, 4}, {0, 1, 2}}, {{0}, {0, 1}}};
    for (const std::vector<Tokens>& nodes : kept) {
      const std::vector<Draft> drafts{bushy(), chain({6, 0, 0})};
      cache.run(drafts);
      cache.keep(nodes);
      for (size_t b = 0; b < 2; ++b) {
        for (int64_t node : nodes[b]) texts[b].push_back(drafts[b].token[size_t(node)]);
        CHECK(cache.length(int64_t(b)) == int64_t(texts[b].size()));
      }
      SequenceCache trial = cache;  // a copy goes on by itself
      const Tensor features = trial.run({chain({7}), chain({10, 3})});
      CHECK(verify::close(features[0][0], plain_features(*model, texts[0], {7}), kClose).message == "");
      CHECK(verify::close(features[1][1], plain_features(*model, texts[1], {10, 3}), kClose).message == "");
    }
  }
}

TEST_CASE("rows leave the batch, and the others go on", "[decoding]") {
  for (const auto& model : models_with_columns()) {
    SequenceCache cache(*model);
    cache.begin({{5, 1, 2}, {4}, {9, 8}});
    cache.select_rows({2, 1});
    CHECK(cache.rows() == 2);
    CHECK(cache.length(0) == 2);
    const Tensor features = cache.run({chain({7, 0}), chain({10, 3})});
    CHECK(verify::close(features[0][1], plain_features(*model, {9, 8}, {7, 0}), kClose).message == "");
    CHECK(verify::close(features[1][1], plain_features(*model, {4}, {10, 3}), kClose).message == "");
    CHECK_THROWS_WITH(cache.select_rows({0}), contains("keep() has to say first"));
    cache.keep({{0}, {0, 1}});
    CHECK_THROWS_AS(cache.select_rows({2}), IndexError);
    CHECK_THROWS_AS(cache.select_rows({}), ValueError);
  }
}

TEST_CASE("a recurrence goes back to where it was, and reads what is kept once more", "[decoding]") {
  const std::vector<std::vector<BlockKind>> stacks{{KindChoice(kinds::Softmax{.window = 6})},
                                                   {SsmKind::mamba, SsmKind::retnet},
                                                   {KindChoice(AttentionKind::linear)},
                                                   {SsmKind::gated_delta_net, KindChoice(AttentionKind::softmax)}};
  for (const std::vector<BlockKind>& stack : stacks) {
    GPT model({.vocabulary = 11, .context = 24, .dim = 8, .heads = 2, .stack = stack});
    model.to(f64), model.eval();
    CHECK_FALSE(model.takes_places());
    Tokens text{5, 1, 2};
    SequenceCache cache(model);
    cache.begin({text});
    for (int64_t kept : {2, 4, 0, 1}) {
      const Tokens tokens{3, 0, 7, 9};
      const Tensor features = cache.run({chain(tokens)});
      for (int64_t i = 0; i < 4; ++i)
        CHECK(verify::close(features[0][i], plain_features(model, text, {tokens.begin(), tokens.begin() + i + 1}),
                            {1e-9, 1e-10})
                  .message == "");
      Tokens nodes;
      for (int64_t i = 0; i < kept; ++i) nodes.push_back(i), text.push_back(tokens[size_t(i)]);
      cache.keep({nodes});
    }
    CHECK_THROWS_WITH(cache.run({bushy()}), contains("keep a column for each token"));
    CHECK(cache.length(0) == int64_t(text.size()));
    const Tensor features = cache.run({chain({8})});
    CHECK(verify::close(features[0][0], plain_features(model, text, {8}), {1e-9, 1e-10}).message == "");
    CHECK_THROWS_WITH(SequenceCache(model).begin({{1, 2}, {3}}), contains("a cache a row"));
  }
}

TEST_CASE("a draft that does not fit is refused before anything is read", "[decoding]") {
  for (const auto& model : models_with_columns()) {
    Tokens text(size_t(21), 4);
    SequenceCache cache(*model);
    CHECK_THROWS_WITH(cache.begin({}), contains("got no rows"));
    CHECK_THROWS_WITH(cache.begin({{}}), contains("empty row"));
    CHECK_THROWS_WITH(cache.begin({{11}}), contains("outside of the vocabulary"));
    CHECK_THROWS_WITH(cache.begin({Tokens(25, 0)}), contains("does not fit the context"));
    cache.begin({text});
    CHECK_THROWS_WITH(cache.run({bushy()}),
                      contains("does not fit the context; got 4 tokens below one another after 21"));
    CHECK_THROWS_AS(cache.run({}), ValueError);
    CHECK_THROWS_AS(cache.run({chain({1}), chain({1})}), ValueError);
    CHECK_THROWS_WITH(cache.keep({{0}}), contains("no drafts were run"));
    // 4 nodes side by side are more columns than the context has, but no more positions.
    const Draft wide{.token = {1, 2, 3, 4, 5}, .parent = {-1, 0, 0, 0, 3}, .proposal = {}};
    const Tensor features = cache.run({wide});
    CHECK(verify::close(features[0][4], plain_features(*model, text, {1, 4, 5}), kClose).message == "");
    CHECK_THROWS_WITH(cache.run({wide}), contains("keep() has to say first"));
    CHECK_THROWS_WITH(cache.keep({{0, 4}}), contains("no path from the root"));
    CHECK_THROWS_WITH(cache.keep({{1}}), contains("no path from the root"));
    CHECK_THROWS_WITH(cache.keep({{5}}), contains("no path from the root"));
    cache.keep({{0, 3, 4}});
    CHECK(cache.length(0) == 24);
    CHECK_THROWS_WITH(cache.run({chain({1})}), contains("does not fit the context"));
  }
}

TEST_CASE("caches of keys grow in place, and stay values", "[decoding]") {
  NoGrad guard;
  AttentionState state;
  const Tensor first = normal({2, 3, 5, 4}, 1, f32), more = normal({2, 3, 2, 4}, 2, f32),
               other = normal({2, 3, 2, 4}, 3, f32);
  state.append(first, first);
  const void* memory = state.key.raw_data();
  AttentionState copy = state;
  const Tensor handle = state.key;
  state.append(more, more);
  CHECK(state.key.raw_data() == memory);  // no copy of what was there
  copy.append(other, other);              // the room behind it is taken
  CHECK(copy.key.raw_data() != memory);
  CHECK(equal(state.key, cat({first, more}, 2)));
  CHECK(equal(copy.key, cat({first, other}, 2)));
  CHECK(equal(handle, first));

  state.keep(6, from_data(Tokens{}, {0}).to(first.device()));  // one of `more` stays
  const Tensor seen = state.key;                               // somebody looks at it
  state.append(other, other);
  CHECK(equal(state.key, cat({first, more.narrow(2, 0, 1), other}, 2)));
  CHECK(equal(seen, cat({first, more.narrow(2, 0, 1)}, 2)));

  const Tensor rows = from_data(Tokens{7, 5}, {2}).to(first.device());
  state.keep(4, rows);
  CHECK(state.time == 6);
  CHECK(equal(state.key, cat({first.narrow(2, 0, 4), other.narrow(2, 1, 1), more.narrow(2, 0, 1)}, 2)));
}

TEST_CASE("keys with gradients grow by copies, so that every step can be differentiated", "[decoding]") {
  Tensor k = normal({1, 1, 2, 3}, 1, f64).requires_grad_(), m = normal({1, 1, 2, 3}, 2, f64).requires_grad_();
  AttentionState state;
  state.append(k, k);
  const Tensor before = state.key;
  state.append(m, m);
  (before.square().sum() + (state.key * 3.0).sum()).backward();
  CHECK(verify::close(k.grad(), k.detach() * 2.0 + 3.0, kClose).message == "");
  CHECK(verify::close(m.grad(), full_like(m.detach(), 3.0), kClose).message == "");
}
