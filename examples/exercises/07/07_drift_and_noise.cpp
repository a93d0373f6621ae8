// Exercise: the drift f and the noise g^2 of the SDE that has a given law at every time.
// Note: docs/notes/07_sde_frame.md, exercise 1
//
// One wants to know x_t at any time without walking there, and so decides first what it is:
//
//   x_t = a(t) x_0 + b(t) eps,   eps ~ N(0, 1)
//
// and asks which equation dx = f(t) x dt + g(t) dw has that law. One step of it, x_{t+dt} = (1 + f dt) x_t + g sqrt(dt)
// z, multiplies the factor of x_0 by 1 + f dt; and it multiplies the variance of the noise by (1 + f dt)^2 and adds g^2
// dt. Both must be what a and b are at t + dt. What is of first order in dt gives f and g^2.
//
// Example: a = e^{-t}, b^2 = 1 - e^{-2t}, whatever t: f = -1 and g^2 = 2. The noise has to grow (by 2 e^{-2t}), and to
// make up for what f takes from it (2 (1 - e^{-2t})).
//
// What the checks look at: f; g^2 where a = 1 (nothing is drawn to 0); g^2 in general; a walk with both.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// At one time: a and b, and their derivatives da and db by t.
struct Law {
  double a, b, da, db;
};
struct Equation {
  double f, g2;
};

Equation equation_of(const Law& law) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// (1 + f dt) a = a + a' dt gives f. For the variance, (1 + f dt)^2 b^2 + g^2 dt = b^2 + (b^2)' dt.
//]
//[ hint
// To first order (1 + f dt)^2 is 1 + 2 f dt, and (b^2)' is 2 b b'.
//]

namespace solution {
//[ solution
Equation equation_of(const Law& law) {
  const double f = law.da / law.a;
  const double growth = 2 * law.b * law.db;  // of b^2
  const double drawn = 2 * f * law.b * law.b;
  return {f, growth - drawn};
}
//]
}  // namespace solution

//[ wrong
namespace nothing_made_up_for {
Equation equation_of(const Law& law) { return {law.da / law.a, 2 * law.b * law.db}; }
}  // namespace nothing_made_up_for
namespace slope_of_b {
Equation equation_of(const Law& law) { return {law.da / law.a, law.db}; }
}  // namespace slope_of_b
namespace slope_of_a {
Equation equation_of(const Law& law) { return {law.da, 2 * law.b * law.db - 2 * law.da * law.b * law.b}; }
}  // namespace slope_of_a
namespace made_up_once {
Equation equation_of(const Law& law) {
  const double f = law.da / law.a;
  return {f, 2 * law.b * law.db - f * law.b * law.b};
}
}  // namespace made_up_once
//]

namespace {

using Function = decltype(&equation_of);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Law& law, const Equation& expected) {
    check.on(property, {{"a", law.a}, {"b", law.b}, {"a'", law.da}, {"b'", law.db}});
    const Equation got = f(law);
    check.close(got.f, expected.f, "f");
    check.close(got.g2, expected.g2, "g^2");
  };
  auto drift = [&](const Law& law, double expected) {
    check.on("f", {{"a", law.a}, {"b", law.b}, {"a'", law.da}, {"b'", law.db}});
    check.close(f(law).f, expected, "f");
  };
  drift({1, 0, 0, 1}, 0);
  drift({0.5, 0.5, -1, 1}, -2);
  on("g^2 where a = 1", {1, 3, 0, 1}, {0, 6});
  on("g^2 where a = 1", {1, 0.5, 0, 2}, {0, 2});
  // a = e^{-t}: f = -1, g^2 = 2
  for (double t : {0.1, 1., 3.}) {
    const double a = std::exp(-t), b = std::sqrt(1 - a * a);
    on("g^2", {a, b, -a, a * a / b}, {-1, 2});
  }
  on("g^2", {0.75, 0.25, -1, 1}, {-4. / 3, 2. / 3});  // the straight path of flow matching, 2 t / (1 - t)
  // a = cos t, b = sin t, walked to t = 1 in 20,000 steps
  double a = 1, variance = 0;
  check.on("a walk", {{"a", "cos t"}, {"b", "sin t"}, {"steps of", 5e-5}});
  for (int i = 0; i < 20000; ++i) {
    const double t = i * 5e-5;
    const Equation e = f({std::cos(t), std::sin(t), -std::sin(t), std::cos(t)});
    a *= 1 + e.f * 5e-5, variance = std::pow(1 + e.f * 5e-5, 2) * variance + e.g2 * 5e-5;
  }
  check.holds(std::abs(a - std::cos(1.)) < 1e-3, "a = " + show(a), "cos 1 = " + show(std::cos(1.)));
  check.holds(std::abs(variance - std::pow(std::sin(1.), 2)) < 1e-3, "b^2 = " + show(variance),
              "sin^2 1 = " + show(std::pow(std::sin(1.), 2)));
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = equation_of,
              .solution = solution::equation_of,
              .wrong = {{"the slope of a, not of its logarithm", "f", slope_of_a::equation_of},
                        {"the slope of b, not of b^2", "g^2 where a = 1", slope_of_b::equation_of},
                        {"what f takes from the noise is not made up for", "g^2", nothing_made_up_for::equation_of},
                        {"it is made up for once, and f acts on the square", "g^2", made_up_once::equation_of}}});
}
