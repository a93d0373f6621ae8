// Softmax, norms, cross entropy and variance: dtypes, allocation, the call of the kernel.
#include "tensor/raw/normalise.h"

#include "tensor/raw/operand.h"

namespace ink::raw {
namespace {

SoftmaxArgs softmax_args(const Tensor& x, const SoftmaxForm& form) {
  Lines lines = lines_of(x.shape(), form.dim);
  return {.dtype = x.dtype(), .lines = lines, .log = form.log, .causal_rows = form.causal ? x.size(-2) : 0};
}

}  // namespace

Tensor softmax(const char* op, const Tensor& x, const SoftmaxForm& form) {
  Working w = working_dtypes(op, x.dtype());
  Tensor in = contiguous_in(x, w.compute), y = empty(x.shape(), in.options());
  if (y.numel() > 0) kernels_of(x).softmax(softmax_args(in, form), y.raw_data(), in.raw_data());
  return cast(y, w.result);
}

Tensor softmax_backward(const char* op, const Tensor& dy, const Tensor& y, const SoftmaxForm& form) {
  Working w = working_dtypes(op, y.dtype());
  Tensor g = contiguous_in(dy, w.compute), out = contiguous_in(y, w.compute), dx = empty(y.shape(), g.options());
  if (dx.numel() > 0)
    kernels_of(y).softmax_backward(softmax_args(out, form), dx.raw_data(), g.raw_data(), out.raw_data());
  return cast(dx, w.result);
}

std::array<Tensor, 3> norm(const char* op, NormArgs args, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Device device = common_device(op, {&x, &weight, &bias});
  Working w = working_dtypes(op, x.dtype());
  args.dtype = w.compute;
  Tensor in = contiguous_in(x, w.compute), p = contiguous_in(weight, w.compute), q = contiguous_in(bias, w.compute);
  Tensor y = empty(x.shape(), {w.compute, device}), rstd = zeros({args.rows}, {w.compute, device});
  Tensor mean = args.rms ? Tensor() : zeros({args.rows}, {w.compute, device});
  if (y.numel() > 0)
    kernels_of(x).norm(args, y.raw_data(), data_or_null(mean), rstd.raw_data(), in.raw_data(), data_or_null(p),
                       data_or_null(q));
  return {cast(y, w.result), mean, rstd};
}

std::array<Tensor, 3> norm_backward(const char* op, NormArgs args, const std::array<bool, 3>& wanted, const Tensor& dy,
                                    const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& rstd) {
  Working w = working_dtypes(op, x.dtype());
  args.dtype = w.compute;
  Tensor g = contiguous_in(dy, w.compute), in = contiguous_in(x, w.compute), p = contiguous_in(weight, w.compute);
  const int64_t affine = args.inner ? args.groups * (args.cols / args.inner) : 0;
  std::array<Tensor, 3> d;
  if (wanted[0]) d[0] = empty(x.shape(), in.options());
  for (size_t i = 1; i < 3; ++i)
    if (wanted[i]) d[i] = zeros({affine}, in.options());
  if (x.numel() > 0)
    kernels_of(x).norm_backward(args, data_or_null(d[0]), data_or_null(d[1]), data_or_null(d[2]), g.raw_data(),
                                in.raw_data(), data_or_null(mean), rstd.raw_data(), data_or_null(p));
  return d;
}

std::array<Tensor, 2> cross_entropy(const char* op, CrossEntropyArgs args, const Tensor& logits, const Tensor& target) {
  Device device = common_device(op, {&logits, &target});
  Working w = working_dtypes(op, logits.dtype());
  args.dtype = w.compute;
  Tensor in = contiguous_in(logits, w.compute), index = contiguous_in(target, i64);
  Tensor loss = empty({args.rows}, {w.compute, device}), lse = empty({args.rows}, {w.compute, device});
  if (args.rows > 0)
    kernels_of(logits).cross_entropy(args, loss.raw_data(), lse.raw_data(), in.raw_data(), index_data(index));
  return {cast(loss, w.result), lse};
}

Tensor cross_entropy_backward(const char* op, CrossEntropyArgs args, const Tensor& dloss, const Tensor& logits,
                              const Tensor& lse, const Tensor& target) {
  Working w = working_dtypes(op, logits.dtype());
  args.dtype = w.compute;
  Tensor g = contiguous_in(dloss, w.compute), in = contiguous_in(logits, w.compute), index = contiguous_in(target, i64);
  Tensor dx = empty(in.shape(), in.options());
  if (dx.numel() > 0)
    kernels_of(logits).cross_entropy_backward(args, dx.raw_data(), g.raw_data(), in.raw_data(), lse.raw_data(),
                                              index_data(index));
  return cast(dx, w.result);
}

std::array<Tensor, 2> var_mean(const char* op, const Tensor& x, double correction) {
  Working w = working_dtypes(op, x.dtype());
  Tensor in = contiguous_in(x, w.compute);
  Lines lines = lines_of(x.shape(), x.dim() - 1);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  Tensor var = empty(shape, in.options()), mean = empty(shape, in.options());
  if (var.numel() > 0) kernels_of(x).var_mean(array(var), array(mean), array(in), lines, correction);
  return {cast(var, w.result), cast(mean, w.result)};
}

}  // namespace ink::raw
