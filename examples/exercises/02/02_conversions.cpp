// Exercise: one prediction turned into another: x_0 and eps from whatever a network gives.
// Note: docs/notes/02_edm.md, exercise 1
//
// A noisy sample is x = a x_0 + b eps, with a and b known from its time. A network may predict the data x_0, the noise
// eps, the score S = -eps / b, the angular velocity v = a eps - b x_0, or the velocity u = a' x_0 + b' eps, where a'
// and b' are the derivatives of a and b by time. Each of them is one more linear equation in x_0 and eps, so together
// with x it gives both. With a = 0.6, b = 0.8, x = 1 and eps = 0.5:
//
//   x_0 = (1 - 0.8 0.5) / 0.6 = 1        and the other way, eps = (1 - 0.6 1) / 0.8 = 0.5
//   S   = -0.5 / 0.8 = -0.625            v = 0.6 0.5 - 0.8 1 = -0.5
//
// For v: multiply x by a and v by b; the eps of both cancel. For u: the determinant of the two equations is a b' - b
// a'.
//
// What the checks look at: noise; data; score; v; velocity; no division by a (v and u are there where a = 0).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
enum class Predicted { noise, data, score, v, velocity };

struct Known {
  double a, b, da, db;  // of the sample's time
};
struct Pair {
  Tensor x0, eps;
};

// x and value of one shape: the noisy sample, and what the network says of it.
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Three of the five give one of the two at once: value is eps, or x_0, or eps = -b S. x gives the other.
//]
//[ hint
// a x - b v = a (a x_0 + b eps) - b (a eps - b x_0) = (a^2 + b^2) x_0, and b x + a v = (a^2 + b^2) eps.
//]
//[ hint
// Cramer: from a x_0 + b eps = x and a' x_0 + b' eps = u with W = a b' - b a' follow x_0 = (b' x - b u) / W and eps =
// (a u
// - a' x) / W.
//]

namespace solution {
//[ solution
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  const double norm = k.a * k.a + k.b * k.b, w = k.a * k.db - k.b * k.da;
  switch (predicted) {
    case Predicted::noise:
      return {(x - k.b * value) / k.a, value};
    case Predicted::data:
      return {value, (x - k.a * value) / k.b};
    case Predicted::score:
      return {(x + k.b * k.b * value) / k.a, -k.b * value};
    case Predicted::v:
      return {(k.a * x - k.b * value) / norm, (k.b * x + k.a * value) / norm};
    case Predicted::velocity:
      return {(k.db * x - k.b * value) / w, (k.a * value - k.da * x) / w};
  }
  throw NotWritten{};
}
//]
}  // namespace solution

//[ wrong
namespace score_over_b_squared {
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  if (predicted != Predicted::score) return solution::both(x, value, predicted, k);
  return solution::both(x, -k.b * k.b * value, Predicted::noise, k);
}
}  // namespace score_over_b_squared
namespace score_without_sign {
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  if (predicted != Predicted::score) return solution::both(x, value, predicted, k);
  return solution::both(x, k.b * value, Predicted::noise, k);
}
}  // namespace score_without_sign
namespace v_of_unit_variance {
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  if (predicted != Predicted::v) return solution::both(x, value, predicted, k);
  return {k.a * x - k.b * value, k.b * x + k.a * value};  // right only where a^2 + b^2 = 1
}
}  // namespace v_of_unit_variance
namespace flow_matching_only {
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  if (predicted != Predicted::velocity) return solution::both(x, value, predicted, k);
  return {x - k.b * value, x + k.a * value};  // right only for a = 1 - t, b = t
}
}  // namespace flow_matching_only
namespace by_the_noise {
Pair both(const Tensor& x, const Tensor& value, Predicted predicted, const Known& k) {
  if (predicted != Predicted::v) return solution::both(x, value, predicted, k);
  const Tensor eps = (k.b * x + k.a * value) / (k.a * k.a + k.b * k.b);
  return {(x - k.b * eps) / k.a, eps};
}
}  // namespace by_the_noise
//]

namespace {

using Function = decltype(&both);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, Predicted p, const Known& k, const Tensor& x0, const Tensor& eps) {
    const Tensor x = k.a * x0 + k.b * eps;
    const Tensor value = p == Predicted::noise   ? eps
                         : p == Predicted::data  ? x0
                         : p == Predicted::score ? -eps / k.b
                         : p == Predicted::v     ? k.a * eps - k.b * x0
                                                 : k.da * x0 + k.db * eps;
    check.on(property, {{"x", x}, {"value", value}, {"a, b, a', b'", Samples{k.a, k.b, k.da, k.db}}});
    const Pair got = f(x, value, p, k);
    check.close(got.x0, x0, {1e-9, 1e-9}, "x0");
    check.close(got.eps, eps, {1e-9, 1e-9}, "eps");
  };
  const Tensor one = matrix({{1}}), half = matrix({{0.5}}), x0 = randn({3, 4}, f64), eps = randn({3, 4}, f64);
  const Known vp{0.6, 0.8, -0.4, 0.3}, ve{1, 3, 0, 2}, flow{0.75, 0.25, -1, 1};
  on("noise", Predicted::noise, vp, one, half);
  on("noise", Predicted::noise, ve, x0, eps);
  on("data", Predicted::data, vp, one, half);
  on("data", Predicted::data, flow, x0, eps);
  on("score", Predicted::score, vp, one, half);
  on("score", Predicted::score, ve, x0, eps);
  on("v", Predicted::v, vp, one, half);
  on("v", Predicted::v, ve, x0, eps);
  on("v", Predicted::v, flow, x0, eps);
  on("velocity", Predicted::velocity, flow, one, half);
  on("velocity", Predicted::velocity, vp, one, half);
  on("velocity", Predicted::velocity, ve, x0, eps);
  on("no division by a", Predicted::v, {0, 1, -1, 0}, x0, eps);
  on("no division by a", Predicted::velocity, {0, 1, -1, 1}, x0, eps);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = both,
              .solution = solution::both,
              .wrong = {{"eps = -b^2 S", "score", score_over_b_squared::both},
                        {"eps = b S", "score", score_without_sign::both},
                        {"v as if a^2 + b^2 were 1", "v", v_of_unit_variance::both},
                        {"u as if a + b were 1", "velocity", flow_matching_only::both},
                        {"x_0 by way of eps and a division by a", "no division by a", by_the_noise::both}}});
}
