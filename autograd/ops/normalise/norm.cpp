// Normalisation and variance.
//   x_hat = (x - mean) rstd,  y = w x_hat + b,  rstd = 1 / sqrt(var + eps)
//   dx = rstd (h - mean h - x_hat mean(h x_hat)),  h = w g    (RMS norm: without the mean h)
//   dw = sum g x_hat,  db = sum g
#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/reduce/reduced.h"
#include "tensor/raw/normalise.h"

namespace ink {

using B = const Backward&;

namespace {

// The rule in public ops, for any order of derivative. Rows are seen as [batch, groups, channels, inner]: a row's mean
// runs over the last two dims, and channel (group, channel) has one weight.
void norm_composed(B b, std::span<Tensor> grads) {
  const NormArgs& a = b.context<NormArgs>();
  Tensor x = b.in(0), weight = b.in(1), g = b.grad();
  if (is_half(x.dtype())) x = to(x, f32);
  Shape seen{a.rows / a.groups, a.groups, a.cols / a.inner, a.inner}, per_channel{a.groups, a.cols / a.inner, 1};
  const Dims row{2, 3}, others{0, 3};
  Tensor g4 = reshape(to(g, x.dtype()), seen), x4 = reshape(x, seen);
  Tensor centred = a.rms ? x4 : x4 - mean(x4, row, true);
  Tensor rstd = rsqrt(mean(square(centred), row, true) + a.eps);
  Tensor x_hat = centred * rstd;
  if (b.needs(0)) {
    Tensor h = weight.defined() ? g4 * reshape(weight, per_channel) : g4;
    Tensor dx = h - x_hat * mean(h * x_hat, row, true);
    if (!a.rms) dx = dx - mean(h, row, true);
    grads[0] = reshape(rstd * dx, x.shape());
  }
  if (b.needs(1)) grads[1] = reshape(sum(g4 * x_hat, others), b.in_shape(1));
  if (grads.size() > 2 && b.needs(2)) grads[2] = reshape(sum(g4, others), b.in_shape(2));
}

void norm_rule(B b, std::span<Tensor> grads) {
  if (b.grad().numel() == 0) {
    for (size_t i = 0; i < grads.size(); ++i)
      if (b.needs(int(i))) grads[i] = zeros(b.in_shape(int(i)), b.grad().options());
    return;
  }
  if (grad_enabled()) return norm_composed(b, grads);
  auto d = raw::norm_backward(b.node().op->name, b.context<NormArgs>(), {b.needs(0), b.needs(1), b.needs(2)}, b.grad(),
                              b.in(0), b.in(1), b.out(1), b.out(2));
  for (size_t i = 0; i < 3; ++i) grads[i] = d[i];
}

constexpr uint32_t kSaved = kIn0 | kIn1 | kOut1 | kOut2;

// For each element: the sum and the difference of the mean (not for RMS norm), the square, its sum, and a
// multiplication with rstd; then the weight and the bias.
double norm_flops(const Call& c) {
  return double(c.in(0).numel()) * ((c.context<NormArgs>().rms ? 3 : 5) + c.in(1).defined() + c.in(2).defined());
}

Tensor normalise(const Op& op, const NormArgs& args, int64_t affine, const Tensor& x, const Tensor& weight,
                 const Tensor& bias) {
  for (const Tensor* p : {&weight, &bias})
    if (p->defined() && !(p->shape() == Shape{affine}))
      throw ShapeError(fmt::format("{}: {} has the wrong shape; got {}; expected [{}] for x {}", op.name,
                                   p == &weight ? "weight" : "bias", p->shape().str(), affine, x.shape().str()));
  auto forward = [&](const Tensor& x, const Tensor& w, const Tensor& b) { return raw::norm(op.name, args, x, w, b); };
  return call(op, args, forward, x, weight, bias)[0];
}

NormArgs last_dim(const char* op, const Tensor& x, double eps, bool rms) {
  if (x.dim() == 0) throw ShapeError(fmt::format("{}: the input has no dims; expected [..., features]", op));
  const int64_t cols = x.size(-1), rows = Shape(x.shape().begin(), x.shape().end() - 1).numel();
  return {f32, rows, cols, 1, 1, eps, rms};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  static constexpr Op op{
      .name = "layer_norm", .backward = norm_rule, .saves = kSaved, .cast = Cast::raise, .flops = norm_flops};
  return normalise(op, last_dim("layer_norm", x, eps, false), x.size(-1), x, weight, bias);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  static constexpr Op op{
      .name = "rms_norm", .backward = norm_rule, .saves = kSaved, .cast = Cast::raise, .flops = norm_flops};
  return normalise(op, last_dim("rms_norm", x, eps, true), x.size(-1), x, weight, {});
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  static constexpr Op op{
      .name = "group_norm", .backward = norm_rule, .saves = kSaved, .cast = Cast::raise, .flops = norm_flops};
  if (x.dim() < 2 || groups < 1 || x.size(1) % groups != 0)
    throw ShapeError(
        fmt::format("group_norm: the channels cannot be cut into {} groups; got {}; expected [batch, channels, ...]",
                    groups, x.shape().str()));
  const int64_t inner = Shape(x.shape().begin() + 2, x.shape().end()).numel();
  NormArgs args{f32,
                checked_product("group_norm", x.size(0), groups),
                checked_product("group_norm", x.size(1) / groups, inner),
                groups,
                inner,
                eps,
                false};
  return normalise(op, args, x.size(1), x, weight, bias);
}

// ---- variance: d var = 2 (x - mean) / (n - correction), d mean = 1 / n

namespace {

struct Spread {
  Reduced reduced;
  double correction;
};

Tensor var_mean_rule(B b) {
  const auto& [r, correction] = b.context<Spread>();
  Tensor g;
  const double n = double(count_of(r));
  if (b.grad(0).defined()) {
    Tensor centred = b.in(0) - with_kept_dims(b.out(1), r);
    g = with_kept_dims(b.grad(0), r) * (2 / (n - correction)) * centred;
  }
  if (b.grad(1).defined()) {
    Tensor of_mean = spread(b.grad(1) / n, r);
    g = g.defined() ? g + of_mean : of_mean;
  }
  return g;
}

// n <= correction gives 0 / 0 = NaN, as in torch.
std::array<Tensor, 2> var_mean_forward(const Tensor& x, const Spread& s, bool keepdim) {
  Shape flat = squeezed_shape(s.reduced);
  flat.push_back(count_of(s.reduced));
  auto out = raw::var_mean("var_mean", raw::reshape(raw::permute(x, reduced_last(s.reduced)), flat), s.correction);
  if (keepdim)
    for (Tensor& t : out) t = raw::reshape(t, kept_shape(s.reduced));
  return out;
}

}  // namespace

std::tuple<Tensor, Tensor> var_mean(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  static constexpr Op op{.name = "var_mean",
                         .rules = {{var_mean_rule, kIn0 | kOut1}},
                         .cast = Cast::raise,
                         .differentiable = 2,
                         .flops = flops_per_input<4>};  // sum, difference, square, sum
  raw::check_domain("var_mean", x.dtype(), kFloat);
  Spread s{reduced("var_mean", x, dims), correction};
  auto [var, mean] = call(
      op, s, [&](const Tensor& x) { return var_mean_forward(x, s, keepdim); }, x);
  return {var, mean};
}
Tensor var(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  return std::get<0>(var_mean(x, dims, correction, keepdim));
}
// Of equal numbers it is 0, and so is its gradient, as in torch: where keeps the root's infinite slope out.
Tensor std(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  auto root = [](const Tensor& v) {
    Tensor zero = v == 0;
    return where(zero, zeros_like(v), sqrt(where(zero, ones_like(v), v)));
  };
  auto spread = [&](const Tensor& x) {
    Tensor v = var(x, dims, correction, keepdim);
    if (x.numel() == 0 || !out_of_range(v)) return root(v);
    const Tensor scale = scale_of(x, dims);
    return root(var(x / scale, dims, correction, keepdim)) * (keepdim ? scale : reshape(scale, v.shape()));
  };
  return in_f32_if_half(spread, x);
}

}  // namespace ink
