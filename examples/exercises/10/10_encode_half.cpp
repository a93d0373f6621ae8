// Exercise: the 16 bits that a number becomes in f16.
// Note: docs/notes/10_mixed_precision.md, exercise 1
//
// f16 has 1 sign bit, 5 exponent bits and 10 fraction bits; a code with exponent field E and fraction field F is
//
//   2^(E - 15) (1 + F / 1024)   for E = 1 .. 30          2^-14 F / 1024   for E = 0, the subnormal numbers
//
// and E = 31 is infinity (F = 0) or NaN. A number x becomes the nearest code; in the middle of two, the one whose F is
// even. With x = 0.1:
//
//   2^-4 <= 0.1 < 2^-3, so E = 11, and numbers are 2^-14 apart there
//   0.1 / 2^-14 = 1638.4, rounded 1638 = 1024 + 614: F = 614
//   sign 0, exponent 01011, fraction 1001100110: 0x2e66
//
// 65504 is the largest number. What would round to 65536 or beyond is infinite, that is everything from 65520 on.
// Rounding up may carry into the next exponent: 2047.9 becomes 2048, not 1024 + 1024.
//
// What the checks look at: ordinary numbers; ties; carries; subnormal numbers; infinities and NaN; both zeros.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The code of x in f16. A NaN becomes 0x7e00, whatever its sign.
uint16_t encode_half(double x) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// std::ilogb(x) is the exponent of the octave that x lies in; below 2^-14 take -14 all the same: that is what makes
// the numbers there evenly spaced. std::ldexp(x, n) is x 2^n, and std::nearbyint rounds ties to even.
//]
//[ hint
// Let e be that exponent and q = nearbyint(|x| 2^(10 - e)), the number of spacings. For an ordinary number q is 1024 to
// 2048, for a subnormal one 0 to 1024.
//]
//[ hint
// The code is ((e + 14) << 10) + q: q's 1024 raises the exponent field by one, 2048 by two, and a subnormal number's q
// does not. From 0x7c00 on it is infinite.
//]

namespace solution {
//[ solution
uint16_t encode_half(double x) {
  if (std::isnan(x)) return 0x7e00;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (x == 0) return sign;
  if (std::isinf(x)) return sign | 0x7c00;
  const int e = std::max(std::ilogb(x), -14);
  if (e > 15) return sign | 0x7c00;
  const int q = int(std::nearbyint(std::ldexp(std::abs(x), 10 - e)));
  return uint16_t(sign | std::min(((e + 14) << 10) + q, 0x7c00));
}
//]
}  // namespace solution

//[ wrong
namespace cut_off {
uint16_t encode_half(double x) {
  if (std::isnan(x)) return 0x7e00;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (x == 0) return sign;
  if (std::isinf(x) || std::abs(x) >= 65520) return sign | 0x7c00;
  const int e = std::max(std::ilogb(x), -14);
  const int q = int(std::ldexp(std::abs(x), 10 - e));
  return uint16_t(sign | (((e + 14) << 10) + q));
}
}  // namespace cut_off
namespace half_up {
uint16_t encode_half(double x) {
  if (std::isnan(x)) return 0x7e00;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (x == 0) return sign;
  if (std::isinf(x) || std::abs(x) >= 65520) return sign | 0x7c00;
  const int e = std::max(std::ilogb(x), -14);
  const int q = int(std::floor(std::ldexp(std::abs(x), 10 - e) + 0.5));
  return uint16_t(sign | (((e + 14) << 10) + q));
}
}  // namespace half_up
namespace flushed {
uint16_t encode_half(double x) {
  if (std::isnan(x)) return 0x7e00;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::abs(x) < 0x1p-14) return sign;
  if (std::isinf(x) || std::abs(x) >= 65520) return sign | 0x7c00;
  const int e = std::ilogb(x), q = int(std::nearbyint(std::ldexp(std::abs(x), 10 - e)));
  return uint16_t(sign | (((e + 14) << 10) + q));
}
}  // namespace flushed
//]

namespace {

using Function = decltype(&encode_half);

// The definition: of all finite codes the nearest, ties to the even one.
uint16_t nearest_code(double x) {
  if (std::isnan(x)) return 0x7e00;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::abs(x) >= 65520) return sign | 0x7c00;
  auto value = [](int c) {
    const double f = c & 1023;
    return c >> 10 == 0 ? f * 0x1p-24 : std::ldexp(1024 + f, (c >> 10) - 25);
  };
  int low = 0, high = 0x7bff;
  while (low < high) {  // the largest code that is not above |x|
    const int middle = (low + high + 1) / 2;
    (value(middle) <= std::abs(x) ? low : high) = value(middle) <= std::abs(x) ? middle : middle - 1;
  }
  if (low == 0x7bff) return uint16_t(sign | low);
  const double down = std::abs(x) - value(low), up = value(low + 1) - std::abs(x);
  return uint16_t(sign | (low + (up < down || (up == down && low % 2 == 1))));
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x) {
    check.on(property, {{"x", x}});
    for (double v : x) check.close(double(f(v)), double(nearest_code(v)), "code");
  };
  on("ordinary numbers", {1, 2, -2, 0.5, 1.5});
  on("ordinary numbers", {0.1, 0.3, 3.14159, -123.456, 1000.1, 65504});
  on("ties", {1 + 0x1p-11, 1 + 0x3p-11, 2049, 2051, -2049});
  on("carries", {2047.9, 1 - 0x1p-13, 4095.5});
  on("subnormal numbers", {0x1p-24, 0x1p-15, 3e-5, 0x1p-14 - 0x1p-26, 6e-8});
  on("subnormal numbers", {0x1p-25, 0x1.8p-24, 1e-8, -3e-8});
  on("infinities and NaN", {65519.99, 65520, 1e300, INFINITY, -INFINITY, NAN});
  on("both zeros", {0, -0.0});
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = encode_half,
              .solution = solution::encode_half,
              .wrong = {{"digits are cut off", "ordinary numbers", cut_off::encode_half},
                        {"ties go up", "ties", half_up::encode_half},
                        {"subnormal numbers become 0", "subnormal numbers", flushed::encode_half}}});
}
