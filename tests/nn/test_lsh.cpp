#include "nn/attention/hashed/lsh.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/attention.h"
#include "include/inkstone/testing.h"
#include "nn/attention/lowrank/lowrank_core.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// Pairs of unit vectors at one angle, as rows 2 i and 2 i + 1.
Tensor pairs_at(double cosine, int64_t pairs, int64_t d, unsigned seed) {
  Tensor a = normal({pairs, d}, seed), b = normal({pairs, d}, seed + 1);
  a = a / norm(a, {-1}, true);
  b = b - sum(a * b, {-1}, true) * a;
  b = b / norm(b, {-1}, true);
  return stack({a, cosine * a + std::sqrt(1 - cosine * cosine) * b}, 1).reshape({2 * pairs, d}).to(f32);
}
// Does pair i meet in round r? [rounds, pairs] as numbers 0 and 1.
Tensor meetings(const Tensor& pairs, int64_t buckets, int64_t rounds, uint64_t seed) {
  Generator generator(seed);
  Tensor h = lsh_hash(pairs, buckets, rounds, &generator).reshape({rounds, -1, 2});
  return (select(h, 2, 0) == select(h, 2, 1)).to(f64);
}

// The definition, in loops: qk [n, d], v [n, dv] of one head.
std::vector<double> reference(const Tensor& qk, const Tensor& v, const LshOptions& o, int64_t buckets) {
  const int64_t n = qk.size(0), d = qk.size(1), dv = v.size(1), size = std::min(o.bucket_size, n);
  Values x = values(qk), value = values(v);
  Generator generator(*o.seed);
  std::vector<int64_t> hash = lsh_hash(qk, buckets, o.rounds, &generator).to_vector<int64_t>();
  auto score = [&](int64_t i, int64_t j) {
    double s = 0, length = 0;
    for (int64_t c = 0; c < d; ++c)
      s += x[size_t(i * d + c)] * x[size_t(j * d + c)], length += std::pow(x[size_t(j * d + c)], 2);
    return s / std::sqrt(length * double(d));
  };
  std::vector<double> met(size_t(n * n)), out(size_t(n * dv));
  for (int64_t r = 0; r < o.rounds; ++r) {
    std::vector<int64_t> order(size_t(n), 0), place(size_t(n), 0);
    std::iota(order.begin(), order.end(), 0);
    auto bucket = [&](int64_t i) { return hash[size_t(r * n + i)]; };
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return bucket(a) < bucket(b); });
    for (int64_t s = 0; s < n; ++s) place[size_t(order[size_t(s)])] = s;
    const int64_t chunks = (n + size - 1) / size;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t ci = place[size_t(i)] / size, cj = place[size_t(j)] / size,
                behind = place[size_t(i)] - place[size_t(j)];
        bool near = ci == cj || (ci + chunks - 1) % chunks == cj;
        if (o.strict) near = bucket(i) == bucket(j) && behind > 0 && behind <= size;
        if (near && i != j && (!o.causal || j < i)) met[size_t(i * n + j)] += 1;
      }
  }
  for (int64_t i = 0; i < n; ++i) {
    if (std::all_of(&met[size_t(i * n)], &met[size_t(i * n)] + n, [](double m) { return m == 0; }))
      met[size_t(i * n + i)] = 1;
    double total = 0;
    for (int64_t j = 0; j < n; ++j) {
      double m = met[size_t(i * n + j)], w = (o.deduplicate ? std::min(m, 1.) : m) * std::exp(score(i, j));
      total += w;
      for (int64_t c = 0; c < dv; ++c) out[size_t(i * dv + c)] += w * value[size_t(j * dv + c)];
    }
    for (int64_t c = 0; c < dv; ++c) out[size_t(i * dv + c)] /= total;
  }
  return out;
}

Tensor full_shared(const Tensor& qk, const Tensor& v, bool causal) {
  const int64_t n = qk.size(-2);
  Tensor seen = causal ? tri(n, n, -1) : logical_not(eye(n) == 1.0);
  seen = (seen | ((eye(n) == 1.0) & logical_not(any(seen, -1, true)))).to(qk.device());
  return scaled_dot_product_attention(qk, qk / norm(qk, {-1}, true), v,
                                      {.mask = seen, .algorithm = AttentionAlgorithm::naive});
}

}  // namespace

TEST_CASE("two buckets: rows meet with probability 1 - theta / pi", "[lsh]") {
  for (double cosine : {-0.8, 0.0, 0.5, 0.9}) {
    Tensor met = meetings(pairs_at(cosine, 100, 8, 1), 2, 200,
                          3);  // 20,000 draws: 3.5 standard errors are 0.012
    INFO("cosine " << cosine);
    CHECK(std::abs(met.mean().item() - (1 - std::acos(cosine) / M_PI)) < 0.012);
  }
}

TEST_CASE(
    "rows near in direction meet far more often than others, the more so "
    "the more buckets",
    "[lsh]") {
  const double cosines[] = {0.95, 0.9, 0.8, 0.5, 0};
  const std::pair<int64_t, std::vector<double>> table[] = {{8, {.755, .660, .536, .314, .123}},
                                                           {16, {.708, .599, .462, .233, .062}},
                                                           {64, {.624, .507, .350, .133, .016}}};
  for (const auto& [buckets, expected] : table)
    for (size_t i = 0; i < 5; ++i) {
      Tensor met = meetings(pairs_at(cosines[i], 100, 64, 10), buckets, 100,
                            5);  // one standard error: 0.005
      INFO(buckets << " buckets, cosine " << cosines[i]);
      CHECK(std::abs(met.mean().item() - expected[i]) < 0.015);
    }
}

TEST_CASE("after r rounds a pair has met with probability 1 - (1 - p)^r", "[lsh]") {
  const int64_t rounds = 160, pairs = 100;
  Tensor met = meetings(pairs_at(0.8, pairs, 64, 20), 16, rounds, 7);  // [rounds, pairs]
  double p = met.mean().item();
  for (int64_t r : {2, 4, 8}) {
    Tensor any_of = max(met.reshape({rounds / r, r, pairs}), {1});
    INFO(r << " rounds");
    CHECK(std::abs(any_of.mean().item() - (1 - std::pow(1 - p, double(r)))) < 0.03);
  }
}

TEST_CASE(
    "the hash depends on a row's direction alone and is the same for all "
    "in front",
    "[lsh]") {
  Tensor x = normal({3, 9, 5}, 1, f32);
  Generator a(4), b(4), c(4), other(5);
  Tensor h = lsh_hash(x, 6, 2, &a);
  CHECK(h.shape() == Shape{3, 2, 9});
  CHECK(h.dtype() == i64);
  CHECK(min(h).item() >= 0);
  CHECK(max(h).item() < 6);
  CHECK(equal(h, lsh_hash(x * 7.5, 6, 2, &b)));
  CHECK(equal(h[1], lsh_hash(x[1], 6, 2, &c)));
  CHECK_FALSE(equal(h, lsh_hash(x, 6, 2, &other)));
  CHECK_FALSE(equal(select(h, 1, 0), select(h, 1, 1)));  // rounds differ
  CHECK(max(lsh_hash(x, 1, 2)).item() == 0);
}

TEST_CASE("LSH attention equals its definition in loops, for any length", "[lsh]") {
  for (int64_t n : {1, 2, 7, 16, 23})
    for (bool causal : {false, true})
      for (bool deduplicate : {false, true})
        for (bool strict : {false, true}) {
          if (strict && !causal) continue;
          LshOptions o{.bucket_size = 4,
                       .rounds = 3,
                       .buckets = 4,
                       .causal = causal,
                       .strict = strict,
                       .deduplicate = deduplicate,
                       .seed = 11};
          Tensor qk = normal({2, n, 3}, unsigned(n)) * 2, v = normal({2, n, 2}, 50);
          Tensor got = lsh_attention(qk, v, o);
          for (int64_t b = 0; b < 2; ++b) {
            INFO("n " << n << ", causal " << causal << ", deduplicate " << deduplicate << ", strict " << strict);
            CHECK(error(values(got[b]), reference(qk[b], v[b], o, 4)) < 1e-12);
          }
        }
}

TEST_CASE("one chunk is full attention with shared queries and keys", "[lsh]") {
  Tensor qk = normal({2, 3, 13, 4}, 1), v = normal({2, 3, 13, 5}, 2);
  for (bool causal : {false, true})
    for (int64_t rounds : {1, 4}) {
      LshOptions o{.bucket_size = 13, .rounds = rounds, .causal = causal};
      CHECK(verify::close(lsh_attention(qk, v, o), full_shared(qk, v, causal)).message == "");
      o.deduplicate = true, o.bucket_size = 64;
      CHECK(verify::close(lsh_attention(qk, v, o), full_shared(qk, v, causal)).message == "");
      o.strict = causal;
      CHECK(verify::close(lsh_attention(qk, v, o), full_shared(qk, v, causal)).message == "");
    }
  Tensor x = normal({1, 1, 150, 4}, 3, f32), y = normal({1, 1, 150, 4}, 4, f32);
  Tensor exact = full_shared(x * 8, y, false);
  auto off = [&](int64_t rounds) {
    return (lsh_attention(x * 8, y, {.bucket_size = 16, .rounds = rounds, .deduplicate = true, .seed = 1}) - exact)
        .abs()
        .mean()
        .item();
  };
  CHECK(off(8) < off(1) / 2);  // more rounds, less missed
}

TEST_CASE(
    "causal LSH attention sees no later value, but later tokens decide "
    "which earlier ones are seen",
    "[lsh]") {
  const int64_t n = 21;
  Tensor qk = normal({1, 1, n, 4}, 5), v = normal({1, 1, n, n}, 6);
  LshOptions o{.bucket_size = 4, .rounds = 2, .causal = true, .seed = 3};
  Tensor weights = lsh_attention(qk, eye(n, qk.options()).reshape({1, 1, n, n}), o);
  CHECK(max(abs(triu(weights, 1))).item() == 0);
  CHECK(difference(sum(weights, {-1}), ones({1, 1, n}, qk.options())) < 1e-12);
  CHECK(verify::causality([&](const Tensor& x) { return lsh_attention(qk, x, o); }, v, 2).message == "");
  // Later rows keep their direction, hence their buckets: nothing before changes.
  Tensor longer = cat({slice(qk, 2, 0, 9), slice(qk, 2, 9, n) * 3}, 2);
  Tensor before = slice(lsh_attention(qk, v, o), 2, 0, 9), after = slice(lsh_attention(longer, v, o), 2, 0, 9);
  CHECK(equal(before, after));
  // Given the buckets, the derivative of a row for later rows is 0.
  Tensor leaf = qk.detach().clone().requires_grad_();
  select(lsh_attention(leaf, v, o), 2, 8).sum().backward();
  CHECK(max(abs(slice(leaf.grad(), 2, 9, n))).item() == 0);
  CHECK(max(abs(leaf.grad())).item() > 0);
  // Other directions move the ends of the chunks.
  auto of_qk = [&](const LshOptions& o) { return [&, o](const Tensor& x) { return lsh_attention(x, v, o); }; };
  CHECK_FALSE(verify::causality(of_qk(o), qk, 2));
  o.strict = true;
  CHECK(verify::causality(of_qk(o), qk, 2).message == "");
  o.deduplicate = true;
  CHECK(verify::causality(of_qk(o), qk, 2).message == "");
}

TEST_CASE(
    "a strict LSH core goes on token by token as it does over the whole "
    "sequence",
    "[lsh]") {
  Tensor qk = normal({2, 2, 17, 4}, 7), v = normal({2, 2, 17, 3}, 8);
  for (bool deduplicate : {false, true}) {
    LshCore core({.bucket_size = 3,
                  .rounds = 2,
                  .buckets = 4,
                  .causal = true,
                  .strict = true,
                  .deduplicate = deduplicate,
                  .seed = 2});
    Tensor whole = core.attend(qk, qk, v, {});
    for (int64_t piece : {1, 5}) {
      AttentionState state;
      std::vector<Tensor> steps;
      for (int64_t t = 0; t < 17; t += piece)
        steps.push_back(core.step(slice(qk, 2, t, t + piece), {}, slice(v, 2, t, t + piece), state));
      CHECK(verify::close(cat(steps, 2), whole).message == "");
      CHECK(state.time == 17);
    }
  }
  LshOptions o{.bucket_size = 3, .rounds = 2, .buckets = 4, .causal = true, .strict = true, .seed = 2};
  Generator generator(2);
  Tensor hash = lsh_hash(qk, 4, 2, &generator), x = qk.detach().clone().requires_grad_();
  Tensor sorted = grad(square(lsh_attention(x, v, o)).sum(), x),
         looked = grad(square(lsh_lookup(x, v, hash, 0, o)).sum(), x);
  CHECK(difference(looked, sorted) < 1e-12);
  CHECK(LshCore().shares_query_and_key());
  CHECK(std::string(LshCore().clone()->name()) == "lsh");
}

TEST_CASE("LSH attention keeps samples apart and has right derivatives of two orders", "[lsh][grad]") {
  Tensor qk = normal({3, 1, 10, 3}, 1);
  LshOptions o{.bucket_size = 3, .rounds = 2, .seed = 6};
  CHECK(verify::batch([&](const Tensor& x) { return lsh_attention(x, x, o); }, qk).message == "");
  Tensor small = normal({1, 5, 2}, 3), value = normal({1, 5, 1}, 4);
  for (bool causal : {false, true}) {
    LshOptions tiny{.bucket_size = 2, .rounds = 2, .buckets = 2, .causal = causal, .seed = 1};
    auto f = [&](const TensorList& in) { return TensorList{lsh_attention(in[0], in[1], tiny)}; };
    CHECK(check_twice(f, {small, value}) == "");
    tiny.strict = causal, tiny.deduplicate = true;
    CHECK(check_twice(f, {small, value}) == "");
  }
}

TEST_CASE("LSH attention of no token, of one, and of rows of zeros", "[lsh]") {
  CHECK(lsh_attention(zeros({2, 0, 4}), zeros({2, 0, 3})).shape() == Shape{2, 0, 3});
  CHECK(lsh_attention(zeros({0, 5, 4}), zeros({0, 5, 3})).shape() == Shape{0, 5, 3});
  Tensor v = normal({1, 3}, 1, f32);
  CHECK(equal(lsh_attention(normal({1, 4}, 2, f32), v, {.causal = true}),
              v));  // itself, there is nothing else
  Tensor zero = zeros({9, 4}).requires_grad_(), nine = normal({9, 3}, 3, f32);
  Tensor y = lsh_attention(zero, nine, {.bucket_size = 3, .rounds = 2});
  y.sum().backward();
  CHECK(all(isfinite(y)).item<bool>());
  CHECK(all(isfinite(zero.grad())).item<bool>());
}

TEST_CASE("errors of LSH attention", "[lsh][errors]") {
  Tensor x = zeros({4, 2});
  CHECK_THROWS_WITH(lsh_hash(x, 3, 1), contains("lsh_hash: got 3 buckets, 1 rounds; expected an even number"));
  CHECK_THROWS_AS(lsh_hash(x, 0, 1), ValueError);
  CHECK_THROWS_AS(lsh_hash(x, 4, 0), ValueError);
  CHECK_THROWS_WITH(lsh_hash(zeros({4}), 2, 1), contains("lsh_hash: wrong input; got [4]"));
  CHECK_THROWS_WITH(lsh_attention(x, zeros({3, 2})), contains("the shapes do not fit; got qk [4, 2], v [3, 2]"));
  CHECK_THROWS_AS(lsh_attention(x, zeros({1, 4, 2})), ShapeError);
  CHECK_THROWS_WITH(lsh_attention(x, x, {.bucket_size = 0}), contains("got bucket_size 0, rounds 4, buckets 0"));
  CHECK_THROWS_WITH(lsh_attention(x, x, {.buckets = 5}), contains("buckets 5; expected"));
  CHECK_THROWS_WITH(lsh_attention(x, x, {.strict = true}), contains("strict is a form of causal"));
  LshOptions strict{.causal = true, .strict = true};
  CHECK_THROWS_WITH(lsh_lookup(x, x, zeros({1, 3}, i64), 0, strict),
                    contains("lsh_lookup: got hashes [1, 3] for 4 tokens"));
  Tensor q = zeros({1, 1, 4, 2});
  AttentionState state;
  CHECK_THROWS_WITH(LshCore().step(q, q, q, state), contains("LshCore: no step; which tokens meet changes"));
  CHECK_THROWS_WITH(LshCore().attend(q, q, q, ones({4, 4}, boolean)),
                    contains("LshCore: no mask; got [4, 4]; the pairs"));
}
