// Running reductions along a dim.
#include "tensor/raw/scan.h"
#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/recurrence.h"

namespace ink {

using B = const Backward&;

namespace {

struct ScanContext {
  int dim;
  bool reverse = false;
};

// x[k + by], and `past` (of size `by` in dim) after the end.
Tensor ahead(const Tensor& x, int dim, int64_t by, const Tensor& past) {
  return cat({slice(x, dim, by, x.size(dim)), past}, dim);
}
Tensor ahead(const Tensor& x, int dim, int64_t by) { return ahead(x, dim, by, zeros_like(slice(x, dim, 0, by))); }

// s_k = g_k + a_k s_{k+1}, with nothing after the end.
Tensor reverse_recurrence(const Tensor& g, const Tensor& factors, int dim) {
  return linear_recurrence(factors, g, dim, {.reverse = true});
}

Tensor running_sum(const Tensor& x, const ScanContext& c) {
  static constexpr Op op{.name = "cumsum",
                         .rules = {{[](B b) {  // x_k counts in every sum from k on
                           auto c = b.context<ScanContext>();
                           return running_sum(b.grad(), {c.dim, !c.reverse});
                         }}},
                         .cast = Cast::raise,
                         .flops = flops_per_input<1>};
  return call(
      op, c, [&](const Tensor& x) { return raw::scan("cumsum", ScanOp::sum, x, c.dim, c.reverse); }, x);
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim) { return running_sum(x, {wrap_dim("cumsum", dim, x.dim())}); }

// dL/dx_k = (x_0 ... x_{k-1}) * sum_{i >= k} g_i x_{k+1} ... x_i: no division, so zeros are like other numbers.
static Tensor cumprod_rule(B b) {
  int dim = b.context<ScanContext>().dim;
  if (b.grad().dim() == 0 || b.grad().numel() == 0) return b.grad();
  Tensor x = conj(b.in(0)), one = ones_like(slice(x, dim, 0, 1));
  Tensor before = cat({one, slice(cumprod(x, dim), dim, 0, x.size(dim) - 1)}, dim);
  return before * reverse_recurrence(b.grad(), ahead(x, dim, 1), dim);
}
Tensor cumprod(const Tensor& x, int64_t dim) {
  static constexpr Op op{
      .name = "cumprod", .rules = {{cumprod_rule, kIn0}}, .cast = Cast::raise, .flops = flops_per_input<1>};
  int d = wrap_dim("cumprod", dim, x.dim());
  return in_f32_if_half(
      [&](const Tensor& x) {
        return call(
            op, ScanContext{d}, [&](const Tensor& x) { return raw::scan("cumprod", ScanOp::prod, x, d); }, x);
      },
      x);
}

// dL/dx_k = sum_{i >= k} g_i e^{x_k - y_i} = e^{x_k - y_k} s_k with s_k = g_k + e^{y_k - y_{k+1}} s_{k+1}. y never
// falls, so no exponent is positive and nothing overflows.
static Tensor logcumsumexp_rule(B b) {
  int dim = b.context<ScanContext>().dim;
  if (b.grad().dim() == 0 || b.grad().numel() == 0) return b.grad();
  Tensor y = clamp(b.out(), -1e30);  // -inf (nothing but -inf so far) must not meet itself in a difference
  Tensor next = ahead(y, dim, 1, slice(y, dim, y.size(dim) - 1, y.size(dim)));
  return exp(b.in(0) - y) * reverse_recurrence(b.grad(), exp(y - next), dim);
}
Tensor logcumsumexp(const Tensor& x, int64_t dim) {
  static constexpr Op op{.name = "logcumsumexp",
                         .rules = {{logcumsumexp_rule, kIn0 | kOut0}},
                         .cast = Cast::raise,
                         .flops = flops_per_input<5>};  // maximum, difference, exp, log1p, sum
  int d = wrap_dim("logcumsumexp", dim, x.dim());
  return in_f32_if_half(
      [&](const Tensor& x) {
        return call(
            op, ScanContext{d}, [&](const Tensor& x) { return raw::scan("logcumsumexp", ScanOp::logsumexp, x, d); }, x);
      },
      x);
}

// The gradient of each output goes to the element it was taken from.
static Tensor to_winner(B b) {
  return scatter_add(zeros(b.in_shape(0), b.grad().options()), b.context<ScanContext>().dim, b.out(1), b.grad());
}
std::tuple<Tensor, Tensor> cummax(const Tensor& x, int64_t dim) {
  static constexpr Op op{.name = "cummax", .rules = {{to_winner, kOut1}}, .flops = flops_per_input<1>};
  int d = wrap_dim("cummax", dim, x.dim());
  auto [values, indices] = call(
      op, ScanContext{d}, [&](const Tensor& x) { return raw::cummax(x, d); }, x);
  return {values, indices};
}
Tensor sliding_window_max(const Tensor& x, int64_t window, int64_t dim) {
  static constexpr Op op{.name = "sliding_window_max",
                         .rules = {{to_winner, kOut1}},
                         .flops = flops_per_input<3>};  // comparisons of van Herk's algorithm
  int d = wrap_dim("sliding_window_max", dim, x.dim());
  return call(
      op, ScanContext{d}, [&](const Tensor& x) { return raw::window_max(x, window, d); }, x)[0];
}

}  // namespace ink
