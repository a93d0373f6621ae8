#include "nn/models/gpt.h"

#include "autograd/attention.h"
#include "nn/attention/multihead.h"
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
      AttentionState cache;
      std::vector<Tensor> y;
      for (const Tensor& part : x.split(piece, 1)) y.push_back(attention.step(part, cache));
      CHECK(verify::close(cat(y, 1), whole, verify::tolerance(f32, 12)).message == "");
      CHECK(cache.key.shape() == Shape{2, 3, 7, 4});
    }
  }
  GPT gpt({.vocabulary = 11, .context = 9, .dim = 12, .heads = 3, .layers = 2});
  Tensor ids = whole({2, 9}, 11, 2), logits = gpt.forward(ids);
  std::vector<BlockState> caches;
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

TEST_CASE("a padded token changes no other, and no gradient is NaN", "[attention][grad]") {
  for (bool causal : {false, true}) {
    MultiHeadAttention attention({.dim = 8, .heads = 2, .causal = causal});
    attention.to(f64);
    Tensor x = normal({2, 5, 8}, 1), other = cat({x.narrow(1, 0, 4), normal({2, 1, 8}, 2)}, 1);
    Tensor seen = mask_of({1, 1, 1, 1, 0}, {5});
    auto kept = [&](const Tensor& x) { return attention.forward(x, seen).narrow(1, 0, 4); };
    CHECK(difference(kept(x), kept(other)) < 1e-15);
    Tensor none = mask_of({0, 0, 0, 0, 0}, {5});
    Tensor y = attention.forward(x, none);
    CHECK(difference(y, expand(attention.out.bias, y.shape())) < 1e-15);
    for (const Tensor& mask : {seen, none})
      CHECK(verify::gradients(
                attention, [&](const Tensor& x) { return attention.forward(x, mask); }, x.narrow(0, 0, 1))
                .message == "");
  }
}

TEST_CASE("grouped heads: keys and values are shared by query heads", "[attention]") {
  MultiHeadAttention grouped({.dim = 12, .heads = 6, .causal = true, .kv_heads = 2}),
      full({.dim = 12, .heads = 6, .causal = true});
  CHECK(grouped.qkv.weight.size(0) == 12 + 2 * 2 * 2);
  NoGrad guard;
  auto spread = [](const Tensor& w) {  // the weights of 2 heads of keys as those of 6
    Shape rest(w.shape().begin() + 1, w.shape().end()), heads{2, 2}, all{12};
    for (int64_t s : rest) heads.push_back(s), all.push_back(s);
    return reshape(repeat_interleave(reshape(w, heads), 3, 0), all);
  };
  for (auto [to, from] :
       {std::pair<Param*, Param*>{&full.qkv.weight, &grouped.qkv.weight}, {&full.qkv.bias, &grouped.qkv.bias}})
    to->copy_(cat({from->narrow(0, 0, 12), spread(from->narrow(0, 12, 4)), spread(from->narrow(0, 16, 4))}, 0));
  full.out = grouped.out;
  Tensor x = normal({2, 7, 12}, 1, f32);
  CHECK(verify::close(grouped.forward(x), full.forward(x), verify::tolerance(f32, 12)).message == "");
  AttentionState state;
  grouped.step(x, state);
  CHECK(state.key.shape() == Shape{2, 2, 7, 2});
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
  CHECK_THROWS_WITH(MultiHeadAttention({.dim = 12, .heads = 6, .kv_heads = 4}),
                    contains("heads must be a multiple of kv_heads; got heads 6, kv_heads 4"));
  MultiHeadAttention plain({.dim = 4, .heads = 2});
  AttentionState state;
  CHECK_THROWS_WITH(plain.step(zeros({1, 1, 4}), state), contains("only causal attention goes on token by token"));
  GPT gpt({.vocabulary = 5, .context = 4, .dim = 8, .heads = 2, .layers = 1});
  CHECK_THROWS_WITH(gpt.forward(zeros({1, 5}, i64)),
                    contains(
                        "GPT: wrong input; got [1, 5] after 0 tokens; expected [batch, time] with at most 4 tokens"));
  CHECK_THROWS_AS(gpt.forward(zeros({4}, i64)), ShapeError);
  CHECK_THROWS_AS(gpt.forward(full({1, 2}, 5, i64)), IndexError);
  CHECK_THROWS_AS(gpt.forward(zeros({1, 2})), DTypeError);
  CHECK_THROWS_WITH(GPT({.vocabulary = 5, .context = 4, .layers = 0}),
                    contains("GPT: got vocabulary 5, context 4, layers 0; expected positive sizes"));
  CHECK_THROWS_AS(GPT({.vocabulary = 0, .context = 4}), ValueError);
  std::vector<BlockState> three(3);
  CHECK_THROWS_WITH(gpt.step(zeros({1, 1}, i64), three), contains("GPT: got 3 states; expected 1"));
}
