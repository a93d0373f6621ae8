// Convolution, pooling and Fourier transforms: dtypes, allocation, the call of the kernel.
#include "tensor/raw/conv.h"

#include <cmath>

#include "tensor/raw/operand.h"

namespace ink::raw {
namespace {

// A new tensor of the working dtype.
Tensor working_empty(const Shape& shape, const Working& w, const Tensor& like) {
  return empty(shape, {w.compute, like.device()});
}

// Whether outputs are sums without terms.
bool sums_nothing(const ConvArgs& a) { return a.group_in() * a.taps() == 0; }

// exp(-pi i j / (2 n)) for j = 0 .. n - 1.
Tensor right_angle(int64_t n, const Options& options) {
  Tensor angle = empty({n}, {f64, options.device});
  kernels_of(angle).arange(array(angle), 0., -M_PI / (2 * double(n)));
  const Tensor re = unary("cos", fn::Cos{}, angle), im = unary("sin", fn::Sin{}, angle);
  return cast(binary("complex", fn::MakeComplex{}, re, im), options.dtype);
}

Shape with_rows(const Tensor& x, int64_t n) {
  Shape shape = x.shape();
  shape[x.dim() - 1] = n;
  return shape;
}
Tensor first_of_rows(const Tensor& x, int64_t n) {  // a view
  return as_strided(x, with_rows(x, n), x.strides(), x.storage_offset());
}

// f, which transforms contiguous rows, along `dim`.
template <class F> Tensor along_rows(const Tensor& x, int dim, F f) {
  Shape order, back;
  for (int d = 0; d < x.dim(); ++d)
    if (d != dim) order.push_back(d);
  order.push_back(dim);
  for (int d = 0; d < x.dim(); ++d) back.push_back(d < dim ? d : d == dim ? x.dim() - 1 : d - 1);
  const Tensor y = f(contiguous(permute(x, order)));
  return dim == x.dim() - 1 ? y : clone(permute(y, back));
}

// The convolution by transforms of n complex numbers. A product of polynomials modulo z^n + i is the whole convolution
// c_0 .. c_{2n-1} as c_t - i c_{t+n}: in its real part nothing wraps around (Crandall & Fagin 1994). The roots of z^n =
// -i are those of 1 times w, so numbers are multiplied by w^t before, and by the conjugate after.
Tensor by_transforms(const char* op, const FftConvolutionArgs& a, const Tensor& x, const Tensor& y) {
  const auto times = [&](const Tensor& p, const Tensor& q) { return binary(op, fn::Mul{}, p, q); };
  const auto conjugate = [&](const Tensor& p) { return unary(op, fn::Conj{}, p); };
  const Tensor w = right_angle(a.n, {complex_of(a.dtype), x.device()});
  const auto spectrum = [&](const Tensor& p) {
    Tensor rows = zeros(with_rows(p, a.n), w.options());
    copy_into(first_of_rows(rows, p.size(-1)), p);
    return dft(op, times(w, rows), p.dim() - 1, false, 1);
  };
  const Tensor X = spectrum(x), Y = spectrum(y);
  Tensor Z = times(X, a.which == FftConvolution::forward ? Y : conjugate(Y));  // (9.28)
  if (a.which == FftConvolution::backward_kernel) Z = reduce<fn::Sum>(op, Z, {0});
  const Tensor z = times(conjugate(w), dft(op, Z, Z.dim() - 1, true, 1 / double(a.n)));
  return unary(op, fn::RealPart{}, a.which == FftConvolution::backward_kernel ? first_of_rows(z, a.taps) : z);
}

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
  return along_rows(x, dim, [&](const Tensor& in) {
    Tensor y = empty(in.shape(), in.options());
    const int64_t n = in.size(-1);
    if (y.numel() > 0) kernels_of(x).fft(x.dtype(), y.raw_data(), in.raw_data(), y.numel() / n, n, inverse, scale);
    return y;
  });
}

Tensor dft_of_real(const char* op, const Tensor& x, int dim, double scale) {
  check_domain(op, x.dtype(), kFloat);
  return along_rows(x, dim, [&](const Tensor& in) {
    const int64_t n = in.size(-1);
    const Options result(complex_of(x.dtype()), x.device());
    if (!x.device().is_cpu())
      return clone(first_of_rows(dft(op, cast(in, result.dtype), in.dim() - 1, false, scale), n / 2 + 1));
    Tensor y = empty(with_rows(in, n / 2 + 1), result);
    if (y.numel() > 0) kernels_of(x).fft(x.dtype(), y.raw_data(), in.raw_data(), in.numel() / n, n, false, scale);
    return y;
  });
}

// y_j = scale Re sum_k c_k X_k e^(2 pi i j k / n), k = 0 .. n/2, where c_k = 2 counts X_k and its conjugate X_(n-k),
// and c_k = 1 for the entries that are their own partner, 0 and (n even) n/2.
Tensor dft_to_real(const char* op, const Tensor& x, int dim, int64_t n, double scale) {
  check_domain(op, x.dtype(), kComplex);
  return along_rows(x, dim, [&](const Tensor& in) {
    const Options result(real_of(x.dtype()), x.device());
    Tensor y = empty(with_rows(in, n), result);
    if (y.numel() == 0) return y;
    if (x.device().is_cpu()) {
      kernels_of(x).fft(result.dtype, y.raw_data(), in.raw_data(), y.numel() / n, n, true, scale);
      return y;
    }
    Tensor whole = zeros(with_rows(in, n), x.options());
    copy_into(first_of_rows(whole, n / 2 + 1), binary(op, fn::Mul{}, in, partners(n, result)));
    return unary(op, fn::RealPart{}, dft(op, whole, in.dim() - 1, true, scale));
  });
}

Tensor partners(int64_t n, const Options& options) {
  Tensor c = full({n / 2 + 1}, 2., options);
  fill(first_of_rows(c, 1), 1.);
  if (n % 2 == 0) fill(as_strided(c, {1}, {1}, n / 2), 1.);
  return c;
}

Tensor fft_convolution(const char* op, FftConvolutionArgs args, const Tensor& a, const Tensor& b) {
  const Working t = working_dtypes(op, {&a, &b});
  args.dtype = t.compute;
  const Tensor x = contiguous_in(a, t.compute), y = contiguous_in(b, t.compute);
  Tensor out = working_empty(args.which == FftConvolution::backward_kernel ? Shape{args.channels, args.taps}
                                                                           : Shape{args.batch, args.channels, args.n},
                             t, a);
  if (!kernels_of(a).fft_convolution(args, out.raw_data(), x.raw_data(), y.raw_data()))
    out = by_transforms(op, args, x, y);
  return cast(out, t.result);
}

}  // namespace ink::raw
