// Every layer under autocast, in either half type: forward, backward and token by token, from f32 and from half inputs.
// Results and gradients are finite and near those of f32.
#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/observe/autocast.h"
#include "include/inkstone/ink.h"
#include "nn/attention/linear/linear_core.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using K = AttentionKind;

// How far halves may lead: 11 bits of f16, 8 of bf16, through a few sums.
double allowed(DType t) { return t == f16 ? 0.02 : 0.15; }

struct Run {
  Tensor y;
  TensorList gradients;  // of x if it is floating point, and of the parameters
};
template <class F> Run run(Module& m, F f, Tensor x) {
  m.zero_grad();
  x = x.detach();
  if (is_floating(x.dtype())) x.requires_grad_();
  manual_seed(9);  // dropout and hashes
  Run r{f(x), {}};
  sum(r.y.to(f32) * normal(r.y.shape(), 3, f32)).backward();
  if (x.requires_grad()) r.gradients.push_back(x.grad());
  for (const Tensor& p : m.parameters()) r.gradients.push_back(p.grad());
  r.y = r.y.detach();
  return r;
}
// |a - b| / (|b| + 1), as whole vectors: single entries near 0 may be off by more.
double apart(const Tensor& a, const Tensor& b) { return (norm(a.to(f64) - b.to(f64)) / (norm(b.to(f64)) + 1)).item(); }

// `near`: the result follows its inputs smoothly, so that rounded ones lead to a near result. Hashes, largest entries
// and inverses do not: those only have to be finite.
template <class F> void check(const std::string& name, Module& m, F f, const Tensor& x, bool near = true) {
  const Run exact = run(m, f, x);
  for (DType t : {f16, bf16})
    for (bool half_input : {false, true}) {
      if (half_input && !is_floating(x.dtype())) continue;
      INFO(name << " under " << name_of(t) << (half_input ? ", input in halves" : ""));
      Autocast lower(t);
      const Run got = run(m, f, half_input ? x.to(t) : x);
      CHECK(all(isfinite(got.y)).template item<bool>());
      REQUIRE(got.gradients.size() == exact.gradients.size());
      if (near) CHECK(apart(got.y, exact.y) < allowed(t));
      for (size_t i = 0; i < got.gradients.size(); ++i) {
        INFO("gradient " << i);
        CHECK(got.gradients[i].defined() == exact.gradients[i].defined());
        if (!got.gradients[i].defined()) continue;
        CHECK(all(isfinite(got.gradients[i])).template item<bool>());
        if (near) CHECK(apart(got.gradients[i], exact.gradients[i]) < 2 * allowed(t));
      }
    }
}
template <class L> void check(const std::string& name, L layer, const Tensor& x, bool near = true) {
  check(
      name, layer, [&](const Tensor& x) { return layer.forward(x); }, x, near);
}
// The same, and the sequence in pieces of 1 and 4.
template <class L> void check_steps(const std::string& name, L layer, const Tensor& x, bool near = true) {
  check(
      name, layer, [&](const Tensor& x) { return layer.forward(x); }, x, near);
  NoGrad guard;
  for (DType t : {f16, bf16})
    for (int64_t piece : {1, 4}) {
      INFO(name << " in pieces of " << piece << " under " << name_of(t));
      Autocast lower(t);
      typename L::State state;
      TensorList y;
      for (const Tensor& part : split(x, piece, 1)) y.push_back(layer.step(part, state));
      const Tensor all_pieces = cat(y, 1);
      CHECK(all(isfinite(all_pieces)).template item<bool>());
      if (near) CHECK(apart(all_pieces, layer.forward(x)) < allowed(t));
    }
}

Tensor numbers(const Shape& shape, unsigned seed = 2) { return normal(shape, seed, f32); }
bool is_steady(K kind) { return kind != K::lsh && kind != K::topk && kind != K::nystrom && kind != K::performer; }
KindChoice usable(K kind) {  // in sizes that 11 tokens are many for
  if (kind == K::linformer) return kinds::Linformer{.length = 16, .rows = 5};
  if (kind == K::lsh) return kinds::Lsh{.bucket = 4, .rounds = 2, .buckets = 2, .seed = 7};
  if (kind == K::flash) return kinds::Flash{.chunk = 4};
  if (kind == K::topk) return kinds::TopK{.keep = 3};
  return kind;
}

}  // namespace

TEST_CASE("single layers under autocast", "[autocast][layers]") {
  const Tensor x = numbers({3, 8}), image = numbers({2, 4, 7, 6}), line = numbers({2, 4, 9});
  {
    Autocast lower(f16);
    CHECK(Linear(8, 5).forward(x).dtype() == f16);
  }
  check("Linear", Linear(8, 5), x);
  check("Linear without bias", Linear(8, 5, {.bias = false}), x);
  check("Embedding", Embedding(11, 6), whole({3, 4}, 11, 1));
  check("Conv1d", Conv1d({.in = 4, .out = 6, .kernel = 3, .padding = 1, .groups = 2}), line);
  check("Conv2d", Conv2d({.in = 4, .out = 6, .kernel = 3, .stride = 2, .padding = 1}), image);
  check("Conv2d, depthwise", Conv2d({.in = 4, .out = 4, .kernel = 3, .dilation = 2, .groups = 4, .bias = false}),
        image);
  check("ConvTranspose1d", ConvTranspose1d({.in = 4, .out = 3, .kernel = 4, .stride = 2, .padding = 1}), line);
  check("ConvTranspose2d",
        ConvTranspose2d({.in = 4, .out = 3, .kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}), image);
  check("Relu", Relu(), x);
  check("LeakyRelu", LeakyRelu(), x);
  check("Elu", Elu(), x);
  check("Gelu", Gelu(), x);
  check("Gelu by tanh", Gelu(GeluForm::tanh), x);
  check("Silu", Silu(), x);
  check("Tanh", Tanh(), x);
  check("Sigmoid", Sigmoid(), x);
  check("Softplus", Softplus(), x);
  check("Flatten", Flatten(), image);
  check("MaxPool2d", MaxPool2d({.kernel = 2}), image, false);
  check("AvgPool2d", AvgPool2d({.kernel = 2}), image);
  check("Dropout", Dropout(0.3), x);
  check("LayerNorm", LayerNorm(8), x);
  check("RMSNorm", RMSNorm(8), x);
  check("GroupNorm", GroupNorm(2, 4), image);
  check("BatchNorm1d", BatchNorm1d(4), line);
  check("BatchNorm2d", BatchNorm2d(4), image);
  BatchNorm2d evaluated(4);
  evaluated.eval();
  check("BatchNorm2d, evaluating", evaluated, image);
  check("ScaleNorm", ScaleNorm(), x);
  check("Sequential", Sequential(Linear(8, 6), Gelu(), LayerNorm(6), Dropout(0.2), Linear(6, 2)), x);
  check("FeedForward", FeedForward(8, 12), x);
  for (Gate gate : {Gate::none, Gate::sigmoid, Gate::silu, Gate::gelu, Gate::relu})
    check("GatedLinearUnit", GatedLinearUnit({.dim = 8, .gate = gate}), x);
}

TEST_CASE("recurrent and reversible layers under autocast", "[autocast][layers]") {
  const Tensor x = numbers({2, 6, 4});
  GRU gru(4, 5);
  LSTM lstm(4, 5);
  const Tensor state = numbers({2, 5}, 4);
  check(
      "GRU", gru, [&](const Tensor& x) { return gru.forward(x).output; }, x);
  check(
      "GRU from a state", gru, [&](const Tensor& x) { return gru.forward(x, state).state; }, x);
  check(
      "LSTM", lstm, [&](const Tensor& x) { return lstm.forward(x).output; }, x);
  check(
      "LSTM from a state", lstm,
      [&](const Tensor& x) {
        return lstm.forward(x, {state, state}).state.c;
      },
      x);
  using Block = Reversible<MultiHeadAttention, FeedForward>;
  ReversibleSequence<Block> stack(3, Block(MultiHeadAttention({.dim = 4, .heads = 2}), FeedForward(4, 8)));
  for (bool reconstruct : {true, false}) {
    stack.reconstruct = reconstruct;
    auto both = [&](const Tensor& x) {
      auto [a, b] = stack.forward(x, x);
      return a + b;
    };
    check(reconstruct ? "reversible" : "reversible, stored", stack, both, x);
  }
}

TEST_CASE("attention of every kind under autocast, and its options", "[autocast][layers][attention]") {
  const Tensor x = numbers({2, 11, 8});
  for (K kind : all_attention_kinds()) {
    if (!row_of(kind).core) continue;
    const MultiHeadAttentionOptions o{.dim = 8, .heads = 2, .kind = usable(kind)};
    MultiHeadAttentionOptions causal = o;
    causal.causal = true;
    if (row_of(kind).whole) check(name_of(kind), MultiHeadAttention(o), x, is_steady(kind));
    if (row_of(kind).causal)
      check_steps(name_of(kind) + std::string(", causal"), MultiHeadAttention(causal), x, is_steady(kind));
  }
  const Tensor keep = normal({2, 1, 1, 11}, 5) < 1;
  for (AttentionAlgorithm a : {AttentionAlgorithm::flash, AttentionAlgorithm::naive}) {
    const std::string name = a == AttentionAlgorithm::flash ? "flash" : "naive";
    const KindChoice all = kinds::Softmax{.algorithm = a};
    MultiHeadAttention masked({.dim = 8, .heads = 2, .kind = all});
    check(
        name + ", masked", masked, [&](const Tensor& x) { return masked.forward(x, keep); }, x);
    check_steps(name + ", rotary",
                MultiHeadAttention({.dim = 8, .heads = 2, .causal = true, .rotary = true, .kind = all}), x);
    check_steps(name + ", grouped",
                MultiHeadAttention({.dim = 8, .heads = 4, .causal = true, .kv_heads = 2, .kind = all}), x);
    check_steps(name + ", ALiBi, softcap",
                MultiHeadAttention({.dim = 8, .heads = 2, .causal = true, .kind = all, .softcap = 3, .alibi = true}),
                x);
    check(name + ", dropout", MultiHeadAttention({.dim = 8, .heads = 2, .dropout = 0.2, .kind = all}), x);
    check_steps(name + ", window",
                MultiHeadAttention(
                    {.dim = 8, .heads = 2, .causal = true, .kind = kinds::Softmax{.window = 3, .algorithm = a}}),
                x);
  }
  for (K kind : {K::linear, K::taylor, K::taylor2, K::performer})
    check_steps(name_of(kind) + std::string(", rotary"),
                MultiHeadAttention({.dim = 8, .heads = 2, .causal = true, .rotary = true, .kind = usable(kind)}), x,
                is_steady(kind));
  LongformerAttention longformer({.dim = 8, .heads = 2, .window = 2});
  const Tensor real = expand(arange(11) < 9, {2, 11});
  check(
      "LongformerAttention", longformer,
      [&](const Tensor& x) {
        return longformer.forward(x, {0, 4}, real);
      },
      x);
}

TEST_CASE("cores and their forms under autocast", "[autocast][layers][attention]") {
  const Tensor x = numbers({1, 2, 11, 4});
  auto check_core = [&](const std::string& name, AttentionCore& core, bool near = true) {
    check(
        name, core, [&](const Tensor& x) { return core.attend(x, x * 0.5, x + 1, {}); }, x, near);
  };
  for (bool causal : {false, true})
    for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked}) {
      if (form == LinearForm::recurrent && !causal) continue;
      for (FeatureMap map : {FeatureMap::elu_plus_one, FeatureMap::taylor, FeatureMap::taylor2, FeatureMap::identity})
        for (int64_t chunk : {0, 4}) {
          LinearCore core({.feature = map, .causal = causal, .form = form, .chunk = chunk});
          check_core(fmt::format("linear, map {}, form {}, chunk {}", int(map), int(form), chunk), core);
        }
      EfficientCore efficient({.causal = causal, .form = form, .chunk = 4});
      check_core("efficient", efficient);
      for (RandomFeatures features : {RandomFeatures::positive, RandomFeatures::relu}) {
        PerformerCore performer({.width = 4, .attention = {.kind = features, .causal = causal, .form = form}});
        check_core("performer", performer, false);
      }
    }
  for (bool deduplicate : {false, true}) {
    LshCore lsh({.bucket_size = 4, .rounds = 2, .deduplicate = deduplicate, .seed = 3});
    check_core("lsh", lsh, false);
  }
  LinformerCore linformer({.length = 16, .rows = 5}), shared({.length = 16, .rows = 5, .share = true});
  check_core("linformer", linformer);
  check_core("linformer, shared", shared);
  for (bool exact : {false, true}) {
    NystromCore nystrom({.nystrom = {.landmarks = 4, .exact_inverse = exact}, .heads = 2, .convolution = 3});
    check_core("nystrom", nystrom, false);
  }
  SparseCore sparse(sparse::local_and_atrous(2, 3, true), 0.2);
  check_core("sparse, dropout", sparse);
}

TEST_CASE("gated units under autocast", "[autocast][layers][gau]") {
  const Tensor x = numbers({2, 11, 8});
  const Tensor real = (arange(11) < 9).reshape({1, 1, 11});
  for (GauNormaliser n : {GauNormaliser::count, GauNormaliser::length, GauNormaliser::square, GauNormaliser::softmax,
                          GauNormaliser::softmax_plus, GauNormaliser::laplace}) {
    const std::string name = fmt::format("GAU, normaliser {}", int(n));
    GatedAttentionUnit unit({.dim = 8, .s = 6, .normaliser = n}),
        causal({.dim = 8, .s = 6, .causal = true, .normaliser = n, .rotary = true});
    check(
        name, unit, [&](const Tensor& x) { return unit.forward(x, real); }, x);
    if (n == GauNormaliser::length || n == GauNormaliser::square)
      check(name, causal, x);
    else
      check_steps(name + ", causal", causal, x);
  }
  FlashGau flash({.dim = 8, .s = 6, .chunk = 4});
  check(
      "FLASH", flash, [&](const Tensor& x) { return flash.forward(x, real); }, x);
  check_steps("FLASH, causal", FlashGau({.dim = 8, .s = 6, .chunk = 4, .causal = true, .rotary = true}), x);
  Relu none;
  check(
      "token_shift", none, [](const Tensor& x) { return token_shift(x); }, x);
}

TEST_CASE("models of every kind under autocast, token by token too", "[autocast][layers][gpt]") {
  const Tensor ids = whole({2, 11}, 7, 1);
  for (K kind : all_attention_kinds()) {
    if (!has_causal_form(kind)) continue;
    GPT gpt({.vocabulary = 7, .context = 16, .dim = 8, .heads = 2, .layers = 2, .dropout = 0.1, .kind = usable(kind)});
    check(
        name_of(kind), gpt, [&](const Tensor& ids) { return gpt.forward(ids); }, ids, is_steady(kind));
    gpt.eval();
    NoGrad guard;
    for (DType t : {f16, bf16})
      for (int64_t piece : {1, 4}) {
        INFO(name_of(kind) << " in pieces of " << piece << " under " << name_of(t));
        Autocast lower(t);
        std::vector<BlockState> states;
        TensorList y;
        for (const Tensor& part : split(ids, piece, 1)) y.push_back(gpt.step(part, states));
        CHECK(all(isfinite(cat(y, 1))).item<bool>());
        if (is_steady(kind)) CHECK(apart(cat(y, 1), gpt.forward(ids)) < allowed(t));
      }
  }
}
