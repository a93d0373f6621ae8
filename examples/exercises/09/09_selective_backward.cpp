// Exercise: the gradients of Mamba's selective scan, in one pass backwards.
// Note: docs/notes/09c_mamba.md, exercise 2
//
// For d channels of N states each, from h = 0 (Gu & Dao 2023):
//
//   h_t = e^{delta_t A} h_{t-1} + delta_t x_t B_t        [d, N]: delta_t and x_t a number per channel, B_t one per
//   state y_t = sum over states of C_t h_t                     [d]
//
// From g_t = dL/dy_t follows G_t = dL/dh_t, which runs backwards in time. h_t reaches the loss through y_t, and through
// h_{t+1}, which holds e^{delta_{t+1} A} h_t:
//
//   G_t = g_t C_t + e^{delta_{t+1} A} G_{t+1},   nothing comes after the last step
//
// and the chain rule of one step gives the rest:
//
//   dC_t = sum over channels of g_t h_t                   dx_t = delta_t * sum over states of G_t B_t
//   dB_t = sum over channels of G_t delta_t x_t           dA = sum over t of G_t delta_t e^{delta_t A} h_{t-1}
//   ddelta_t = sum over states of G_t (A e^{delta_t A} h_{t-1} + x_t B_t)
//
// One channel, one state, A = -ln 2 (a step of 1 halves h), x = 1 0, delta = 1 1, B = C = 1 1, g = 0 1:
//
//   h = 1, 1/2     G = 1/2, 1     dx = 1/2, 1     dC = 0, 1/2     dB = 1/2, 0
//   dA = G_1 * delta * 1/2 * h_0 = 1/2     ddelta_1 = 1 * (-ln 2 * 1/2) = -0.347, ddelta_0 = 1/2 * 1 = 0.5
//
// What the checks look at: the last step alone; the step after (the example); each gradient; many steps.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x, delta and g [n, d], A [d, N], B and C [n, N]; n at least 1.
struct Scan {
  Tensor x, delta, A, B, C, g;
};
struct ScanGradients {
  Tensor x, delta, A, B, C;  // of the shapes of those
};

ScanGradients selective_backward(const Scan& scan) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// First go forwards and keep every h in a vector, with zeros in front: states[t] is then h_{t-1}. x.select(0, t) is a
// row; x.select(0, t).unsqueeze(1) is [d, 1] and meets [d, N].
//]
//[ hint
// Let `carry` be e^{delta_{t+1} A} G_{t+1}: zeros at first, and at the end of each step, with that step's own decay,
// carry = decay * G.
//]
//[ hint
// Steps come out last first: put each row at the front (rows.insert(rows.begin(), row)), and stack(rows, 0) at the end.
//]

namespace solution {
//[ solution
ScanGradients selective_backward(const Scan& s) {
  const int64_t n = s.x.size(0);
  const auto channels = [](const Tensor& x, int64_t t) { return x.select(0, t).unsqueeze(1); };  // [d, 1]
  const auto states = [](const Tensor& x, int64_t t) { return x.select(0, t).unsqueeze(0); };    // [1, N]
  std::vector<Tensor> h{zeros_like(s.A)};
  for (int64_t t = 0; t < n; ++t)
    h.push_back(exp(channels(s.delta, t) * s.A) * h.back() + channels(s.delta, t) * channels(s.x, t) * states(s.B, t));
  std::vector<Tensor> dx, ddelta, dB, dC;
  Tensor dA = zeros_like(s.A), carry = zeros_like(s.A);
  for (int64_t t = n - 1; t >= 0; --t) {
    const Tensor delta = channels(s.delta, t), x = channels(s.x, t), g = channels(s.g, t), B = states(s.B, t);
    const Tensor decay = exp(delta * s.A), G = g * states(s.C, t) + carry, past = decay * h[size_t(t)];
    dC.insert(dC.begin(), sum(g * h[size_t(t) + 1], 0));
    dB.insert(dB.begin(), sum(G * delta * x, 0));
    dx.insert(dx.begin(), sum(G * delta * B, 1));
    ddelta.insert(ddelta.begin(), sum(G * (s.A * past + x * B), 1));
    dA += G * delta * past;
    carry = decay * G;
  }
  return {stack(dx, 0), stack(ddelta, 0), dA, stack(dB, 0), stack(dC, 0)};
}
//]
}  // namespace solution

//[ wrong
namespace own_decay {
// G_t takes the decay of its own step in place of the next one's.
ScanGradients selective_backward(const Scan& s) {
  const int64_t n = s.x.size(0);
  Scan late = s;
  late.delta = cat({s.delta.narrow(0, 1, n - 1), s.delta.narrow(0, n - 1, 1)}, 0);
  ScanGradients good = solution::selective_backward(s), bad = solution::selective_backward(late);
  return {n > 1 ? bad.x : good.x, good.delta, good.A, good.B, good.C};
}
}  // namespace own_decay
namespace no_memory {
ScanGradients selective_backward(const Scan& s) {
  ScanGradients whole = solution::selective_backward(s);
  std::vector<Tensor> dx;
  for (int64_t t = 0; t < s.x.size(0); ++t)  // G_t = g_t C_t alone
    dx.push_back(sum(s.g.select(0, t).unsqueeze(1) * s.C.select(0, t) * s.B.select(0, t), 1) * s.delta.select(0, t));
  return {stack(dx, 0), whole.delta, whole.A, whole.B, whole.C};
}
}  // namespace no_memory
namespace delta_through_the_input_only {
ScanGradients selective_backward(const Scan& s) {
  ScanGradients d = solution::selective_backward(s);
  d.delta = where(s.delta == 0, zeros_like(s.x), d.x * s.x / s.delta);
  return d;
}
}  // namespace delta_through_the_input_only
namespace delta_through_the_decay_only {
ScanGradients selective_backward(const Scan& s) {
  ScanGradients d = solution::selective_backward(s);
  d.delta = d.delta - d.x * s.x / s.delta;
  return d;
}
}  // namespace delta_through_the_decay_only
//]

namespace {

using Function = decltype(&selective_backward);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Scan& s) {
    check.on(property, {{"x", s.x}, {"delta", s.delta}, {"A", s.A}, {"B", s.B}, {"C", s.C}, {"g", s.g}});
    const ScanGradients got = f(s);
    TensorList leaves;  // the definition, differentiated by autograd
    for (const Tensor& t : {s.x, s.delta, s.A, s.B, s.C}) leaves.push_back(t.clone().requires_grad_());
    Tensor h = zeros_like(s.A), loss = zeros({}, f64);
    for (int64_t t = 0; t < s.x.size(0); ++t) {
      const auto row = [&](int i) { return leaves[size_t(i)].select(0, t); };
      h = exp(row(1).unsqueeze(1) * leaves[2]) * h + (row(1) * row(0)).unsqueeze(1) * row(3);
      loss = loss + sum(s.g.select(0, t) * sum(h * row(4), 1));
    }
    const TensorList d = grad(std::span(&loss, 1), leaves);
    check.close(got.C, d[4], {1e-9, 1e-9}, "dC");
    check.close(got.x, d[0], {1e-9, 1e-9}, "dx");
    check.close(got.B, d[3], {1e-9, 1e-9}, "dB");
    check.close(got.delta, d[1], {1e-9, 1e-9}, "ddelta");
    check.close(got.A, d[2], {1e-9, 1e-9}, "dA");
  };
  const auto one = [](double v) { return full({1, 1}, v, f64); };
  const auto two = [](double a, double b) { return tensor({{a}, {b}}, f64); };
  const double halves = -std::log(2.);
  on("the last step alone", {one(1), one(1), one(halves), one(1), one(1), one(1)});
  on("the step after", {two(1, 0), two(1, 1), one(halves), two(1, 1), two(1, 1), two(0, 1)});
  on("the step after", {two(1, 2), two(1, 3), one(halves), two(1, 1), two(1, 1), two(0, 1)});
  const auto random = [](int64_t n, int64_t d, int64_t states) {
    return Scan{randn({n, d}, f64),      softplus(randn({n, d}, f64)), -exp(randn({d, states}, f64)),
                randn({n, states}, f64), randn({n, states}, f64),      randn({n, d}, f64)};
  };
  on("each gradient", random(2, 2, 3));
  on("many steps", random(20, 3, 2));
}

}  // namespace

int main(int argc, char** argv) {
  return run(
      argc, argv, checks,
      {.yours = selective_backward,
       .solution = solution::selective_backward,
       .wrong = {{"G of a step forgets what comes after", "the step after", no_memory::selective_backward},
                 {"delta acts on the input only", "the step after", delta_through_the_input_only::selective_backward},
                 {"delta acts on the decay only", "the last step alone",
                  delta_through_the_decay_only::selective_backward},
                 {"steps belong to the wrong token", "the step after", own_decay::selective_backward}}});
}
