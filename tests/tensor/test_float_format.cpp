// Formats by their bits: all codes of f16, bf16 and the 8-bit formats there and back, against tensor/math/half.h and
// against values written down.
#include "tensor/math/float_format.h"

#include <cmath>

#include "tensor/math/half.h"
#include "tests/catch.h"

using namespace ink;

namespace {

// Every code: decoded, encoded, and the neighbours' midpoint to the even one of both.
void check_codes(const FloatFormat& f) {
  int wrong = 0;
  const uint64_t codes = uint64_t(1) << f.bits();
  for (uint64_t c = 0; c < codes; ++c) {
    const double x = f.decode(c);
    if (std::isnan(x)) {
      wrong += !std::isnan(f.decode(f.encode(x))) || std::signbit(x) != bool(c >> (f.bits() - 1));
      continue;
    }
    wrong += f.encode(x) != c;
    if (std::isfinite(x)) wrong += f.round(x) != x;
    const double next = f.decode(c + 1);
    if (c + 1 >= codes / 2 || !std::isfinite(next)) continue;
    const double middle = (x + next) / 2;
    wrong += f.encode(middle) != c + (c & 1) || f.encode(-middle) != c + (c & 1) + codes / 2;
    wrong += f.encode(std::nextafter(middle, 0)) != c || f.encode(std::nextafter(middle, 1e300)) != c + 1;
    if (x != 0) wrong += f.spacing(x) != next - x;
  }
  CHECK(wrong == 0);
}

template <class T> void check_against(const FloatFormat& f) {
  int wrong = 0;
  for (uint32_t c = 0; c < 65536; ++c) {
    T x;
    x.bits = uint16_t(c);
    const double v = f.decode(c);
    wrong += std::isnan(v) ? !std::isnan(float(x)) : v != double(float(x));
    if (std::isnan(v)) continue;
    for (double near : {v * 1.0001, v * 1.001, v * (1 + 0x1p-9), v * (1 + 0x1p-12), v * (1 - 0x1p-12)})
      wrong += f.encode(near) != T(near).bits;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("every code of every small format there and back", "[format]") {
  for (const FloatFormat& f : {formats::f16, formats::bf16, formats::e4m3, formats::e5m2}) {
    INFO(f.name);
    check_codes(f);
  }
  check_codes({"tf32, as 19 bits", 8, 10});
}

TEST_CASE("the definition agrees with the types that tensors use", "[format]") {
  check_against<half>(formats::f16);
  check_against<bfloat16>(formats::bf16);
}

TEST_CASE("largest, smallest and special codes of the formats", "[format]") {
  CHECK(formats::f16.largest() == 65504);
  CHECK(formats::f16.smallest_normal() == 0x1p-14);
  CHECK(formats::f16.smallest() == 0x1p-24);
  CHECK(formats::bf16.largest() == 0x1.fep+127);
  CHECK(formats::bf16.smallest() == 0x1p-133);
  CHECK(formats::e4m3.largest() == 448);
  CHECK(formats::e4m3.smallest_normal() == 0x1p-6);
  CHECK(formats::e4m3.smallest() == 0x1p-9);
  CHECK(formats::e5m2.largest() == 57344);
  CHECK(formats::e5m2.smallest() == 0x1p-16);
  CHECK(formats::f32.largest() == double(std::numeric_limits<float>::max()));
  CHECK(formats::f16.encode(INFINITY) == 0x7c00);
  CHECK(formats::f16.encode(NAN) == 0x7e00);
  CHECK(formats::bf16.encode(NAN) == 0x7fc0);
  CHECK(formats::e4m3.encode(NAN) == 0x7f);
  CHECK(formats::e4m3.encode(-NAN) == 0xff);
  CHECK(formats::e5m2.encode(NAN) == 0x7e);
  CHECK(formats::e5m2.encode(-INFINITY) == 0xfc);
  CHECK(std::isnan(formats::e5m2.decode(0x7d)));
  CHECK(formats::f16.encode(0.1) == 0x2e66);
  CHECK(formats::f16.decode(0x2e66) == 0.0999755859375);
}

TEST_CASE("boundaries: overflow, saturation, the subnormal edge, double rounding", "[format]") {
  const FloatFormat &h = formats::f16, &e4 = formats::e4m3, &e5 = formats::e5m2;
  CHECK(h.round(65519.99) == 65504);
  CHECK(std::isinf(h.round(65520)));
  CHECK(h.round(65520, Overflow::saturate) == 65504);
  CHECK(h.round(-INFINITY, Overflow::saturate) == -65504);
  CHECK(h.round(0x1p-25) == 0);  // a tie, to even
  CHECK(std::signbit(h.round(-0x1p-25)));
  CHECK(h.round(std::nextafter(0x1p-25, 1)) == 0x1p-24);
  CHECK(h.round(0x1.8p-24) == 0x1p-23);
  CHECK(h.encode(1 + 0x1p-11 + 0x1p-40) == 0x3c01);  // through f32 it would be the tie 1 + 2^-11, and 0x3c00
  CHECK(h.encode(1 + 0x1p-11) == 0x3c00);
  for (double x : {464., 465., 500., double(INFINITY)}) CHECK(e4.round(x, Overflow::saturate) == 448);
  CHECK(e4.round(464) == 448);
  CHECK(std::isnan(e4.round(465)));
  CHECK(std::isnan(e4.round(INFINITY)));
  CHECK(e5.round(61439) == 57344);
  CHECK(e5.round(61440, Overflow::saturate) == 57344);
  CHECK(std::isinf(e5.round(61440)));
  CHECK(std::isnan(e4.round(NAN, Overflow::saturate)));
  for (const FloatFormat& f : {formats::f32, formats::tf32, h, formats::bf16, e4, e5}) {
    CHECK(f.round(0.0) == 0);
    CHECK(std::signbit(f.round(-0.0)));
    CHECK(f.round(1e-320) == 0);
    CHECK(std::isnan(f.round(NAN)));
    for (double x : {0.1, -3.7e-5, 123.456, 1e-40})
      if (f.fraction_bits == 23) CHECK(f.round(x) == double(float(x)));
  }
  CHECK(formats::tf32.round(1 + 0x1p-11) == 1);
  CHECK(formats::tf32.round(1 + 0x1.8p-10) == 1 + 0x1p-9);
}
