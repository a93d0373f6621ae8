// S4: four roads to one kernel, C and C-tilde, Woodbury's step, lengths, rates.
#include "nn/ssm/s4/s4.h"

#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/ssm/discretise.h"
#include "tests/catch.h"

using namespace ink;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double error(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }

const HippoKind kKinds[] = {HippoKind::legs, HippoKind::legt, HippoKind::fout};

S4 layer_of(const S4Options& o, DType t = f64) {
  manual_seed(1);
  S4 layer(o);
  layer.to(t);
  return layer;
}

// A system of one channel in f64, with the step Delta of a layer.
struct OneSystem {
  Dplr s;
  Tensor step = full({}, 0.05, f64);
  DiscreteSystem discrete;
  explicit OneSystem(HippoKind kind, int64_t n = 8) : s(hippo_dplr(kind, n)) {
    manual_seed(5);
    if (kind == HippoKind::fout) s.lambda = s.lambda - 0.01;  // its state of eigenvalue 0 would stay for ever
    s.C = complex_of(randn({n / 2}, f64), randn({n / 2}, f64));
    const DenseSystem d = dense(s);
    discrete = discretise(d.A, d.B, step.item(), Discretisation::bilinear);
  }
  Tensor C() const { return dense(s).C; }
  // C A_bar^t B_bar, tap by tap
  Tensor krylov(int64_t length) const {
    Tensor x = discrete.B;
    std::vector<Tensor> taps;
    for (int64_t t = 0; t < length; ++t) taps.push_back(real(sum(C() * x))), x = matmul(discrete.A, x);
    return stack(taps, 0);
  }
  Dplr with(const Tensor& whole_C) const {
    Dplr other = s;
    other.C = narrow(whole_C, -1, 0, s.C.size(-1));
    return other;
  }
};

}  // namespace

TEST_CASE("HiPPO's matrices as diagonal plus low rank: the same moments B^T A^k B, normal and stable", "[ssm]") {
  for (HippoKind kind : {HippoKind::legs, HippoKind::legt}) {
    const Hippo h = hippo(kind, 8, 2);
    const Dplr s = hippo_dplr(kind, 8, 2);
    const DenseSystem d = dense(s);
    CHECK(s.P.size(0) == (kind == HippoKind::legs ? 1 : 2));
    CHECK(largest(real(s.lambda) - (kind == HippoKind::legs ? -0.5 : 0)) < 1e-13);
    Tensor x = h.B, z = d.B;
    for (int k = 0; k < 6; ++k) {
      CHECK(std::abs(dot(h.B, x).item() / real(sum(conj(d.B) * z)).item() - 1) < 1e-11);
      x = matmul(h.A, x), z = matmul(d.A, z);
    }
  }
  // FouT in its complex basis -m .. m has one state less than in pairs of a sine and a cosine: that of sin 0 stays 0
  const Hippo h = hippo(HippoKind::fout, 7, 2);
  const DenseSystem d = dense(hippo_dplr(HippoKind::fout, 8, 2));
  Tensor x = h.B, z = d.B;
  for (int k = 0; k < 5; ++k) {
    CHECK(std::abs(real(sum(conj(h.B) * x)).item() / real(sum(conj(d.B) * z)).item() - 1) < 1e-11);
    x = matmul(h.A, x), z = matmul(d.A, z);
  }
  // the largest frequency of LegS is about N^2 / pi
  CHECK(std::abs(max(imag(hippo_dplr(HippoKind::legs, 64).lambda)).item() - 1303.27) < 0.01);
  CHECK_THROWS_AS(hippo_dplr(HippoKind::legs, 7), ValueError);
  CHECK_THROWS_AS(hippo_dplr(HippoKind::lagt, 8), ValueError);
}

TEST_CASE("S4: the kernel by powers of the matrix, by the generating function and step by step, any length", "[ssm]") {
  for (HippoKind kind : kKinds)
    for (int64_t length : {1, 2, 3, 7, 8, 12, 33, 64}) {
      INFO(int(kind) << ", length " << length);
      const OneSystem one(kind);
      const Tensor expected = one.krylov(length);
      const Tensor tilde = truncated(one.C(), one.discrete.A, length);
      CHECK(error(dplr_kernel(one.with(tilde), one.step, length), expected) < 1e-10);
      const DplrStep step(one.s, one.step);
      Tensor x = zeros({1, 4}, c128);
      std::vector<Tensor> y;
      for (int64_t t = 0; t < length; ++t) {
        x = step(x, full({1}, t == 0, f64));
        y.push_back(2 * real(sum(one.s.C * x)));
      }
      CHECK(error(stack(y, 0), expected) < 1e-10);
      CHECK(error(untruncated(tilde, one.discrete.A, length), one.C()) < 1e-8);
    }
}

TEST_CASE("S4: with C in the place of C-tilde the kernel comes out wrapped around", "[ssm]") {
  for (HippoKind kind : {HippoKind::legs, HippoKind::legt}) {
    const OneSystem one(kind);
    const int64_t length = 16;
    const Tensor wrong = dplr_kernel(one.s, one.step, length), right = one.krylov(length);
    CHECK(error(wrong, right) > 0.05);
    // the sum over m of K_{t + m length}, until nothing is left
    const Tensor folded = sum(reshape(one.krylov(length * 60), {60, length}), {0});
    CHECK(error(wrong, folded) < 1e-8);
  }
}

TEST_CASE("Woodbury's step is the dense bilinear step, rank 1 and 2", "[ssm]") {
  for (HippoKind kind : kKinds) {
    const OneSystem one(kind, 12);
    const DplrStep step(one.s, one.step);
    const Tensor x = complex_of(randn({3, 6}, f64), randn({3, 6}, f64)), u = randn({3}, f64);
    const Tensor whole = matmul(cat({x, conj(x)}, 1), one.discrete.A.t()) + outer(u.to(c128), one.discrete.B);
    CHECK(error(step(x, u), narrow(whole, 1, 0, 6)) < 1e-10);
  }
}

TEST_CASE("S4: convolution and recurrence agree, stopped anywhere and resumed, shorter than prepared too", "[ssm]") {
  for (DType t : {f64, f32})
    for (HippoKind kind : kKinds)
      for (int64_t n : {1, 6, 15, 16}) {
        if (t == f32 && n != 16) continue;
        S4 layer = layer_of({.dim = 3, .length = n == 6 ? 9 : n, .state = 8, .init = kind, .step_min = 0.02}, t);
        const double tolerance = t == f64 ? 1e-10 : 1e-5;
        const Tensor x = randn({2, n, 3}, {t, default_device()}), y = layer.forward(x);
        layer.options.form = SsmForm::recurrent;
        CHECK(error(layer.forward(x), y) < tolerance);
        S4::State state;
        std::vector<Tensor> parts;
        NoGrad guard;  // what a step needs is then kept in the state
        for (auto [from, to] : {std::pair<int64_t, int64_t>{0, n / 3}, {n / 3, n - 1}, {n - 1, n}})
          parts.push_back(layer.step(x.slice(1, from, to), state));
        CHECK(error(cat(parts, 1), y) < tolerance);
        CHECK(state.time == n);
      }
}

TEST_CASE("S4: a state notices that parameters have changed", "[ssm]") {
  S4 layer = layer_of({.dim = 1, .length = 8, .state = 4});
  NoGrad guard;
  const Tensor x = randn({1, 2, 1}, f64);
  S4::State state;
  layer.step(x.slice(1, 0, 1), state);
  const Tensor kept = state.x;
  layer.C.mul_(2);
  layer.log_step.add_(0.5);
  const Tensor y = layer.step(x.slice(1, 1, 2), state);
  S4::State fresh;
  fresh.x = kept;
  CHECK(error(y, layer.step(x.slice(1, 1, 2), fresh)) < 1e-14);
}

TEST_CASE("S4: longer sequences are refused, and extend() doubles the length without changing the kernel", "[ssm]") {
  S4 layer = layer_of({.dim = 2, .length = 5, .state = 8, .step_min = 0.02});
  const Tensor before = layer.kernel(5).detach();
  CHECK_THROWS_AS(layer.forward(ones({1, 6, 2}, f64)), ValueError);
  CHECK_THROWS_AS(layer.kernel(6), ValueError);
  layer.extend(11);
  CHECK(layer.length() == 20);
  CHECK(error(layer.kernel(5), before) < 1e-10);
  const Tensor x = randn({1, 20, 2}, f64), y = layer.forward(x);
  layer.options.form = SsmForm::recurrent;
  CHECK(error(layer.forward(x), y) < 1e-10);
  S4 other = layer_of({.dim = 2, .length = 5, .state = 8});
  CHECK_THROWS_AS(other.load_state_dict(layer.state_dict()), ShapeError);
  other.extend(20);
  other.load_state_dict(layer.state_dict());
  CHECK(error(other.kernel(20), layer.kernel(20)) < 1e-10);
}

TEST_CASE("S4: at another rate the kernel is that of the other step size", "[ssm]") {
  S4 layer = layer_of({.dim = 2, .length = 12, .state = 8, .step_min = 0.02});
  const Tensor x = randn({2, 12, 2}, f64);
  layer.rate = 2;
  const Tensor y = layer.forward(x);
  const Tensor C = layer.output();
  S4 other = layer;
  other.rate = 1;
  other.options.form = layer.options.form = SsmForm::recurrent;
  CHECK(error(layer.forward(x), y) < 1e-10);
  NoGrad guard;
  other.log_step.add_(std::log(2.));
  const DenseSystem d = dense(other.system());
  for (int64_t h = 0; h < 2; ++h) {
    const DiscreteSystem s = discretise(d.A[h], d.B[h], std::exp(other.log_step[h].item()), Discretisation::bilinear);
    Tensor power = s.B;
    for (int64_t t = 0; t < 12; ++t) {
      const double tap = 2 * real(sum(C[h] * narrow(power, 0, 0, 4))).item();
      CHECK(std::abs(layer.kernel(12)[h][t].item() - tap) < 1e-9 * largest(layer.kernel(12)));
      power = matmul(s.A, power);
    }
  }
}

TEST_CASE("S4: causal, samples apart, gradients of all parameters to second order", "[ssm]") {
  for (HippoKind kind : {HippoKind::legs, HippoKind::legt})
    for (int64_t n : {4, 5}) {
      S4 layer = layer_of({.dim = 2, .length = n, .state = 4, .init = kind, .step_min = 0.1, .step_max = 0.2}, f32);
      const auto forward = [&](const Tensor& x) { return layer.forward(x); };
      const Tensor x = randn({2, n, 2});
      check_covers(layer.forward(x).sum(), layer);
      if (n == 5) CHECK(verify::causality(forward, x, 1));
      CHECK(verify::batch(forward, x));
      layer.to(f64);
      auto r = verify::gradients(layer, forward, x.to(f64));
      INFO(r.message);
      CHECK(r);
      if (n == 5) continue;
      layer.options.form = SsmForm::recurrent;
      r = verify::gradients(layer, forward, x.to(f64), {.rtol = 1e-4});
      INFO(r.message);
      CHECK(r);
    }
}

TEST_CASE("S4: the poles of LegS are -1 .. -N, and those of any layer are stable", "[ssm]") {
  const S4 layer = layer_of({.dim = 1, .length = 4, .state = 8});
  const Tensor poles = layer.poles()[0];
  CHECK(largest(imag(poles)) < 1e-3);  // parameters are made in f32
  CHECK(error(std::get<0>(sort(real(poles))), -arange(8, 0, -1, f64)) < 1e-3);
  const Dplr exact = hippo_dplr(HippoKind::legt, 6);
  Tensor product = ones({}, c128);  // det A = the product of the eigenvalues
  const OneSystem one(HippoKind::legt, 6);
  S4 two = layer_of({.dim = 1, .length = 4, .state = 6, .init = HippoKind::legt});
  CHECK(max(real(two.poles())).item() < 0);
  const Tensor spectrum = two.poles()[0];
  for (int64_t i = 0; i < 6; ++i) product = product * spectrum[i];
  const Tensor A = hippo(HippoKind::legt, 6, 2).A;
  CHECK(std::abs(real(product).item() / det(A).item() - 1) < 1e-3);
}

TEST_CASE("S4: bad sizes, steps, inputs and states are refused", "[ssm]") {
  CHECK_THROWS_AS(S4({.dim = 0, .length = 4}), ValueError);
  CHECK_THROWS_AS(S4({.dim = 2, .length = 0}), ValueError);
  CHECK_THROWS_AS(S4({.dim = 2, .length = 4, .state = 5}), ValueError);
  CHECK_THROWS_AS(S4({.dim = 2, .length = 4, .init = HippoKind::lagt}), ValueError);
  CHECK_THROWS_AS(S4({.dim = 2, .length = 4, .form = SsmForm::scan}), ValueError);
  for (double step : {0., -1., double(NAN), double(INFINITY)})
    CHECK_THROWS_AS(S4({.dim = 2, .length = 4, .step_max = step}), ValueError);
  S4 layer({.dim = 2, .length = 4, .state = 4});
  CHECK(layer.forward(zeros({1, 0, 2})).shape() == Shape{1, 0, 2});
  CHECK_THROWS_AS(layer.forward(ones({2, 3, 4})), ShapeError);
  S4::State state;
  layer.step(ones({2, 3, 2}), state);
  CHECK_THROWS_AS(layer.step(ones({1, 3, 2}), state), ShapeError);
  CHECK_THROWS_AS(S4({.dim = 2, .length = 4, .state = 6}).step(ones({2, 3, 2}), state), ShapeError);
  layer.rate = -1;
  CHECK_THROWS_AS(layer.forward(ones({1, 1, 2})), ValueError);
}
