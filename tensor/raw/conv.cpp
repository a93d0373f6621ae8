#include "tensor/raw/conv.h"

namespace ink::raw {
namespace {

// The common dtype of the operands; kernels work in its compute type.
DType float_dtype(const char* op, const Tensor& a, const Tensor& b) {
  common_device(op, {&a, &b});
  DType t = promote(a.dtype(), b.dtype());
  check_domain(op, t, kFloat);
  return t;
}
Tensor operand(const Tensor& x, DType t) { return contiguous(cast(x, compute_type(t))); }
Tensor result(const Shape& shape, DType t, const Tensor& like) {
  return empty(shape, {compute_type(t), like.device()});
}

bool sums_nothing(const ConvArgs& a) { return a.in / a.groups * a.kh * a.kw == 0; }

}  // namespace

Tensor conv2d(const char* op, ConvArgs a, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  DType t = float_dtype(op, x, weight);
  if (bias.defined()) t = promote(t, float_dtype(op, x, bias));
  a.dtype = compute_type(t);
  Tensor in = operand(x, t), w = operand(weight, t), b = bias.defined() ? operand(bias, t) : Tensor();
  Tensor y = result({a.batch, a.out, a.oh, a.ow}, t, x);
  if (sums_nothing(a)) {
    fill(y, 0);
    if (b.defined()) copy_into(y, reshape(b, {a.out, 1, 1}));
  } else if (y.numel() > 0) {
    kernels_of(x).conv2d(a, y.raw_data(), in.raw_data(), w.raw_data(), b.defined() ? b.raw_data() : nullptr);
  }
  return cast(y, t);
}

Tensor conv2d_backward_input(const char* op, ConvArgs a, const Tensor& dy, const Tensor& weight) {
  DType t = float_dtype(op, dy, weight);
  a.dtype = compute_type(t);
  Tensor g = operand(dy, t), w = operand(weight, t), dx = result({a.batch, a.in, a.h, a.w}, t, dy);
  if (dx.numel() > 0 && dy.numel() > 0 && !sums_nothing(a))
    kernels_of(dy).conv2d_backward_input(a, dx.raw_data(), g.raw_data(), w.raw_data());
  else
    fill(dx, 0);
  return cast(dx, t);
}

Tensor conv2d_backward_weight(const char* op, ConvArgs a, const Tensor& dy, const Tensor& x) {
  DType t = float_dtype(op, dy, x);
  a.dtype = compute_type(t);
  Tensor g = operand(dy, t), in = operand(x, t), dw = result({a.out, a.in / a.groups, a.kh, a.kw}, t, dy);
  if (dw.numel() > 0 && dy.numel() > 0)
    kernels_of(dy).conv2d_backward_weight(a, dw.raw_data(), g.raw_data(), in.raw_data());
  else
    fill(dw, 0);
  return cast(dw, t);
}

std::array<Tensor, 2> max_pool2d(const char* op, PoolArgs a, const Tensor& x) {
  DType t = float_dtype(op, x, x);
  a.dtype = compute_type(t);
  Tensor in = operand(x, t), y = result({x.size(0), x.size(1), a.oh, a.ow}, t, x);
  Tensor indices = empty(y.shape(), {i64, x.device()});
  if (y.numel() > 0) kernels_of(x).max_pool2d(a, y.raw_data(), static_cast<int64_t*>(indices.raw_data()), in.raw_data());
  return {cast(y, t), indices};
}

Tensor avg_pool2d(const char* op, PoolArgs a, const Tensor& x) {
  DType t = float_dtype(op, x, x);
  a.dtype = compute_type(t);
  Tensor in = operand(x, t), y = result({x.size(0), x.size(1), a.oh, a.ow}, t, x);
  if (y.numel() > 0) kernels_of(x).avg_pool2d(a, y.raw_data(), in.raw_data());
  return cast(y, t);
}

Tensor avg_pool2d_backward(const char* op, PoolArgs a, const Tensor& dy) {
  DType t = float_dtype(op, dy, dy);
  a.dtype = compute_type(t);
  Tensor g = operand(dy, t), dx = result({dy.size(0), dy.size(1), a.h, a.w}, t, dy);
  if (dx.numel() > 0) kernels_of(dy).avg_pool2d_backward(a, dx.raw_data(), g.raw_data());
  return cast(dx, t);
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
