// What formats do to computations: rounded tensors, 8-bit floats, tf32, counts of what is lost, and machines that round
// after every step.
#include <cmath>

#include "autograd/graph/checkpoint.h"
#include "autograd/observe/autocast.h"
#include "autograd/observe/precision/emulate.h"
#include "autograd/observe/precision/numerics.h"
#include "autograd/observe/precision/rounded.h"
#include "autograd/observe/precision/tf32.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/sequential.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {
Tensor row(std::vector<double> v, DType t = f32) {
  return from_data(std::span<const double>(v), {int64_t(v.size())}).to(t).to(default_device());
}
// Gradients whose logarithm is spread evenly: 2^low, ..., just below 2^high, `per` of them in each octave.
Tensor log_uniform(int low, int high, int per) {
  std::vector<double> v;
  for (int e = low; e < high; ++e)
    for (int i = 0; i < per; ++i) v.push_back(std::exp2(e + (i + 0.5) / per));
  return row(v);
}
}  // namespace

TEST_CASE("rounded tensors are what f16 and bf16 tensors hold", "[precision]") {
  const Tensor x = normal({3, 50}, 1, f32) * 1e3;
  CHECK(equal(rounded(x, formats::f16), x.to(f16).to(f32)));
  CHECK(equal(rounded(x, formats::bf16), x.to(bf16).to(f32)));
  CHECK(equal(rounded(x.t(), formats::bf16), x.t().to(bf16).to(f32)));
  CHECK(equal(rounded(x, formats::f32), x));
  CHECK(rounded(x.to(f64), formats::e4m3).dtype() == f64);
  CHECK(rounded(row({500}), formats::e4m3, Overflow::saturate).item() == 448);
  CHECK_THROWS_AS(rounded(ones({2}, i64), formats::f16), DTypeError);
}

TEST_CASE("8-bit floats with a scale: values, blocks, history", "[precision][fp8]") {
  const Tensor x = row({1, -2, 0.3, 0, 1e-9, 896});
  const Fp8 a = to_fp8(x, formats::e4m3);
  CHECK(a.scale.item() == 2);
  CHECK(a.codes.to_vector<int64_t>() == std::vector<int64_t>{0x30, 0xb8, 0x22, 0, 0, 0x7e});
  CHECK(from_fp8(a).to_vector<double>() == std::vector<double>{1, -2, 0.3125, 0, 0, 896});
  CHECK(to_fp8(x, formats::e4m3, 1).scale.item() == 4);  // a margin of one bit
  CHECK(from_fp8(to_fp8_scaled(x, formats::e5m2, 1)).to_vector<double>() ==
        std::vector<double>{1, -2, 0.3125, 0, 0, 896});
  CHECK(from_fp8(to_fp8_scaled(row({1e6, -INFINITY, NAN}), formats::e5m2, 1))[0].item() == 57344);
  CHECK(std::isnan(from_fp8(to_fp8_scaled(row({NAN}), formats::e5m2, 1)).item()));
  CHECK(from_fp8(to_fp8(zeros({3}), formats::e4m3)).sum().item() == 0);
  CHECK(from_fp8(to_fp8(x, formats::e4m3), f64).dtype() == f64);
  // one small block beside one large: a common scale loses the small one
  const Tensor two = cat({full({4}, 1e-6), full({4}, 1e4)}).reshape({1, 8});
  CHECK(from_fp8(to_fp8(two, formats::e4m3))[0][0].item() == 0);
  const Fp8 blocks = to_mxfp8(two, formats::e4m3, 4);
  CHECK(blocks.scale.shape() == Shape{1, 2});
  for (double s : blocks.scale.to_vector<double>()) CHECK(std::exp2(std::round(std::log2(s))) == s);
  CHECK(from_fp8(blocks)[0][0].item() == Approx(1e-6).epsilon(0.07));
  CHECK(from_fp8(blocks)[0][7].item() == Approx(1e4).epsilon(0.07));
  CHECK_THROWS_AS(to_mxfp8(two, formats::e4m3, 3), ShapeError);
  CHECK_THROWS_AS(to_fp8(x, formats::f16), ValueError);
  CHECK_THROWS_AS(to_fp8_scaled(x, formats::e4m3, INFINITY), ValueError);
  CHECK_THROWS_AS(to_fp8_scaled(x, formats::e4m3, 0), ValueError);
  CHECK_THROWS_AS(to_fp8(ones({1}, u8), formats::e4m3), DTypeError);
  DelayedScale delayed(formats::e4m3, 2);
  CHECK(delayed.scale() == 1);
  for (double amax : {448., 896., 448., 448.}) delayed.observe(row({amax, -1}));
  CHECK(delayed.scale() == 1);  // 896 has left the history
  delayed.observe(row({-1792}));
  CHECK(delayed.scale() == 4);
  CHECK_THROWS_AS(DelayedScale(formats::e4m3, 0), ValueError);
}

TEST_CASE("under Tf32 factors of products lose 13 bits, forward and backward, and nothing else does", "[precision]") {
  const Tensor a = normal({4, 5}, 1, f32), b = normal({5, 3}, 2, f32);
  const Tensor expected = matmul(rounded(a, formats::tf32), rounded(b, formats::tf32));
  const Tensor plain = matmul(a, b);
  Tensor x = a.clone().requires_grad_();
  {
    Tf32 guard;
    CHECK(equal(matmul(a, b), expected));
    CHECK(equal(a * 3, a + a + a));
    matmul(x, b).sum().backward();
    Tf32 off(false);
    CHECK(equal(matmul(a, b), plain));
  }
  CHECK(equal(matmul(a, b), plain));
  CHECK(difference(x.grad(), matmul(ones({4, 3}), rounded(b, formats::tf32).t())) < 1e-6);
  CHECK(difference(expected, plain) > 1e-6);
  Tf32 guard;
  Tensor kept = a.clone().requires_grad_(), again = a.clone().requires_grad_();
  auto f = [&](const TensorList& in) { return square(matmul(square(matmul(in[0], b)), b.t())); };
  f({kept}).sum().backward();
  checkpoint(f, {again}).sum().backward();  // its second run rounds as the first did
  CHECK(equal(kept.grad(), again.grad()));
  CHECK(difference(matmul(a.to(f64), b.to(f64)), matmul(a.to(f64), b.to(f64))) == 0);
}

TEST_CASE("the share of log-uniform gradients that f16 flushes, for several scales", "[precision]") {
  const int per = 8;
  const Tensor g = log_uniform(-40, 0, per);
  for (int log_scale : {0, 3, 10, 16}) {
    const ValueCounts c = count_values(g, formats::f16, std::exp2(log_scale));
    const int below = std::max(0, -25 - log_scale + 40);  // octaves below 2^-25 / scale
    CHECK(c.values == 40 * per);
    CHECK(c.flushed == below * per);
    CHECK(c.overflowed == std::max(0, log_scale - 16) * per);
    CHECK(c.lost() == Approx(double(below) / 40));
    CHECK(c.with_exponent(-5 + log_scale) == per);
  }
  CHECK(count_values(g, formats::bf16).lost() == 0);
  const ValueCounts special = count_values(row({0, -0.0, INFINITY, NAN, 70000, 1e-7, 1e-9, 1}, f64), formats::f16);
  CHECK(special.zeros == 2);
  CHECK(special.not_finite == 2);
  CHECK(special.overflowed == 1);
  CHECK(special.subnormal == 1);
  CHECK(special.flushed == 1);
  CHECK(special.lost() == 0.5);
  CHECK(count_values(row({}), formats::f16).lost() == 0);
  CHECK_THROWS_AS(count_values(ones({1}, i64), formats::f16), DTypeError);
}

TEST_CASE("a Numerics guard counts by op and by name, and sees what casts lose", "[precision]") {
  Tensor w = row({1e-3, 2}).requires_grad_();
  const Tensor small = row({1e-9, 1}).reshape({1, 2}), one = ones({2, 1});
  Numerics seen(formats::f16);
  Tensor loss = (w * 1e-6).sum();
  loss.backward();
  seen.watch("w.grad", w.grad());
  seen.watch("w.grad", w.grad(), 65536);
  const NumericsRow* mul = seen.find("mul");
  REQUIRE(mul);
  CHECK((mul->recorded && mul->calls == 1 && mul->counts.values == 2));
  CHECK(mul->counts.flushed == 1);    // 1e-9
  CHECK(mul->counts.subnormal == 1);  // 2e-6
  const NumericsRow* gradient = seen.find("w.grad");
  REQUIRE(gradient);
  CHECK((gradient->calls == 2 && gradient->counts.values == 4));
  CHECK(gradient->counts.subnormal == 2);
  CHECK_THAT(seen.table(), contains("mul (backward)") && contains("w.grad"));
  CHECK(seen.find("exp") == nullptr);
  Autocast low(f16);
  matmul(small, one);
  REQUIRE(seen.find("to"));
  CHECK(seen.find("to")->counts.flushed == 1);
  const int64_t calls = seen.find("to")->calls;
  {
    Numerics inner(formats::e4m3);  // both look
    exp(ones({1}));
    CHECK(inner.find("exp"));
  }
  CHECK(seen.find("exp"));
  CHECK(seen.find("to")->calls == calls);
}

TEST_CASE("sums stall in 16 bits, and not with a wide accumulator", "[precision][emulate]") {
  const Tensor x = ones({1, 4096}), y = ones({4096, 1});
  const struct {
    FloatFormat format;
    double stalls_at;
  } cases[] = {
      {formats::f16, 2048}, {formats::bf16, 256}, {formats::e4m3, 16}, {formats::e5m2, 8}, {formats::tf32, 2048}};
  for (auto [format, stalls_at] : cases) {
    INFO(format.name);
    CHECK(sum_in(x, format) == stalls_at);
    Emulate machine({.numbers = format});
    CHECK(matmul(x, y).item() == stalls_at);
    CHECK(sum(x).item() == stalls_at);
  }
  Emulate wide({.numbers = formats::f16, .sums = formats::f32});
  CHECK(matmul(x, y).item() == 4096);
  CHECK(sum(x, {1}).item() == 4096);
  CHECK(matmul(ones({1, 4097}), ones({4097, 1})).item() == 4096);  // rounded once, at the end
}

TEST_CASE("an emulated machine rounds every op, forward and backward", "[precision][emulate]") {
  const Tensor a = normal({2, 3, 4}, 1, f32), b = normal({4, 2}, 2, f32), w = normal({5, 4}, 3, f32),
               bias = normal({5}, 4, f32);
  const FloatFormat format = formats::bf16;
  auto in = [&](double v) { return format.round(v); };
  Emulate machine({.numbers = format});
  const Tensor c = matmul(a, b), d = linear(a, w, bias);
  CHECK(equal(exp(a), exp(a).to(bf16).to(f32)));
  double s = 0;
  for (int p = 0; p < 4; ++p) s = in(s + in(in(a[1][2][p].item()) * in(b[p][1].item())));
  CHECK(c[1][2][1].item() == s);
  s = 0;
  for (int p = 0; p < 4; ++p) s = in(s + in(in(a[1][0][p].item()) * in(w[3][p].item())));
  CHECK(d[1][0][3].item() == in(s + in(bias[3].item())));
  CHECK(sum(a, {1}).shape() == Shape{2, 4});
  CHECK(sum(a, {1}, true)[1][0][2].item() ==
        in(in(in(a[1][0][2].item()) + in(a[1][1][2].item())) + in(a[1][2][2].item())));
  Tensor x = b.clone().requires_grad_();
  matmul(a, x).sum().backward();
  CHECK(equal(x.grad(), rounded(x.grad(), format)));
  CHECK(sum(ones({3, 3}), {0}).shape() == Shape{3});  // either dim could have been summed
  CHECK(matmul(zeros({0, 3}), zeros({3, 2})).shape() == Shape{0, 2});
}

TEST_CASE("Emulate with f32 is f32", "[precision][emulate]") {
  const Tensor a = normal({3, 8}, 1, f32), b = normal({8, 2}, 2, f32);
  const Tensor exact = matmul(a.to(f64), b.to(f64));
  Emulate machine({.numbers = formats::f32});
  CHECK(difference(matmul(a, b), exact) < 1e-6);
  CHECK(equal(a + 1, (a.to(f64) + 1).to(f32)));
}
