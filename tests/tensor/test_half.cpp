// f16 and bf16: every value there and back, and rounding to nearest even against arithmetic in f64.
#include "tensor/math/half.h"

#include <cmath>
#include <limits>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

namespace {

struct Format {
  int fraction_bits, exponent_bits;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  // The value of a bit pattern, by the definition of IEEE 754.
  double value(uint32_t bits) const {
    double sign = bits >> (fraction_bits + exponent_bits) & 1 ? -1 : 1;
    int e = int(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    double f = double(bits & ((1u << fraction_bits) - 1)) / double(1u << fraction_bits);
    if (e == (1 << exponent_bits) - 1) return f == 0 ? sign * INFINITY : NAN;
    return sign * (e == 0 ? std::ldexp(f, 1 - bias()) : std::ldexp(1 + f, e - bias()));
  }
  // x rounded to a multiple of its last place, ties to even; too large becomes infinite.
  double rounded(double x) const {
    if (x == 0 || !std::isfinite(x)) return x;
    int e = std::max(std::ilogb(x), 1 - bias());
    double unit = std::ldexp(1.0, e - fraction_bits), y = std::nearbyint(x / unit) * unit;
    double largest = std::ldexp(2 - std::ldexp(1.0, -fraction_bits), bias());
    return std::abs(y) > largest ? std::copysign(INFINITY, x) : y;
  }
};
constexpr Format kHalf{10, 5}, kBfloat{7, 8};

template <class T> void check_round_trip(const Format& format) {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    T x;
    x.bits = uint16_t(bits);
    float f = float(x);
    double expected = format.value(bits);
    if (std::isnan(expected)) {
      wrong += !std::isnan(f) || !std::isnan(float(T(f)));
      continue;
    }
    wrong += double(f) != expected || std::signbit(f) != std::signbit(expected) || T(f).bits != bits;
  }
  CHECK(wrong == 0);
}

// Around every value and every midpoint of neighbours: the point itself, and the floats next to it.
template <class T> void check_rounding(const Format& format) {
  int wrong = 0;
  auto check = [&](float f) {
    if (std::isnan(f)) return;
    double expected = format.rounded(double(f)), got = double(float(T(f)));
    wrong += got != expected || std::signbit(got) != std::signbit(expected);
  };
  for (uint32_t bits = 0; bits < 32768; ++bits) {
    double a = format.value(bits), b = format.value(bits + 1);
    if (std::isnan(a) || std::isnan(b)) continue;
    if (std::isinf(b)) b = std::ldexp(2.0, format.bias());  // the next power of two, where overflow begins to round
    if (std::isinf(a)) continue;
    for (double x : {a, (a + b) / 2, a + (b - a) / 4, a + (b - a) * 3 / 4}) {
      float f = float(x);
      for (float near : {f, std::nextafter(f, -INFINITY), std::nextafter(f, INFINITY)}) check(near), check(-near);
    }
  }
  for (float f : {INFINITY, -INFINITY, std::numeric_limits<float>::max(), std::numeric_limits<float>::min(),
                  std::numeric_limits<float>::denorm_min(), 0.f, -0.f, 65504.f, 65519.99f, 65520.f})
    check(f);
  CHECK(wrong == 0);
  CHECK(std::isnan(float(T(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(float(T(std::numeric_limits<float>::signaling_NaN()))));
}

// From f64 directly: beside the midpoint of two neighbours by less than f32 can tell, single numbers and tensors.
template <class T> void check_from_double(const Format& format, DType dtype) {
  std::vector<double> all;
  for (uint32_t bits = 0; bits < 32768; bits += 3) {
    const double a = format.value(bits), b = format.value(bits + 1);
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const double middle = (a + b) / 2;
    for (double x : {a, middle, middle * (1 + 0x1p-40), middle * (1 - 0x1p-40), a * (1 + 0x1p-50)})
      all.push_back(x), all.push_back(-x);
  }
  for (double x : {1e-320, 0x1p-1022, 0x1p-150, 1e39, 1e300, double(INFINITY), 65519.999999999, 65520.})
    all.push_back(x), all.push_back(-x);
  Tensor narrow = to(from_data(std::span<const double>(all), {int64_t(all.size())}), dtype).to(Device::cpu());
  int wrong = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const double expected = format.rounded(all[i]);
    const float alone = float(T(all[i])), in_tensor = float(narrow.data<T>()[i]);
    wrong += alone != expected || in_tensor != expected || std::signbit(alone) != std::signbit(all[i]);
  }
  CHECK(wrong == 0);
  CHECK(std::isnan(float(T(double(NAN)))));
}

// The loops of the library (which use packs) must convert as the scalar types do.
template <class T> void check_casts(DType dtype) {
  std::vector<float> all;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    T x;
    x.bits = uint16_t(bits);
    float f = float(x);
    if (std::isnan(f)) continue;
    all.push_back(f);
    if (std::isfinite(f))
      all.push_back(std::nextafter(f * 1.0009765f, INFINITY)), all.push_back(f * 1.00048828125f),
          all.push_back(f * 1.001953125f);
  }
  Tensor x = from_data(std::span<const float>(all), {int64_t(all.size())});
  auto here = [](const Tensor& t) { return t.to(Device::cpu()); };
  Tensor on_device = to(x, dtype), narrow = here(on_device), wide = here(to(on_device, f32)),
         wide64 = here(to(on_device, f64));
  Tensor narrow64 = here(to(to(x, f64), dtype));
  const T* p = narrow.data<T>();
  int wrong = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    wrong += p[i].bits != T(all[i]).bits || narrow64.data<T>()[i].bits != p[i].bits;
    wrong += wide.data<float>()[i] != float(p[i]) || wide64.data<double>()[i] != double(float(p[i]));
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("all 65536 f16 values survive the way to f32 and back", "[half]") { check_round_trip<half>(kHalf); }
TEST_CASE("all 65536 bf16 values survive the way to f32 and back", "[half]") { check_round_trip<bfloat16>(kBfloat); }
TEST_CASE("f16 rounds to nearest even", "[half]") { check_rounding<half>(kHalf); }
TEST_CASE("bf16 rounds to nearest even", "[half]") { check_rounding<bfloat16>(kBfloat); }
TEST_CASE("f64 rounds to 16 bits once", "[half]") {
  check_from_double<half>(kHalf, f16);
  check_from_double<bfloat16>(kBfloat, bf16);
  const double above_a_tie = 1 + 0x1p-11 + 0x1p-40;  // f32 would make it the tie, which is even below
  CHECK(half(above_a_tie).bits == 0x3c01);
  const auto bits = [](const Tensor& x) { return x.to(Device::cpu()).data<half>()->bits; };
  CHECK(bits(full({1}, above_a_tie, f16)) == 0x3c01);
  CHECK(bits(tensor({above_a_tie}, f16)) == 0x3c01);
  CHECK(bits(zeros({1}, f16).fill_(above_a_tie)) == 0x3c01);
  CHECK(bits(masked_fill(zeros({1}, f16), ones({1}, boolean), above_a_tie)) == 0x3c01);
  CHECK(bits(to(full({1}, above_a_tie, c128), f16)) == 0x3c01);
}
TEST_CASE("integers round to 16 bits once", "[half]") {
  const int64_t above_a_tie = (int64_t(1) << 40) + (int64_t(1) << 32) + 1,
                far = (int64_t(1) << 62) + (int64_t(1) << 54) + 1;
  for (int64_t i : {above_a_tie, -above_a_tie, far, -far, int64_t(257), int64_t(-259),
                    std::numeric_limits<int64_t>::min(), int64_t(0)}) {
    const double unit = std::ldexp(1., i == 0 ? 0 : std::ilogb(double(i)) - 7);
    const double low = std::floor(double(i) / unit) * unit;  // the neighbours of i, compared with i as integers
    const __int128 twice = 2 * __int128(i), middle = 2 * __int128(low) + __int128(unit);
    double expected = twice < middle ? low : twice > middle ? low + unit : std::nearbyint(double(i) / unit) * unit;
    if (unit < 1) expected = double(i);
    CHECK(double(bfloat16(i)) == expected);
    CHECK(to(full({1}, i, i64), bf16).item() == expected);
  }
  CHECK(float(half(65519)) == 65504);
  CHECK(std::isinf(float(half(65520))));
}
TEST_CASE("tensor casts round as the scalar types do", "[half]") {
  check_casts<half>(f16);
  check_casts<bfloat16>(bf16);
}
TEST_CASE("arithmetic on 16-bit tensors is f32 arithmetic, rounded once", "[half]") {
  for (DType t : {f16, bf16}) {
    Tensor a = to(linspace(-3, 3, 97, f64), t), b = to(linspace(0.1, 7, 97, f64), t);
    Tensor x = to(a, f32), y = to(b, f32);
    CHECK(equal(a + b, to(x + y, t)));
    CHECK(equal(a * b, to(x * y, t)));
    CHECK(equal(a / b, to(x / y, t)));
    CHECK(equal(exp(a), to(exp(x), t)));
    CHECK(equal(sum(a), to(sum(x), t)));
    CHECK(equal(softmax(a, 0), to(softmax(x, 0), t)));
  }
}
