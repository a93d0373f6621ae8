// Every state space kind behind TransformerBlock and GPT: one set of properties for all.
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/observe/autocast.h"
#include "autograd/ops.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/layers.h"

using namespace ink;
using namespace ink::test;

namespace {

SsmOptions small(SsmKind kind, StateForm form = StateForm::chunked, int64_t chunk = 4) {
  return {.kind = kind, .dim = 8, .heads = 2, .form = form, .chunk = chunk, .layer = 1, .layers = 2};
}

// Parameters at random: where a layer starts at 0 it would hide what it does.
void redraw(Module& m) {
  NoGrad guard;
  unsigned seed = 20;
  for (const auto& [name, p] : m.named_parameters())  // RTF's denominator: with poles inside the unit circle
    Tensor(p).copy_((name.ends_with("ssm.a") ? 0.01 : 0.4) * normal(p.shape(), seed++));
}
TransformerBlock block_of(const SsmOptions& o, DType t = f64) {
  TransformerBlock block(o);
  redraw(block);
  block.to(t);
  return block;
}
// The layer that mixes tokens, by itself.
AnyMixer layer_of(const SsmOptions& o) { return row_of(o.kind).mixers(o)[0]; }

}  // namespace

TEST_CASE("names of state space kinds", "[ssm]") {
  for (SsmKind kind : all_ssm_kinds()) {
    CHECK(ssm_kind(name_of(kind)) == kind);
    CHECK(std::string(name_of(block_kind(name_of(kind)))) == name_of(kind));
  }
  CHECK(std::string(name_of(block_kind("local"))) == "local");
  CHECK_THROWS_WITH(ssm_kind("ratnet"), contains("unknown kind; got ratnet; expected one of s4, s4d, rtf, lru"));
  CHECK_THROWS_WITH(block_kind("ratnet"), contains("unknown kind; got ratnet; expected one of s4, s4d, rtf, lru"));
}

TEST_CASE("every state space kind runs on any length, samples apart, and the future out of sight", "[ssm]") {
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    TransformerBlock block = block_of(small(kind));
    auto run = [&](const Tensor& x) { return block.forward(x); };
    for (int64_t n : {0, 1, 2, 7, 13}) {
      Tensor x = normal({2, n, 8}, 1), y = run(x);
      CHECK(y.shape() == x.shape());
      CHECK(all(isfinite(y)).item<bool>());
    }
    CHECK(run(zeros({0, 3, 8}, f64)).shape() == Shape{0, 3, 8});
    Tensor x = normal({3, 9, 8}, 2);
    CHECK(verify::batch(run, x).message == "");
    CHECK(verify::causality(run, x, 1).message == "");
    Tensor turned = normal({8, 9, 2}, 3).permute({2, 1, 0});  // not contiguous
    CHECK(difference(run(turned), run(turned.contiguous())) < 1e-14);
  }
}

TEST_CASE("all forms of a kind agree in f64 and f32", "[ssm]") {
  for (SsmKind kind : all_ssm_kinds())
    for (DType t : {f64, f32}) {
      INFO(name_of(kind) << ", " << name_of(t));
      const Tensor x = normal({2, 13, 8}, 4, t);
      Tensor expected = block_of(small(kind, StateForm::recurrent), t).forward(x);
      CHECK(difference(block_of(small(kind, StateForm::parallel), t).forward(x), expected) < (t == f64 ? 1e-10 : 1e-5));
      for (int64_t chunk : {1, 5, 13, 16})
        CHECK(difference(block_of(small(kind, StateForm::chunked, chunk), t).forward(x), expected) <
              (t == f64 ? 1e-10 : 1e-5));
    }
}

TEST_CASE("a prompt and steps equal the whole sequence, however it is split", "[ssm]") {
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    TransformerBlock block = block_of(small(kind));
    Tensor x = normal({2, 11, 8}, 3), whole = block.forward(x);
    int64_t bytes = 0;
    using Pieces = std::vector<int64_t>;
    for (const Pieces& pieces : {Pieces(11, 1), Pieces{2, 9}, Pieces{7, 0, 1, 3}, Pieces{11}}) {
      BlockState state;
      TensorList y;
      int64_t at = 0;
      for (int64_t n : pieces) {
        y.push_back(block.step(x.narrow(1, at, n), state));
        at += n;
      }
      CHECK(difference(cat(y, 1), whole) < 1e-10);
      CHECK(state.time() == 11);
      if (bytes) CHECK(state.bytes() == bytes);
      bytes = state.bytes();
    }
    BlockState state, longer;  // its size does not depend on the length
    block.step(normal({2, 40, 8}, 5), longer);
    CHECK(longer.bytes() == bytes);
  }
}

TEST_CASE("gradients flow through a state: two pieces give what the whole gives", "[ssm][grad]") {
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    TransformerBlock block = block_of(small(kind));
    const Tensor w = normal({1, 6, 8}, 9);
    auto gradient = [&](bool whole) {
      Tensor x = normal({1, 6, 8}, 7).requires_grad_();
      BlockState state;
      Tensor y = whole ? block.forward(x)
                       : cat({block.step(x.narrow(1, 0, 4), state), block.step(x.narrow(1, 4, 2), state)}, 1);
      (y * w).sum().backward();
      return x.grad();
    };
    CHECK(difference(gradient(false), gradient(true)) < 1e-10);
  }
}

TEST_CASE("gradients of every state space kind to second order, its parameters included", "[ssm][grad]") {
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    SsmOptions o = small(kind);
    o.dim = 2, o.heads = 1, o.chunk = 2;
    TransformerBlock block = block_of(o);
    check_covers(block.forward(normal({1, 3, 2}, 6)).sum(), block);
    AnyMixer mixes = layer_of(o);
    struct Alone : Module {
      AnyMixer layer;
      explicit Alone(AnyMixer m) : layer(std::move(m)) {}
      void fields(Fields& f) override { layer->fields(f); }
    } alone(mixes);
    redraw(alone);
    alone.to(f64);
    if (alone.num_parameters() > 120) {  // Mamba; its own tests check them
      CHECK(check_twice([&](const Tensor& x) { return alone.layer->forward(x, {}); }, normal({1, 3, 2}, 6)) == "");
      continue;
    }
    CHECK(verify::gradients(
              alone, [&](const Tensor& x) { return alone.layer->forward(x, {}); }, normal({1, 3, 2}, 6))
              .message == "");
  }
}

TEST_CASE("every state space kind runs and has gradients under autocast, and in halves", "[ssm][autocast]") {
  for (SsmKind kind : all_ssm_kinds())
    for (DType t : {bf16, f16}) {
      INFO(name_of(kind) << " under " << name_of(t));
      TransformerBlock block = block_of(small(kind), f32);
      Tensor x = normal({2, 9, 8}, 2).to(f32).requires_grad_();
      const Tensor exact = block.forward(x).detach();
      {
        Autocast lower(t);
        Tensor y = block.forward(x);
        y.to(f32).square().sum().backward();
        CHECK(all(isfinite(x.grad())).item<bool>());
        for (const Tensor& p : block.parameters()) CHECK(p.grad().dtype() == f32);
        CHECK(difference(y.to(f32), exact) < (t == f16 ? 0.02 : 0.15));
        BlockState state;
        NoGrad guard;
        Tensor first = block.step(x.narrow(1, 0, 4), state), rest = block.step(x.narrow(1, 4, 5), state);
        CHECK(difference(cat({first, rest}, 1).to(f32), exact) < (t == f16 ? 0.02 : 0.15));
      }
      block.to(t);
      Tensor y = block.forward(x.detach().to(t));
      CHECK(y.dtype() == t);
      CHECK(difference(y.to(f32), exact) < (t == f16 ? 0.03 : 0.25));
    }
}

TEST_CASE("a model of every state space kind is saved, loaded, copied and continued", "[ssm][gpt]") {
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    const bool for_a_length = kind == SsmKind::s4 || kind == SsmKind::rtf;
    const GPTOptions o{.vocabulary = 7,
                       .context = for_a_length ? 20 : 6,
                       .dim = 8,
                       .heads = 2,
                       .stack = {kind, kind},
                       .positions = false};
    GPT gpt(o), other(o);
    redraw(gpt);
    GPT copy = gpt;
    check_saved_copied_continued(gpt, other, copy);  // longer than `context`: there are no positions
  }
}

TEST_CASE("a hybrid stack: attention and recurrences in one model, whole and step by step", "[ssm][gpt]") {
  const GPTOptions o{.vocabulary = 7,
                     .context = 16,
                     .dim = 8,
                     .heads = 2,
                     .stack = {SsmKind::retnet, AttentionKind::softmax, SsmKind::rwkv4, kinds::Local{.window = 2},
                               SsmKind::kimi_delta}};
  GPT gpt(o);
  CHECK(gpt.options.layers == 5);
  redraw(gpt);
  gpt.to(f64);
  Tensor ids = whole({2, 12}, 7, 1), logits = gpt.forward(ids);
  std::vector<BlockState> states;
  TensorList y;
  for (const Tensor& part : split(ids, 5, 1)) y.push_back(gpt.step(part, states));
  CHECK(difference(cat(y, 1), logits) < 1e-10);
  check_covers(gpt.forward(ids).sum(), gpt);
  CHECK_THROWS_AS(gpt.forward(whole({1, 17}, 7, 1)), ShapeError);  // it has positions
}

TEST_CASE("a stack keeps the start of its recurrences, and GPT-2's for the rest", "[ssm][gpt]") {
  manual_seed(3);
  GPT gpt({.vocabulary = 7, .context = 8, .dim = 8, .heads = 2, .stack = {SsmKind::gated_delta_net, SsmKind::rwkv4}});
  for (auto& [name, p] : gpt.named_parameters()) {
    INFO(name);
    if (name == "blocks.0.gated_delta_net.bias") CHECK(min(abs(p)).item() > 1);  // of steps below 0.1
    if (name == "blocks.0.gated_delta_net.q.weight") CHECK(ink::std(p).item() > 0.1);
    if (name == "blocks.0.up.weight") CHECK(ink::std(p).item() < 0.03);
    if (name == "blocks.1.rwkv4.decay") CHECK(std::abs(p[0].item() + 5) < 1e-6);
    if (name == "blocks.1.channel_mix.value.weight") CHECK(max(abs(p)).item() == 0);
  }
}

TEST_CASE("a state of other sizes, another batch or another kind is refused", "[ssm][errors]") {
  const Tensor x = normal({2, 3, 8}, 1);
  for (SsmKind kind : all_ssm_kinds()) {
    INFO(name_of(kind));
    TransformerBlock block = block_of(small(kind));
    BlockState state;
    block.step(x, state);
    CHECK_THROWS_AS(block.step(normal({3, 1, 8}, 1), state), ShapeError);
    SsmOptions wide = small(kind);
    wide.dim = 16;
    BlockState large;
    block_of(wide).step(normal({2, 1, 16}, 1), large);
    CHECK_THROWS_AS(block.step(x, large), ShapeError);
    CHECK_THROWS_AS(block.forward(normal({2, 3, 7}, 1)), ShapeError);
    TransformerBlock attention({.dim = 8, .heads = 2, .causal = true});
    attention.to(f64);
    BlockState keys;
    attention.step(x, keys);
    CHECK_THROWS_WITH(block.step(x, keys), contains("a layer of another kind made this state"));
    CHECK_THROWS_WITH(block.forward(x, ones({3, 3}, boolean)), contains("takes no mask"));
    SsmOptions none = small(kind);
    none.dim = 0;
    CHECK_THROWS_AS(TransformerBlock(none), ValueError);
  }
}
