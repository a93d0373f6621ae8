// Exercise: the convolution kernel of a diagonal state space model.
// Note: docs/notes/09b_s4.md, exercise 1
//
// A system x' = a x + b u, y = 2 Re(c x) with complex numbers a, b, c, one for each pair of conjugate poles, is put
// into steps of length delta in which u stays as it is (zero-order hold):
//
//   x_k = e^{delta a} x_{k-1} + (e^{delta a} - 1) / a  b u_k        y_k = sum over the pairs of 2 Re(c x_k)
//
// The output is the input convolved with a kernel, which is what comes out after an impulse u = 1, 0, 0, ..:
//
//   K_t = sum_n 2 Re(c_n b'_n a'_n^t)      a' = e^{delta a},  b' = (e^{delta a} - 1) / a  b
//
// One pair with a = -1, b = 1, c = 1/2 and delta = log 2 is a real system: a' = 1/2, b' = (1/2 - 1) / -1 = 1/2, and
//
//   K = 1/2, 1/4, 1/8, ..      the response of a leaking container, half empty after a step
//
// With a = -1 + i pi / log 2 instead, a' = -1/2: the sign alternates, which no real a can do.
//
// What the checks look at: one real pole; one complex pole; several poles; length 0; gradients (autograd runs through
// your ops).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// a, b, c [pairs], complex -> K [length], real.
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Everything is known for each pair by itself: one number a', one weight c b'. Then a power for each tap, and a sum.
//]
//[ hint
// a'^t is e^{t delta a}. With t = arange(0, length, 1, {f64, a.device()}), unsqueeze(a, 1) * t is [pairs, length].
//]
//[ hint
// sum(x, {0}) adds up the pairs, real(x) is the real part; both pairs of conjugates count, so it is taken twice.
//]

namespace solution {
//[ solution
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  const Tensor t = arange(0, length, 1, {f64, a.device()});
  const Tensor weight = c * b * (exp(a * delta) - 1) / a, power = exp(unsqueeze(a * delta, 1) * t);
  return 2 * real(sum(unsqueeze(weight, 1) * power, {0}));
}
//]
}  // namespace solution

//[ wrong
namespace euler_input {
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  const Tensor t = arange(0, length, 1, {f64, a.device()});
  return 2 * real(sum(unsqueeze(c * b * delta, 1) * exp(unsqueeze(a * delta, 1) * t), {0}));
}
}  // namespace euler_input
namespace one_of_each_pair {
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  return solution::diagonal_kernel(a, b, c, delta, length) / 2;
}
}  // namespace one_of_each_pair
namespace only_real_parts {
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  const Tensor t = arange(0, length, 1, {f64, a.device()});
  const Tensor weight = c * b * (exp(a * delta) - 1) / a, power = exp(unsqueeze(real(a) * delta, 1) * t);
  return 2 * real(sum(unsqueeze(weight, 1) * power, {0}));
}
}  // namespace only_real_parts
namespace one_step_late {
Tensor diagonal_kernel(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  return solution::diagonal_kernel(a, b * exp(a * delta), c, delta, length);
}
}  // namespace one_step_late
//]

namespace {

using Function = decltype(&diagonal_kernel);

Tensor numbers(std::initializer_list<Nested> re, std::initializer_list<Nested> im) {
  return complex_of(tensor(re, f64), tensor(im, f64));
}
// The recurrence, on an impulse.
Tensor by_steps(const Tensor& a, const Tensor& b, const Tensor& c, double delta, int64_t length) {
  Tensor x = zeros_like(a), K = zeros({length}, f64);
  for (int64_t t = 0; t < length; ++t) {
    x = exp(a * delta) * x;
    if (t == 0) x = x + (exp(a * delta) - 1) / a * b;
    K[t].copy_(2 * real(sum(c * x)));
  }
  return K;
}

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const Tensor& a, const Tensor& b, const Tensor& c, double delta,
                      int64_t n) {
    check.on(property, {{"a, real", real(a)}, {"a, imaginary", imag(a)}, {"delta", delta}, {"length", double(n)}});
    check.close(f(a, b, c, delta, n), by_steps(a, b, c, delta, n), {1e-9, 1e-12}, "K");
  };
  const double two = std::log(2.), pi = 3.14159265358979323846;
  on("one real pole", numbers({-1}, {0}), numbers({1}, {0}), numbers({0.5}, {0}), two, 4);
  on("one complex pole", numbers({-1}, {pi / two}), numbers({1}, {0}), numbers({0.5}, {0}), two, 5);
  on("one complex pole", numbers({-0.5}, {3}), numbers({1}, {2}), numbers({0.5}, {-1}), 0.1, 6);
  const Tensor n = arange(0, 8, 1, f64), a = complex_of(full({8}, -0.5, f64), n * pi);
  on("several poles", a, complex_of(ones({8}, f64), zeros({8}, f64)), complex_of(randn({8}, f64), randn({8}, f64)),
     0.05, 100);
  check.on("length 0", {{"length", 0.}});
  check.close(f(a, a, a, 0.1, 0), zeros({0}, f64), {1e-9, 1e-9}, "K");
  check.on("gradients", {{"a", "8 complex numbers"}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, a * 0 + 1, a * 0 + 0.3, 0.05, 6); }, a.clone()),
              "the slopes found by central differences");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = diagonal_kernel,
              .solution = solution::diagonal_kernel,
              .wrong = {{"delta b for b'", "one real pole", euler_input::diagonal_kernel},
                        {"one of each pair of poles", "one real pole", one_of_each_pair::diagonal_kernel},
                        {"begins with the second tap", "one real pole", one_step_late::diagonal_kernel},
                        {"nothing oscillates", "one complex pole", only_real_parts::diagonal_kernel}}});
}
