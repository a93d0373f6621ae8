// Blocks of mixers: the names of their fields, layers with a state of their own type, and what is refused.
#include "nn/mixer.h"

#include <algorithm>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/attention/multihead.h"
#include "nn/models/transformer.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// y_t = w0 x_t + w1 x_{t-1}, with a state that is none of attention's.
struct Shift : Module {
  struct State {
    int64_t time = 0;
    Tensor last;  // [batch, 1, dim]
    std::vector<Tensor*> tensors() { return {&last}; }
  };
  Param weight;  // [2, dim]
  explicit Shift(int64_t dim) : weight(normal({2, dim}, 1, f32)) {}
  Tensor forward(const Tensor& x) const {
    State fresh;
    return step(x, fresh);
  }
  Tensor step(const Tensor& x, State& state) const {
    const Tensor before = state.last.defined() ? state.last : zeros_like(x.narrow(1, 0, 1));
    const Tensor all = cat({before, x}, 1);
    state.last = all.narrow(1, x.size(1), 1).clone();
    state.time += x.size(1);
    return x * weight[0] + all.narrow(1, 0, x.size(1)) * weight[1];
  }
  void fields(Fields& f) override { f("weight", weight); }
};

std::vector<std::string> names_of_parameters(Module& m) {
  std::vector<std::string> names;
  for (auto& [name, p] : m.named_parameters()) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("a block's parameters have the names under which they are saved", "[mixer]") {
  TransformerBlock block({.dim = 8, .heads = 2}),
      gau({.dim = 8, .heads = 2, .bias = false, .kind = AttentionKind::gau}),
      flash({.dim = 8, .heads = 2, .bias = false, .kind = AttentionKind::flash});
  CHECK(names_of_parameters(block) == std::vector<std::string>{"norm1.weight", "norm1.bias", "attention.qkv.weight",
                                                               "attention.qkv.bias", "attention.out.weight",
                                                               "attention.out.bias", "norm2.weight", "norm2.bias",
                                                               "up.weight", "up.bias", "down.weight", "down.bias"});
  for (auto [layer, name] : {std::pair<TransformerBlock*, std::string>{&gau, "gau"}, {&flash, "flash"}}) {
    std::vector<std::string> names{"norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"};
    for (std::string i : {".0", ".1"})
      for (const char* part : {".uvz.weight", ".out.weight", ".gain", ".offset"}) names.push_back(name + i + part);
    std::vector<std::string> got = names_of_parameters(*layer);
    std::sort(names.begin(), names.end()), std::sort(got.begin(), got.end());
    CHECK(got == names);
  }
}

TEST_CASE("a layer with a state of its own type mixes in a block, whole and in pieces", "[mixer]") {
  TransformerBlock block(6, {mixer("shift", Shift(6)), mixer("", FeedForward(6, 12)), mixer("again", Shift(6))});
  block.to(f64);
  CHECK(names_of_parameters(block)[2] == "shift.weight");
  Tensor x = normal({2, 7, 6}, 2), whole = block.forward(x);
  for (int64_t piece : {1, 3, 7}) {
    BlockState state;
    CHECK(state.time() == 0);
    CHECK(state.bytes() == 0);
    TensorList y;
    for (const Tensor& part : split(x, piece, 1)) y.push_back(block.step(part, state));
    CHECK(difference(cat(y, 1), whole) < 1e-14);
    CHECK(state.time() == 7);
    CHECK(state.bytes() == 2 * 2 * 6 * 8);  // a token for each of the two shifts
  }
  auto run = [&](const Tensor& x) { return block.forward(x); };
  CHECK(verify::causality(run, x, 1).message == "");
  CHECK(verify::batch(run, x).message == "");
  check_covers(block.forward(x).sum(), block);
  TransformerBlock copy = block;  // with weights of its own
  {
    NoGrad guard;
    copy.parameters()[2].zero_();
  }
  CHECK(equal(block.forward(x), whole));
  CHECK_FALSE(equal(copy.forward(x), whole));
}

TEST_CASE("a state is a value, and samples can be picked from it", "[mixer]") {
  for (AttentionKind kind : {AttentionKind::softmax, AttentionKind::linear, AttentionKind::gau, AttentionKind::flash}) {
    INFO(name_of(kind));
    TransformerBlock block({.dim = 8, .heads = 2, .causal = true, .kind = kind});
    block.to(f64);
    Tensor x = normal({3, 5, 8}, 1);
    BlockState state;
    block.step(x.narrow(1, 0, 3), state);
    BlockState branch = state;
    Tensor next = block.step(x.narrow(1, 3, 1), state), same = block.step(x.narrow(1, 3, 1), branch);
    CHECK(equal(next, same));
    const Tensor picked = from_data(std::vector<int64_t>{2, 0}, {2});
    for (Tensor* t : branch.tensors())
      if (t->defined()) *t = index_select(*t, 0, picked);
    Tensor last = x.narrow(1, 4, 1);
    CHECK(difference(block.step(index_select(last, 0, picked), branch),
                     index_select(block.step(last, state), 0, picked)) < 1e-14);
  }
}

TEST_CASE("what a block of mixers refuses", "[mixer][errors]") {
  CHECK_THROWS_WITH(TransformerBlock(4, {}), contains("got no mixers; expected at least one"));
  CHECK_THROWS_WITH(TransformerBlock(4, {AnyMixer()}), contains("got an empty mixer"));
  TransformerBlock shift(4, {mixer("shift", Shift(4))}), attention({.dim = 4, .heads = 1, .causal = true});
  CHECK_THROWS_WITH(shift.forward(zeros({1, 2, 4}), ones({2, 2}, boolean)),
                    contains("shift: takes no mask; got [2, 2]"));
  BlockState state;
  shift.step(zeros({1, 2, 4}), state);
  CHECK_THROWS_WITH(attention.step(zeros({1, 1, 4}), state), contains("got a state of 1 mixers; expected 2"));
  TransformerBlock other(4, {mixer("attention", MultiHeadAttention({.dim = 4, .heads = 1, .causal = true}))});
  CHECK_THROWS_WITH(other.step(zeros({1, 1, 4}), state), contains("a layer of another kind made this state"));
}

TEST_CASE("a layer draws the numbers of its core once", "[mixer][attention]") {
  for (KindChoice kind : {KindChoice(kinds::Linformer{.length = 5, .rows = 3}), KindChoice(AttentionKind::performer)}) {
    INFO(name_of(kind));
    const MultiHeadAttentionOptions o{.dim = 8, .heads = 2, .kind = kind};
    manual_seed(4);
    MultiHeadAttention layer(o);
    const Tensor after = rand({4});
    manual_seed(4);
    auto core = make_attention_core(o);
    Linear qkv(8, 24), out(8, 8);
    CHECK(equal(rand({4}), after));
    CHECK(equal(layer.qkv.weight, qkv.weight));
    const NamedTensors mine = layer.core->state_dict(), alone = core->state_dict();
    for (size_t i = 0; i < alone.size(); ++i) CHECK(equal(mine[i].second, alone[i].second));
  }
}

TEST_CASE("a kind with sizes of its own, or with the usual ones", "[mixer][attention]") {
  const KindChoice usual = AttentionKind::local, own = kinds::Local{.window = 2};
  CHECK(usual.sizes<kinds::Local>().window == 64);
  CHECK(own.sizes<kinds::Local>().window == 2);
  CHECK(own == AttentionKind::local);
  const Tensor x = normal({1, 2, 9, 4}, 1, f32);
  auto run = [&](KindChoice kind) {
    return make_attention_core({.dim = 8, .heads = 2, .kind = kind})->attend(x, x, x, {});
  };
  CHECK(equal(run(usual), run(attention_kind("local"))));
  CHECK_FALSE(equal(run(usual), run(own)));
  CHECK(difference(run(own), run(kinds::Softmax{.window = 2})) < 1e-6);
  CHECK(difference(run(kinds::Softmax{.algorithm = AttentionAlgorithm::naive}), run(AttentionKind::softmax)) < 1e-6);
}
