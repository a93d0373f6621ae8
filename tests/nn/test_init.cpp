#include "nn/init.h"

#include <cmath>

#include "nn/layers/conv.h"
#include "nn/layers/linear.h"
#include "nn/layers/rnn.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {

struct Moments {
  double mean, variance, low, high;
};
Moments moments(const Tensor& t) { return {t.mean().item(), t.var({}, 0).item(), t.min().item(), t.max().item()}; }
// The sampling error of mean and variance, five standard deviations wide, for n values with this variance and kurtosis.
void check_moments(const Moments& m, double n, double variance, double kurtosis) {
  CHECK(std::abs(m.mean) < 5 * std::sqrt(variance / n));
  CHECK(std::abs(m.variance / variance - 1) < 5 * std::sqrt((kurtosis - 1) / n));
}
constexpr double kUniform = 1.8, kNormal = 3;  // kurtosis
void check_uniform(const Tensor& t, double bound) {
  Moments m = moments(t);
  double n = double(t.numel());
  check_moments(m, n, bound * bound / 3, kUniform);
  CHECK(m.low >= -bound * (1 + 1e-6));
  CHECK(m.high <= bound * (1 + 1e-6));
  CHECK(m.high > bound * (1 - 40 / n));  // the largest of n draws is that close, but for e^-20
}

}  // namespace

TEST_CASE("uniform starts have the bounds of their papers", "[init]") {
  Generator g(1);
  check_uniform(init::kaiming_uniform({80, 50}, std::sqrt(5.), &g), 1 / std::sqrt(50.));
  check_uniform(init::kaiming_uniform({80, 50}, 0, &g), std::sqrt(6. / 50));
  check_uniform(init::kaiming_uniform({40, 10, 3, 3}, std::sqrt(5.), &g), 1 / std::sqrt(90.));
  check_uniform(init::xavier_uniform({80, 50}, 1, &g), std::sqrt(6. / 130));
  check_uniform(init::xavier_uniform({40, 10, 3, 3}, 2, &g), 2 * std::sqrt(6. / (360 + 90)));
  check_uniform(init::uniform({4000}, -0.5, 0.5, &g), 0.5);
}

TEST_CASE("normal starts have the variances of their papers", "[init]") {
  Generator g(2);
  check_moments(moments(init::kaiming_normal({80, 50}, 0, &g)), 4000, 2. / 50, kNormal);
  check_moments(moments(init::xavier_normal({40, 10, 3, 3}, 1, &g)), 3600, 2. / 450, kNormal);
  check_moments(moments(init::normal({4000}, 0.02, 0, &g)), 4000, 0.0004, kNormal);
  check_moments(moments(init::normal({4000}, 1, 3, &g) - 3), 4000, 1, kNormal);
}

TEST_CASE("a truncated normal stays within two standard deviations", "[init]") {
  Generator g(3);
  Tensor t = init::trunc_normal({20000}, 0.5, 1, &g);
  CHECK(t.dtype() == f32);
  CHECK(t.min().item() >= 1 - 1 - 1e-6);
  CHECK(t.max().item() <= 1 + 1 + 1e-6);
  // Of a normal cut at +-2: variance 1 - 4 phi(2) / (Phi(2) - Phi(-2)), and less kurtosis than the normal.
  double inside = std::erf(std::sqrt(2.)), phi2 = std::exp(-2.) / std::sqrt(2 * M_PI);
  check_moments(moments(t - 1), 20000, 0.25 * (1 - 4 * phi2 / inside), kNormal);
}

TEST_CASE("orthogonal starts are orthonormal in their shorter direction", "[init]") {
  Generator g(4);
  for (const Shape& shape : {Shape{5, 5}, Shape{3, 7}, Shape{7, 3}, Shape{4, 2, 3}}) {
    Tensor w = init::orthogonal(shape, 2, &g);
    CHECK(w.shape() == shape);
    CHECK(w.is_contiguous());
    Tensor m = w.to(f64).reshape({shape[0], -1});
    if (m.size(0) > m.size(1)) m = m.t();
    Tensor off = abs(matmul(m, m.t()) - 4 * eye(m.size(0), f64));
    CHECK(off.max().item() < 4e-6);  // f32 roundings of a factorisation, times gain^2
  }
  CHECK_FALSE(equal(init::orthogonal({3, 3}, 1, &g), init::orthogonal({3, 3}, 1, &g)));
}

TEST_CASE("layers start as PyTorch's do, and record nothing", "[init]") {
  manual_seed(6);
  Linear linear(50, 2000);
  check_uniform(linear.weight, 1 / std::sqrt(50.));
  check_uniform(linear.bias, 1 / std::sqrt(50.));
  Conv2d conv({.in = 10, .out = 2000, .kernel = 3, .groups = 2});
  check_uniform(conv.weight, 1 / std::sqrt(45.));
  check_uniform(conv.bias, 1 / std::sqrt(45.));
  ConvTranspose1d transposed({.in = 10, .out = 2000, .kernel = 3, .groups = 2});
  // PyTorch's fan of a transposed weight [in, out / groups, kernel]
  check_uniform(transposed.weight, 1 / std::sqrt(3000.));
  check_uniform(transposed.bias, 1 / std::sqrt(3000.));
  GRU gru(30, 25);
  check_uniform(gru.weight_ih, 0.2);
  CHECK_FALSE(init::orthogonal({3, 3}).requires_grad());
}

TEST_CASE("a generator makes the same start again, and one-dim shapes have no fan", "[init]") {
  Generator a(7), b(7);
  CHECK(equal(init::kaiming_normal({3, 4}, 0, &a), init::kaiming_normal({3, 4}, 0, &b)));
  CHECK(equal(init::trunc_normal({9}, 1, 0, &a), init::trunc_normal({9}, 1, 0, &b)));
  CHECK_THROWS_WITH(init::kaiming_uniform({3}), contains("kaiming_uniform: needs at least 2 dims; got [3]"));
  CHECK_THROWS_WITH(init::xavier_normal({}), contains("xavier_normal: needs at least 2 dims"));
  CHECK_THROWS_AS(init::orthogonal({3}), ShapeError);
}
