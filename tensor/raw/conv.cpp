// Convolution, pooling and Fourier transforms: dtypes, allocation, the call of the kernel.
#include "tensor/raw/conv.h"

#include "tensor/raw/operand.h"

namespace ink::raw {
namespace {

// A new tensor of the working dtype.
Tensor working_empty(const Shape& shape, const Working& w, const Tensor& like) {
  return empty(shape, {w.compute, like.device()});
}

// Whether outputs are sums without terms.
bool sums_nothing(const ConvArgs& a) { return a.group_in() * a.taps() == 0; }

}  // namespace

Tensor conv2d(const char* op, ConvArgs a, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Working t = working_dtypes(op, {&x, &weight});
  if (bias.defined()) t = working_dtypes(op, {&x, &weight, &bias});
  a.dtype = t.compute;
  Tensor in = contiguous_in(x, t.compute), w = contiguous_in(weight, t.compute), b = contiguous_in(bias, t.compute);
  Tensor y = working_empty({a.batch, a.out, a.oh, a.ow}, t, x);
  if (sums_nothing(a) || in.numel() == 0) {  // planes of no pixels may have padding
    fill(y, 0);
    if (b.defined()) copy_into(y, reshape(b, {a.out, 1, 1}));
  } else if (y.numel() > 0) {
    kernels_of(x).conv2d(a, y.raw_data(), in.raw_data(), w.raw_data(), data_or_null(b));
  }
  return cast(y, t.result);
}

Tensor conv2d_backward_input(const char* op, ConvArgs a, const Tensor& dy, const Tensor& weight) {
  const Working t = working_dtypes(op, {&dy, &weight});
  a.dtype = t.compute;
  Tensor g = contiguous_in(dy, t.compute), w = contiguous_in(weight, t.compute);
  Tensor dx = working_empty({a.batch, a.in, a.h, a.w}, t, dy);
  if (dx.numel() > 0 && dy.numel() > 0 && !sums_nothing(a))
    kernels_of(dy).conv2d_backward_input(a, dx.raw_data(), g.raw_data(), w.raw_data());
  else
    fill(dx, 0);
  return cast(dx, t.result);
}

Tensor conv2d_backward_weight(const char* op, ConvArgs a, const Tensor& dy, const Tensor& x) {
  const Working t = working_dtypes(op, {&dy, &x});
  a.dtype = t.compute;
  Tensor g = contiguous_in(dy, t.compute), in = contiguous_in(x, t.compute);
  Tensor dw = working_empty({a.out, a.group_in(), a.kh, a.kw}, t, dy);
  if (dw.numel() > 0 && dy.numel() > 0 && in.numel() > 0)
    kernels_of(dy).conv2d_backward_weight(a, dw.raw_data(), g.raw_data(), in.raw_data());
  else
    fill(dw, 0);
  return cast(dw, t.result);
}

std::array<Tensor, 2> max_pool2d(const char* op, PoolArgs a, const Tensor& x) {
  const Working t = working_dtypes(op, {&x});
  a.dtype = t.compute;
  Tensor in = contiguous_in(x, t.compute), y = working_empty({x.size(0), x.size(1), a.oh, a.ow}, t, x);
  Tensor indices = empty(y.shape(), {i64, x.device()});
  if (y.numel() > 0) kernels_of(x).max_pool2d(a, y.raw_data(), index_data(indices), in.raw_data());
  return {cast(y, t.result), indices};
}

Tensor avg_pool2d(const char* op, PoolArgs a, const Tensor& x) {
  const Working t = working_dtypes(op, {&x});
  a.dtype = t.compute;
  Tensor in = contiguous_in(x, t.compute), y = working_empty({x.size(0), x.size(1), a.oh, a.ow}, t, x);
  if (y.numel() > 0) kernels_of(x).avg_pool2d(a, y.raw_data(), in.raw_data());
  return cast(y, t.result);
}

Tensor avg_pool2d_backward(const char* op, PoolArgs a, const Tensor& dy) {
  const Working t = working_dtypes(op, {&dy});
  a.dtype = t.compute;
  Tensor g = contiguous_in(dy, t.compute), dx = working_empty({dy.size(0), dy.size(1), a.h, a.w}, t, dy);
  if (dx.numel() > 0) kernels_of(dy).avg_pool2d_backward(a, dx.raw_data(), g.raw_data());
  return cast(dx, t.result);
}

Tensor dft(const char* op, const Tensor& x, int dim, bool inverse, double scale) {
  check_domain(op, x.dtype(), kComplex);
  Shape order, back;
  for (int d = 0; d < x.dim(); ++d)
    if (d != dim) order.push_back(d);
  order.push_back(dim);
  for (int d = 0; d < x.dim(); ++d) back.push_back(d < dim ? d : d == dim ? x.dim() - 1 : d - 1);
  Tensor in = contiguous(permute(x, order)), y = empty(in.shape(), in.options());
  const int64_t n = x.size(dim);
  if (y.numel() > 0) kernels_of(x).fft(x.dtype(), y.raw_data(), in.raw_data(), y.numel() / n, n, inverse, scale);
  return dim == x.dim() - 1 ? y : clone(permute(y, back));
}

}  // namespace ink::raw
