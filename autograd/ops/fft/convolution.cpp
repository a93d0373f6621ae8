// Causal convolution by FFT. It is linear in u and in the kernel, and so are its two adjoints: the rules of each of the
// three are the other two, as those of conv2d.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

using Args = FftConvolutionArgs;
const Args& fft_args(B b) { return b.context<Args>(); }
Tensor convolve(const Tensor& u, const Tensor& kernel, Args args);
Tensor convolve_backward_input(const Tensor& dy, const Tensor& kernel, Args args);
Tensor convolve_backward_kernel(const Tensor& dy, const Tensor& u, Args args);

// A transform of n complex numbers for each row that goes in or comes out; a complex product for each row.
double fft_convolution_flops(const Call& c) {
  const Args& a = c.context<Args>();
  const double rows = double(a.batch * a.channels), n = double(a.n);
  return 5 * n * std::log2(n) * (2 * rows + double(a.channels)) + 6 * n * rows;
}

Tensor convolve(const Tensor& u, const Tensor& kernel, Args args) {
  static constexpr Op op{.name = "fft_convolution",
                         .rules = {{[](B b) { return convolve_backward_input(b.grad(), b.in(1), fft_args(b)); }, kIn1},
                                   {[](B b) { return convolve_backward_kernel(b.grad(), b.in(0), fft_args(b)); },
                                    kIn0}},
                         .flops = fft_convolution_flops};
  args.which = FftConvolution::forward;
  return call(
      op, args, [&](const Tensor& u, const Tensor& k) { return raw::fft_convolution(op.name, args, u, k); }, u, kernel);
}
Tensor convolve_backward_input(const Tensor& dy, const Tensor& kernel, Args args) {
  static constexpr Op op{.name = "fft_convolution_backward_input",
                         .rules = {{[](B b) { return convolve(b.grad(), b.in(1), fft_args(b)); }, kIn1},
                                   {[](B b) { return convolve_backward_kernel(b.in(0), b.grad(), fft_args(b)); },
                                    kIn0}},
                         .flops = fft_convolution_flops};
  args.which = FftConvolution::backward_input;
  return call(
      op, args, [&](const Tensor& g, const Tensor& k) { return raw::fft_convolution(op.name, args, g, k); }, dy,
      kernel);
}
Tensor convolve_backward_kernel(const Tensor& dy, const Tensor& u, Args args) {
  static constexpr Op op{.name = "fft_convolution_backward_kernel",
                         .rules = {{[](B b) { return convolve(b.in(1), b.grad(), fft_args(b)); }, kIn1},
                                   {[](B b) { return convolve_backward_input(b.in(0), b.grad(), fft_args(b)); }, kIn0}},
                         .flops = fft_convolution_flops};
  args.which = FftConvolution::backward_kernel;
  return call(
      op, args, [&](const Tensor& g, const Tensor& u) { return raw::fft_convolution(op.name, args, g, u); }, dy, u);
}

Shape all_but_last(const Shape& s) {
  Shape front;
  for (int d = 0; d + 1 < s.size(); ++d) front.push_back(s[d]);
  return front;
}

// Real operands of any dims in front: the dims of the kernel become channels, those before them the batch.
Tensor convolved_rows(const Tensor& u, const Tensor& kernel) {
  const int64_t n = u.size(-1), taps = kernel.size(-1);
  Shape own = all_but_last(kernel.shape());
  const Shape front = broadcast_shapes("causal_convolution", all_but_last(u.shape()), own);
  if (front.numel() == 0) return mul(u, slice(kernel, -1, 0, 1));
  Shape rows = front, wide = front;
  rows.push_back(n), wide.push_back(taps);
  // leading dims of size 1 belong to the batch; if what is left is not the end of `front`, every row gets a kernel
  int lead = 0;
  while (lead < own.size() && own[lead] == 1) ++lead;
  bool fits = true;
  for (int d = lead; d < own.size(); ++d) fits = fits && own[d] == front[front.size() - own.size() + d];
  const int64_t channels = fits ? own.numel() : front.numel(), batch = front.numel() / channels;
  const Tensor k = reshape(fits ? kernel : expand(kernel, wide), {channels, taps});
  return reshape(convolve(reshape(expand(u, rows), {batch, channels, n}), k, {f32, batch, channels, n, taps, {}}),
                 rows);
}

// (a + i b) * (k + i l) = a * k - b * l + i (a * l + b * k)
Tensor convolved_parts(const Tensor& u, const Tensor& kernel) {
  if (!is_complex(u.dtype()) && !is_complex(kernel.dtype())) return convolved_rows(u, kernel);
  const auto by = [&](const Tensor& k) {
    return is_complex(u.dtype()) ? complex_of(convolved_rows(real(u), k), convolved_rows(imag(u), k))
                                 : convolved_rows(u, k);
  };
  if (!is_complex(kernel.dtype())) return by(kernel);
  const Tensor re = by(real(kernel)), im = by(imag(kernel));
  return is_complex(u.dtype()) ? re + complex_of(-imag(im), real(im)) : complex_of(re, im);
}

}  // namespace

Tensor causal_convolution(const Tensor& u, const Tensor& kernel) {
  if (u.dim() == 0 || kernel.dim() == 0 || kernel.size(-1) == 0)
    throw ShapeError(fmt::format("causal_convolution: got u {}, kernel {}; expected [.., n] and [.., taps]",
                                 u.shape().str(), kernel.shape().str()));
  for (const Tensor* x : {&u, &kernel})
    if (!is_floating(x->dtype()) && !is_complex(x->dtype()))
      throw DTypeError(
          fmt::format("causal_convolution: got {}; expected a floating point or complex dtype", name_of(x->dtype())));
  const int64_t n = u.size(-1), taps = std::min(n, kernel.size(-1));
  if (n == 0) return mul(u, slice(kernel, -1, 0, 0));
  return in_f32_if_half(convolved_parts, u, slice(kernel, -1, 0, taps));
}

}  // namespace ink
