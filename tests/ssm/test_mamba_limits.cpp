// Mamba, Mamba-2 and Mamba-3 where they are seldom used: under autocast, with no samples, strided, of absurd sizes; and
// what the selective scan keeps in memory.
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/observe/autocast.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/ssm/mamba.h"
#include "nn/ssm/mamba2.h"
#include "nn/ssm/mamba3.h"
#include "tensor/allocator.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// Calls f with one layer of each kind, of width 8.
template <class F> void each_layer(F f) {
  manual_seed(3);
  f("Mamba", Mamba({.dim = 8, .state = 4}));
  f("Mamba held constant", Mamba({.dim = 8, .state = 4, .selection = {false, false, false}}));
  f("Mamba-2", Mamba2({.dim = 8, .state = 4, .head = 4, .scan = {StateForm::chunked, 4}}));
  f("Mamba-3", Mamba3({.dim = 8, .state = 4, .head = 4, .scan = {StateForm::chunked, 4}}));
}

}  // namespace

TEST_CASE("under autocast the layers of the Mamba family stay near f32, as do their gradients", "[mamba]") {
  each_layer([](const char* name, auto layer) {
    const Tensor x = normal({2, 10, 8}, 1, f32), w = normal({2, 10, 8}, 2, f32);
    const auto run = [&] {
      layer.zero_grad();
      Tensor y = layer.forward(x);
      sum(y.to(f32) * w).backward();
      TensorList all{y.detach().to(f64)};
      for (const Tensor& p : layer.parameters()) all.push_back(p.grad().to(f64));
      return all;
    };
    const TensorList exact = run();
    for (DType t : {f16, bf16}) {
      INFO(name << " under " << name_of(t));
      Autocast lower(t);
      const TensorList got = run();
      for (size_t i = 0; i < exact.size(); ++i) {
        INFO("result " << i);
        CHECK((norm(got[i] - exact[i]) / (norm(exact[i]) + 1e-3)).item() < (t == f16 ? 0.02 : 0.15));
      }
      NoGrad guard;
      typename decltype(layer)::State state;
      const Tensor first = layer.step(x.narrow(1, 0, 3), state), rest = layer.step(x.narrow(1, 3, 7), state);
      CHECK(max(abs(cat({first, rest}, 1).to(f64) - got[0])).item() < (t == f16 ? 0.01 : 0.08));
    }
  });
}

TEST_CASE("the layers of the Mamba family take no samples, no tokens and strided input", "[mamba]") {
  each_layer([](const char* name, auto layer) {
    INFO(name);
    layer.to(f64);
    CHECK(layer.forward(zeros({0, 5, 8}, f64)).shape() == Shape{0, 5, 8});
    CHECK(layer.forward(zeros({2, 0, 8}, f64)).shape() == Shape{2, 0, 8});
    const Tensor x = normal({2, 6, 8}, 1);
    CHECK(difference(layer.forward(strided(x)), layer.forward(x)) < 1e-14);
    typename decltype(layer)::State state;
    layer.step(x.narrow(1, 0, 0), state);  // nothing yet
    CHECK(difference(layer.step(x, state), layer.forward(x)) < 1e-13);
    CHECK(state.time == 6);
  });
}

TEST_CASE("sizes whose products cannot be held are refused before anything is made", "[mamba][errors]") {
  const int64_t huge = int64_t(1) << 62;
  CHECK_THROWS_AS(Mamba({.dim = huge}), Error);
  CHECK_THROWS_AS(Mamba({.dim = 4, .state = huge}), Error);
  CHECK_THROWS_AS(Mamba({.dim = 4, .expand = huge}), Error);
  CHECK_THROWS_AS(Mamba2({.dim = huge}), Error);
  CHECK_THROWS_AS(Mamba2({.dim = 64, .state = huge}), Error);
  CHECK_THROWS_AS(Mamba3({.dim = huge}), Error);
  CHECK_THROWS_AS(Mamba3({.dim = 64, .state = huge}), Error);
}

TEST_CASE("training the fused scan takes memory for inputs and results, not for the states of all steps", "[mamba]") {
  const int64_t n = 256, channels = 64, states = 16;
  TensorList in{normal({1, n, channels}, 1, f32), softplus(normal({1, n, channels}, 2, f32)),
                -exp(normal({channels, states}, 3, f32)), normal({1, n, states}, 4, f32),
                normal({1, n, states}, 5, f32)};
  for (Tensor& t : in) t.requires_grad_();
  const auto peak = [&](SelectiveForm form) {
    Allocator& memory = allocator(in[0].device());
    const int64_t before = memory.stats().live;
    memory.reset_peak();
    Tensor h;
    Tensor y = sum(selective_ssm({in[0], in[1], in[2], in[3], in[4]}, h, {.form = form}));
    grad(std::span(&y, 1), in);
    return memory.stats().peak - before;
  };
  const int64_t all_states = n * channels * states * 4;
  CHECK(peak(SelectiveForm::fused) < all_states);
  CHECK(peak(SelectiveForm::associative) > 3 * all_states);
}
