// What layers and models of every kind must do, each check written once.
#pragma once
#include <vector>

#include "include/inkstone/testing.h"
#include "nn/models/gpt.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

namespace ink::test {

// A layer of 4 features looks back only, keeps samples apart and names all its parameters; one of 2, in f64, has right
// first and second derivatives.
template <class Layer> void check_causal_layer(Layer& layer, Layer& tiny) {
  const auto run = [&](const Tensor& x) { return layer.forward(x); };
  CHECK(verify::causality(run, normal({2, 7, 4}, 1), 1).message == "");
  CHECK(verify::batch(run, normal({3, 5, 4}, 1)).message == "");
  check_covers(layer.forward(normal({1, 3, 4}, 1)).sum(), layer);
  CHECK(verify::gradients(
            tiny, [&](const Tensor& x) { return tiny.forward(x); }, normal({1, 3, 2}, 2))
            .message == "");
}

// A layer in f32 looks back only, keeps samples apart and names all its parameters; then in f64 it has right first and
// second derivatives at x.
template <class Layer> void check_causal_to_second_order(Layer layer, const Tensor& x) {
  const auto forward = [&](const Tensor& in) { return layer.forward(in); };
  check_covers(layer.forward(x).sum(), layer);
  CHECK(verify::causality(forward, x, 1));
  CHECK(verify::batch(forward, x));
  layer.to(f64);
  const auto r = verify::gradients(layer, forward, x.to(f64));
  INFO(r.message);
  CHECK(r);
}

// A block of 8 features gives the same step by step, and in f64 to the last bit when it was saved and loaded. `make`
// gives its mixer, with other weights each time.
template <class Make> void check_block_of(Make make) {
  const auto block = [&](unsigned seed) {
    manual_seed(seed);
    TransformerBlock b(8, {make()});
    b.to(f64);
    return b;
  };
  TransformerBlock one = block(1), other = block(2);
  const Tensor x = normal({1, 6, 8}, 3), y = one.forward(x);
  BlockState state;
  CHECK(difference(cat({one.step(x.narrow(1, 0, 2), state), one.step(x.narrow(1, 2, 4), state)}, 1), y) < 1e-12);
  TemporaryFolder folder;
  one.save(folder / "block.safetensors");
  CHECK(difference(other.forward(x), y) > 1e-3);
  other.load(folder / "block.safetensors");
  CHECK(equal(other.forward(x), y));
}

// A layer of 8 features in f16 and bf16: its state S stays f32, and its result is that of the same weights in f64, to
// so many roundings.
template <class Layer> void check_halves(const Layer& layer, int64_t time, double roundings) {
  for (DType t : {f16, bf16}) {
    Layer m = layer;
    m.to(t);
    Layer wide = m;
    wide.to(f64);
    const Tensor x = normal({2, time, 8}, 1).to(t);
    typename Layer::State state;
    const Tensor y = m.step(x, state), reference = wide.forward(x.to(f64));
    CHECK(y.dtype() == t);
    CHECK(state.S.dtype() == f32);
    CHECK(max(abs(y.to(f64) - reference)).item() < roundings * verify::epsilon(t) * max(abs(reference)).item());
  }
}

// A model over 7 tokens gives the same bits when it was saved and loaded into `other`, and as `copy`, and the same to
// rounding step by step, from a state that branches.
inline void check_saved_copied_continued(GPT& gpt, GPT& other, const GPT& copy) {
  TemporaryFolder folder;
  const Tensor ids = whole({2, 10}, 7, 1), logits = gpt.forward(ids);
  gpt.save(folder / "model.safetensors");
  other.load(folder / "model.safetensors");
  CHECK(equal(other.forward(ids), logits));
  CHECK(equal(copy.forward(ids), logits));
  std::vector<BlockState> states;
  const Tensor first = gpt.step(ids.narrow(1, 0, 6), states);
  std::vector<BlockState> branch = states;  // a state is a value: both go on from here
  const Tensor a = gpt.step(ids.narrow(1, 6, 4), states), b = gpt.step(ids.narrow(1, 6, 4), branch);
  CHECK(equal(a, b));
  CHECK(verify::close(cat({first, a}, 1), logits, verify::tolerance(f32, 400)).message == "");
}

}  // namespace ink::test
