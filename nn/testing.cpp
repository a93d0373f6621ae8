// Probes for layers: causality, independence of a batch's samples, steps against whole sequences, forms against each
// other.
#include "include/inkstone/testing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::verify {
namespace {

// The elements as complex doubles, row-major.
std::vector<std::complex<double>> elements(const Tensor& t) {
  Tensor flat = t.detach().to(Device::cpu());
  std::vector<std::complex<double>> v;
  if (is_complex(t.dtype())) {
    std::vector<double> parts = view_as_real(flat.to(c128).contiguous()).to_vector<double>();
    for (size_t i = 0; i < parts.size(); i += 2) v.emplace_back(parts[i], parts[i + 1]);
  } else {
    for (double x : flat.to_vector<double>()) v.emplace_back(x);
  }
  return v;
}

Shape unravel(int64_t flat, const Shape& shape) {
  Shape index = Shape::filled(shape.size(), 0);
  for (int d = shape.size() - 1; d >= 0; --d) {
    index[d] = flat % shape[d];
    flat /= shape[d];
  }
  return index;
}

bool is_nan(std::complex<double> z) { return std::isnan(z.real()) || std::isnan(z.imag()); }
bool is_finite(std::complex<double> z) { return std::isfinite(z.real()) && std::isfinite(z.imag()); }
std::string text(std::complex<double> z, DType t) {
  return is_complex(t) ? fmt::format("{:.9g}{:+.9g}i", z.real(), z.imag()) : fmt::format("{:.9g}", z.real());
}

// Numbers of x's shape and dtype that differ from x everywhere.
Tensor others(const Tensor& x) {
  if (x.dtype() == boolean) return logical_not(x);
  if (is_integral(x.dtype())) return where(x == 0, x + 1, x - 1).to(x.dtype());  // stays inside [0, max] for indices
  Tensor phase = arange(0, x.numel(), 1, {f64, x.device()});
  return x + (1.5 + sin(phase * 2.7)).to(real_of(x.dtype())).reshape(x.shape()).to(x.dtype());
}

Result fail(std::string message) { return {false, std::move(message)}; }

// While it lives, the parameter's handle shows another tensor: its elements and its place in the graph.
class Substitute {
 public:
  Substitute(const Tensor& param, const Tensor& value) : impl_(*param.impl()), before_(impl_) { impl_ = *value.impl(); }
  ~Substitute() { impl_ = before_; }
  Substitute(const Substitute&) = delete;
  Substitute(Substitute&&) = delete;

 private:
  TensorImpl& impl_;
  TensorImpl before_;
};

}  // namespace

double epsilon(DType dtype) {
  switch (real_of(dtype)) {
    case f64:
      return 0x1p-52;
    case f32:
      return 0x1p-23;
    case f16:
      return 0x1p-10;
    case bf16:
      return 0x1p-7;
    default:
      return 0;
  }
}

Tolerance tolerance(DType dtype, int64_t terms, double roundings) {
  double t = roundings * epsilon(dtype) * std::sqrt(double(std::max<int64_t>(terms, 1)));
  return {t, t};
}

Comparison close(const Tensor& got, const Tensor& expected, const Tolerance& tolerance) {
  Comparison r;
  if (!(got.shape() == expected.shape()) || got.dtype() != expected.dtype()) {
    r.ok = false;
    r.message = fmt::format("close: the tensors are of different kinds; got {} {}; expected {} {}",
                            name_of(got.dtype()), got.shape().str(), name_of(expected.dtype()), expected.shape().str());
    return r;
  }
  auto a = elements(got), b = elements(expected);
  std::string values;
  for (size_t i = 0; i < a.size(); ++i) {
    bool good = (is_nan(a[i]) && is_nan(b[i])) || a[i] == b[i];
    if (is_finite(a[i]) && is_finite(b[i])) {
      double d = std::abs(a[i] - b[i]), size = std::abs(b[i]);
      r.max_abs = std::max(r.max_abs, d);
      if (d > 0) r.max_rel = std::max(r.max_rel, size > 0 ? d / size : INFINITY);
      good = d <= tolerance.atol + tolerance.rtol * size;
    }
    if (good || r.bad++ > 0) continue;
    r.first_bad = unravel(int64_t(i), got.shape());
    values = fmt::format("got {}; expected {}", text(a[i], got.dtype()), text(b[i], got.dtype()));
  }
  r.ok = r.bad == 0;
  if (!r.ok)
    r.message = fmt::format(
        "close: {} of {} elements differ, the first at {}; {}; max abs {:.3g}, max rel {:.3g}, allowed {:.3g} + {:.3g} "
        "|expected|",
        r.bad, a.size(), r.first_bad.str(), values, r.max_abs, r.max_rel, tolerance.atol, tolerance.rtol);
  return r;
}

Comparison close(const Tensor& got, const Tensor& expected) { return close(got, expected, tolerance(got.dtype())); }

Comparison device_parity(MultiFn f, const TensorList& inputs, Device device, const Tolerance& tolerance) {
  TensorList here, there;
  for (const Tensor& t : inputs) {
    here.push_back(t.defined() ? t.to(Device::cpu()) : t);
    there.push_back(t.defined() ? t.to(device) : t);
  }
  TensorList a = f(there), b = f(here);
  Comparison worst;
  if (a.size() != b.size()) {
    worst.ok = false;
    worst.message =
        fmt::format("device_parity: {} outputs on {}; expected {}, as on the CPU", a.size(), device.str(), b.size());
    return worst;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    Comparison c = close(a[i].to(Device::cpu()), b[i], tolerance);
    if (!c) {
      c.message = fmt::format("device_parity: output {} on {}: {}", i, device.str(), c.message);
      return c;
    }
    if (c.max_abs >= worst.max_abs) worst = c;
  }
  return worst;
}

Result causality(LayerFn f, const Tensor& x, int64_t dim) {
  NoGrad guard;
  int d = wrap_dim("causality", dim, x.dim());
  Tensor y = f(x), other = others(x);
  int64_t n = x.size(d);
  if (y.dim() <= d || y.size(d) != n)
    return fail(fmt::format("causality: the output has no dim {} of size {}; got shape {}", d, n, y.shape().str()));
  bool moved = false;
  for (int64_t t = 0; t < n; ++t) {  // inputs t .. n - 1 are replaced: outputs before t must stay
    Tensor changed = f(cat({x.narrow(d, 0, t), other.narrow(d, t, n - t)}, d));
    Comparison before = close(changed.narrow(d, 0, t), y.narrow(d, 0, t));
    if (!before)
      return fail(fmt::format("causality: outputs before position {} of dim {} depend on later inputs; {}", t, d,
                              before.message));
    moved |= !close(changed, y);
  }
  if (!moved && n > 0) return fail("causality: the output does not depend on the input at all, so nothing was shown");
  return {};
}

Result batch(LayerFn f, const Tensor& x) {
  NoGrad guard;
  if (x.dim() == 0) return fail("batch: x has no batch dim; got shape []");
  Tensor y = f(x);
  for (int64_t i = 0; i < x.size(0); ++i) {
    Tensor alone = f(x.narrow(0, i, 1));
    if (alone.dim() == 0 || y.dim() == 0 || y.size(0) != x.size(0))
      return fail(
          fmt::format("batch: the output has no batch dim of size {}; got shape {}", x.size(0), y.shape().str()));
    Comparison c = close(y.narrow(0, i, 1), alone, tolerance(y.dtype(), 64));
    if (!c) return fail(fmt::format("batch: sample {} differs from itself alone; {}", i, c.message));
  }
  return {};
}

Result gradients(Module& layer, LayerFn f, const Tensor& x, const GradcheckOptions& options) {
  NamedTensors params = layer.named_parameters();
  TensorList inputs{x};
  for (auto& [name, p] : params) {
    if (p.dtype() != f64)
      throw DTypeError(
          fmt::format("gradients: parameter '{}' is {}; expected f64; hint: layer.to(f64)", name, name_of(p.dtype())));
    inputs.push_back(p.detach().clone());
  }
  if (x.dtype() != f64 && params.empty())
    throw DTypeError(fmt::format("gradients: x is {}; expected f64", name_of(x.dtype())));
  // Until the next run: the backward pass reads what rules have saved, which are the parameters' handles.
  std::vector<std::unique_ptr<Substitute>> shown;
  auto run = [&](const TensorList& in) {
    shown.clear();
    for (size_t i = 0; i < params.size(); ++i)
      shown.push_back(std::make_unique<Substitute>(params[i].second, in[i + 1]));
    return TensorList{f(in[0])};
  };
  auto named = [&](const char* order, const GradcheckResult& r) {
    std::string list = "x";
    for (auto& [name, p] : params) list += ", " + name;
    return fail(fmt::format("gradients ({} derivatives; inputs are {}): {}", order, list, r.message));
  };
  if (auto r = gradcheck(run, inputs, options); !r) return named("first", r);
  if (auto r = gradgradcheck(run, inputs, options); !r) return named("second", r);
  return {};
}

}  // namespace ink::verify
