#include "nn/attention/gated/flash_gau.h"

#include <cmath>

#include "include/inkstone/testing.h"
#include "nn/attention/position.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

FlashGau small(int64_t chunk, bool causal, bool rotary = false) {
  manual_seed(3);
  FlashGau flash({.dim = 6, .expansion = 10, .s = 4, .chunk = chunk, .causal = causal, .rotary = rotary});
  flash.gain = normal({4, 4}, 5, f32) + 2, flash.offset = normal({4, 4}, 6, f32) * 0.3;
  flash.to(f64);
  return flash;
}

struct Pieces {
  Tensor u, v, quad_q, quad_k, lin_q, lin_k;
};
Pieces pieces(const FlashGau& f, const Tensor& x) {
  auto uvz = split(silu(linear(x, f.uvz.weight, f.uvz.bias)), {f.e, f.e, f.s}, -1);
  auto affine = [&](int64_t pair) {
    Tensor y = uvz[2] * f.gain[pair] + f.offset[pair];
    return f.options.rotary ? rotary(y) : y;
  };
  return {uvz[0], uvz[1], affine(0), affine(1), affine(2), affine(3)};
}

// The mixing matrix [batch, n, n], entry by entry: weights within chunks and the linear ones. real: bool [batch, n].
Tensor definition(const FlashGau& f, const Tensor& x, const Tensor& real = {}) {
  const int64_t b = x.size(0), n = x.size(1), c = f.options.chunk;
  Pieces p = pieces(f, x);
  Values quad = values(matmul(p.quad_q, transpose(p.quad_k, 1, 2))),
         lin = values(matmul(p.lin_q, transpose(p.lin_k, 1, 2))), a(size_t(b * n * n), 0.);
  Values is_real = real.defined() ? values(real.to(f64)) : Values(size_t(b * n), 1.);
  for (int64_t row = 0; row < b * n; ++row) {
    const int64_t i = row % n, sample = row / n;
    auto counts = [&](int64_t j) { return is_real[size_t(sample * n + j)] > 0; };
    double tokens = 0;
    for (int64_t j = 0; j < n; ++j) tokens += counts(j) && (!f.options.causal || j / c < i / c);
    for (int64_t j = 0; j < n; ++j) {
      const size_t at = size_t(row * n + j);
      if (!counts(j)) continue;
      if (i / c == j / c && (!f.options.causal || j <= i)) {
        double positive = std::max(quad[at], 0.);
        a[at] += positive * positive / double(c * f.s);
      }
      if (!f.options.causal || j / c < i / c) a[at] += lin[at] / tokens;
    }
  }
  return from_data(a, {b, n, n}).to(x.options());
}

Tensor by_definition(const FlashGau& f, const Tensor& x, const Tensor& real = {}) {
  Pieces p = pieces(f, x);
  return f.out.forward(p.u * matmul(definition(f, x, real), p.v));
}

}  // namespace

TEST_CASE("FLASH follows its definition for any length and chunk, causal or not", "[flash_gau]") {
  for (int64_t n : {1, 2, 3, 4, 7, 8, 9})
    for (int64_t chunk : {1, 3, 4, 8, 100})
      for (bool causal : {false, true}) {
        FlashGau flash = small(chunk, causal, true);
        Tensor x = normal({2, n, 6}, 1);
        INFO("n " << n << " chunk " << chunk << " causal " << causal);
        CHECK(difference(flash.forward(x), by_definition(flash, x)) < 1e-12);
      }
  CHECK(small(3, true).forward(zeros({2, 0, 6}, f64)).shape() == Shape{2, 0, 6});
  CHECK(small(3, false).forward(zeros({2, 0, 6}, f64)).shape() == Shape{2, 0, 6});
}

TEST_CASE("padding enters no sum and no count", "[flash_gau]") {
  Tensor x = normal({2, 8, 6}, 1), real = tensor({{1, 1, 1, 1, 1, 0, 0, 0}, {0, 1, 1, 0, 1, 1, 1, 1}}, boolean);
  Tensor other = where(real.unsqueeze(2), x, normal({2, 8, 6}, 2));
  for (int64_t chunk : {1, 2, 3, 100})
    for (bool causal : {false, true}) {
      FlashGau flash = small(chunk, causal);
      Tensor mask = real.unsqueeze(1), y = flash.forward(x, mask);
      CHECK(difference(y, by_definition(flash, x, real)) < 1e-12);
      CHECK(difference(y[0].slice(0, 0, 5), flash.forward(x.slice(1, 0, 5))[0]) < 1e-13);
      Tensor changed = flash.forward(other, mask);
      CHECK(difference(where(real.unsqueeze(2), changed, y), y) == 0);
      CHECK(difference(flash.forward(x, ones({1, 1, 8}, boolean)), flash.forward(x)) < 1e-14);
    }
}

TEST_CASE("one chunk, causal, is the quadratic part: GAU divided by a fixed count", "[flash_gau]") {
  Tensor x = normal({2, 8, 6}, 1);
  FlashGau flash = small(8, true, true);
  GatedAttentionUnit gau({.dim = 6,
                          .expansion = 10,
                          .s = 4,
                          .causal = true,
                          .normaliser = GauNormaliser::length,  // 1 / (s n), and n is the chunk
                          .rotary = true});
  gau.to(f64);
  gau.uvz = flash.uvz, gau.out = flash.out;
  gau.gain = flash.gain.slice(0, 0, 2), gau.offset = flash.offset.slice(0, 0, 2);
  CHECK(difference(flash.forward(x), gau.forward(x)) < 1e-14);
}

TEST_CASE("chunks of one token, causal, are linear attention and a token's own term", "[flash_gau]") {
  Tensor x = normal({2, 6, 6}, 1);
  FlashGau flash = small(1, true);
  Pieces p = pieces(flash, x);
  std::vector<Tensor> rows;
  Tensor sum = zeros({2, 4, 10}, f64);
  for (int64_t i = 0; i < 6; ++i) {
    auto at = [&](const Tensor& t) { return t.slice(1, i, i + 1); };
    Tensor own = square(relu(matmul(at(p.quad_q), transpose(at(p.quad_k), 1, 2)))) * (1 / 4.0);
    Tensor y = own * at(p.v);
    if (i) y = y + matmul(at(p.lin_q), sum) / double(i);
    rows.push_back(y);
    sum = sum + matmul(transpose(at(p.lin_k), 1, 2), at(p.v));
  }
  CHECK(difference(flash.forward(x), flash.out.forward(p.u * cat(rows, 1))) < 1e-13);
}

TEST_CASE("the full linear part does not know of chunks", "[flash_gau]") {
  Tensor x = normal({2, 7, 6}, 1);
  FlashGau flash = small(3, false);
  Tensor none = zeros({1, 4}, f64);  // no quadratic part: Q = 0
  flash.gain = cat({none, flash.gain.slice(0, 1, 4)}), flash.offset = cat({none, flash.offset.slice(0, 1, 4)});
  Pieces p = pieces(flash, x);
  Tensor linear_part = matmul(p.lin_q, matmul(transpose(p.lin_k, 1, 2), p.v)) / 7.0;
  CHECK(difference(flash.forward(x), flash.out.forward(p.u * linear_part)) < 1e-13);
}

TEST_CASE("FLASH token by token or in pieces equals FLASH at once, with a state that stays small", "[flash_gau]") {
  Tensor x = normal({2, 9, 6}, 1);
  for (int64_t chunk : {1, 3, 4, 100})
    for (bool rotary : {false, true}) {
      FlashGau flash = small(chunk, true, rotary);
      Tensor whole = flash.forward(x);
      for (int64_t piece : {1, 2, 5, 9}) {
        AttentionState state;
        std::vector<Tensor> y;
        for (const Tensor& part : x.split(piece, 1)) {
          y.push_back(flash.step(part, state));
          CHECK((!state.key.defined() || state.key.size(2) < chunk));
        }
        y.push_back(flash.step(x.slice(1, 0, 0), state));
        CHECK(difference(cat(y, 1), whole) < 1e-13);
        CHECK(state.time == 9);
        if (chunk == 4) {
          CHECK(state.key.shape() == Shape{2, 1, 1, 4});
          CHECK(state.sum.shape() == Shape{2, 1, 4, 10});
        }
      }
    }
}

TEST_CASE("FLASH looks back only when causal, and keeps samples apart", "[flash_gau]") {
  Tensor x = normal({2, 7, 6}, 1);
  for (int64_t chunk : {1, 3, 100}) {
    FlashGau causal = small(chunk, true, true), both = small(chunk, false);
    auto run = [&](const Tensor& x) { return causal.forward(x); };
    auto run_both = [&](const Tensor& x) { return both.forward(x); };
    CHECK(verify::causality(run, x, 1).message == "");
    CHECK_FALSE(verify::causality(run_both, x, 1));
    CHECK(verify::batch(run, x).message == "");
    CHECK(verify::batch(run_both, x).message == "");
  }
}

TEST_CASE("FLASH has right derivatives, first and second", "[flash_gau][grad]") {
  for (bool causal : {false, true}) {
    manual_seed(1);
    FlashGau flash({.dim = 2, .expansion = 2, .s = 2, .chunk = 2, .causal = causal, .rotary = true});
    flash.gain = flash.gain + 1;
    flash.to(f64);
    auto run = [&](const Tensor& x) { return flash.forward(x); };
    CHECK(verify::gradients(flash, run, normal({1, 3, 2}, 4)).message == "");
  }
}

TEST_CASE("FLASH has 3 d e + d s + 8 s parameters and biases, and is saved and loaded", "[flash_gau]") {
  CHECK(FlashGau({.dim = 8, .bias = false}).num_parameters() == 3 * 8 * 16 + 8 * 128 + 8 * 128);
  FlashGau a = small(3, true), b = small(3, true);
  check_covers(a.forward(normal({1, 5, 6}, 1)).sum(), a);
  b.uvz.weight = b.uvz.weight * 0, b.gain = b.gain * 2;
  Tensor x = normal({1, 5, 6}, 1);
  CHECK(difference(a.forward(x), b.forward(x)) > 1e-3);
  TemporaryFolder folder;
  a.save(folder / "flash.safetensors");
  b.load(folder / "flash.safetensors");
  CHECK(equal(a.forward(x), b.forward(x)));
}

TEST_CASE("errors of FLASH", "[flash_gau][errors]") {
  CHECK_THROWS_WITH(FlashGau({.dim = 4, .chunk = 0}), contains("FlashGau: got chunk 0; expected at least 1"));
  CHECK_THROWS_WITH(FlashGau({.dim = -1}), contains("FlashGau: got dim -1, expansion 0, s 128"));
  CHECK_THROWS_WITH(FlashGau({.dim = 4, .s = 5, .rotary = true}), contains("FlashGau: rotary turns pairs; got s 5"));
  FlashGau flash({.dim = 6, .s = 4, .chunk = 3, .causal = true});
  Tensor x = zeros({2, 5, 6});
  CHECK_THROWS_WITH(flash.forward(zeros({2, 5})),
                    contains("FlashGau: wrong input; got [2, 5]; expected [batch, time, 6]"));
  CHECK_THROWS_WITH(flash.forward(x, ones({2, 5, 5}, boolean)),
                    contains("wrong mask; got [2, 5, 5]; expected a shape that broadcasts to [2, 1, 5]"));
  CHECK_THROWS_AS(flash.forward(x, zeros({2, 1, 5})), DTypeError);
  AttentionState state;
  flash.step(x, state);
  CHECK_THROWS_WITH(flash.step(zeros({1, 1, 6}), state), contains("got a batch of 1 in x and 2 in the state"));
  AttentionState fresh;
  CHECK_THROWS_WITH(FlashGau({.dim = 6}).step(x, fresh), contains("later tokens would change earlier rows"));
}
