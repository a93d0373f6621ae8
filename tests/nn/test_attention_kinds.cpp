// Every kind of attention behind MultiHeadAttention, TransformerBlock and GPT: one set of properties for all.
#include "autograd/graph/mode.h"
#include "autograd/observe/autocast.h"
#include "nn/attention/multihead.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/layers.h"

using namespace ink;
using namespace ink::test;

namespace {

using K = AttentionKind;

// Small enough that windows, strides, buckets and chunks have borders within a few tokens.
KindChoice small(K kind) {
  switch (kind) {
    case K::softmax:
      return kinds::Softmax{.window = 2};
    case K::local:
      return kinds::Local{.window = 2};
    case K::atrous:
      return kinds::Atrous{.stride = 3};
    case K::local_atrous:
      return kinds::LocalAtrous{.window = 2, .stride = 3};
    case K::strided:
      return kinds::Strided{.stride = 3};
    case K::fixed:
      return kinds::Fixed{.block = 3, .tail = 1};
    case K::longformer:
      return kinds::Longformer{.window = 2, .global = {0}};
    case K::topk:
      return kinds::TopK{.keep = 3};
    case K::lsh:
      return kinds::Lsh{.bucket = 4, .rounds = 2, .buckets = 2, .seed = 7};
    case K::linformer:
      return kinds::Linformer{.length = 16, .rows = 5};
    case K::nystrom:
      return kinds::Nystrom{.landmarks = 4};
    case K::linear:
      return kinds::Linear{.chunk = 4};
    case K::taylor:
      return kinds::Taylor{.chunk = 4};
    case K::taylor2:
      return kinds::Taylor2{.chunk = 4};
    case K::performer:
      return kinds::Performer{.features = 16};
    case K::flash:
      return kinds::Flash{.chunk = 4};
    default:
      return kind;
  }
}
MultiHeadAttentionOptions options(K kind, bool causal) {
  return {.dim = 8, .heads = 2, .causal = causal, .kind = small(kind)};
}
bool only_causal(K kind) { return kind == K::strided || kind == K::fixed; }
bool is_gated(K kind) { return kind == K::gau || kind == K::flash; }

struct Kind {
  K kind;
  bool causal;
};
std::vector<Kind> all_forms() {
  std::vector<Kind> all;
  for (K kind : all_attention_kinds())
    for (bool causal : {false, true})
      if (causal ? has_causal_form(kind) : !only_causal(kind)) all.push_back({kind, causal});
  return all;
}
std::string label(const Kind& k) { return std::string(name_of(k.kind)) + (k.causal ? ", causal" : ""); }

}  // namespace

TEST_CASE("names of kinds", "[attention]") {
  for (K kind : all_attention_kinds()) CHECK(attention_kind(name_of(kind)) == kind);
  CHECK(all_attention_kinds().size() == 18);
  CHECK_THROWS_WITH(attention_kind("sofmax"), contains("unknown kind; got sofmax; expected one of softmax, local"));
}

TEST_CASE("every kind runs on any length and keeps shape, samples apart, and the future out of sight", "[attention]") {
  for (const Kind& k : all_forms()) {
    INFO(label(k));
    manual_seed(3);
    TransformerBlock block(options(k.kind, k.causal));
    block.to(f64);
    block.eval();
    auto run = [&](const Tensor& x) { return block.forward(x); };
    for (int64_t n : {0, 1, 2, 7, 13}) {
      Tensor x = normal({2, n, 8}, 1), y = run(x);
      CHECK(y.shape() == x.shape());
      CHECK(all(isfinite(y)).item<bool>());
    }
    Tensor x = normal({3, 9, 8}, 2);
    CHECK(verify::batch(run, x).message == "");
    if (k.causal) CHECK(verify::causality(run, x, 1).message == "");
  }
}

TEST_CASE("token by token equals the whole sequence, for every kind that has a causal form", "[attention]") {
  for (const Kind& k : all_forms()) {
    if (!k.causal) continue;
    INFO(label(k));
    manual_seed(4);
    TransformerBlock block(options(k.kind, true));
    block.to(f64);
    Tensor x = normal({2, 11, 8}, 3), whole = block.forward(x);
    for (int64_t piece : {1, 4}) {
      BlockState state;
      TensorList y;
      for (const Tensor& part : split(x, piece, 1)) y.push_back(block.step(part, state));
      CHECK(difference(cat(y, 1), whole) < 1e-10);
      CHECK(state.time() == 11);
      CHECK(state.bytes() > 0);
    }
  }
}

TEST_CASE("the states of linear kinds do not grow, those of softmax kinds do", "[attention]") {
  NoGrad guard;
  for (K kind : {K::softmax, K::linear, K::taylor, K::taylor2, K::efficient, K::performer}) {
    INFO(name_of(kind));
    MultiHeadAttentionOptions o = options(kind, true);
    if (kind == K::softmax) o.kind = kind;  // all keys
    MultiHeadAttention layer(o);
    AttentionState state;
    layer.step(normal({1, 3, 8}, 1, f32), state);
    int64_t before = state.bytes();
    layer.step(normal({1, 40, 8}, 2, f32), state);
    if (kind == K::softmax)
      CHECK(state.bytes() > 10 * before);
    else
      CHECK(state.bytes() == before);
  }
  // a window keeps its keys only
  MultiHeadAttention local(options(K::softmax, true));
  AttentionState state;
  local.step(normal({1, 30, 8}, 1, f32), state);
  CHECK(state.key.size(2) == 2);
}

TEST_CASE("gradients of every kind to second order", "[attention][grad]") {
  for (const Kind& k : all_forms()) {
    INFO(label(k));
    manual_seed(5);
    MultiHeadAttentionOptions o = options(k.kind, k.causal);
    o.dim = 4;
    TransformerBlock block(o);
    block.to(f64);
    auto run = [&](const Tensor& x) { return block.forward(x); };
    Tensor x = normal({1, 5, 4}, 6);
    if (is_gated(k.kind)) {  // s = 128: parameters by the thousand; their own tests check them
      CHECK(check_twice([&](const Tensor& x) { return block.forward(x); }, x) == "");
      continue;
    }
    check_covers(block.forward(x).sum(), block);
    CHECK(check_twice([&](const Tensor& x) { return run(x); }, x) == "");
  }
}

TEST_CASE("every kind runs, steps and has gradients under autocast, in either half type", "[attention][autocast]") {
  for (const Kind& k : all_forms())
    for (DType t : {bf16, f16}) {
      INFO(label(k) << " under " << name_of(t));
      manual_seed(3);
      TransformerBlock block(options(k.kind, k.causal));
      Tensor x = normal({2, 9, 8}, 2).to(f32).requires_grad_();
      const Tensor exact = block.forward(x).detach();
      Autocast lower(t);
      Tensor y = block.forward(x);
      y.to(f32).square().sum().backward();
      CHECK(all(isfinite(x.grad())).item<bool>());
      for (const Tensor& p : block.parameters()) CHECK(p.grad().dtype() == f32);
      // Hashes, largest entries and inverses may fall otherwise for rounded numbers: those kinds only have to run.
      const bool steady = k.kind != K::lsh && k.kind != K::topk && k.kind != K::nystrom && k.kind != K::performer;
      if (steady) CHECK(difference(y.to(f32), exact) < (t == f16 ? 0.02 : 0.15));
    }
}

TEST_CASE("a model of every causal kind is saved, loaded, copied and continued", "[attention][gpt]") {
  for (K kind : all_attention_kinds()) {
    if (!has_causal_form(kind)) continue;
    INFO(name_of(kind));
    GPTOptions o{.vocabulary = 7, .context = 12, .dim = 8, .heads = 2, .layers = 2, .kind = small(kind)};
    GPT gpt(o), other(o), copy = gpt;
    for (auto& [name, p] : gpt.named_parameters())
      if (name.ends_with("gain")) CHECK(equal(p, ones_like(p)));  // not drawn anew as weights are
    check_saved_copied_continued(gpt, other, copy);
  }
}

TEST_CASE("what a kind cannot do is refused with the reason", "[attention][errors]") {
  CHECK_THROWS_WITH(MultiHeadAttention(options(K::linformer, true)), contains("no linformer attention like this"));
  CHECK_THROWS_WITH(MultiHeadAttention(options(K::nystrom, true)), contains("no nystrom attention like this"));
  CHECK_THROWS_WITH(MultiHeadAttention(options(K::strided, false)), contains("the pattern is causal by definition"));
  CHECK_THROWS_WITH(MultiHeadAttention(options(K::gau, true)), contains("attention and feed-forward layer in one"));
  MultiHeadAttentionOptions o = options(K::linear, true);
  o.dropout = 0.5;
  CHECK_THROWS_WITH(MultiHeadAttention(o), contains("linear attention has no weights to drop; got dropout 0.5"));
  o = options(K::efficient, true);
  o.rotary = true;
  CHECK_THROWS_WITH(MultiHeadAttention(o), contains("efficient attention does not weigh by q . k"));
  o = options(K::local, true);
  o.softcap = 3;
  CHECK_THROWS_WITH(MultiHeadAttention(o), contains("softcap and alibi belong to softmax attention; got kind local"));
  o = options(K::lsh, true);
  o.kv_heads = 1;
  CHECK_THROWS_WITH(MultiHeadAttention(o), contains("lsh attention has one head of keys per head of queries"));
  MultiHeadAttention linformer(options(K::linformer, false));
  CHECK_THROWS_AS(linformer.forward(zeros({1, 17, 8})), Error);  // longer than its projections
  AttentionState state;
  CHECK_THROWS_AS(linformer.step(zeros({1, 1, 8}), state), NotSupported);
}
