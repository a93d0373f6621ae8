// Gradients against differences: an element of the inputs at a time, real and imaginary parts apart.
#include "autograd/observe/gradcheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

bool checked(const Tensor& t) { return t.defined() && (t.dtype() == f64 || t.dtype() == c128); }
bool differentiable_output(const Tensor& t) { return t.defined() && t.requires_grad(); }

// A fixed "random" direction: no generator, so that checking f does not disturb its random numbers.
Tensor direction(const Tensor& like, int salt) {
  Tensor phase = arange(0, like.numel(), 1, {f64, like.device()}) * 0.7548776662466927 + (0.37 + 0.61 * salt);
  Tensor v = sin(phase * 6.1) + 0.3 * cos(phase * 2.3);
  if (is_complex(like.dtype())) v = complex_of(v, cos(phase * 3.7 + 1));
  return reshape(to(v, like.dtype()), like.shape());
}

// sum Re(conj(v) . y) over the outputs: the real number whose gradient is checked.
double project(const TensorList& ys, const TensorList& vs) {
  double total = 0;
  for (size_t k = 0; k < ys.size(); ++k) {
    if (!vs[k].defined()) continue;
    Tensor prod = ys[k] * conj(vs[k]);
    total += (is_complex(prod.dtype()) ? real(prod) : prod).sum().to(f64).item<double>();
  }
  return total;
}

// Central differences over the doubles of an input (a complex element is two of them), changed one by one on the host.
std::vector<double> numeric(MultiFn f, const TensorList& inputs, size_t which, const TensorList& vs, double eps) {
  NoGrad guard;
  TensorList moved = inputs;
  Tensor host = raw::clone(raw::to_device(inputs[which], Device::cpu()));
  double* p = static_cast<double*>(host.raw_data());
  auto at = [&](int64_t i, double value) {
    p[i] = value;
    moved[which] = raw::to_device(host, inputs[which].device());
    return project(f(moved), vs);
  };
  int64_t count = host.nbytes() / int64_t(sizeof(double));
  std::vector<double> g;
  for (int64_t i = 0; i < count; ++i) {
    double x = p[i], up = at(i, x + eps), down = at(i, x - eps);
    p[i] = x;
    g.push_back((up - down) / (2 * eps));
  }
  return g;
}

GradcheckResult compare(size_t which, const Tensor& input, const Tensor& analytic, const std::vector<double>& expected,
                        const GradcheckOptions& o) {
  GradcheckResult r;
  Tensor a = raw::contiguous(raw::to_device(analytic.detach(), Device::cpu()));
  if (!(a.shape() == input.shape()) || a.dtype() != input.dtype()) {
    r.ok = false;
    r.message = fmt::format("input {}: gradient of shape {} and dtype {} for an input of shape {} and dtype {}", which,
                            a.shape().str(), name_of(a.dtype()), input.shape().str(), name_of(input.dtype()));
    return r;
  }
  const double* g = static_cast<const double*>(a.raw_data());
  double scale = 0;
  for (size_t i = 0; i < expected.size(); ++i) scale = std::max({scale, std::abs(g[i]), std::abs(expected[i])});
  double allowed = o.atol + o.rtol * scale;
  for (size_t i = 0; i < expected.size(); ++i) {
    double d = std::abs(g[i] - expected[i]);
    r.worst = std::max(r.worst, std::isnan(d) ? INFINITY : d);
    if (r.ok && !(d <= allowed)) {
      r.ok = false;
      r.message = fmt::format("input {}, element {}{}: analytic {:.10g}, numeric {:.10g}, difference {:.3g} > {:.3g}",
                              which, is_complex(input.dtype()) ? i / 2 : i,
                              is_complex(input.dtype()) ? (i % 2 ? " (imaginary)" : " (real)") : "", g[i], expected[i],
                              d, allowed);
    }
  }
  return r;
}

}  // namespace

GradcheckResult gradcheck(MultiFn f, const TensorList& inputs, const GradcheckOptions& options) {
  TensorList leaves;
  std::vector<size_t> checked_inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!checked(inputs[i])) {
      leaves.push_back(inputs[i]);
      continue;
    }
    // strides are kept: a check of a transposed input stays one
    Tensor leaf = inputs[i].detach();
    leaf.requires_grad_();
    leaves.push_back(leaf);
    checked_inputs.push_back(i);
  }
  EnableGrad enable;
  TensorList ys = f(leaves), used, vs, vs_used;
  for (size_t k = 0; k < ys.size(); ++k) {
    bool use = differentiable_output(ys[k]);
    vs.push_back(use ? direction(ys[k], int(k)) : Tensor());
    if (use) {
      used.push_back(ys[k]);
      vs_used.push_back(vs.back());
    }
  }
  if (used.empty()) return {false, "no output requires a gradient", 0};
  TensorList wrt;
  for (size_t i : checked_inputs) wrt.push_back(leaves[i]);
  TensorList gs = grad(used, wrt, vs_used, {.create_graph = false, .retain_graph = false, .allow_unused = true});
  GradcheckResult result;
  for (size_t j = 0; j < checked_inputs.size(); ++j) {
    size_t i = checked_inputs[j];
    Tensor g = gs[j].defined() ? gs[j] : zeros_like(inputs[i].detach());
    std::vector<double> expected = numeric(f, inputs, i, vs, options.eps);
    GradcheckResult r = compare(i, inputs[i], g, expected, options);
    result.worst = std::max(result.worst, r.worst);
    if (!r.ok) return {false, r.message, result.worst};
  }
  return result;
}

GradcheckResult gradgradcheck(MultiFn f, const TensorList& inputs, const GradcheckOptions& options) {
  size_t n = inputs.size();
  TensorList all = inputs, ys;
  std::vector<size_t> used;
  {
    EnableGrad enable;
    TensorList leaves;
    for (const Tensor& t : inputs) {
      leaves.push_back(t.defined() ? t.detach() : t);
      if (checked(t)) leaves.back().requires_grad_();
    }
    ys = f(leaves);
  }
  for (size_t k = 0; k < ys.size(); ++k)
    if (differentiable_output(ys[k])) {
      used.push_back(k);
      all.push_back(direction(ys[k].detach(), int(k) + 7));
    }
  if (used.empty()) return {false, "no output requires a gradient", 0};
  // (inputs, output gradients) -> input gradients
  auto first = [&](const TensorList& in) {
    EnableGrad enable;
    TensorList xs(in.begin(), in.begin() + ptrdiff_t(n)), vs(in.begin() + ptrdiff_t(n), in.end()), wrt, outs;
    for (Tensor& x : xs)
      if (checked(x)) {
        if (!x.requires_grad()) {
          x = x.detach();
          x.requires_grad_();
        }
        wrt.push_back(x);
      }
    TensorList y = f(xs);
    for (size_t k : used) outs.push_back(y[k]);
    TensorList gs = grad(outs, wrt, vs, {.create_graph = true, .retain_graph = true, .allow_unused = true});
    for (size_t j = 0; j < gs.size(); ++j)
      if (!gs[j].defined()) gs[j] = zeros_like(wrt[j].detach());
    return gs;
  };
  return gradcheck(first, all, options);
}

GradcheckResult gradcheck1(FunctionRef<Tensor(const Tensor&)> f, const Tensor& x, const GradcheckOptions& options) {
  auto list = [&](const TensorList& in) { return TensorList{f(in[0])}; };
  return gradcheck(list, {x}, options);
}
GradcheckResult gradgradcheck1(FunctionRef<Tensor(const Tensor&)> f, const Tensor& x, const GradcheckOptions& options) {
  auto list = [&](const TensorList& in) { return TensorList{f(in[0])}; };
  return gradgradcheck(list, {x}, options);
}

}  // namespace ink
