#include "nn/gpt.h"

#include "nn/attention/position.h"
#include "tests/catch.h"
#include "tests/support/golden.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor mask_of(std::initializer_list<double> values, const Shape& shape) { return from_data(values, shape, boolean); }

}  // namespace

TEST_CASE("multi-head attention equals PyTorch's, causal and masked", "[attention][golden]") {
  Golden golden("layers.npz");
  MultiHeadAttention plain({.dim = 8, .heads = 2}), causal({.dim = 8, .heads = 2, .causal = true});
  auto run = [&](const std::vector<Tensor>& in) { return plain.forward(in[0]); };
  auto run_causal = [&](const std::vector<Tensor>& in) { return causal.forward(in[0]); };
  auto run_masked = [&](const std::vector<Tensor>& in) { return plain.forward(in[0], golden("mha_masked.mask")); };
  CHECK(layer_differs(golden, "mha", plain, run) == "");
  CHECK(layer_differs(golden, "mha_causal", causal, run_causal) == "");
  CHECK(layer_differs(golden, "mha_masked", plain, run_masked) == "");
}

TEST_CASE("new tokens with a cache give what the whole sequence gives", "[attention]") {
  Tensor x = normal({2, 7, 12}, 1, f32);
  for (bool rotary : {false, true}) {
    MultiHeadAttention attention({.dim = 12, .heads = 3, .causal = true, .rotary = rotary});
    Tensor whole = attention.forward(x);
    for (int64_t piece : {1, 3, 7}) {
      KeyValueCache cache;
      std::vector<Tensor> y;
      for (const Tensor& part : x.split(piece, 1)) y.push_back(attention.step(part, cache));
      CHECK(verify::close(cat(y, 1), whole, verify::tolerance(f32, 12)).message == "");
      CHECK(cache.key.shape() == Shape{2, 3, 7, 4});
    }
  }
  GPT gpt({.vocabulary = 11, .context = 9, .dim = 12, .heads = 3, .layers = 2});
  Tensor ids = whole({2, 9}, 11, 2), logits = gpt.forward(ids);
  std::vector<KeyValueCache> caches;
  std::vector<Tensor> y;
  for (const Tensor& part : ids.split(4, 1)) y.push_back(gpt.step(part, caches));
  CHECK(verify::close(cat(y, 1), logits, verify::tolerance(f32, 48)).message == "");
  CHECK_THROWS_WITH(gpt.step(ids.narrow(1, 0, 1), caches), contains("GPT: wrong input; got [2, 1] after 9 tokens"));
}

TEST_CASE("GPT and causal attention look back only, and keep samples apart", "[attention][gpt]") {
  GPT gpt({.vocabulary = 11, .context = 6, .dim = 12, .heads = 3, .layers = 2});
  auto logits = [&](const Tensor& ids) { return gpt.forward(ids); };
  Tensor ids = whole({3, 6}, 11, 1);
  CHECK(verify::causality(logits, ids, 1).message == "");
  CHECK(verify::batch(logits, ids).message == "");
  for (bool rotary : {false, true}) {
    MultiHeadAttention causal({.dim = 8, .heads = 2, .causal = true, .rotary = rotary}),
        both({.dim = 8, .heads = 2, .rotary = rotary});
    causal.to(f64), both.to(f64);
    auto run = [&](const Tensor& x) { return causal.forward(x); };
    auto run_both = [&](const Tensor& x) { return both.forward(x); };
    Tensor x = normal({2, 4, 8}, 2);
    CHECK(verify::causality(run, x, 1).message == "");
    CHECK_FALSE(verify::causality(run_both, x, 1));
    CHECK(verify::batch(run, x).message == "");
    CHECK(verify::batch(run_both, x).message == "");
  }
}

TEST_CASE("attention has right derivatives, first and second", "[attention][grad]") {
  MultiHeadAttention attention({.dim = 4, .heads = 2, .causal = true, .rotary = true});
  attention.to(f64);
  auto run = [&](const Tensor& x) { return attention.forward(x); };
  CHECK(verify::gradients(attention, run, normal({1, 3, 4}, 1)).message == "");
  TransformerBlock block({.dim = 4, .heads = 2, .causal = true});
  Tensor x = normal({1, 2, 4}, 2);
  block.to(f64);
  CHECK(check_twice([&](const Tensor& x) { return block.forward(x); }, x) == "");
}

TEST_CASE("a query that may see nothing gives 0, and no NaN in any gradient", "[attention][grad]") {
  Tensor q = normal({3, 4}, 1), k = normal({3, 4}, 2), v = normal({3, 2}, 3);
  Tensor mask = mask_of({1, 0, 1, 0, 0, 0, 0, 1, 1}, {3, 3});
  CHECK(equal(select(attention(q, k, v, false, mask), 0, 1), zeros({2}, f64)));
  CHECK(equal(attention(q, k, v, false, mask_of({0, 0, 0}, {3})), zeros({3, 2}, f64)));
  Tensor future = mask_of({0, 0, 1, 1, 0, 1, 0, 1, 1}, {3, 3});  // query 0 may see key 2 alone, which is ahead of it
  CHECK(equal(select(attention(q, k, v, true, future), 0, 0), zeros({2}, f64)));
  for (bool causal : {false, true})
    for (const Tensor& m : {mask, future}) {
      auto f = [&](const TensorList& in) { return TensorList{attention(in[0], in[1], in[2], causal, m)}; };
      CHECK(check_twice(f, {q, k, v}) == "");
    }
  CHECK(equal(attention(q, k, v, true), attention(q, k, v, false, tri(3, 3))));
  Tensor two = q.narrow(0, 1, 2);  // fewer queries than keys: they are the last ones
  CHECK(difference(attention(two, k, v, true), attention(q, k, v, true).narrow(0, 1, 2)) < 1e-14);
}

TEST_CASE("rotary products depend on the distance of the positions only", "[attention][position]") {
  Tensor q = normal({1, 6}, 1), k = normal({1, 6}, 2);
  auto product = [&](int64_t i, int64_t j) { return sum(rotary(q, i) * rotary(k, j)).item(); };
  for (int64_t distance : {0, 1, 5, -3}) {
    double at = product(10, 10 - distance);
    CHECK(std::abs(product(500, 500 - distance) - at) < 1e-11);  // angles up to 500 are rounded to 500 eps
    CHECK(std::abs(product(11, 10 - distance) - at) > 1e-6);
  }
  Tensor x = normal({2, 5, 6}, 3);
  CHECK(difference(norm(rotary(x), -1), norm(x, -1)) < 1e-14);
  CHECK(difference(rotary(x, 3).narrow(1, 0, 2), rotary(cat({x, x}, 1)).narrow(1, 3, 2)) > 0.1);
  CHECK(difference(rotary(x.narrow(1, 2, 3), 2), rotary(x).narrow(1, 2, 3)) == 0);
  double c = std::cos(2.), s = std::sin(2.);  // position 2, first pair
  Tensor pair = rotary(tensor({{3, 5}}, f64), 2);
  CHECK(difference(pair, tensor({{3 * c - 5 * s, 3 * s + 5 * c}}, f64)) < 1e-15);
}

TEST_CASE("sinusoidal positions follow Vaswani et al. 2017", "[position]") {
  Tensor p = sinusoidal_positions(5, 4);
  CHECK(p.shape() == Shape{5, 4});
  for (int64_t t = 0; t < 5; ++t) {
    double expected[] = {std::sin(double(t)), std::cos(double(t)), std::sin(double(t) / 100),
                         std::cos(double(t) / 100)};
    for (int64_t i = 0; i < 4; ++i) CHECK(std::abs(p[t][i].item() - expected[i]) < 1e-7);
  }
}

TEST_CASE("dropout in attention and GPT acts while training only", "[gpt]") {
  GPT gpt({.vocabulary = 5, .context = 4, .dim = 8, .heads = 2, .layers = 1, .dropout = 0.5});
  Tensor ids = whole({1, 4}, 5, 1);
  CHECK_FALSE(equal(gpt.forward(ids), gpt.forward(ids)));
  gpt.eval();
  CHECK(equal(gpt.forward(ids), gpt.forward(ids)));
}

TEST_CASE("GPT starts near the uniform distribution and lists its parts", "[gpt]") {
  GPT gpt({.vocabulary = 11, .context = 6, .dim = 12, .heads = 3, .layers = 2});
  Tensor ids = whole({4, 6}, 11, 1);
  Tensor loss = cross_entropy(gpt.forward(ids).reshape({24, 11}), ids.reshape({24}));
  CHECK(std::abs(loss.item() - std::log(11.)) < 0.2);
  check_covers(loss, gpt);
  int64_t block = 2 * 24 + (36 * 12 + 36) + (12 * 12 + 12) + (48 * 12 + 48) + (12 * 48 + 12);
  CHECK(gpt.num_parameters() == 11 * 12 + 6 * 12 + 2 * block + 24 + 12 * 11);
  CHECK(gpt.named_parameters()[2].first == "blocks.0.norm1.weight");
}

TEST_CASE("errors of attention and GPT", "[attention][errors]") {
  CHECK_THROWS_WITH(MultiHeadAttention({.dim = 10, .heads = 3}),
                    contains("dim must be a multiple of heads; got dim 10, heads 3"));
  CHECK_THROWS_AS(MultiHeadAttention({.dim = 10, .heads = 0}), ValueError);
  MultiHeadAttention odd({.dim = 6, .heads = 2, .rotary = true});
  CHECK_THROWS_WITH(odd.forward(zeros({1, 2, 6})),
                    contains("rotary: the last dim must be even, pairs are rotated; got 3"));
  CHECK_THROWS_WITH(odd.forward(zeros({2, 6})),
                    contains("MultiHeadAttention: wrong input; got [2, 6]; expected [batch, time, 6]"));
  CHECK_THROWS_AS(rotary(zeros({4})), ShapeError);
  CHECK_THROWS_WITH(sinusoidal_positions(3, 5), contains("sinusoidal_positions: the last dim must be even"));
  Tensor q = zeros({2, 4});
  CHECK_THROWS_WITH(attention(q, q, q, false, zeros({2, 2})), contains("attention: the mask must be bool; got f32"));
  CHECK_THROWS_AS(attention(q, zeros({2, 3}), q), ShapeError);
  CHECK_THROWS_AS(attention(q, q, q, false, ones({3, 5}, boolean)), ShapeError);
  GPT gpt({.vocabulary = 5, .context = 4, .dim = 8, .heads = 2, .layers = 1});
  CHECK_THROWS_WITH(
      gpt.forward(zeros({1, 5}, i64)),
      contains("GPT: wrong input; got [1, 5] after 0 tokens; expected [batch, time] with at most 4 tokens"));
  CHECK_THROWS_AS(gpt.forward(zeros({4}, i64)), ShapeError);
  CHECK_THROWS_AS(gpt.forward(full({1, 2}, 5, i64)), IndexError);
  CHECK_THROWS_AS(gpt.forward(zeros({1, 2})), DTypeError);
  CHECK_THROWS_WITH(GPT({.vocabulary = 5, .context = 4, .layers = 0}),
                    contains("GPT: got vocabulary 5, context 4, layers 0; expected positive sizes"));
  CHECK_THROWS_AS(GPT({.vocabulary = 0, .context = 4}), ValueError);
  std::vector<KeyValueCache> three(3);
  CHECK_THROWS_WITH(gpt.step(zeros({1, 1}, i64), three), contains("GPT::step: got 3 caches; expected 1"));
}
