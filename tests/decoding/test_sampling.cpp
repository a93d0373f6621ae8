// The next token: every filter against numbers worked out by hand, ties, logits that are no numbers; draws, and the
// walk through every outcome.
#include "nn/decoding/sampling.h"

#include <cmath>
#include <limits>
#include <map>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;
using Vector = std::vector<double>;

namespace {

const float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

// Logits whose softmax is p.
std::vector<float> logits_of(const Vector& p) {
  std::vector<float> out;
  for (double each : p) out.push_back(float(std::log(each)));
  return out;
}
Vector next(const Vector& p, const SamplingOptions& options, const std::vector<int64_t>& seen = {}) {
  return next_distribution(logits_of(p), options, seen);
}
void check_equal(const Vector& got, const Vector& expected, double tolerance = 1e-6) {  // logits are f32
  REQUIRE(got.size() == expected.size());
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("token " << i);
    CHECK(std::abs(got[i] - expected[i]) <= tolerance);
    CHECK((got[i] == 0) == (expected[i] == 0));
    sum += got[i];
  }
  CHECK(std::abs(sum - 1) < 1e-12);
}

}  // namespace

TEST_CASE("without filters the distribution is the softmax, at a temperature", "[sampling]") {
  check_equal(next({.5, .25, .125, .125}, {}), {.5, .25, .125, .125});
  // squares and square roots of (4, 2, 1, 1): 16 4 1 1 and 2 1.414 1 1
  check_equal(next({.5, .25, .125, .125}, {.temperature = .5}), {16 / 22., 4 / 22., 1 / 22., 1 / 22.});
  const double root = std::sqrt(2), total = 4 + root;
  check_equal(next({.5, .25, .125, .125}, {.temperature = 2}), {2 / total, root / total, 1 / total, 1 / total});
  check_equal(next_distribution(std::vector<float>{1e38f, -1e38f, 1e38f}), {.5, 0, .5});
  check_equal(next_distribution(std::vector<float>{1, 3, 2}, {.temperature = 1e-300}), {0, 1, 0});
  check_equal(next_distribution(std::vector<float>{1, 3, -kInf}, {.temperature = 1e300}), {.5, .5, 0});
  check_equal(next_distribution(std::vector<float>{-7}), {1});
}

TEST_CASE("top-k keeps k tokens, of equal ones those of lower ids", "[sampling]") {
  check_equal(next({.1, .4, .3, .2}, {.top_k = 2}), {0, 4 / 7., 3 / 7., 0});
  check_equal(next({.25, .25, .25, .25}, {.top_k = 3}), {1 / 3., 1 / 3., 1 / 3., 0});
  check_equal(next({.1, .4, .3, .2}, {.top_k = 1}), {0, 1, 0, 0});
  check_equal(next({.1, .4, .3, .2}, {.top_k = 100}), {.1, .4, .3, .2});
}

TEST_CASE("top-p keeps the fewest tokens with that mass, at least one", "[sampling]") {
  check_equal(next({.1, .4, .3, .2}, {.top_p = .39}), {0, 1, 0, 0});
  check_equal(next({.1, .4, .3, .2}, {.top_p = .41}), {0, 4 / 7., 3 / 7., 0});
  check_equal(next({.1, .4, .3, .2}, {.top_p = .69}), {0, 4 / 7., 3 / 7., 0});
  check_equal(next({.1, .4, .3, .2}, {.top_p = .71}), {0, 4 / 9., 3 / 9., 2 / 9.});
  check_equal(next({.1, .4, .3, .2}, {.top_p = 1e-12}), {0, 1, 0, 0});
  check_equal(next({.25, .25, .25, .25}, {.top_p = .5}), {.5, .5, 0, 0});  // exactly reached: no further one
}

TEST_CASE("min-p keeps what has its share of the largest", "[sampling]") {
  check_equal(next({.1, .4, .3, .2}, {.min_p = .45}), {0, 4 / 9., 3 / 9., 2 / 9.});
  check_equal(next({.1, .4, .3, .2}, {.min_p = .55}), {0, 4 / 7., 3 / 7., 0});
  check_equal(next({.1, .4, .4, .1}, {.min_p = 1}), {0, .5, .5, 0});
}

TEST_CASE("typical keeps what is nearest to the entropy, not what is most likely", "[sampling]") {
  // H of (.6, .1 x 4) = 1.2275; information .5108 and 2.3026: distances .7167 and 1.0751
  check_equal(next({.6, .1, .1, .1, .1}, {.typical_p = .5}), {1, 0, 0, 0, 0});
  check_equal(next({.6, .1, .1, .1, .1}, {.typical_p = .65}), {6 / 7., 1 / 7., 0, 0, 0});
  // H of (.4, .06 x 10) = 2.0546; information .9163 and 2.8134: distances 1.1383 and .7588, so the likely one is last
  Vector p(11, .06), kept(11, .1);
  p[0] = .4, kept[0] = 0;
  check_equal(next(p, {.typical_p = .59}), kept);
}

TEST_CASE("the repetition penalty moves logits towards less, whatever their sign, once a token", "[sampling]") {
  const std::vector<float> logits{2, -2, 2, -2, 0};
  const Vector with = next_distribution(logits, {.repetition_penalty = 2}, std::vector<int64_t>{0, 1, 1, 4, 0});
  const Vector e{std::exp(1), std::exp(-4), std::exp(2), std::exp(-2), 1};
  const double total = e[0] + e[1] + e[2] + e[3] + e[4];
  check_equal(with, {e[0] / total, e[1] / total, e[2] / total, e[3] / total, e[4] / total}, 1e-14);
  const Vector liked = next_distribution(std::vector<float>{0, 2}, {.repetition_penalty = .5}, std::vector<int64_t>{1});
  CHECK(liked[1] == Approx(1 / (1 + std::exp(-4))));
}

TEST_CASE("filters follow one another in Hugging Face's order", "[sampling]") {
  // Temperature first: .5 turns (.4 .3 .2 .1) into (16 9 4 1) / 30, whose first token has more than half.
  check_equal(next({.4, .3, .2, .1}, {.temperature = .5, .top_p = .5}), {1, 0, 0, 0});
  // Top-k first: of (4 3 2) / 9 the first two have .777 > .75; of the whole they have .7 < .75.
  check_equal(next({.4, .3, .2, .1}, {.top_k = 3, .top_p = .75}), {4 / 7., 3 / 7., 0, 0});
  // The penalty before the temperature's softmax: token 0 falls from .4 behind the others.
  const Vector p =
      next_distribution(std::vector<float>{2, 1.5f, 1}, {.top_k = 1, .repetition_penalty = 4}, std::vector<int64_t>{0});
  check_equal(p, {0, 1, 0});
  // Top-p before typical: typical alone would drop the most likely token of this one.
  Vector q(11, .06), first(11, 0.);
  q[0] = .4, first[0] = 1;
  check_equal(next(q, {.top_p = .3, .typical_p = .59}), first);
}

TEST_CASE("-inf is never drawn; NaN, +inf and nothing to draw are told", "[sampling]") {
  check_equal(next_distribution(std::vector<float>{-kInf, 0, -kInf, 0}), {0, .5, 0, .5});
  check_equal(
      next_distribution(std::vector<float>{-kInf, 0, -kInf, 0},
                        {.temperature = 3, .top_k = 4, .top_p = .9999, .typical_p = .9999, .repetition_penalty = 2},
                        std::vector<int64_t>{0, 2}),
      {0, .5, 0, .5});
  CHECK_THROWS_WITH(next_distribution(std::vector<float>{0, kNan}), contains("got a logit of nan for token 1"));
  CHECK_THROWS_WITH(next_distribution(std::vector<float>{0, 1, kInf}), contains("got a logit of inf for token 2"));
  CHECK_THROWS_AS(next_distribution(std::vector<float>{0, kNan}), ValueError);
  CHECK_THROWS_WITH(next_distribution(std::vector<float>{-kInf, -kInf}), contains("all -inf"));
  CHECK_THROWS_AS(next_distribution(std::vector<float>{-kInf, -kInf}), ValueError);
  CHECK_THROWS_AS(next_distribution(std::vector<float>{}), ShapeError);
  CHECK_THROWS_AS(next_distribution(std::vector<float>{0, 1}, {}, std::vector<int64_t>{2}), IndexError);
  CHECK_THROWS_AS(next_distribution(std::vector<float>{0, 1}, {}, std::vector<int64_t>{-1}), IndexError);
  // A penalty that overflows is told as what it makes of the logits.
  CHECK_THROWS_AS(next_distribution(std::vector<float>{1e38f}, {.repetition_penalty = 1e-300}, std::vector<int64_t>{0}),
                  ValueError);
}

TEST_CASE("options outside of their ranges are refused by name", "[sampling]") {
  const double nan = std::nan("");
  for (double t : {0., -1., nan, double(kInf)}) {
    CHECK_THROWS_WITH(check({.temperature = t}), contains("temperature") && contains("leaving sampling out"));
    CHECK_THROWS_WITH(check({.repetition_penalty = t}), contains("repetition_penalty"));
  }
  for (double p : {0., -.1, 1.1, nan}) {
    CHECK_THROWS_WITH(check({.top_p = p}), contains("top_p"));
    CHECK_THROWS_WITH(check({.typical_p = p}), contains("typical_p"));
  }
  for (double p : {-.1, 1.1, nan}) CHECK_THROWS_WITH(check({.min_p = p}), contains("min_p"));
  CHECK_THROWS_AS(check({.top_k = -1}), ValueError);
  CHECK_THROWS_AS(next_distribution(std::vector<float>{0}, {.temperature = 0}), ValueError);
  check(SamplingOptions{});
}

TEST_CASE("tensors of any floating dtype give what their numbers give", "[sampling]") {
  const std::vector<float> logits{1, 3, 2, -.5f};
  const Tensor t = from_data(std::span<const float>(logits), {4});
  CHECK(next_distribution(t, {.top_k = 3}) == next_distribution(logits, {.top_k = 3}));
  for (DType d : {f64, f16, bf16}) CHECK(next_distribution(to(t, d)) == next_distribution(logits));
  CHECK(most_likely(t) == 1);
  CHECK(next_distribution(flip(t, {0}))[2] == Approx(next_distribution(logits)[1]).epsilon(1e-14));
  CHECK_THROWS_AS(next_distribution(reshape(t, {1, 4})), ShapeError);
  CHECK_THROWS_AS(next_distribution(Tensor()), ShapeError);
  CHECK_THROWS_AS(next_distribution(to(t, i64)), DTypeError);
  CHECK_THROWS_AS(most_likely(zeros({0})), ShapeError);
}

TEST_CASE("the most likely token is the first of equal ones", "[sampling]") {
  CHECK(most_likely(std::vector<float>{1, 3, 3, 2}) == 1);
  CHECK(most_likely(std::vector<float>{-kInf, -1e38f}) == 1);
  CHECK(most_likely(std::vector<float>{-0.f, 0.f}) == 0);
  CHECK_THROWS_WITH(most_likely(std::vector<float>{5, kNan}), contains("most_likely: got a logit of nan for token 1"));
  CHECK_THROWS_AS(most_likely(std::vector<float>{5, kInf}), ValueError);
  CHECK_THROWS_AS(most_likely(std::vector<float>{-kInf}), ValueError);
}

TEST_CASE("entropy is in nats", "[sampling]") {
  CHECK(entropy(Vector{.5, .25, .125, .125}) == Approx(1.75 * std::log(2)).epsilon(1e-14));
  CHECK(entropy(Vector{0, 1, 0}) == 0);
}

TEST_CASE("a draw inverts the sums of p at one number of the stream", "[sampling]") {
  Generator a(5), b(5);
  const Vector numbers = rand({8}, {f64, Device::cpu()}, &b).to_vector<double>();
  CHECK(uniform(a) == numbers[0]);
  CHECK(a.state.offset == 4);
  CHECK(uniform(a) == numbers[4]);
  const Vector p{.2, 0, .3, .5, 0};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Generator one(seed), two(seed);
    const double u = uniform(one);
    CHECK(draw(p, two) == (u < .2 ? 0 : u < .5 ? 2 : 3));
    CHECK(one.state == two.state);
  }
}

TEST_CASE("tokens are drawn as often as p says, never those of probability 0", "[sampling]") {
  const Vector p{0, .1, .2, 0, .3, .4, 0};
  Generator generator(1);
  std::vector<int64_t> count(p.size(), 0);
  constexpr int64_t n = 100000;
  for (int64_t i = 0; i < n; ++i) ++count[size_t(draw(p, generator))];
  double chi = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0)
      CHECK(count[i] == 0);
    else
      chi += std::pow(double(count[i]) - n * p[i], 2) / (n * p[i]);
  }
  CHECK(chi < 16.27);  // 3 degrees of freedom, one in a thousand
  CHECK(draw(Vector{0, 1e-300, 1, 0}, generator) == 2);
  CHECK(draw(Vector{1}, generator) == 0);
}

TEST_CASE("what is no distribution is not drawn from", "[sampling]") {
  Generator generator(1);
  for (const Vector& p :
       {Vector{}, Vector{0, 0}, Vector{.5, .4}, Vector{1.5, -.5}, Vector{std::nan(""), 1}, Vector{double(kInf), 0}})
    CHECK_THROWS_AS(draw(p, generator), ValueError);
  CHECK(generator.state.offset == 0);
}

TEST_CASE("every outcome comes once, with its probability", "[sampling]") {
  EveryOutcome chance;
  std::map<std::vector<int64_t>, double> law;
  do {  // a coin; tails: a token, and of token 2 another coin that cannot fail
    std::vector<int64_t> result{chance.happens(.25)};
    if (!result[0]) result.push_back(chance.draw(Vector{.5, 0, .5}));
    if (result.back() == 2) result.push_back(chance.happens(1));
    CHECK(law.count(result) == 0);
    law[result] += chance.probability();
  } while (chance.next());
  CHECK(law == std::map<std::vector<int64_t>, double>{{{1}, .25}, {{0, 0}, .375}, {{0, 2, 1}, .375}});
  EveryOutcome none;
  CHECK(none.probability() == 1);
  CHECK_FALSE(none.next());
  CHECK_THROWS_AS(none.happens(1.5), ValueError);
  EveryOutcome moody;
  moody.happens(.5);
  moody.next();
  CHECK_THROWS_WITH(moody.happens(.25), contains("differs from the one asked before"));
}
