// Rounding to any format, and 8-bit floats.
#include "autograd/observe/precision/rounded.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/parallel.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

const Tensor& checked_floats(const char* op, const Tensor& x) {
  if (!x.defined() || !is_floating(x.dtype()))
    throw DTypeError(fmt::format("{}: got {}; expected floating point", op,
                                 x.defined() ? name_of(x.dtype()) : "an undefined tensor"));
  return x;
}
void check_fp8(const char* op, const FloatFormat& f) {
  if (f.bits() != 8) throw ValueError(fmt::format("{}: {} has {} bits; expected e4m3 or e5m2", op, f.name, f.bits()));
}
// The elements on the host as f64, contiguous; that holds every f32, f16 and bf16.
Tensor on_host(const Tensor& x) { return raw::contiguous(raw::cast(raw::to_device(x, Device::cpu()), f64)); }

double largest_element(const double* x, int64_t n) {  // of those that are finite
  double m = 0;
  for (int64_t i = 0; i < n; ++i)
    if (std::isfinite(x[i])) m = std::max(m, std::abs(x[i]));
  return m;
}
// A scale under which `amax` becomes the format's largest number; 1 where there is nothing to scale.
double scale_for(double amax, const FloatFormat& f, int margin) {
  const double s = double(float(std::ldexp(amax / f.largest(), margin)));  // (10.10)
  return s > 0 && std::isfinite(s) ? s : 1;
}

// Each run of `block` elements under its own scale.
Fp8 encoded(const Tensor& x, const FloatFormat& format, int64_t block, const Tensor& host, const Tensor& scales) {
  const Tensor codes = raw::empty(x.shape(), {u8, Device::cpu()});
  uint8_t* code = codes.data<uint8_t>();
  const double* value = host.data<double>();
  const float* scale = scales.data<float>();
  for (int64_t i = 0; i < x.numel(); ++i)
    code[i] = uint8_t(format.encode(value[i] / double(scale[block ? i / block : 0]), Overflow::saturate));
  return {raw::to_device(codes, x.device()), raw::to_device(scales, x.device()), format, block};
}

}  // namespace

Tensor rounded(const Tensor& x, const FloatFormat& format, Overflow overflow) {
  checked_floats("rounded", x);
  const Tensor host = raw::cast(raw::to_device(x, Device::cpu()), f64), y = raw::clone(host);
  double* p = y.data<double>();
  parallel_for(y.numel(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) p[i] = format.round(p[i], overflow);
  });
  return raw::to_device(raw::cast(y, x.dtype()), x.device());
}

Fp8 to_fp8_scaled(const Tensor& x, const FloatFormat& format, double scale) {
  check_fp8("to_fp8", format);
  if (!(scale > 0 && std::isfinite(scale) && float(scale) > 0 && std::isfinite(float(scale))))
    throw ValueError(fmt::format("to_fp8: the scale must be positive and finite; got {}", scale));
  return encoded(x, format, 0, on_host(checked_floats("to_fp8", x)), raw::full({}, scale, {f32, Device::cpu()}));
}

Fp8 to_fp8(const Tensor& x, const FloatFormat& format, int margin) {
  check_fp8("to_fp8", format);
  const Tensor host = on_host(checked_floats("to_fp8", x));
  const double scale = scale_for(largest_element(host.data<double>(), host.numel()), format, margin);
  return encoded(x, format, 0, host, raw::full({}, scale, {f32, Device::cpu()}));
}

Fp8 to_mxfp8(const Tensor& x, const FloatFormat& format, int64_t block) {
  check_fp8("to_mxfp8", format);
  checked_floats("to_mxfp8", x);
  if (x.dim() == 0 || block < 1 || x.size(-1) % block != 0)
    throw ShapeError(fmt::format("to_mxfp8: got shape {} and blocks of {}; expected a last dim of whole blocks",
                                 x.shape().str(), block));
  const Tensor host = on_host(x);
  Shape shape = x.shape();
  shape[shape.size() - 1] /= block;
  const Tensor scales = raw::empty(shape, {f32, Device::cpu()});
  for (int64_t b = 0; b < scales.numel(); ++b) {
    const double amax = largest_element(host.data<double>() + b * block, block);
    // the power of two at or below amax, over the largest one of the format: what is above 1.75 (1.5) of it saturates
    const int e = amax > 0 ? std::ilogb(amax) - format.max_exponent() : 0;
    scales.data<float>()[b] = float(std::ldexp(1.0, std::clamp(e, -127, 127)));
  }
  return encoded(x, format, block, host, scales);
}

Tensor from_fp8(const Fp8& x, DType dtype) {
  const Tensor codes = raw::contiguous(raw::to_device(x.codes, Device::cpu())),
               scales = raw::contiguous(raw::to_device(x.scale, Device::cpu())),
               y = raw::empty(codes.shape(), {f64, Device::cpu()});
  double table[256];
  for (int c = 0; c < 256; ++c) table[c] = x.format.decode(uint64_t(c));
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data<double>()[i] = table[codes.data<uint8_t>()[i]] * double(scales.data<float>()[x.block ? i / x.block : 0]);
  return raw::to_device(raw::cast(y, dtype), x.codes.device());
}

DelayedScale::DelayedScale(const FloatFormat& format, int64_t history, int margin) : format_(format), margin_(margin) {
  check_fp8("DelayedScale", format);
  if (history < 1 || history > (1 << 20))
    throw ValueError(fmt::format("DelayedScale: history got {}; expected 1 to 2^20", history));
  amax_.assign(size_t(history), 0);
}
double DelayedScale::scale() const {
  return scale_for(*std::max_element(amax_.begin(), amax_.end()), format_, margin_);
}
void DelayedScale::observe(const Tensor& x) {
  const Tensor host = on_host(checked_floats("DelayedScale", x));
  amax_[size_t(steps_++ % int64_t(amax_.size()))] = largest_element(host.data<double>(), host.numel());
}

}  // namespace ink
