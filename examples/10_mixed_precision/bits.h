// What lesson 10 shows of formats: the fields of a code as cells, and a number on its way into a format.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"

namespace ink::lesson {

inline const FloatFormat kFormats[] = {formats::f32, formats::tf32, formats::bf16,
                                       formats::f16, formats::e5m2, formats::e4m3};

// The bits of a code as cells: sign, exponent, fraction.
inline std::vector<std::string> cells_of(const FloatFormat& f, uint64_t code) {
  std::vector<std::string> cells;
  for (int i = f.bits() - 1; i >= 0; --i) cells.push_back(code >> i & 1 ? "1" : "0");
  return cells;
}
inline std::string fields_of(const FloatFormat& f, uint64_t code) {
  std::string s;
  for (int i = f.bits() - 1; i >= 0; --i) {
    s += code >> i & 1 ? '1' : '0';
    if (i == f.bits() - 1 || i == f.fraction_bits) s += ' ';
  }
  return s;
}
inline std::vector<Place> range_of(int64_t first, int64_t count) {
  std::vector<Place> places;
  for (int64_t i = 0; i < count; ++i) places.push_back({0, first + i});
  return places;
}

// x becomes a number of the format: its binade, the grid there, the two neighbours, the nearer one.
inline void rounding_step_by_step(Lesson& lesson, const FloatFormat& f, double x, const std::string& as_text) {
  lesson.player(fmt::format("{} becomes {}", as_text, f.name));
  const int e = std::ilogb(x), field = e + f.bias();
  const double unit = f.spacing(x), low = std::floor(x / unit) * unit, high = low + unit, y = f.round(x);
  const int64_t fraction = f.fraction_bits, exponent = f.exponent_bits;
  std::vector<std::string> cells(size_t(f.bits()), "?");
  cells[0] = "0";
  lesson.frame("the sign", {{"bits", cells, range_of(0, 1)}, {"x", x}}, "0: the number is positive.");
  const std::vector<std::string> whole = cells_of(f, f.encode(low));
  for (int64_t i = 1; i <= exponent; ++i) cells[size_t(i)] = whole[size_t(i)];
  lesson.frame("the exponent", {{"bits", cells, range_of(1, exponent)}, {"power of two", std::ldexp(1.0, e)}},
               fmt::format("The largest power of two in {} is $2^{{{}}}$. Stored is {} + {} = {}.", as_text, e, e,
                           f.bias(), field));
  lesson.frame(
      "the grid", {{"bits", cells}, {"spacing", unit}, {"below", low}, {"above", high}},
      fmt::format("From $2^{{{}}}$ to $2^{{{}}}$ there are {} numbers, $2^{{{}}}$ apart. Two of them enclose {}.", e,
                  e + 1, int64_t(1) << fraction, std::ilogb(unit), as_text));
  double rest = low / std::ldexp(1.0, e) - 1;
  for (int64_t i = 0; i < fraction; ++i) {
    cells[size_t(1 + exponent + i)] = whole[size_t(1 + exponent + i)];
    rest *= 2;
    const bool one = rest >= 1;
    if (one) rest -= 1;
    if (i < 4 || i == fraction - 1)
      lesson.frame(fmt::format("fraction bit {}", i + 1),
                   {{"bits", cells, range_of(1 + exponent + i, 1)}, {"worth", std::ldexp(1.0, e - int(i) - 1)}},
                   one ? "It fits: 1." : "It does not fit: 0.");
  }
  lesson.frame("the nearer neighbour",
               {{"bits", cells_of(f, f.encode(x)), range_of(1 + exponent, fraction)},
                {"below", low},
                {"x", x},
                {"above", high},
                {"becomes", y},
                {"relative error", std::abs(y - x) / x}},
               fmt::format("{} is {:.2f} of a spacing above the lower one: {}.", as_text, (x - low) / unit,
                           y == low ? "down" : "up"));
}

// 1 + 1 + ... in a format whose numbers get as far apart as 1 + 1 very soon.
inline double a_sum_that_stalls(Lesson& lesson, const FloatFormat& f, int64_t terms) {
  lesson.player(fmt::format("1 + 1 + ... in {}", f.name));
  double s = 0;
  for (int64_t i = 1; i <= terms; ++i) {
    const double exact = s + 1, next = f.round(exact), unit = f.spacing(s);
    lesson.frame(
        fmt::format("after {} terms", i),
        {{"exact sum", double(i)},
         {"s + 1", exact},
         {"s", next},
         {"spacing at s", unit},
         {"bits", cells_of(f, f.encode(next)), next == s ? range_of(0, f.bits()) : std::vector<Place>{}}},
        next == s ? fmt::format(
                        "{:g} + 1 lies halfway between {:g} and {:g}, and the even one is {:g}: the sum stands still.",
                        s, s, s + unit, s)
                  : fmt::format("{:g} is a number of the format.", next));
    s = next;
  }
  return s;
}

}  // namespace ink::lesson
