// Exercise: a sum that keeps what its additions round away.
// Note: docs/notes/10_mixed_precision.md, exercise 3
//
// 1 + 1 + ... in f16 stops at 2048. Kahan (1965) carries along what was lost. Let s be the sum and c the part that the
// last additions added too much (0 at first). For every x, each operation rounded to the format:
//
//   y = x - c        the next term, corrected
//   t = s + y        the new sum; low digits of y are lost here
//   c = (t - s) - y  what t has more than s + y
//   s = t
//
// With numbers of two digits, s = 100 and terms 4, 4, 4 (numbers from 100 on are 10 apart):
//
//   x   y   t     c             s
//   4   4   100   0 - 4 = -4    100
//   4   8   110   10 - 8 = 2    110     (108 rounds to 110)
//   4   2   110   0 - 2 = -2    110     100 + 12 = 112, and c remembers the 2
//
// What the checks look at: values; many small terms; the order of rounding; terms of both signs.
#include "examples/support/exercise/exercise.h"
#include "tensor/math/half.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The sum of x, which are numbers of the format; `round` brings a result into it.
double kahan_sum(const std::vector<double>& x, const std::function<double(double)>& round) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Four lines in a loop, and a call of round around every + and -.
//]
//[ hint
// c = round(round(t - s) - y): the difference of the sums first, with the old s.
//]

namespace solution {
//[ solution
double kahan_sum(const std::vector<double>& x, const std::function<double(double)>& round) {
  double s = 0, c = 0;
  for (double v : x) {
    const double y = round(v - c), t = round(s + y);
    c = round(round(t - s) - y);
    s = t;
  }
  return s;
}
//]
}  // namespace solution

//[ wrong
namespace plain {
double kahan_sum(const std::vector<double>& x, const std::function<double(double)>& round) {
  double s = 0;
  for (double v : x) s = round(s + v);
  return s;
}
}  // namespace plain
namespace wrong_sign {
double kahan_sum(const std::vector<double>& x, const std::function<double(double)>& round) {
  double s = 0, c = 0;
  for (double v : x) {
    const double y = round(v + c), t = round(s + y);
    c = round(round(t - s) - y);
    s = t;
  }
  return s;
}
}  // namespace wrong_sign
namespace wide_carry {
double kahan_sum(const std::vector<double>& x, const std::function<double(double)>& round) {
  double s = 0;
  for (double v : x) s += v;  // in f64, and the result is no number of the format
  return s;
}
}  // namespace wide_carry
//]

namespace {

using Function = decltype(&kahan_sum);

double to_half(double x) { return double(float(half(x))); }

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Samples& x) {
    double exact = 0;
    for (double v : x) exact += v;
    check.on(property, {{"terms", x}});
    const double got = f(x, to_half);
    check.holds(to_half(got) == got, "the result " + std::to_string(got) + " is not a number of the format",
                "a result that was rounded");
    check.holds(std::abs(got - exact) <= std::abs(exact) * 0x1p-10, "the sum is " + std::to_string(got),
                std::to_string(exact) + " within a spacing");
  };
  on("values", {1});
  on("values", {1, 2, 3.5});
  on("values", {});
  on("many small terms", Samples(4096, 1.0));
  on("many small terms", Samples(3000, to_half(0.1)));
  Samples mixed{1000};
  for (int i = 0; i < 2000; ++i) mixed.push_back(to_half(0.01 * (i % 7)));
  on("many small terms", mixed);
  Samples signs{2000};
  for (int i = 0; i < 1000; ++i) signs.push_back(i % 3 == 0 ? 0.25 : -0.5);
  on("terms of both signs", signs);
  Samples odd;
  for (int i = 0; i < 1500; ++i) odd.push_back(1 + 0x1p-10);
  on("the order of rounding", odd);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = kahan_sum,
              .solution = solution::kahan_sum,
              .wrong = {{"nothing is carried", "many small terms", plain::kahan_sum},
                        {"the carry has the wrong sign", "many small terms", wrong_sign::kahan_sum},
                        {"a wide accumulator", "many small terms", wide_carry::kahan_sum}}});
}
