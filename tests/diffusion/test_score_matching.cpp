// Score matching: the four losses against each other by quadrature, their minima, their gradients by double backward.
#include "nn/diffusion/score_matching.h"

#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "nn/diffusion/denoiser.h"
#include "nn/diffusion/nets/mlp.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

// Three points on the line under noise sigma, and expectations over the noise as sums: the trapezoidal rule on [-9, 9],
// whose error is that of rounding.
struct Line {
  double sigma;
  Mixture law;
  Tensor x0, eps, weight;  // [n, 1], [n, 1], [n]
  explicit Line(double sigma) : sigma(sigma), law(finite_set(from_data({-1, 0.4, 1.5}, {3, 1}, f64))) {
    const int64_t nodes = 361;
    const Tensor e = arange(0, nodes, 1, f64) * 0.05 - 9, w = exp(-square(e) / 2) * (0.05 / std::sqrt(2 * M_PI) / 3);
    x0 = repeat_interleave(law.means, nodes, 0), eps = repeat(e, {3}).unsqueeze(1), weight = repeat(w, {3});
  }
  Tensor x() const { return x0 + eps * sigma; }
  Tensor true_score() const { return law.score(x(), full({x0.size(0)}, sigma, f64)); }
  double mean(const Tensor& losses) const { return (losses * weight).sum().item(); }
};

Tensor bend(const Tensor& x) { return tanh(x * 1.3) - x * 0.7; }
Tensor wave(const Tensor& x) { return sin(x * 2) - 0.2; }

// A score of points in the plane with a Jacobian that is not symmetric, from weights w [2, 2].
Tensor curl(const Tensor& x, const Tensor& w) {
  return tanh(matmul(x, w)) + flip(x, {1}) * from_data({0.5, -0.3}, {2}, f64);
}

}  // namespace

TEST_CASE("explicit, implicit and denoising score matching differ by numbers that do not depend on the score",
          "[score]") {
  const Line line(0.6);
  const Tensor x = line.x(), truth = line.true_score();
  auto losses = [&](ScoreFn s) {
    return std::array{line.mean(explicit_score_matching(s, x, truth)), line.mean(implicit_score_matching(s, x)),
                      line.mean(denoising_score_matching(s, line.x0, line.eps, line.sigma))};
  };
  const auto a = losses(bend), b = losses(wave);
  CHECK(std::abs(a[0] - b[0]) > 0.01);
  CHECK(std::abs((a[2] - a[0]) - (b[2] - b[0])) < 1e-11);  // DSM - ESM
  CHECK(std::abs((a[1] - a[0]) - (b[1] - b[0])) < 1e-11);  // ISM - ESM
  const double half_square = line.mean(square(truth).sum({1})) / 2;
  CHECK(std::abs((a[0] - a[1]) - half_square) < 1e-11);  // ESM = ISM + E|S|^2 / 2
  // DSM - ESM = (1 / sigma^2 - E|S|^2) / 2
  CHECK(std::abs((a[2] - a[0]) - (0.5 / 0.36 - half_square)) < 1e-11);
  // the truth is where ESM is 0, hence where the others are least
  auto exact = [&](const Tensor& y) { return line.law.score(y, full({y.size(0)}, line.sigma, f64)); };
  const auto least = losses(exact);
  CHECK(least[0] < 1e-25);
  for (double shift : {-0.01, 0.01}) {
    const auto other = losses([&](const Tensor& y) { return exact(y) + shift; });
    CHECK(other[1] > least[1]);
    CHECK(other[2] > least[2]);
  }
}

TEST_CASE("minima of a Gaussian are those of the closed forms", "[score]") {
  // data of variance s^2 and noise sigma: the score is -x / (s^2 + sigma^2); x over its law by the same rule
  const double s2 = 0.49, sigma = 0.5, var = s2 + sigma * sigma;
  const Tensor e = arange(0, 361, 1, f64) * 0.05 - 9, w = exp(-square(e) / 2) * (0.05 / std::sqrt(2 * M_PI));
  auto score_of = [](double v) { return [v](const Tensor& x) { return -x / v; }; };
  auto ism = [&](double v, double law) {
    return (implicit_score_matching(score_of(v), (e * std::sqrt(law)).unsqueeze(1)) * w).sum().item();
  };
  CHECK(ism(s2, s2) == Approx(-1 / (2 * s2)));
  CHECK(ism(0.9 * s2, s2) > ism(s2, s2));
  CHECK(ism(1.1 * s2, s2) > ism(s2, s2));
  // DSM at the truth: s^2 / (2 sigma^2 (s^2 + sigma^2)), over both x0 and eps
  const int64_t n = 361;
  const Tensor x0 = repeat_interleave(e * std::sqrt(s2), n, 0).unsqueeze(1), eps = repeat(e, {n}).unsqueeze(1),
               weight = repeat_interleave(w, n, 0) * repeat(w, {n});
  const double dsm = (denoising_score_matching(score_of(var), x0, eps, sigma) * weight).sum().item();
  CHECK(dsm == Approx(s2 / (2 * sigma * sigma * var)));
}

TEST_CASE("the exact trace and the sliced forms, in the plane", "[score]") {
  const Tensor x = normal({4, 2}, 1), w = normal({2, 2}, 2);
  auto s = [&](const Tensor& y) { return curl(y, w); };
  const Tensor value = s(x), loss = implicit_score_matching(s, x);
  // d tanh(x w)_i / dx_i = (1 - tanh^2) w_ii; flip has no diagonal
  const Tensor slope = 1 - square(tanh(matmul(x, w))), trace = (slope * diagonal(w)).sum({1});
  CHECK(difference(loss, square(value).sum({1}) / 2 + trace) < 1e-13);
  // the mean over all four directions of signs is the exact trace, for either form
  Tensor plain = zeros_like(loss), reduced = zeros_like(loss);
  for (double a : {-1., 1.})
    for (double b : {-1., 1.}) {
      const Tensor v = expand(from_data({a, b}, {1, 2}, f64), {4, 2});
      plain = plain + sliced_score_matching(s, x, v, SlicedForm::plain) / 4;
      reduced = reduced + sliced_score_matching(s, x, v) / 4;
    }
  CHECK(difference(plain, loss) < 1e-13);
  CHECK(difference(reduced, loss) < 1e-13);
  // one direction: v^T J v by hand, and the two forms differ
  const Tensor v = normal({4, 2}, 3);
  const Tensor jv = slope * matmul(v, w) + flip(v, {1}) * from_data({0.5, -0.3}, {2}, f64);
  CHECK(difference(sliced_score_matching(s, x, v), (jv * v).sum({1}) + square(value).sum({1}) / 2) < 1e-13);
  CHECK(difference(sliced_score_matching(s, x, v, SlicedForm::plain),
                   (jv * v).sum({1}) + square((value * v).sum({1})) / 2) < 1e-13);
  // any shape of a sample: the same numbers as a flat one
  auto flat = [&](const Tensor& y) { return curl(y.reshape({-1, 2}), w).reshape(y.shape()); };
  CHECK(difference(implicit_score_matching(flat, x.reshape({2, 1, 2, 2})), loss.reshape({2, 2}).sum({1})) < 1e-13);
  // a score that does not depend on x
  auto constant = [](const Tensor& y) { return full_like(y, 2); };
  CHECK(difference(implicit_score_matching(constant, x), full({4}, 4, f64)) == 0);
  // random signs: as many of each; where the Jacobian is diagonal the reduced form has the exact trace from any of them
  manual_seed(7);
  const Tensor many = normal({2000, 2}, 4), signs = random_signs(many);
  CHECK(equal(abs(signs), ones_like(many)));
  CHECK(std::abs(signs.mean().item()) < 0.05);
  auto normal_score = [](const Tensor& y) { return -y; };
  auto spread = [&](SlicedForm form) {
    const Tensor l = sliced_score_matching(normal_score, many, signs, form);
    const Tensor exact = implicit_score_matching(normal_score, many);
    return square(l - exact).mean().item();
  };
  CHECK(spread(SlicedForm::variance_reduced) < 1e-25);
  CHECK(spread(SlicedForm::plain) > 0.1);
}

TEST_CASE("NCSN is denoising score matching weighted by sigma^2", "[score]") {
  const Tensor x0 = normal({3, 2}, 1), eps = normal({3, 2}, 2), sigma = from_data({0.1, 1, 5}, {3}, f64);
  auto s = [](const Tensor& x, const Tensor& level) { return sin(x) / level.unsqueeze(1); };
  const Tensor loss = ncsn_loss(s, x0, eps, sigma);
  for (int64_t i = 0; i < 3; ++i) {
    const double level = sigma[i].item();
    auto one = [&](const Tensor& x) { return sin(x) / level; };
    CHECK(difference(loss.narrow(0, i, 1),
                     level * level * denoising_score_matching(one, x0.narrow(0, i, 1), eps.narrow(0, i, 1), level)) <
          1e-12);
  }
  auto zero = [](const Tensor& x, const Tensor&) { return zeros_like(x); };
  CHECK(difference(ncsn_loss(zero, x0, eps, sigma), square(eps).sum({1}) / 2) < 1e-14);  // d / 2 at every level
}

TEST_CASE("all of them have right derivatives in the score's weights and in x", "[score][grad]") {
  const Tensor x = normal({2, 2}, 1), v = normal({2, 2}, 3), eps = normal({2, 2}, 4), w = normal({2, 2}, 2);
  auto both = [&](auto loss) {
    return check_twice(
        [&](const TensorList& in) {
          auto s = [&](const Tensor& y) { return curl(y, in[0]); };
          return TensorList{loss(s, in[1])};
        },
        {w, x});
  };
  CHECK(both([&](ScoreFn s, const Tensor& at) { return explicit_score_matching(s, at, v); }) == "");
  CHECK(both([&](ScoreFn s, const Tensor& at) { return implicit_score_matching(s, at); }) == "");
  CHECK(both([&](ScoreFn s, const Tensor& at) { return sliced_score_matching(s, at, v); }) == "");
  CHECK(both([&](ScoreFn s, const Tensor& at) { return sliced_score_matching(s, at, v, SlicedForm::plain); }) == "");
  CHECK(both([&](ScoreFn s, const Tensor& at) { return denoising_score_matching(s, at, eps, 0.5); }) == "");
}

TEST_CASE("a net learns by implicit score matching, and looking at the loss records nothing", "[score]") {
  PointNet net({.width = 8, .hidden = 2, .activation = PointActivation::softplus, .noise = {.features = 0}});
  net.to(f64);
  auto s = [&](const Tensor& x) { return net.forward(x); };
  const Tensor x = normal({6, 2}, 1);
  implicit_score_matching(s, x).mean().backward();
  CHECK(net.out.weight.grad().defined());
  CHECK(abs(net.out.weight.grad()).max().item() > 0);
  CHECK_FALSE(x.requires_grad());
  NoGrad guard;
  const Tensor seen = implicit_score_matching(s, x), sliced = sliced_score_matching(s, x, random_signs(x));
  CHECK_FALSE(seen.requires_grad());
  CHECK_FALSE(sliced.requires_grad());
}

TEST_CASE("errors of score matching", "[score][errors]") {
  const Tensor x = zeros({3, 2});
  auto s = [](const Tensor& y) { return y; };
  auto narrow_score = [](const Tensor& y) { return y.narrow(1, 0, 1); };
  CHECK_THROWS_WITH(implicit_score_matching(narrow_score, x), contains("got x [3, 2] and a score of shape [3, 1]"));
  CHECK_THROWS_AS(explicit_score_matching(s, x, zeros({3})), ShapeError);
  CHECK_THROWS_AS(sliced_score_matching(s, x, zeros({2, 2})), ShapeError);
  CHECK_THROWS_AS(implicit_score_matching(s, zeros({3})), ShapeError);
  CHECK_THROWS_WITH(denoising_score_matching(s, x, x, 0), contains("got sigma 0; expected a positive number"));
  auto noisy = [](const Tensor& y, const Tensor&) { return y; };
  CHECK_THROWS_WITH(ncsn_loss(noisy, x, x, zeros({2})), contains("got noise levels [2]; expected [3]"));
  CHECK(implicit_score_matching(s, zeros({0, 2})).shape() == Shape{0});
  CHECK(implicit_score_matching(s, zeros({2, 2}, f16)).dtype() == f32);
}
