// HiPPO: matrices, their theory, what each memory holds, O(n) products.
#include "nn/ssm/hippo.h"

#include <cmath>

#include "nn/ssm/discretise.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
// relative to the largest of b
double relative(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }
Tensor one(int64_t n) { return eye(n, f64); }
Tensor column(const Tensor& v) { return unsqueeze(v, 1); }

// The memory x over all of u, one sample a unit of time. The first sample is remembered exactly: (u_0, 0, ...).
Tensor remember(HippoKind kind, const std::vector<double>& u, int64_t n, OverTimeScheme scheme) {
  const Hippo h = hippo(kind, n);
  Tensor x = zeros({n}, h.A.options());
  x[kind == HippoKind::fous ? n / 2 : 0].copy_(full({}, u[0], h.A.options()));
  for (size_t k = 1; k < u.size(); ++k) {
    const DiscreteSystem s = step_over_time(h.A, h.B, int64_t(k), scheme);
    x = matmul(s.A, x) + s.B * u[k];
  }
  return x;
}
std::vector<double> samples(int64_t count, double (*signal)(double)) {
  std::vector<double> u;
  for (int64_t k = 0; k < count; ++k) u.push_back(signal((double(k) + 0.5) / double(count)));
  return u;
}
double wave(double t) { return std::sin(7 * t); }

// The root of the mean square of basis x - signal over places from 0.05 to 0.95 of [from, from + 1].
double misses(const Hippo& h, const Tensor& x, double (*signal)(double), double from) {
  const Tensor places = linspace(0.05, 0.95, 181, f64);
  const Values seen = values(real(matmul(hippo_basis(h, places).to(x.dtype()), x))), at = values(places);
  double sum = 0;
  for (size_t i = 0; i < at.size(); ++i) sum += std::pow(seen[i] - signal(from + at[i]), 2);
  return std::sqrt(sum / double(at.size()));
}
// A memory over a window of 1 after two units of time.
double window_error(HippoKind kind, int64_t n, double (*signal)(double)) {
  const Hippo h = hippo(kind, n);
  const int64_t rate = 4000;
  const DiscreteSystem s = discretise(h.A, h.B, 1. / double(rate), Discretisation::bilinear);
  Tensor x = zeros({n}, h.A.options());
  for (int64_t k = 0; k < 2 * rate; ++k) x = matmul(s.A, x) + s.B * signal((double(k) + 0.5) / double(rate));
  return misses(h, x, signal, 1);
}

}  // namespace

TEST_CASE("LegS: A + v v^T / 2 + I / 2 is skew, the eigenvalues are -1 .. -n", "[hippo]") {
  const int64_t n = 12;
  const Hippo h = hippo(HippoKind::legs, n);
  const Tensor v = column(h.B), skew = h.A + matmul(v, v.t()) / 2 + one(n) / 2;
  CHECK(largest(skew + skew.t()) < 1e-12);
  CHECK(relative(h.A, diag(arange(0, n, 1, f64)) - tril(matmul(v, v.t()))) < 1e-15);
  CHECK(largest(triu(h.A, 1)) == 0);  // so the diagonal holds the eigenvalues
  for (int64_t k = 0; k < n; ++k) CHECK(h.A[k][k].item() == -double(k + 1));
  // x' = (A x + B u) / t: what was known at time m is worth e^{A ln(t / m)} at t, which decays as a power, (t / m)^{-1}
  const auto left = [&](double ratio) { return largest(matrix_exp(std::log(ratio) * hippo(HippoKind::legs, 6).A)); };
  CHECK(std::abs(left(2e5) / left(1e5) - 0.5) < 1e-3);
  CHECK(std::abs(left(2e3) / left(1e3) - 0.5) < 5e-2);
}

TEST_CASE("the system without 1 / t: its impulse response is e^{-t} sqrt(2n + 1) P_n(2 e^{-t} - 1)", "[hippo]") {
  const int64_t n = 10;
  const Hippo h = hippo(HippoKind::legs, n);
  for (double t : {0.1, 0.7, 3.}) {
    const Values response = values(matmul(matrix_exp(t * h.A), h.B));
    for (int64_t k = 0; k < n; ++k) {
      const double expected =
          std::exp(-t) * std::sqrt(2. * double(k) + 1) * std::legendre(unsigned(k), 2 * std::exp(-t) - 1);
      CHECK(std::abs(response[size_t(k)] - expected) < 2e-12);
    }
  }
}

TEST_CASE("LagT: the impulse response is the basis itself, e^{-t/2} L_n(t)", "[hippo]") {
  const Hippo h = hippo(HippoKind::lagt, 9);
  for (double t : {0., 0.3, 2., 11.})
    CHECK(largest(matmul(matrix_exp(t * h.A), h.B) - hippo_basis(h, full({}, t, f64))) < 1e-11);
  CHECK(std::abs(hippo_basis(h, full({}, 2, f64))[2].item() - std::exp(-1.) * (1 - 2 * 2. + 2. * 2 / 2)) < 1e-15);
}

TEST_CASE("LegS, O(n): product and solution equal the dense ones", "[hippo]") {
  for (int64_t n : {1, 2, 12, 33}) {
    const Tensor A = hippo(HippoKind::legs, n).A;
    for (DType t : {f64, c128}) {
      const Tensor x = normal({3, n}, 1, t), wide = A.to(t);
      CHECK(relative(legs_multiply(x), matmul(x, wide.t())) < 1e-13);
      for (double step : {0.01, 0.5, 3., 1e6}) {
        const Tensor dense = solve(eye(n, wide.options()) - step * wide, x.t()).t();
        CHECK(relative(legs_solve(x, step), dense) < 1e-10);
      }
    }
    const Tensor x = normal({n}, 2), strided = select(normal({n, 2}, 3), 1, 0);
    CHECK(relative(legs_multiply(x.to(f32)).to(f64), legs_multiply(x)) < 1e-5);
    CHECK(relative(legs_solve(x.to(f32), 0.1).to(f64), legs_solve(x, 0.1)) < 1e-5);
    CHECK(relative(legs_solve(x.to(f16), 0.1).to(f64), legs_solve(x.to(f16).to(f64), 0.1)) < 1e-3);
    CHECK(legs_multiply(x.to(bf16)).dtype() == bf16);
    CHECK(equal(legs_multiply(strided), legs_multiply(contiguous(strided))));
  }
  CHECK(legs_solve(zeros({2, 0}, f64), 1).shape() == Shape{2, 0});
  CHECK(legs_multiply(zeros({0, 3}, f64)).shape() == Shape{0, 3});
  CHECK(check_twice([](const Tensor& x) { return legs_multiply(legs_solve(x, 0.3)); }, normal({2, 5}, 4)) == "");
  for (double step : {0., -0.5, double(INFINITY), double(NAN)})
    CHECK_THROWS_AS(legs_solve(ones({3}, f64), step), ValueError);
  CHECK_THROWS_AS(legs_solve(ones({3}, i64), 1), DTypeError);
  CHECK_THROWS_AS(legs_multiply(ones({3}, i64)), DTypeError);
  CHECK_THROWS_AS(legs_multiply(ones({}, f64)), ShapeError);
}

TEST_CASE("LegS: a constant stays the first coordinate under every scheme but the one that mixes times", "[hippo]") {
  const std::vector<double> constant(20, 2.5);
  for (auto scheme :
       {OverTimeScheme::forward_euler, OverTimeScheme::backward_euler, OverTimeScheme::midpoint, OverTimeScheme::zoh}) {
    const Tensor x = remember(HippoKind::legs, constant, 6, scheme);
    CHECK(std::abs(x[0].item() - 2.5) < 1e-12);
    CHECK(largest(slice(x, 0, 1, 6)) < 1e-11);
  }
  CHECK(std::abs(remember(HippoKind::legs, constant, 6, OverTimeScheme::bilinear_plain)[0].item() - 2.5) > 0.01);
}

TEST_CASE("LegS: by midpoint and exact steps the first coordinate is the running mean", "[hippo]") {
  const std::vector<double> u{3, -1, 4, 1, -5, 9, 2, 6};
  for (size_t count = 1; count <= u.size(); ++count) {
    const std::vector<double> seen(u.begin(), u.begin() + int64_t(count));
    double mean = 0;
    for (double v : seen) mean += v / double(count);
    for (auto scheme : {OverTimeScheme::midpoint, OverTimeScheme::zoh})
      CHECK(std::abs(remember(HippoKind::legs, seen, 5, scheme)[0].item() - mean) < 1e-12);
  }
  // With 1 / k on the right, 1 / (k + 1) on the left and B u / k the second sample already counts too much: 2 instead
  // of 1.5.
  CHECK(std::abs(remember(HippoKind::legs, {1, 2}, 3, OverTimeScheme::midpoint)[0].item() - 1.5) < 1e-12);
  CHECK(std::abs(remember(HippoKind::legs, {1, 2}, 3, OverTimeScheme::bilinear_plain)[0].item() - 2) < 1e-12);
}

TEST_CASE("over all time: a staircase sampled twice as densely gives the same memory", "[hippo]") {
  const std::vector<double> u{3, -1, 4, 1, -5, 9, 2, 6};
  std::vector<double> twice, thrice;
  for (double v : u) twice.insert(twice.end(), 2, v), thrice.insert(thrice.end(), 3, v);
  for (HippoKind kind : {HippoKind::legs, HippoKind::fous}) {
    const auto memory = [&](const std::vector<double>& v) { return remember(kind, v, 7, OverTimeScheme::zoh); };
    CHECK(relative(memory(twice), memory(u)) < 1e-10);
    CHECK(relative(memory(thrice), memory(u)) < 1e-10);
  }
  const auto dense = [](int64_t count) {
    return remember(HippoKind::legs, samples(count, wave), 8, OverTimeScheme::zoh);
  };
  CHECK(relative(dense(400), dense(800)) < 5e-3);
  CHECK(relative(dense(400), dense(800)) < relative(dense(100), dense(800)) / 3);
}

TEST_CASE("schemes over time have their orders: slopes 1 and 2", "[hippo]") {
  // from time 10 to 20 under a smooth input, `rate` steps a unit
  const int64_t n = 4;
  const Hippo h = hippo(HippoKind::legs, n);
  const auto at = [&](int64_t rate, OverTimeScheme scheme) {
    Tensor x = tensor({1, 0.5, -0.25, 0.125}, f64);
    for (int64_t k = 10 * rate; k < 20 * rate; ++k) {
      const DiscreteSystem s = step_over_time(h.A, h.B, k, scheme);
      x = matmul(s.A, x) + s.B * std::sin(0.3 * (double(k) + 0.5) / double(rate));
    }
    return x;
  };
  const Tensor exact = at(64, OverTimeScheme::zoh) + (at(64, OverTimeScheme::zoh) - at(32, OverTimeScheme::zoh)) / 3;
  const auto slope = [&](OverTimeScheme scheme) {
    return std::log2(largest(at(8, scheme) - exact) / largest(at(16, scheme) - exact));
  };
  CHECK(std::abs(slope(OverTimeScheme::forward_euler) - 1) < 0.15);
  CHECK(std::abs(slope(OverTimeScheme::backward_euler) - 1) < 0.15);
  CHECK(std::abs(slope(OverTimeScheme::bilinear_plain) - 1) < 0.15);
  CHECK(std::abs(slope(OverTimeScheme::midpoint) - 2) < 0.15);
  CHECK(std::abs(slope(OverTimeScheme::zoh) - 2) < 0.15);
}

TEST_CASE("LegT read at the far end of its window is a Pade delay: its transfer function is e^{-ws} to order 2n",
          "[hippo]") {
  // C (s I - A)^{-1} B = -sum over k of C A^{-k-1} B s^k against e^{-ws} = sum of (-w s)^k / k!
  for (double w : {1., 2.5})
    for (int64_t n : {1, 2, 4, 6}) {
      const Hippo h = hippo(HippoKind::legt, n, w);
      const Tensor C = hippo_basis(h, zeros({}, f64));
      Tensor x = column(h.B);
      double expected = 1;
      for (int64_t k = 0; k <= 2 * n; ++k) {
        x = solve(h.A, x);
        const double found = -matmul(C, squeeze(x, 1)).item();
        INFO("w " << w << ", n " << n << ", power " << k);
        if (k < 2 * n)
          CHECK(std::abs(found - expected) < 1e-8 * std::abs(expected));
        else
          CHECK(std::abs(found - expected) > 1e-6 * std::abs(expected));
        expected *= -w / double(k + 1);
      }
    }
}

TEST_CASE("windows: Legendre polynomials and the corrected Fourier series remember a signal, the plain series stalls",
          "[hippo]") {
  if (default_device() != Device::cpu()) return;  // 8000 steps
  CHECK(window_error(HippoKind::legt, 12, wave) < 1e-3);
  const double few = window_error(HippoKind::fout, 5, wave), many = window_error(HippoKind::fout, 33, wave);
  CHECK(many < few / 3);
  CHECK(many < 0.05);
  CHECK(window_error(HippoKind::fout_plain, 33, wave) > 5 * many);
}

TEST_CASE("over all time: LegS and FouS remember a signal", "[hippo]") {
  if (default_device() != Device::cpu()) return;  // 400 dense steps
  const std::vector<double> u = samples(400, wave);
  const auto error_of = [&](HippoKind kind, int64_t n) {
    return misses(hippo(kind, n), remember(kind, u, n, OverTimeScheme::midpoint), wave, 0);
  };
  CHECK(error_of(HippoKind::legs, 12) < 1e-2);
  CHECK(error_of(HippoKind::legs, 12) < error_of(HippoKind::legs, 6) / 5);
  CHECK(error_of(HippoKind::fous, 33) < error_of(HippoKind::fous, 5) / 2);  // slowly: it jumps between its ends
}

TEST_CASE("FouT: a real signal is remembered as a real one, and FouS decays as 1 / t in every direction", "[hippo]") {
  for (HippoKind kind : {HippoKind::fout, HippoKind::fout_plain}) {
    const Hippo h = hippo(kind, 7, 2);
    const Tensor x = matmul(matrix_exp(0.37 * h.A), h.B);
    CHECK(largest(imag(matmul(hippo_basis(h, linspace(0, 1, 9, f64)), x))) < 1e-12);
    CHECK(largest(conj(flip(x, {0})) - x) < 1e-13);
  }
  // The eigenvalues of FouS have real part -1: e^{(A + I) t} and its inverse stay bounded.
  const Hippo h = hippo(HippoKind::fous, 5);
  for (double way : {1., -1.}) {
    Tensor power = matrix_exp(way * (h.A + to(one(5), c128)));
    for (int i = 0; i < 12; ++i) power = matmul(power, power);
    CHECK(largest(power) < 100);
    CHECK(largest(power) > 0.01);
  }
}

TEST_CASE("bases are orthonormal", "[hippo]") {
  const int64_t points = 4000;
  const Tensor s = (arange(0, points, 1, f64) + 0.5) / double(points);
  for (HippoKind kind : {HippoKind::legt, HippoKind::legs, HippoKind::fout, HippoKind::fous}) {
    const Tensor g = hippo_basis(hippo(kind, 7), s), products = matmul(conj(g).t(), g) / double(points);
    CHECK(largest(products - to(one(7), products.dtype())) < 1e-4);
  }
  const Tensor t = (arange(0, points, 1, f64) + 0.5) * (80 / double(points)),
               g = hippo_basis(hippo(HippoKind::lagt, 5), t);
  CHECK(largest(matmul(g.t(), g) * (80 / double(points)) - one(5)) < 1e-3);
  CHECK(hippo_basis(hippo(HippoKind::legs, 3), zeros({0}, f64)).shape() == Shape{0, 3});
  CHECK(hippo_basis(hippo(HippoKind::legs, 1), tensor({0.3}, f64)).item() == 1);
}

TEST_CASE("hippo says what does not fit", "[hippo]") {
  CHECK_THROWS_AS(hippo(HippoKind::legs, 0), ValueError);
  CHECK_THROWS_AS(hippo(HippoKind::fout, 4), ValueError);
  CHECK_THROWS_AS(hippo(HippoKind::fous, 2), ValueError);
  for (double window : {0., -1., double(INFINITY), double(NAN)})
    CHECK_THROWS_AS(hippo(HippoKind::legt, 4, window), ValueError);
}
