#include "tensor/raw/normalise.h"

namespace ink::raw {
namespace {

// The dtype a kernel works in and the dtype of the result, for floats and what is cast to them.
struct Working {
  DType result, inside;
};
Working working(const char* op, DType t) {
  DType result = computed_in(op, t, kFloat);
  return {result, compute_type(result)};
}
Tensor rows_in(const Tensor& x, DType t) { return x.defined() ? contiguous(cast(x, t)) : x; }
void* data(const Tensor& x) { return x.defined() ? x.raw_data() : nullptr; }

SoftmaxArgs softmax_args(const Tensor& x, const SoftmaxForm& form) {
  Lines lines = lines_of(x.shape(), form.dim);
  return {x.dtype(), lines, form.log, form.causal ? x.size(-2) : 0};
}

}  // namespace

Tensor softmax(const char* op, const Tensor& x, const SoftmaxForm& form) {
  Working w = working(op, x.dtype());
  Tensor in = rows_in(x, w.inside), y = empty(x.shape(), in.options());
  if (y.numel() > 0) kernels_of(x).softmax(softmax_args(in, form), y.raw_data(), in.raw_data());
  return cast(y, w.result);
}

Tensor softmax_backward(const char* op, const Tensor& dy, const Tensor& y, const SoftmaxForm& form) {
  Working w = working(op, y.dtype());
  Tensor g = rows_in(dy, w.inside), out = rows_in(y, w.inside), dx = empty(y.shape(), g.options());
  if (dx.numel() > 0)
    kernels_of(y).softmax_backward(softmax_args(out, form), dx.raw_data(), g.raw_data(), out.raw_data());
  return cast(dx, w.result);
}

std::array<Tensor, 3> norm(const char* op, NormArgs args, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Device device = common_device(op, {&x, &weight, &bias});
  Working w = working(op, x.dtype());
  args.dtype = w.inside;
  Tensor in = rows_in(x, w.inside), p = rows_in(weight, w.inside), q = rows_in(bias, w.inside);
  Tensor y = empty(x.shape(), {w.inside, device}), rstd = zeros({args.rows}, {w.inside, device});
  Tensor mean = args.rms ? Tensor() : zeros({args.rows}, {w.inside, device});
  if (y.numel() > 0)
    kernels_of(x).norm(args, y.raw_data(), data(mean), rstd.raw_data(), in.raw_data(), data(p), data(q));
  return {cast(y, w.result), mean, rstd};
}

std::array<Tensor, 3> norm_backward(const char* op, NormArgs args, const std::array<bool, 3>& wanted, const Tensor& dy,
                                    const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& rstd) {
  Working w = working(op, x.dtype());
  args.dtype = w.inside;
  Tensor g = rows_in(dy, w.inside), in = rows_in(x, w.inside), p = rows_in(weight, w.inside);
  const int64_t affine = args.inner ? args.groups * (args.cols / args.inner) : 0;
  std::array<Tensor, 3> d;
  if (wanted[0]) d[0] = empty(x.shape(), in.options());
  for (size_t i = 1; i < 3; ++i)
    if (wanted[i]) d[i] = zeros({affine}, in.options());
  if (x.numel() > 0)
    kernels_of(x).norm_backward(args, data(d[0]), data(d[1]), data(d[2]), g.raw_data(), in.raw_data(), data(mean),
                                rstd.raw_data(), data(p));
  return d;
}

std::array<Tensor, 2> cross_entropy(const char* op, CrossEntropyArgs args, const Tensor& logits, const Tensor& target) {
  Device device = common_device(op, {&logits, &target});
  Working w = working(op, logits.dtype());
  args.dtype = w.inside;
  Tensor in = rows_in(logits, w.inside), index = rows_in(target, i64);
  Tensor loss = empty({args.rows}, {w.inside, device}), lse = empty({args.rows}, {w.inside, device});
  if (args.rows > 0)
    kernels_of(logits).cross_entropy(args, loss.raw_data(), lse.raw_data(), in.raw_data(), static_cast<int64_t*>(index.raw_data()));
  return {cast(loss, w.result), lse};
}

Tensor cross_entropy_backward(const char* op, CrossEntropyArgs args, const Tensor& dloss, const Tensor& logits,
                              const Tensor& lse, const Tensor& target) {
  Working w = working(op, logits.dtype());
  args.dtype = w.inside;
  Tensor g = rows_in(dloss, w.inside), in = rows_in(logits, w.inside), index = rows_in(target, i64);
  Tensor dx = empty(in.shape(), in.options());
  if (dx.numel() > 0)
    kernels_of(logits).cross_entropy_backward(args, dx.raw_data(), g.raw_data(), in.raw_data(), lse.raw_data(),
                                              static_cast<int64_t*>(index.raw_data()));
  return cast(dx, w.result);
}

std::array<Tensor, 2> var_mean(const char* op, const Tensor& x, double correction) {
  Working w = working(op, x.dtype());
  Tensor in = rows_in(x, w.inside);
  Lines lines = lines_of(x.shape(), x.dim() - 1);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  Tensor var = empty(shape, in.options()), mean = empty(shape, in.options());
  if (var.numel() > 0) kernels_of(x).var_mean(array(var), array(mean), array(in), lines, correction);
  return {cast(var, w.result), cast(mean, w.result)};
}

}  // namespace ink::raw
