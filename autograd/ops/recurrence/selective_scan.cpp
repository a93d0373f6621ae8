// The selective scan with its rule. Written out with the states of all steps, decay = e^{delta A} and G the gradient of
// h,
//
//   h_t = decay_t h_{t-1} + delta_t B_t x_t         G_t = C_t g_t + decay_{t+1} G_{t+1}
//
// and every gradient is a sum of products of these (below). The kernels do the same in chunks without storing h; while
// a higher derivative is recorded the lines below run in public ops.
#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/recurrence.h"
#include "tensor/raw/recurrence.h"

namespace ink {
namespace {

using raw::SelectiveScanTensors;

SelectiveScanTensors gradients_by_formula(const SelectiveScanTensors& in, const Tensor& g, const Tensor& g_last) {
  const auto over_states = [](const Tensor& x) { return unsqueeze(x, -1); };  // [batch, time, channels] -> [.., 1]
  // [batch, time, states] -> [batch, time, 1, states]
  const auto over_channels = [](const Tensor& x) { return unsqueeze(x, 2); };
  const int64_t n = in.x.size(1);
  const Tensor decay = exp(over_states(in.delta) * in.a), input = in.delta * in.x;
  const Tensor start = in.start.defined() ? in.start : zeros_like(select(decay, 1, 0));
  const Tensor h = linear_recurrence(decay, over_states(input) * over_channels(in.b), 1, {.start = start});
  const Tensor h_before = cat({unsqueeze(start, 1), slice(h, 1, 0, n - 1)}, 1);
  const Tensor decay_after = cat({slice(decay, 1, 1, n), ones_like(slice(decay, 1, 0, 1))}, 1);
  const Tensor G = linear_recurrence(decay_after, over_channels(in.c) * over_states(g), 1,
                                     {.start = g_last, .reverse = true});  // (9.56)
  const Tensor along_b = sum(G * over_channels(in.b), -1), q = G * decay * h_before;
  return {.x = in.delta * along_b,
          .delta = in.x * along_b + sum(q * in.a, -1),
          .a = sum(q * over_states(in.delta), {0, 1}),
          .b = sum(G * over_states(input), 2),
          .c = sum(h * over_states(g), 2),
          .start = select(decay * G, 1, 0)};  // (9.57)
}

void selective_scan_rule(const Backward& b, std::span<Tensor> grads) {
  const SelectiveScanTensors in{b.in(0), b.in(1), b.in(2), b.in(3), b.in(4), b.in(5)};
  const Tensor g = b.grad(0).defined() ? b.grad(0) : zeros_like(in.x), g_last = b.grad(1);
  const SelectiveScanTensors d =
      grad_enabled() ? gradients_by_formula(in, g, g_last) : raw::selective_scan_backward(g, g_last, in, b.out(2));
  const Tensor* all[] = {&d.x, &d.delta, &d.a, &d.b, &d.c, &d.start};
  for (int i = 0; i < 6; ++i)
    if (b.needs(i)) grads[size_t(i)] = *all[i];
}

// For each step, channel and state: delta A, its exponential, the input's share, h and y, the last two with a sum.
double selective_scan_flops(const Call& c) { return 7 * double(c.in(0).numel()) * double(c.in(2).size(1)); }

void check_selective_scan(const Tensor& x, const Tensor& delta, const Tensor& A, const Tensor& B, const Tensor& C,
                          const Tensor& start) {
  const bool three = x.dim() == 3 && A.dim() == 2;
  const Shape rows = three ? Shape{x.size(0), x.size(1), A.size(1)} : Shape{},
              state = three ? Shape{x.size(0), x.size(2), A.size(1)} : Shape{};
  if (!three || !(delta.shape() == x.shape()) || A.size(0) != x.size(2) || !(B.shape() == rows) ||
      !(C.shape() == rows) || (start.defined() && !(start.shape() == state)))
    throw ShapeError(
        fmt::format("selective_scan: shapes do not fit; got x {}, delta {}, A {}, B {}, C {}{}; expected x and delta "
                    "[batch, time, channels], "
                    "A [channels, states], B and C [batch, time, states], start [batch, channels, states]",
                    x.shape().str(), delta.shape().str(), A.shape().str(), B.shape().str(), C.shape().str(),
                    start.defined() ? ", start " + start.shape().str() : std::string()));
}

}  // namespace

std::tuple<Tensor, Tensor> selective_scan(const Tensor& x, const Tensor& delta, const Tensor& A, const Tensor& B,
                                          const Tensor& C, const Tensor& start) {
  check_selective_scan(x, delta, A, B, C, start);
  DType t = x.dtype();
  for (const Tensor* in : {&delta, &A, &B, &C, &start})
    if (in->defined()) t = promote(t, in->dtype());
  raw::check_domain("selective_scan", t, kFloat);
  if (is_half(t)) {  // the state is f32 throughout; the results are rounded once
    auto [y, last] = selective_scan(to(x, f32), to(delta, f32), to(A, f32), to(B, f32), to(C, f32), widened(start));
    return {to(y, t), to(last, t)};
  }
  if (x.size(1) == 0)
    return {x.to(t), start.defined() ? start.to(t) : zeros({x.size(0), x.size(2), A.size(1)}, {t, x.device()})};
  static constexpr Op op{.name = "selective_scan",
                         .backward = selective_scan_rule,
                         .saves = kAllIn | kOut2,
                         .cast = Cast::raise,
                         .differentiable = 2,
                         .flops = selective_scan_flops};
  const auto forward = [](const Tensor& x, const Tensor& delta, const Tensor& A, const Tensor& B, const Tensor& C,
                          const Tensor& start) {
    bool wanted = false;  // states are kept for a backward pass only
    for (const Tensor* in : {&x, &delta, &A, &B, &C, &start}) wanted |= in->requires_grad();
    return raw::selective_scan("selective_scan", {x, delta, A, B, C, start}, grad_enabled() && wanted);
  };
  auto [y, last, kept] = call(op, NoContext{}, forward, to(x, t), to(delta, t), to(A, t), to(B, t), to(C, t),
                              start.defined() ? to(start, t) : start);
  return {y, last};
}

}  // namespace ink
