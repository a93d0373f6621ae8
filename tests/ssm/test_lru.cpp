// LRU and SLRU: forms, states, the ring that poles are drawn from, gradients, bad input.
#include "nn/ssm/lru.h"

#include <cmath>
#include <complex>

#include "include/inkstone/testing.h"
#include "nn/mixer.h"
#include "nn/ssm/poles.h"
#include "nn/warning.h"
#include "optim/adam.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

LRU lru(bool complex, int64_t dim = 3, int64_t state = 4) {
  manual_seed(7);
  LRU layer({.dim = dim, .state = state, .r_min = 0.5, .r_max = 0.99, .complex = complex});
  layer.to(f64);
  return layer;
}

// y by the formula, number by number: complex numbers as pairs, one step after the other.
Tensor by_formula(const LRU& l, const Tensor& x) {
  using C = std::complex<double>;
  const int64_t batch = x.size(0), n = x.size(1), dim = l.options.dim, states = l.options.state;
  const Values nu = values(l.nu), gamma = values(l.gamma_log), b = values(l.B), c = values(l.C), d = values(l.D),
               in = values(x), theta = l.options.complex ? values(l.theta) : Values();
  const auto entry = [&](const Values& v, size_t re, size_t im, size_t real) {
    return l.options.complex ? C(v[re], v[im]) : C(v[real], 0);
  };
  Values y;
  for (int64_t i = 0; i < batch; ++i) {
    std::vector<C> h(size_t(states), C(0));
    for (int64_t t = 0; t < n; ++t) {
      const double* xt = &in[size_t((i * n + t) * dim)];
      for (int64_t s = 0; s < states; ++s) {
        C u = 0;
        for (int64_t k = 0; k < dim; ++k)
          u += entry(b, size_t(2 * s * dim + k), size_t((2 * s + 1) * dim + k), size_t(s * dim + k)) * xt[k];
        const C pole = std::exp(C(-std::exp(nu[size_t(s)]), theta.empty() ? 0 : std::exp(theta[size_t(s)])));
        h[size_t(s)] = pole * h[size_t(s)] + std::exp(gamma[size_t(s)]) * u;
      }
      for (int64_t k = 0; k < dim; ++k) {
        C out = 0;
        for (int64_t s = 0; s < states; ++s) {
          const size_t at = size_t(k * states + s);
          out += entry(c, 2 * at, 2 * at + 1, at) * h[size_t(s)];
        }
        y.push_back(out.real() + d[size_t(k)] * xt[k]);
      }
    }
  }
  return from_data(y, x.shape()).to(x.options());
}

struct Way {
  LruForm form;
  ScanAlgorithm algorithm;
};
const Way kWays[] = {{LruForm::scan, ScanAlgorithm::sequential},
                     {LruForm::scan, ScanAlgorithm::hillis_steele},
                     {LruForm::scan, ScanAlgorithm::blelloch},
                     {LruForm::scan, ScanAlgorithm::chunked},
                     {LruForm::convolution, ScanAlgorithm::sequential}};

}  // namespace

TEST_CASE("LRU: every form follows the formula, real and complex, for any length", "[lru]") {
  for (bool complex : {true, false}) {
    LRU layer = lru(complex);
    for (int64_t n : {1, 2, 3, 7, 16}) {
      const Tensor x = normal({2, n, 3}, 1), expected = by_formula(layer, x);
      for (const Way& way : kWays) {
        INFO("complex " << complex << ", n " << n << ", form " << int(way.form) << ", scan " << int(way.algorithm));
        layer.options.form = way.form, layer.options.algorithm = way.algorithm;
        CHECK(difference(layer.forward(x), expected) < 1e-12);
      }
    }
    CHECK(layer.forward(zeros({2, 0, 3}, f64)).shape() == Shape{2, 0, 3});
    CHECK(layer.forward(zeros({0, 4, 3}, f64)).shape() == Shape{0, 4, 3});
    const Tensor strided = transpose(normal({2, 3, 5}, 2), 1, 2);
    CHECK(difference(layer.forward(strided), layer.forward(contiguous(strided))) == 0);
  }
}

TEST_CASE("LRU: in f32 and in halves all forms stay close to f64", "[lru]") {
  for (bool complex : {true, false}) {
    LRU exact = lru(complex);
    const Tensor x = normal({1, 40, 3}, 3), expected = exact.forward(x);
    for (DType t : {f32, f16, bf16})
      for (const Way& way : kWays) {
        LRU layer = exact;
        layer.to(t == f32 ? f32 : t);
        // the parameters as rounded, in f64
        LRU rounded = layer;
        rounded.to(f64);
        layer.options.form = way.form, layer.options.algorithm = way.algorithm;
        const Tensor y = layer.forward(x.to(t));
        CHECK(y.dtype() == t);
        const double limit = t == f32 ? 1e-5 : t == f16 ? 1e-3 : 8e-3;
        CHECK(difference(y.to(f64), rounded.forward(x.to(t).to(f64))) < limit);
      }
  }
}

TEST_CASE("LRU: a prompt and then step by step, or in pieces, is the whole", "[lru]") {
  for (bool complex : {true, false})
    for (const Way& way : kWays) {
      LRU layer = lru(complex);
      layer.options.form = way.form, layer.options.algorithm = way.algorithm;
      const Tensor x = normal({2, 9, 3}, 4), whole = layer.forward(x);
      for (int64_t prompt : {0, 1, 4, 9}) {
        LRU::State state;
        std::vector<Tensor> rows{layer.step(slice(x, 1, 0, prompt), state)};
        for (int64_t t = prompt; t < 9; ++t) rows.push_back(layer.step(slice(x, 1, t, t + 1), state));
        CHECK(state.time == 9);
        CHECK(difference(cat(rows, 1), whole) < 1e-12);
      }
      LRU::State state;
      layer.step(slice(x, 1, 0, 3), state);
      LRU::State copy = state;  // a value
      const Tensor rest = layer.step(slice(x, 1, 3, 9), state);
      CHECK(difference(rest, slice(whole, 1, 3, 9)) < 1e-12);
      CHECK(difference(layer.step(slice(x, 1, 3, 9), copy), rest) == 0);
    }
  // in a block, which keeps the state
  const AnyMixer m = mixer("lru", lru(true));
  LayerState state;
  const Tensor x = normal({1, 5, 3}, 4), first = m->step(slice(x, 1, 0, 2), state);
  CHECK(difference(cat({first, m->step(slice(x, 1, 2, 5), state)}, 1), m->forward(x, {})) < 1e-12);
  CHECK(state.bytes() == 4 * 16);
}

TEST_CASE("LRU: poles are drawn from the ring, evenly over its area, and white noise gives states of variance 1",
          "[lru]") {
  manual_seed(11);
  const int64_t n = default_device() == Device::cpu() ? 4000 : 200;
  const LRU layer({.dim = 1, .state = n, .r_min = 0.6, .r_max = 0.9, .max_phase = 1});
  const Values modulus = values(to(abs(layer.poles()), f64)), phase = values(to(angle(layer.poles()), f64));
  double mean_square = 0, mean_phase = 0;
  for (int64_t i = 0; i < n; ++i) {
    CHECK((modulus[size_t(i)] >= 0.6 - 1e-6 && modulus[size_t(i)] <= 0.9 + 1e-6));
    CHECK((phase[size_t(i)] >= 0 && phase[size_t(i)] <= 1 + 1e-6));
    mean_square += modulus[size_t(i)] * modulus[size_t(i)] / double(n), mean_phase += phase[size_t(i)] / double(n);
  }
  const double width = (0.81 - 0.36) / std::sqrt(12. * double(n));  // the deviation of a mean of n uniform numbers
  CHECK(std::abs(mean_square - (0.36 + 0.81) / 2) < 4 * width);
  CHECK(std::abs(mean_phase - 0.5) < 4 / std::sqrt(12. * double(n)));
  // Var h = gamma^2 / (1 - |lambda|^2) Var(B x), and that is 1 from the start
  const Values gamma = values(to(exp(layer.gamma_log), f64));
  for (int64_t i = 0; i < n; ++i)
    CHECK(std::abs(gamma[size_t(i)] * gamma[size_t(i)] / (1 - modulus[size_t(i)] * modulus[size_t(i)]) - 1) < 1e-4);
}

TEST_CASE("LRU: states under white noise, measured", "[lru]") {
  if (default_device() != Device::cpu()) return;  // 10^6 numbers
  for (bool complex : {true, false}) {
    manual_seed(5);
    LRU layer({.dim = 64, .state = 64, .r_min = 0.5, .r_max = 0.95, .complex = complex});
    LRU::State state;
    layer.forward(randn({1, 1, 64}));
    layer.step(randn({512, 120, 64}), state);  // 0.95^120 = 0.002: as good as always
    const double variance = mean(square(abs(state.h))).item();
    CHECK(std::abs(variance - 1) < 0.05);
  }
}

TEST_CASE("LRU: |lambda| stays at most 1 whatever nu is, and nothing overflows", "[lru]") {
  LRU layer = lru(true, 2, 4);
  layer.nu = tensor({-1e30, -40, 40, 1e30}, f64);
  const Tensor modulus = abs(layer.poles());
  CHECK(all(isfinite(modulus)).item<bool>());
  CHECK(max(modulus).item() <= 1);
  for (LruForm form : {LruForm::scan, LruForm::convolution}) {
    layer.options.form = form;
    CHECK(all(isfinite(layer.forward(normal({1, 6, 2}, 1)))).item<bool>());
  }
  // r_max = 1 and r_min = 0, the defaults of the paper's code, have finite parameters
  const LRU wide({.dim = 2, .state = 300, .r_min = 0, .r_max = 1});
  CHECK(all(isfinite(wide.nu)).item<bool>());
  CHECK(all(isfinite(wide.gamma_log)).item<bool>());
  CHECK(instability(wide.poles(), 0).empty());
}

TEST_CASE("LRU has gradients to second order in x, every parameter and the state", "[lru]") {
  for (bool complex : {true, false})
    for (LruForm form : {LruForm::scan, LruForm::convolution}) {
      LRU layer = lru(complex, 2, 2);
      layer.options.form = form;
      const auto forward = [&](const Tensor& x) { return layer.forward(x); };
      const auto r = verify::gradients(layer, forward, normal({1, 3, 2}, 5));
      INFO(r.message);
      CHECK(r.ok);
      const auto through_state = [&](const TensorList& in) {
        LRU::State state{.time = 3, .h = in[0]};
        const Tensor y = layer.step(in[1], state);
        return TensorList{y, state.h};
      };
      CHECK(check_twice(through_state, {normal({1, 2}, 6, complex ? c128 : f64), normal({1, 2, 2}, 7)}) == "");
    }
}

TEST_CASE("LRU: no token sees later ones, samples stand apart, all fields are named", "[lru]") {
  for (bool complex : {true, false}) {
    LRU layer = lru(complex);
    const auto forward = [&](const Tensor& x) { return layer.forward(x); };
    CHECK(verify::causality(forward, normal({2, 5, 3}, 8), 1));
    CHECK(verify::batch(forward, normal({3, 5, 3}, 8)));
    check_covers(layer.forward(normal({2, 5, 3}, 8)).sum(), layer);
    TemporaryFolder folder;
    layer.save(folder / "lru.safetensors");
    LRU other({.dim = 3, .state = 4, .complex = complex});
    other.to(f64);
    other.load(folder / "lru.safetensors");
    CHECK(difference(other.forward(normal({2, 5, 3}, 8)), layer.forward(normal({2, 5, 3}, 8))) == 0);
  }
}

TEST_CASE("LRU: Adam trains all of its parameters", "[lru]") {
  LRU layer = lru(true);
  const Tensor x = normal({2, 6, 3}, 9);
  LRU teacher = layer;
  teacher.nu = teacher.nu + 0.5, teacher.theta = teacher.theta - 0.3, teacher.C = teacher.C * 0.7;
  const Tensor wanted = teacher.forward(x).detach();
  Adam adam(layer.parameters(), {.lr = 0.02});
  const auto loss = [&] { return mean(square(layer.forward(x) - wanted)); };
  const double before = loss().item();
  for (int i = 0; i < 30; ++i) {
    adam.zero_grad();
    loss().backward();
    adam.step();
  }
  CHECK(loss().item() < before / 4);
}

TEST_CASE("LRU says what does not fit", "[lru]") {
  const auto with = [](LruOptions o) { return [o] { LRU layer(o); }; };
  CHECK_THROWS_AS(with({.dim = 0, .state = 4})(), ValueError);
  CHECK_THROWS_AS(with({.dim = 3, .state = -1})(), ValueError);
  CHECK_THROWS_WITH(with({.dim = 3, .state = 4, .r_max = 1.01})(), contains("grow without bound"));
  CHECK_THROWS_AS(with({.dim = 3, .state = 4, .r_min = 0.9, .r_max = 0.5})(), ValueError);
  CHECK_THROWS_AS(with({.dim = 3, .state = 4, .r_min = double(NAN)})(), ValueError);
  CHECK_THROWS_AS(with({.dim = 3, .state = 4, .r_min = 1, .r_max = 1})(), ValueError);
  CHECK_THROWS_AS(with({.dim = 3, .state = 4, .max_phase = 0})(), ValueError);
  const LRU layer = lru(true);
  CHECK_THROWS_AS(layer.forward(zeros({2, 5, 4}, f64)), ShapeError);
  CHECK_THROWS_AS(layer.forward(zeros({5, 3}, f64)), ShapeError);
  LRU::State state;
  layer.step(normal({2, 1, 3}, 1), state);
  CHECK_THROWS_AS(layer.step(normal({3, 1, 3}, 1), state), ShapeError);            // another batch
  CHECK_THROWS_AS(lru(true, 3, 5).step(normal({2, 1, 3}, 1), state), ShapeError);  // another layer
  CHECK_THROWS_AS(lru(false).step(normal({2, 1, 3}, 1), state), DTypeError);
  CHECK(state.time == 1);  // refused before work began
}

TEST_CASE("unstable poles are told, with the pole", "[lru]") {
  CHECK(instability(tensor({0.5, -1, 1}, f64)).empty());
  CHECK(instability(zeros({0}, f64)).empty());
  CHECK_THAT(instability(tensor({0.5, -1.25, 1.125}, f64)),
             contains("2 of 3 poles") && contains("-1.25 of modulus 1.25"));
  CHECK_THAT(instability(complex_of(tensor({0.5, 3}, f64), tensor({0.5, -4}, f64))), contains("3 - 4i of modulus 5"));
  CHECK_THAT(instability(tensor({0.5, double(NAN)}, f64)), contains("1 of 2 poles") && contains("worst nan"));
  Warnings told;
  warn_if_unstable("here", tensor({0.5}, f64));
  CHECK(told.texts.empty());
  warn_if_unstable("here", tensor({1.5}, f64));
  CHECK_THAT(told.texts.back(), contains("here: 1 of 1 poles") && contains("1.5"));
}
