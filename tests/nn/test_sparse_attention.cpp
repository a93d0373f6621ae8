#include "autograd/graph/mode.h"
#include "inkstone/testing.h"
#include "nn/attention/sparse/longformer.h"
#include "nn/attention/sparse/sparse_core.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

// Every rule in small: tiles are 64 wide, so lengths about 64 and 128 have edges in them.
std::vector<SparseRule> rules() {
  std::vector<SparseRule> all;
  for (bool causal : {false, true}) {
    all.push_back(sparse::local(5, causal));
    all.push_back(sparse::atrous(3, causal));
    all.push_back(sparse::local_and_atrous(4, 7, causal));
    all.push_back(sparse::longformer(3, {40, 0, 9, 9}, causal));  // unsorted, one twice
    all.push_back(sparse::longformer(200, {1}, causal));          // the window holds the global key
    all.push_back(sparse::longformer(2, {}, causal));
  }
  all.push_back(sparse::strided(6));
  all.push_back(sparse::fixed(8, 2));
  all.push_back(
      sparse::custom(masks::causal() & masks::document(std::vector<int64_t>(200, 1)) & !masks::local(1), true));
  return all;
}

struct Inputs {
  Tensor q, k, v;
};
Inputs inputs(int64_t batch, int64_t heads, int64_t n, int64_t width, DType dtype = f64) {
  return {normal({batch, heads, n, width}, 1, dtype), normal({batch, heads, n, width}, 2, dtype),
          normal({batch, heads, n, width}, 3, dtype)};
}
Tensor masked(const Inputs& x, const Tensor& mask) {
  return scaled_dot_product_attention(x.q, x.k, x.v, {.mask = mask, .algorithm = AttentionAlgorithm::naive});
}

}  // namespace

TEST_CASE("the parts of a pattern hold each pair of its mask once", "[sparse]") {
  for (const SparseRule& rule : rules())
    for (int64_t n : {0, 1, 2, 8, 64, 65, 150}) {
      INFO(rule.name << ", n = " << n);
      CHECK(equal(rule.pattern(n).dense(), rule.mask.dense(n, n)));
    }
  CHECK(count_nonzero(sparse::atrous(3).pattern(8).dense()).item<int64_t>() == 22);
  CHECK(count_nonzero(sparse::local(3).pattern(8).dense()).item<int64_t>() == 44);
}

TEST_CASE("strided keeps the paper's l + 1 last keys, and the code's l lose none of them", "[sparse]") {
  AttentionMask code =
      masks::causal() &
      ((masks::window(4, 0) & masks::rule([](int64_t i, int64_t j) { return j > i - 5; })) | masks::atrous(5));
  CHECK(equal(code.dense(30, 30), sparse::strided(5).mask.dense(30, 30)));
}

TEST_CASE("sparse attention is softmax over the pairs of the mask", "[sparse]") {
  for (const SparseRule& rule : rules())
    for (int64_t n : {0, 1, 5, 70, 130}) {
      if (n == 130 && default_device().is_cuda() && rule.causal) continue;  // simulated: enough of it
      INFO(rule.name << ", n = " << n);
      Inputs x = inputs(n > 5 ? 1 : 2, 2, n, 4);
      Tensor mask = rule.mask.dense(n, n), y = sparse_attention(x.q, x.k, x.v, rule.pattern(n));
      CHECK(difference(y, masked(x, mask)) < 1e-13);
    }
  // f32, fewer key heads, a scale and a cap of scores, and a mask besides the pattern's
  Inputs x = inputs(2, 4, 67, 8, f32);
  Tensor keep = normal({2, 1, 1, 67}, 7) < 1;
  SparseRule rule = sparse::local_and_atrous(9, 8);
  AttentionOptions o{.scale = .7, .softcap = 2, .mask = keep}, whole = o;
  whole.mask = rule.mask.dense(67, 67) & keep;
  Tensor k = slice(x.k, 1, 0, 2), v = slice(x.v, 1, 0, 2);
  CHECK(verify::close(sparse_attention(x.q, k, v, rule.pattern(67), o), scaled_dot_product_attention(x.q, k, v, whole),
                      verify::tolerance(f32, 64))
            .message == "");
  o.mask = normal({67, 67}, 8) < 1, whole.mask = rule.mask.dense(67, 67) & o.mask;  // rows and columns of it are sorted
  CHECK(verify::close(sparse_attention(x.q, k, v, rule.pattern(67), o), scaled_dot_product_attention(x.q, k, v, whole),
                      verify::tolerance(f32, 64))
            .message == "");
}

TEST_CASE("dropout of sparse attention keeps the mean, draws anew for each part, and repeats with its generator",
          "[sparse]") {
  Inputs x = inputs(1, 2, 80, 4);
  SparsePattern pattern = sparse::local_and_atrous(20, 8).pattern(80);
  Tensor one = ones({1, 2, 80, 1}, f64);
  auto run = [&](unsigned seed) {
    Generator generator(seed);
    return sparse_attention(x.q * .1, x.k, one, pattern, {.dropout = .3, .generator = &generator});
  };
  CHECK(equal(run(1), run(1)));
  CHECK_FALSE(equal(run(1), run(2)));
  CHECK(mean(run(1)).item() == Approx(1).margin(.05));
  CHECK(difference(sparse_attention(x.q, x.k, one, pattern), ones({1, 2, 80, 1}, f64)) < 1e-13);
}

TEST_CASE("gradients of sparse attention are those of the masked formula, to second order", "[sparse][grad]") {
  for (const SparseRule& rule : {sparse::local_and_atrous(3, 4, true), sparse::longformer(2, {0, 30}),
                                 sparse::fixed(8, 2), sparse::strided(5)}) {
    INFO(rule.name);
    const int64_t n = 67;
    SparsePattern pattern = rule.pattern(n);
    Inputs a = inputs(1, 2, n, 3), b = inputs(1, 2, n, 3);
    for (Inputs* x : {&a, &b}) x->q.requires_grad_(), x->k.requires_grad_(), x->v.requires_grad_();
    Tensor w = normal({1, 2, n, 3}, 9);
    (sparse_attention(a.q, a.k, a.v, pattern) * w).sum().backward();
    (masked(b, rule.mask.dense(n, n)) * w).sum().backward();
    CHECK(difference(a.q.grad(), b.q.grad()) < 1e-13);
    CHECK(difference(a.k.grad(), b.k.grad()) < 1e-13);
    CHECK(difference(a.v.grad(), b.v.grad()) < 1e-13);
  }
  for (const SparseRule& rule : {sparse::local_and_atrous(1, 2, true), sparse::longformer(1, {2})}) {
    INFO(rule.name);
    SparsePattern pattern = rule.pattern(4);
    Inputs x = inputs(1, 1, 4, 2);
    auto f = [&](const TensorList& in) { return TensorList{sparse_attention(in[0], in[1], in[2], pattern)}; };
    CHECK(check_twice(f, {x.q, x.k, x.v}) == "");
  }
}

TEST_CASE("the work of a pattern falls with its density", "[sparse]") {
  auto check = [](const SparseRule& rule, int64_t n) {
    SparsePattern pattern = rule.pattern(n);
    const double density = rule.mask.density(n, n);
    INFO(rule.name << ", n = " << n << ": " << pattern.work() << " of density " << density << ", "
                   << pattern.visited_tiles() << " tiles");
    CHECK(pattern.work() <= density + .1);
    CHECK(pattern.work() >= density);
    CHECK(double(pattern.visited_tiles()) * 64 * 64 >= pattern.work() * double(n * n));
  };
  for (const SparseRule& rule :
       {sparse::local(32), sparse::local(128, true), sparse::atrous(3), sparse::atrous(8), sparse::atrous(64, true),
        sparse::local_and_atrous(32, 16), sparse::local_and_atrous(64, 32, true), sparse::strided(45),
        sparse::strided(64), sparse::fixed(64, 8), sparse::fixed(128, 32), sparse::longformer(32, {0}),
        sparse::longformer(128, {0, 1, 700}, true)})
    check(rule, 2048);
  for (const SparseRule& rule : {sparse::strided(55), sparse::local(40, true), sparse::longformer(50, {0, 1})})
    check(rule, 3001);  // tiles at the edges, and blocks that tiles do not fit
  CHECK(sparse::local(32).pattern(2048).visited_tiles() == 3 * 32 - 2);
  CHECK(sparse::custom(masks::all()).pattern(200).work() == 1);
  CHECK(sparse::local(1).pattern(0).work() == 0);
}

TEST_CASE("a part may name its queries and keys; queries in no part get 0", "[sparse]") {
  auto indices = [](std::vector<int64_t> list) {
    return from_data(std::span<const int64_t>(list), {int64_t(list.size())});
  };
  Inputs x = inputs(1, 1, 6, 3);
  SparsePattern pattern{.nq = 6, .nk = 6, .parts = {}};
  pattern.parts.push_back(sparse_part(masks::all(), 6, 6, indices({4, 1}), indices({0, 2})));
  pattern.parts.push_back(sparse_part(masks::all(), 6, 6, indices({1, 2}), indices({5, 1, 3})));
  Tensor mask = masks::rule([](int64_t i, int64_t j) {
                  bool even = j == 0 || j == 2, odd = j % 2 == 1;
                  return ((i == 4 || i == 1) && even) || ((i == 1 || i == 2) && odd);
                }).dense(6, 6);
  CHECK(equal(pattern.dense(), mask));
  CHECK(difference(sparse_attention(x.q, x.k, x.v, pattern), masked(x, mask)) < 1e-14);
  pattern.parts.push_back(sparse_part(masks::local(0), 6, 6));
  CHECK_THROWS_WITH(pattern.dense(), contains("query 1 sees key 1 in two parts"));
  CHECK_THROWS_WITH(sparse_part(masks::all(), 6, 6, indices({1, 1})), contains("order_q names position 1 twice"));
  CHECK_THROWS_WITH(sparse_part(masks::all(), 6, 6, {}, indices({2, 0, 2})),
                    contains("order_k names position 2 twice"));
}

TEST_CASE("top-k attention keeps the largest scores of a row, ties too", "[sparse][topk]") {
  const int64_t n = 9, keep = 3;
  Inputs x = inputs(2, 2, n, 4);
  for (bool causal : {false, true}) {
    INFO("causal " << causal);
    Tensor seen = causal ? tri(n, n) : ones({n, n}, boolean);
    Tensor scores = masked_fill(matmul(x.q, transpose(x.k, -2, -1)), !seen, -INFINITY);
    // the definition: fewer than `keep` others are larger
    Tensor larger = sum((unsqueeze(scores, -2) > unsqueeze(scores, -1)).to(i64), -1);
    Tensor y = topk_attention(x.q, x.k, x.v, keep, {.causal = causal ? Causal::top_left : Causal::no});
    CHECK(difference(y, masked(x, (larger < keep) & seen)) < 1e-13);
  }
  CHECK(difference(topk_attention(x.q, x.k, x.v, n), masked(x, {})) < 1e-13);
  // All keys alike: all tie with the first, so all stay.
  Tensor same = zeros_like(x.k);
  CHECK(difference(topk_attention(x.q, same, x.v, 1), expand(mean(x.v, 2, true), {2, 2, n, 4})) < 1e-14);
  // A mask hides before the choice; a row that sees nothing is 0; halves of the key heads; a window.
  Tensor mask = masks::rule([](int64_t i, int64_t j) { return i != 4 && j != 2; }).dense(n, n);
  Tensor y = topk_attention(x.q, slice(x.k, 1, 0, 1), slice(x.v, 1, 0, 1), 1, {.left = 3, .right = 0, .mask = mask});
  CHECK(equal(select(y, 2, 4), zeros({2, 2, 4}, f64)));
  CHECK(equal(select(y, 2, 0), expand(slice(x.v, 1, 0, 1).select(2, 0), {2, 2, 4})));
  CHECK(topk_attention(zeros({1, 1, 0, 4}), zeros({1, 1, 5, 4}), zeros({1, 1, 5, 4}), 2).shape() == Shape{1, 1, 0, 4});
  CHECK(equal(topk_attention(ones({1, 1, 2, 4}), zeros({1, 1, 0, 4}), zeros({1, 1, 0, 4}), 1), zeros({1, 1, 2, 4})));
}

TEST_CASE("the gradient of top-k attention passes through the kept keys alone", "[sparse][topk][grad]") {
  Inputs x = inputs(1, 1, 4, 3);
  Tensor v = x.v.clone().requires_grad_();
  topk_attention(x.q, x.k, v, 1).sum().backward();  // each query passes 1 to its best key
  Tensor best = argmax(matmul(x.q, transpose(x.k, -2, -1)), -1);
  CHECK(difference(v.grad()[0][0].select(1, 0), sum(one_hot(best, 4).to(f64), {0, 1, 2})) < 1e-14);
  auto f = [&](const TensorList& in) { return TensorList{topk_attention(in[0], in[1], in[2], 2)}; };
  CHECK(check_twice(f, {x.q, x.k, x.v}) == "");
}

TEST_CASE("cores: step is the last rows of attend, causal rules look back only", "[sparse][core]") {
  std::vector<std::unique_ptr<AttentionCore>> cores;
  for (const SparseRule& rule : rules())
    if (rule.causal) cores.push_back(std::make_unique<SparseCore>(rule));
  cores.push_back(std::make_unique<TopKCore>(3, true));
  const int64_t n = 12;
  Inputs x = inputs(2, 2, n, 4);
  for (const auto& core : cores) {
    INFO(core->name());
    Tensor whole = core->attend(x.q, x.k, x.v, {});
    for (int64_t piece : {1, 5}) {
      AttentionState state;
      std::vector<Tensor> y;
      for (int64_t t = 0; t < n; t += piece) {
        auto part = [&](const Tensor& u) { return slice(u, 2, t, t + piece); };
        y.push_back(core->clone()->step(part(x.q), part(x.k), part(x.v), state));
      }
      CHECK(difference(cat(y, 2), whole) < 1e-13);
      CHECK(state.time == n);
      CHECK(state.bytes() == 2 * x.k.nbytes());
    }
    auto self = [&](const Tensor& u) { return core->attend(u, u, u, {}); };
    CHECK(verify::causality(self, x.q, 2).message == "");
    CHECK(verify::batch(self, x.q).message == "");
    Tensor keep = normal({2, 1, 1, n}, 5) < .8;
    CHECK(core->attend(x.q, x.k, x.v, keep).shape() == x.q.shape());
    CHECK(core->attend(zeros({1, 1, 1, 4}), zeros({1, 1, 1, 4}), ones({1, 1, 1, 4}), {}).shape() == Shape{1, 1, 1, 4});
    CHECK(core->attend(zeros({1, 1, 0, 4}), zeros({1, 1, 0, 4}), zeros({1, 1, 0, 4}), {}).shape() == Shape{1, 1, 0, 4});
  }
  AttentionState state;
  CHECK_THROWS_WITH(SparseCore(sparse::local(3)).step(x.q, x.k, x.v, state),
                    contains("SparseCore::step: local(3) lets tokens see later ones, which have not come yet"));
  CHECK_THROWS_WITH(TopKCore(3).step(x.q, x.k, x.v, state),
                    contains("TopKCore::step: top-k lets tokens see later ones"));
  CHECK_THROWS_WITH(TopKCore(0), contains("TopKCore: got keep 0; expected at least 1"));
}

TEST_CASE("a core makes the layout of a length once, copies share it", "[sparse][core]") {
  PatternCache cache, copy = cache;
  SparseRule rule = sparse::strided(4);
  Tensor tiles = cache(rule, 20, default_device()).parts[0].blocks.tiles;
  CHECK(copy(rule, 20, default_device()).parts[0].blocks.tiles.is_same(tiles));
  CHECK(copy(sparse::strided(5), 20, default_device()).dense().shape() == Shape{20, 20});
  for (int64_t n : {1, 2, 3, 4}) cache(rule, n, default_device());  // the oldest is forgotten
  CHECK_FALSE(cache(rule, 20, default_device()).parts[0].blocks.tiles.is_same(tiles));
}

TEST_CASE("a rule never gets the pattern of another one, whatever their names", "[sparse][core]") {
  PatternCache cache;
  const int64_t n = 20;
  auto pattern = [&](const SparseRule& rule) { return cache(rule, n, default_device()).dense(); };
  const SparseRule near = sparse::custom(masks::local(1)), far = sparse::custom(masks::local(3));
  CHECK(equal(pattern(near), masks::local(1).dense(n, n)));
  CHECK(equal(pattern(far), masks::local(3).dense(n, n)));
  // A rule that was taken from another and changed, in each of its parts.
  SparseRule less = sparse::longformer(2, {4});
  const Tensor all = pattern(less);
  less.pieces.pop_back();
  CHECK_FALSE(equal(pattern(less), all));
  less.pieces[0].keys[1].order.positions = {};
  CHECK(count_nonzero(pattern(less)).item() < count_nonzero(less.mask.dense(n, n)).item());
  // A core whose rule is exchanged, and its copy.
  Inputs x = inputs(1, 2, n, 4);
  SparseCore core(near);
  core.attend(x.q, x.k, x.v, {});
  SparseCore copy = core;
  copy.rule = far;
  CHECK(equal(copy.attend(x.q, x.k, x.v, {}), SparseCore(far).attend(x.q, x.k, x.v, {})));
  CHECK(equal(core.attend(x.q, x.k, x.v, {}), SparseCore(near).attend(x.q, x.k, x.v, {})));
}

TEST_CASE("Longformer: with shared projections and a wide window it is full attention", "[sparse][longformer]") {
  LongformerAttention layer({.dim = 8, .heads = 2, .window = 40});
  layer.to(f64);
  for (int64_t n : {0, 1, 7, 33}) {
    INFO("n = " << n);
    Tensor x = normal({2, n, 8}, 1);
    auto heads = [&](const Tensor& t) { return permute(reshape(t, {2, n, 2, 4}), {0, 2, 1, 3}); };
    Tensor y = scaled_dot_product_attention(heads(layer.query.forward(x)), heads(layer.key.forward(x)),
                                            heads(layer.value.forward(x)));
    Tensor full = layer.out.forward(reshape(permute(y, {0, 2, 1, 3}), {2, n, 8}));
    CHECK(difference(layer.forward(x), full) < 1e-13);
    if (n > 5) CHECK(difference(layer.forward(x, {5, 0}), full) < 1e-13);  // a global token in the window counts once
  }
}

TEST_CASE("Longformer: windows, global tokens with their own projections, padding", "[sparse][longformer]") {
  LongformerAttention layer({.dim = 4, .heads = 1, .window = 2});
  layer.to(f64);
  const int64_t n = 11;
  Tensor x = normal({2, n, 4}, 1);
  for (Linear* own : {&layer.global_query, &layer.global_key, &layer.global_value}) {
    NoGrad guard;
    own->weight.copy_(normal({4, 4}, 7));
  }
  Tensor mask = (masks::local(2) | masks::global({3})).dense(n, n);
  auto run = [&](const Linear& q, const Linear& k, const Linear& v) {
    return layer.out.forward(scaled_dot_product_attention(q.forward(x), k.forward(x), v.forward(x), {.mask = mask}));
  };
  Tensor local = run(layer.query, layer.key, layer.value),
         global = run(layer.global_query, layer.global_key, layer.global_value);
  Tensor y = layer.forward(x, {3}),
         expected = cat({slice(local, 1, 0, 3), slice(global, 1, 3, 4), slice(local, 1, 4, n)}, 1);
  CHECK(difference(y, expected) < 1e-13);
  // Padding: the tokens that are kept come out as if there were no others.
  Tensor keep = expand(arange(n) < 8, {2, n});
  CHECK(difference(slice(layer.forward(x, {3}, keep), 1, 0, 8), layer.forward(slice(x, 1, 0, 8), {3})) < 1e-13);
  CHECK(verify::batch([&](const Tensor& u) { return layer.forward(u, {3}); }, x).message == "");
  layer.options.causal = true;
  CHECK(verify::causality([&](const Tensor& u) { return layer.forward(u, {3}); }, x, 1).message == "");
  LongformerAttention copy = layer;
  auto forward = [&](const Tensor& u) { return copy.forward(u, {1}); };
  CHECK(verify::gradients(copy, forward, normal({1, 3, 4}, 2)).message == "");
  check_covers(layer.forward(x, {0}).sum(), layer);

  TemporaryFolder folder;
  layer.save(folder / "layer.safetensors");
  LongformerAttention other({.dim = 4, .heads = 1, .window = 2, .causal = true});
  other.to(f64);
  other.load(folder / "layer.safetensors");
  CHECK(equal(other.forward(x, {3}), layer.forward(x, {3})));
}

TEST_CASE("errors of sparse attention", "[sparse][errors]") {
  Tensor x = normal({1, 2, 8, 4}, 1);
  SparsePattern pattern = sparse::local(2).pattern(8);
  CHECK_THROWS_WITH(
      sparse_attention(x, x, x, sparse::local(2).pattern(9)),
      contains(
          "sparse_attention: the pattern is of another size; got q [1, 2, 8, 4], k [1, 2, 8, 4]; expected 9 queries"));
  CHECK_THROWS_WITH(sparse_attention(x, x, x, {}), contains("the pattern has no parts"));
  CHECK_THROWS_WITH(sparse_attention(x, x, x, pattern, {.causal = Causal::top_left}),
                    contains("what a query sees is the pattern's matter"));
  CHECK_THROWS_WITH(sparse_attention(x, x, x, pattern, {.left = 1}),
                    contains("what a query sees is the pattern's matter"));
  CHECK_THROWS_WITH(sparse_attention(x, x, x, pattern, {.slopes = ones({2})}),
                    contains("sparse_attention: slopes count distances in natural order"));
  CHECK_THROWS_WITH(sparse::local(2).pattern(-1), contains("SparseRule::pattern: got length -1"));
  CHECK_THROWS_WITH(sparse::longformer(1, {-3}), contains("masks::global: got position -3"));
  CHECK_THROWS_WITH(topk_attention(x, x, x, 9),
                    contains("topk_attention: there is no score number 9 among 8 keys; expected 1 <= keep <= 8"));
  CHECK_THROWS_WITH(topk_attention(x, x, x, 0), contains("there is no score number 0"));
  CHECK_THROWS_WITH(topk_attention(x, x, x, 2, {.slopes = ones({2})}), contains("topk_attention: slopes"));

  CHECK_THROWS_WITH(LongformerAttention({.dim = 6, .heads = 4, .window = 1}),
                    contains("dim must be a multiple of heads"));
  LongformerAttention layer({.dim = 4, .heads = 2, .window = 1});
  CHECK_THROWS_WITH(layer.forward(zeros({2, 4})),
                    contains("LongformerAttention: wrong input; got [2, 4]; expected [batch, time, 4]"));
  CHECK_THROWS_WITH(layer.forward(zeros({2, 5, 4}), {5}),
                    contains("no such global token; got position 5; expected 0 .. 4"));
  CHECK_THROWS_WITH(layer.forward(zeros({2, 5, 4}), {}, ones({2, 5})),
                    contains("wrong keep; got f32 [2, 5]; expected bool [2, 5]"));
}
