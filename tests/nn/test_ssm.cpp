// The ground of state space models: HiPPO's matrices and what they remember, discretisation, the matrix state in its
// forms.
#include <cmath>

#include "autograd/observe/gradcheck.h"
#include "autograd/ops.h"
#include "nn/ssm/discretise.h"
#include "nn/ssm/hippo.h"
#include "nn/ssm/matrix_state.h"
#include "tests/catch.h"

using namespace ink;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double error(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }

// The memory x of LegS after all samples of u, one a unit of time. The first sample is remembered exactly: (u_0, 0,
// ..).
Tensor remember(const std::vector<double>& u, int64_t n, OverTimeScheme scheme) {
  const Hippo legs = hippo(HippoKind::legs, n);
  Tensor x = zeros({n}, f64);
  x[0].copy_(full({}, u[0], f64));
  for (size_t k = 1; k < u.size(); ++k) {
    const DiscreteSystem s = step_over_time(legs.A, legs.B, int64_t(k), scheme);
    x = matmul(s.A, x) + s.B * u[k];
  }
  return x;
}

// A memory over a window after a signal of unit sampling rate `rate`, by exact steps.
double window_error(HippoKind kind, int64_t n, double (*signal)(double)) {
  const Hippo h = hippo(kind, n);
  const int64_t rate = 4000;
  const DiscreteSystem s = discretise(h.A, h.B, 1. / double(rate), Discretisation::bilinear);
  Tensor x = zeros({n}, h.A.options());
  for (int64_t k = 0; k < 2 * rate; ++k) x = matmul(s.A, x) + s.B * signal((double(k) + 0.5) / double(rate));
  const Tensor places = linspace(0.05, 0.95, 181, f64), seen = real(matmul(hippo_basis(h, places).to(x.dtype()), x));
  double sum = 0;
  for (int64_t i = 0; i < places.size(0); ++i) {
    const double truth = signal(1 + places[i].item());
    sum += std::pow(seen[i].item() - truth, 2);
  }
  return std::sqrt(sum / double(places.size(0)));
}

struct Variant {
  const char* name;
  bool per_step, per_key, erases;
};
MatrixStateInputs inputs_of(const Variant& v, int64_t n, DType t = f64) {
  manual_seed(3);
  const Options options(t, default_device());
  MatrixStateInputs in;
  in.q = randn({2, 3, n, 4}, options), in.v = randn({2, 3, n, 5}, options);
  Tensor k = randn({2, 3, n, 4}, options);
  in.k = k / norm(k, {-1}, true);
  if (v.per_step) in.log_decay = -rand({2, 3, n}, options) * 3;
  if (v.per_key) in.log_decay = -rand({2, 3, n, 4}, options) * 3;
  if (v.erases) {
    const Tensor beta = rand({2, 3, n, 1}, options);
    in.erase = -beta * in.k, in.read = in.k, in.k = beta * in.k;
  }
  return in;
}
const Variant kVariants[] = {{"no decay", false, false, false},       {"a decay per step", true, false, false},
                             {"a decay per key", false, true, false}, {"delta rule", false, false, true},
                             {"gated delta rule", true, false, true}, {"delta rule, decay per key", false, true, true}};

}  // namespace

TEST_CASE("LegS: A + v v^T / 2 + I / 2 is skew, and its own product and solution take O(n)", "[ssm]") {
  const int64_t n = 12;
  const Hippo h = hippo(HippoKind::legs, n);
  const Tensor v = unsqueeze(h.B, 1), skew = h.A + matmul(v, v.t()) / 2 + eye(n, f64) / 2;
  CHECK(largest(skew + skew.t()) < 1e-12);
  const Tensor x = randn({3, n}, f64);
  CHECK(error(legs_multiply(x), matmul(x, h.A.t())) < 1e-13);
  for (double step : {0.01, 0.5, 3.}) {
    const Tensor dense = solve(eye(n, f64) - step * h.A, x.t()).t();
    CHECK(error(legs_solve(x, step), dense) < 1e-11);
  }
  CHECK_THROWS_AS(hippo(HippoKind::legs, 0), ValueError);
  CHECK_THROWS_AS(hippo(HippoKind::fout, 4), ValueError);
  CHECK_THROWS_AS(hippo(HippoKind::legt, 4, 0), ValueError);
}

TEST_CASE(
    "LegS: a constant stays the first coordinate under every scheme; by midpoint and exact steps it is the running "
    "mean",
    "[ssm]") {
  for (auto scheme :
       {OverTimeScheme::forward_euler, OverTimeScheme::backward_euler, OverTimeScheme::midpoint, OverTimeScheme::zoh}) {
    const Tensor x = remember(std::vector<double>(20, 2.5), 6, scheme);
    CHECK(std::abs(x[0].item() - 2.5) < 1e-12);
    CHECK(largest(slice(x, 0, 1, 6)) < 1e-11);
  }
  const std::vector<double> u{3, -1, 4, 1, -5, 9, 2, 6};
  double mean = 0;
  for (double v : u) mean += v / double(u.size());
  for (auto scheme : {OverTimeScheme::midpoint, OverTimeScheme::zoh})
    CHECK(std::abs(remember(u, 5, scheme)[0].item() - mean) < 1e-12);
  // With 1 / k on the right, 1 / (k + 1) on the left and B u / k the second sample already counts too much: 2 instead
  // of 1.5.
  CHECK(std::abs(remember({1, 2}, 3, OverTimeScheme::midpoint)[0].item() - 1.5) < 1e-12);
  CHECK(std::abs(remember({1, 2}, 3, OverTimeScheme::bilinear_plain)[0].item() - 2) < 1e-12);
  CHECK_THROWS_AS(step_over_time(hippo(HippoKind::legs, 2).A, hippo(HippoKind::legs, 2).B, 0, OverTimeScheme::zoh),
                  ValueError);
}

TEST_CASE("LegS does not depend on how densely time is sampled", "[ssm]") {
  const auto memory = [](int64_t samples) {
    std::vector<double> u;
    for (int64_t k = 0; k < samples; ++k) u.push_back(std::sin(7 * (double(k) + 0.5) / double(samples)));
    return remember(u, 8, OverTimeScheme::zoh);
  };
  CHECK(error(memory(400), memory(800)) < 5e-3);
  CHECK(error(memory(400), memory(800)) < error(memory(100), memory(800)) / 3);
}

TEST_CASE(
    "windows: Legendre polynomials and the corrected Fourier series remember a signal, the plain series stalls at its "
    "jump",
    "[ssm]") {
  const auto signal = [](double t) { return std::sin(7 * t); };
  CHECK(window_error(HippoKind::legt, 12, signal) < 1e-3);
  const double few = window_error(HippoKind::fout, 5, signal), many = window_error(HippoKind::fout, 33, signal);
  CHECK(many < few / 3);
  CHECK(many < 0.05);
  CHECK(window_error(HippoKind::fout_plain, 33, signal) > 5 * many);
}

TEST_CASE("orders of the discretisations, as slopes", "[ssm]") {
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.5}, f64), exact = matrix_exp(A);
  const auto slope = [&](Discretisation method) {
    const auto at = [&](int64_t steps) {
      const DiscreteSystem s = discretise(A, B, 1. / double(steps), method);
      Tensor power = eye(2, f64);
      for (int64_t k = 0; k < steps; ++k) power = matmul(power, s.A);
      return largest(power - exact);
    };
    return std::log2(at(64) / at(128));
  };
  CHECK(std::abs(slope(Discretisation::forward_euler) - 1) < 0.1);
  CHECK(std::abs(slope(Discretisation::backward_euler) - 1) < 0.1);
  CHECK(std::abs(slope(Discretisation::bilinear) - 2) < 0.1);
  CHECK(largest(discretise(A, B, 1, Discretisation::zoh).A - exact) < 1e-13);
  for (double alpha : {0., 0.5, 1.}) {
    const auto method = alpha == 0   ? Discretisation::forward_euler
                        : alpha == 1 ? Discretisation::backward_euler
                                     : Discretisation::bilinear;
    CHECK(largest(discretise_gbt(A, B, 0.3, alpha).A - discretise(A, B, 0.3, method).A) < 1e-14);
    CHECK(largest(discretise_gbt(A, B, 0.3, alpha).B - discretise(A, B, 0.3, method).B) < 1e-14);
  }
  // A x + B u with a constant u = 1: an exact step holds the solution x(1) = A^{-1} (e^A - I) B.
  CHECK(largest(discretise(A, B, 1, Discretisation::zoh).B -
                squeeze(solve(A, unsqueeze(matmul(exact - eye(2, f64), B), 1)), 1)) < 1e-13);
  for (double step : {0., -1., double(INFINITY), double(NAN)})
    CHECK_THROWS_AS(discretise(A, B, step, Discretisation::zoh), ValueError);
  CHECK_THROWS_AS(discretise_gbt(A, B, 1, 1.5), ValueError);
  CHECK_THROWS_AS(discretise(A, ones({3}, f64), 1, Discretisation::zoh), ShapeError);
}

TEST_CASE("a diagonal system is discretised as the matrix is, and exactly where it vanishes", "[ssm]") {
  const Tensor a = tensor({-3, -0.7, -1e-9, 0}, f64), B = tensor({1, 2, 3, 4}, f64), step = tensor({0.3}, f64);
  for (auto method : {Discretisation::forward_euler, Discretisation::backward_euler, Discretisation::bilinear,
                      Discretisation::zoh, Discretisation::euler_b}) {
    const DiscreteSystem by_element = discretise_diagonal(a, B, step, method),
                         dense = discretise(diag(a), B, 0.3, method);
    CHECK(largest(diag(by_element.A) - dense.A) < 1e-14);
    CHECK(largest(by_element.B - dense.B) < 1e-14);
    const auto f = [&](const TensorList& in) {
      const DiscreteSystem s = discretise_diagonal(in[0], in[1], in[2], method);
      return TensorList{s.A, s.B};
    };
    const TensorList in{tensor({-3, -0.7, -0.01}, f64).requires_grad_(), tensor({1, 2, 3}, f64).requires_grad_(),
                        tensor({0.3}, f64).requires_grad_()};
    CHECK(gradcheck(f, in));
    CHECK(gradgradcheck(f, in));
  }
}

TEST_CASE("the matrix state: all forms agree, from a start, for any chunk", "[ssm]") {
  for (const Variant& v : kVariants)
    for (int64_t n : {1, 2, 7, 20}) {
      INFO(v.name << ", n = " << n);
      const MatrixStateInputs in = inputs_of(v, n);
      const Tensor start = randn({2, 3, 4, 5}, in.q.options());
      Tensor reference_state = start.clone();
      const Tensor reference = matrix_state(in, reference_state, {.form = StateForm::recurrent});
      const auto same = [&](StateForm form, int64_t chunk) {
        Tensor state = start.clone();
        const Tensor out = matrix_state(in, state, {.form = form, .chunk = chunk});
        CHECK(error(out, reference) < 1e-10);
        CHECK(error(state, reference_state) < 1e-10);
      };
      same(StateForm::parallel, 1);
      for (int64_t chunk : {1, 2, 7, 16}) same(StateForm::chunked, chunk);
    }
}

TEST_CASE("the matrix state goes on where it stopped, and a later token changes no earlier output", "[ssm]") {
  const MatrixStateInputs in = inputs_of(kVariants[5], 11);
  const auto part = [&](int64_t from, int64_t to) {
    const auto cut = [&](const Tensor& x) { return slice(x, 2, from, to); };
    return MatrixStateInputs{cut(in.q), cut(in.k), cut(in.v), cut(in.log_decay), cut(in.erase), cut(in.read)};
  };
  Tensor whole_state, state;
  const Tensor whole = matrix_state(in, whole_state);
  const Tensor first = matrix_state(part(0, 4), state), rest = matrix_state(part(4, 11), state);
  CHECK(error(cat({first, rest}, 2), whole) < 1e-11);
  CHECK(error(state, whole_state) < 1e-11);
  MatrixStateInputs other = in;
  other.v = cat({slice(in.v, 2, 0, 10), slice(in.v, 2, 10, 11) + 1}, 2);
  Tensor fresh;
  CHECK(equal(slice(matrix_state(other, fresh), 2, 0, 10), slice(whole, 2, 0, 10)));
}

TEST_CASE("the matrix state: large decays give no NaN, in f32 neither", "[ssm]") {
  for (DType t : {f64, f32})
    for (const Variant& v : kVariants) {
      if (!v.per_step && !v.per_key) continue;
      MatrixStateInputs in = inputs_of(v, 20, t);
      in.log_decay = in.log_decay * 300;
      Tensor by_steps, by_chunks;
      const Tensor reference = matrix_state(in, by_steps, {.form = StateForm::recurrent}),
                   out = matrix_state(in, by_chunks);
      INFO(v.name);
      CHECK(all(isfinite(out)).item<bool>());
      CHECK(error(out, reference) < (t == f64 ? 1e-10 : 1e-4));
    }
}

TEST_CASE("the delta rule stores orthonormal keys exactly, and a key that comes again is overwritten", "[ssm]") {
  const int64_t n = 4;
  const Tensor keys = cat({eye(n, f64), eye(n, f64)}, 0), values = randn({2 * n, 3}, f64);
  const auto shaped = [](const Tensor& x) { return x.reshape({1, 1, x.size(0), x.size(1)}); };
  Tensor state;
  matrix_state({.q = shaped(keys),
                .k = shaped(keys),
                .v = shaped(values),
                .log_decay = {},
                .erase = shaped(-keys),
                .read = shaped(keys)},
               state);
  CHECK(error(state.reshape({n, 3}), slice(values, 0, n, 2 * n)) < 1e-13);
  Tensor sums;  // without erasing, the old value stays under the new one
  matrix_state({.q = shaped(keys), .k = shaped(keys), .v = shaped(values), .log_decay = {}, .erase = {}, .read = {}},
               sums);
  CHECK(error(sums.reshape({n, 3}), slice(values, 0, 0, n) + slice(values, 0, n, 2 * n)) < 1e-13);
}

TEST_CASE("the matrix state has gradients to second order", "[ssm]") {
  const MatrixStateInputs in = inputs_of(kVariants[5], 3);
  const auto small = [](const Tensor& x) { return slice(slice(x, 0, 0, 1), 1, 0, 1).clone().requires_grad_(); };
  const TensorList leaves{small(in.q),
                          small(in.k),
                          small(in.v),
                          small(in.log_decay),
                          small(in.erase),
                          small(in.read),
                          small(randn({1, 1, 4, 5}, in.q.options()))};
  const auto f = [](const TensorList& x) {
    Tensor state = x[6];
    Tensor out = matrix_state({x[0], x[1], x[2], x[3], x[4], x[5]}, state, {.chunk = 2});
    return TensorList{out, state};
  };
  CHECK(gradcheck(f, leaves));
  CHECK(gradgradcheck(f, leaves));
}

TEST_CASE("the matrix state says what does not fit", "[ssm]") {
  const MatrixStateInputs in = inputs_of(kVariants[3], 3);
  Tensor state = zeros({2, 3, 5, 4}, in.q.options());
  CHECK_THROWS_AS(matrix_state(in, state), ShapeError);
  Tensor none;
  CHECK_THROWS_AS(matrix_state(in, none, {.chunk = 0}), ValueError);
  MatrixStateInputs half = in;
  half.read = {};
  CHECK_THROWS_AS(matrix_state(half, none), ValueError);
}
