#include <cmath>

#include "autograd/attention.h"
#include "include/inkstone/testing.h"
#include "nn/attention/lowrank/linformer.h"
#include "nn/attention/lowrank/lowrank_core.h"
#include "nn/attention/lowrank/nystrom.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor identity(int64_t n, const Tensor& like) { return eye(n, like.options()); }

// Four sine waves a channel, [n, d], of variance 1.
Tensor smooth(int64_t n, int64_t d, unsigned seed) {
  Tensor t = arange(0, n, 1, {f64}).unsqueeze(1) * (2 * M_PI / double(n)), x = zeros({n, d}, f64);
  for (int wave = 1; wave <= 4; ++wave)
    x = x + normal({1, d}, seed + unsigned(wave)) * sin(t * wave + normal({1, d}, seed + 50 + unsigned(wave)) * 3) *
                std::sqrt(0.5);
  return x;
}
double relative(const Tensor& got, const Tensor& exact) { return (norm(got - exact) / norm(exact)).item(); }

}  // namespace

TEST_CASE("Linformer with E = F = I is softmax attention", "[lowrank]") {
  Tensor q = normal({2, 3, 9, 4}, 1), k = normal({2, 3, 7, 4}, 2), v = normal({2, 3, 7, 5}, 3), i = identity(7, q);
  CHECK(verify::close(linformer_attention(q, k, v, i, i), scaled_dot_product_attention(q, k, v)).message == "");
}

TEST_CASE("Linformer uses the first columns for a shorter sequence", "[lowrank]") {
  Tensor q = normal({1, 2, 6, 4}, 1), v = normal({1, 2, 6, 3}, 2), e = normal({4, 10}, 3), f = normal({4, 10}, 4);
  Tensor padded = pad(q, {0, 0, 0, 4});  // rows of zeros add nothing to a projection
  Tensor longer = linformer_attention(q, padded, pad(v, {0, 0, 0, 4}), e, f);
  CHECK(verify::close(linformer_attention(q, q, v, e, f), longer).message == "");
  Tensor by_hand =
      matmul(softmax(matmul(q, transpose(matmul(slice(e, 1, 0, 6), q), -1, -2)) / 2, -1), matmul(slice(f, 1, 0, 6), v));
  CHECK(verify::close(longer, by_hand).message == "");
  for (int64_t n : {0, 1}) {
    Tensor x = normal({1, 2, n, 4}, 5);
    CHECK(linformer_attention(x, x, x, e, f).shape() == x.shape());
  }
}

TEST_CASE("landmarks are means of stretches that differ by one row at most", "[lowrank]") {
  Tensor x = normal({2, 12, 3}, 1);
  CHECK(verify::close(landmarks(x, 4), mean(reshape(x, {2, 4, 3, 3}), {2})).message == "");
  CHECK(equal(landmarks(x, 12), x));
  CHECK(equal(landmarks(x, 99), x));
  for (int64_t n : {1, 2, 10, 11, 129})
    for (int64_t m : {1, 3, 7, 64}) {
      if (m >= n) continue;
      // Means of 0 .. n - 1 and of their squares give first and last row of each stretch.
      Tensor line = arange(0, n, 1, {f64}).unsqueeze(1);
      Values centre = values(landmarks(line, m)), squares = values(landmarks(square(line), m));
      double next = 0;
      for (int64_t s = 0; s < m; ++s) {
        double variance = squares[size_t(s)] - centre[size_t(s)] * centre[size_t(s)];
        double length = std::round(std::sqrt(12 * std::max(variance, 0.) + 1));  // (length^2 - 1) / 12
        INFO("n " << n << ", m " << m << ", stretch " << s);
        CHECK((length == double(n / m) || length == double((n + m - 1) / m)));
        CHECK(std::abs(centre[size_t(s)] - (next + (length - 1) / 2)) < 1e-9);  // begins where the last one ended
        next += length;
      }
      CHECK(next == double(n));
    }
}

TEST_CASE("the iteration finds the inverse, cubically once it is near, each matrix by itself", "[lowrank]") {
  Tensor a = softmax(normal({3, 6, 6}, 1) * 2, -1);
  CHECK(difference(iterative_inverse(a, 25), inverse(a)) < 1e-8);
  Tensor near = identity(5, a) + 0.05 * normal({5, 5}, 2);
  auto off = [&](int64_t n) { return norm(identity(5, near) - matmul(near, iterative_inverse(near, n))).item(); };
  // residual <- residual^3 (with a constant): its logarithm triples
  CHECK(std::log(off(3)) / std::log(off(2)) > 2.5);
  // Of a batch with a matrix of large norm, each result is what the matrix gives alone.
  Tensor mixed = stack({a[0], a[1] * 1000}, 0);
  CHECK(verify::close(iterative_inverse(mixed)[0], iterative_inverse(a[0])).message == "");
  CHECK(verify::batch([](const Tensor& x) { return iterative_inverse(x); }, mixed).message == "");
  CHECK(iterative_inverse(zeros({2, 0, 0})).shape() == Shape{2, 0, 0});
}

TEST_CASE("Nystrom from right to left is the product of its three matrices", "[lowrank]") {
  Tensor q = normal({2, 1, 11, 4}, 1), k = normal({2, 1, 11, 4}, 2), v = normal({2, 1, 11, 3}, 3);
  Tensor qm = landmarks(q, 4), km = landmarks(k, 4);
  auto matrix = [](const Tensor& a, const Tensor& b) { return softmax(matmul(a, transpose(b, -1, -2)) / 2, -1); };
  Tensor a = matmul(matmul(matrix(q, km), iterative_inverse(matrix(qm, km))), matrix(qm, k));
  CHECK(verify::close(nystrom_attention(q, k, v, {.landmarks = 4}), matmul(a, v)).message == "");
}

TEST_CASE("Nystrom with as many landmarks as rows: softmax with the exact inverse, near it after 6 iterations",
          "[lowrank]") {
  const int64_t n = 128, d = 32;
  Tensor q = normal({n, d}, 1), k = normal({n, d}, 2), v = normal({n, d}, 3);
  Tensor exact = scaled_dot_product_attention(q, k, v);
  CHECK(relative(nystrom_attention(q, k, v, {.landmarks = n, .exact_inverse = true}), exact) < 1e-10);
  double six = relative(nystrom_attention(q, k, v, {.landmarks = n}), exact);
  CHECK(six > 0.04);
  CHECK(six < 0.08);
  CHECK(relative(nystrom_attention(q, k, v, {.landmarks = n, .iterations = 12}), exact) < 0.002);
  Tensor sq = smooth(n, d, 100), sk = smooth(n, d, 200), sv = smooth(n, d, 300);
  double smooth_six =
      relative(nystrom_attention(sq, sk, sv, {.landmarks = n}), scaled_dot_product_attention(sq, sk, sv));
  CHECK(smooth_six > 0.005);
  CHECK(smooth_six < 0.025);
}

TEST_CASE("few landmarks serve smooth queries and keys, not independent ones", "[lowrank]") {
  const int64_t n = 256, d = 16;
  auto off = [](const Tensor& q, const Tensor& k, const Tensor& v, int64_t m) {
    return relative(nystrom_attention(q, k, v, {.landmarks = m}), scaled_dot_product_attention(q, k, v));
  };
  Tensor q = smooth(n, d, 1), k = smooth(n, d, 500), v = smooth(n, d, 900);
  CHECK(off(q, k, v, 4) > 0.3);
  CHECK(off(q, k, v, 16) < 0.15);
  CHECK(off(q, k, v, 32) < 0.04);
  Tensor iq = normal({n, d}, 4), ik = normal({n, d}, 5), iv = normal({n, d}, 6);
  CHECK(off(iq, ik, iv, 32) > 0.5);
}

TEST_CASE("a depthwise convolution over time, one kernel a head", "[lowrank]") {
  Tensor v = normal({2, 3, 7, 2}, 1), kernel = normal({3, 1, 5}, 2);
  Tensor y = depthwise_over_time(v, kernel);
  Values got = values(y), x = values(v), w = values(kernel), expected(got.size());
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t t = 0; t < 7; ++t)
        for (int64_t c = 0; c < 2; ++c)
          for (int64_t s = 0; s < 5; ++s)
            if (int64_t from = t + s - 2; from >= 0 && from < 7)
              expected[size_t(((b * 3 + h) * 7 + t) * 2 + c)] +=
                  w[size_t(h * 5 + s)] * x[size_t(((b * 3 + h) * 7 + from) * 2 + c)];
  CHECK(error(got, expected) < 1e-12);
  NystromCore core({.nystrom = {.landmarks = 3}, .heads = 3, .convolution = 5});
  core.to(f64);
  Tensor plain = nystrom_attention(v, v, v, {.landmarks = 3});
  CHECK(verify::close(core.attend(v, v, v, {}), plain + depthwise_over_time(v, core.kernel)).message == "");
}

TEST_CASE("Linformer and Nystrom keep samples apart, have right derivatives, and are not causal", "[lowrank][grad]") {
  LinformerCore linformer({.length = 6, .rows = 3}), shared({.length = 6, .rows = 3, .share = true});
  NystromCore nystrom({.nystrom = {.landmarks = 2}, .heads = 1, .convolution = 3});
  AttentionCore* cores[] = {&linformer, &shared, &nystrom};
  for (AttentionCore* core : cores) {
    core->to(f64);
    auto f = [&](const Tensor& x) { return core->attend(x, 0.5 * x, slice(x, 3, 0, 1), {}); };
    INFO(core->name());
    CHECK(verify::batch(f, normal({3, 1, 5, 2}, 1)).message == "");
    CHECK(verify::gradients(*core, f, normal({1, 1, 3, 2}, 2)).message == "");
    CHECK_FALSE(verify::causality(f, normal({1, 1, 5, 2}, 3), 2));
  }
  TensorList in{normal({1, 1, 5, 2}, 4), normal({1, 1, 5, 2}, 5), normal({1, 1, 5, 1}, 6)};
  for (bool exact : {false, true}) {
    NystromOptions o{.landmarks = 2, .exact_inverse = exact};
    CHECK(check_twice([&](const TensorList& x) { return TensorList{nystrom_attention(x[0], x[1], x[2], o)}; }, in) ==
          "");
  }
}

TEST_CASE("no token and one", "[lowrank]") {
  NystromCore nystrom({.heads = 2, .convolution = 3});
  LinformerCore linformer({.length = 4, .rows = 2});
  Tensor none = zeros({1, 2, 0, 3}), one = normal({1, 2, 1, 3}, 1, f32);
  CHECK(nystrom.attend(none, none, none, {}).shape() == none.shape());
  CHECK(linformer.attend(none, none, none, {}).shape() == none.shape());
  CHECK(verify::close(nystrom_attention(one, one, one), one).message == "");  // it sees itself alone
  CHECK(all(isfinite(linformer.attend(one, one, one, {}))).item<bool>());
}

TEST_CASE("cores with parameters are copied, saved and loaded", "[lowrank]") {
  LinformerCore a({.length = 6, .rows = 16}), b({.length = 6, .rows = 16});
  CHECK(a.num_parameters() == 2 * 6 * 16);
  CHECK(LinformerCore({.length = 6, .rows = 16, .share = true}).num_parameters() == 6 * 16);
  CHECK(max(abs(a.e)).item() <= 0.25);
  CHECK(max(abs(a.e)).item() > 0.2);
  Tensor x = normal({1, 2, 6, 4}, 1, f32);
  b.load_state_dict(a.state_dict());
  CHECK(equal(a.attend(x, x, x, {}), b.attend(x, x, x, {})));
  std::unique_ptr<AttentionCore> copy = a.clone();
  CHECK(equal(copy->attend(x, x, x, {}), a.attend(x, x, x, {})));
  b.e = zeros({16, 6});
  CHECK_FALSE(equal(a.attend(x, x, x, {}), b.attend(x, x, x, {})));
  CHECK(NystromCore().num_parameters() == 0);
  CHECK(NystromCore({.heads = 4, .convolution = 33}).num_parameters() == 4 * 33);
}

TEST_CASE("errors of Linformer and Nystrom", "[lowrank][errors]") {
  Tensor x = zeros({1, 1, 6, 2}), mask = ones({6, 6}, boolean);
  LinformerCore linformer({.length = 4, .rows = 2});
  NystromCore nystrom;
  AttentionState state;
  CHECK_THROWS_WITH(linformer.attend(x, x, x, {}),
                    contains("the projections do not fit; got E [2, 4], F [2, 4] for 6 keys"));
  CHECK_THROWS_WITH(linformer.attend(x, x, x, mask),
                    contains("LinformerCore: no mask; got [6, 6]; each projected row mixes"));
  CHECK_THROWS_WITH(linformer.step(x, x, x, state), contains("LinformerCore: no step; not causal"));
  CHECK_THROWS_WITH(LinformerCore({.length = 0}), contains("LinformerCore: got length 0, rows 256"));
  CHECK_THROWS_AS(linformer_attention(x, x, zeros({1, 1, 5, 2}), eye(6), eye(6)), ShapeError);
  CHECK_THROWS_WITH(nystrom.attend(x, x, x, mask), contains("NystromCore: no mask; got [6, 6]; landmarks are means"));
  CHECK_THROWS_AS(nystrom.step(x, x, x, state), NotSupported);
  CHECK_THROWS_WITH(NystromCore({.heads = 2, .convolution = 4}),
                    contains("got convolution 4, heads 2; expected an odd size"));
  CHECK_THROWS_AS(NystromCore({.convolution = 3}), ValueError);
  CHECK_THROWS_WITH(nystrom_attention(x, x, x, {.landmarks = 0}), contains("got 0 landmarks, 6 iterations"));
  CHECK_THROWS_WITH(nystrom_attention(x, zeros({1, 1, 5, 2}), x),
                    contains("do not fit; got [1, 1, 6, 2], [1, 1, 5, 2]"));
  CHECK_THROWS_AS(landmarks(x, 0), ValueError);
  CHECK_THROWS_WITH(iterative_inverse(zeros({2, 3})), contains("iterative_inverse: got [2, 3]; expected square"));
  CHECK_THROWS_WITH(depthwise_over_time(x, zeros({2, 1, 3})), contains("got v [1, 1, 6, 2], kernel [2, 1, 3]"));
  // Landmarks that coincide have no exact inverse; the iteration has an answer.
  Tensor same = ones({1, 1, 6, 2}, f64);
  CHECK_THROWS_AS(nystrom_attention(same, same, same, {.landmarks = 2, .exact_inverse = true}), LinalgError);
  CHECK(all(isfinite(nystrom_attention(same, same, same, {.landmarks = 2}))).item<bool>());
}
