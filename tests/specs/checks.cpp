#include "tests/specs/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "tensor/parallel.h"
#include "tensor/random.h"
#include "tensor/raw/raw.h"
#include "tests/specs/samples.h"
#include "tests/support/strided.h"

namespace ink::test {
namespace {

bool is_float_input(const Tensor& t) { return t.defined() && is_differentiable(t.dtype()); }

double terms_of(const Case& c) {
  double n = c.terms;
  if (n == 0)
    for (const Tensor& t : c.inputs)
      if (t.defined()) n = std::max(n, double(t.numel()));
  return std::max(n, 1.0);
}
// Rounding errors of `terms` summands grow as their square root.
double tolerance(const OpSpec& spec, const Case& c, DType t) {
  return spec.factor * epsilon(t) * std::sqrt(terms_of(c));
}

double largest(const Nd& x) {
  double m = 1;
  for (C v : x.v)
    if (std::isfinite(std::abs(v))) m = std::max(m, std::abs(v));
  return m;
}

// |got - want| <= tolerance * the size of the numbers: of each where every element stands alone, else of the largest.
std::string differs(const Nd& got, const Nd& want, double tolerance, bool elementwise) {
  if (!(got.shape == want.shape)) return fmt::format("shape {}; expected {}", got.shape.str(), want.shape.str());
  double scale = largest(want);
  for (size_t i = 0; i < want.v.size(); ++i) {
    C a = got.v[i], b = want.v[i];
    auto near = [&](double x, double y) {
      if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
      return x == y || std::abs(x - y) <= tolerance * (elementwise ? std::max(1.0, std::abs(b)) : scale);
    };
    if (!near(a.real(), b.real()) || !near(a.imag(), b.imag()))
      return fmt::format("element {}: got {:.17g} + {:.17g} i; expected {:.17g} + {:.17g} i within {:.3g}", i, a.real(),
                         a.imag(), b.real(), b.imag(), tolerance * (elementwise ? std::max(1.0, std::abs(b)) : scale));
  }
  return "";
}

// What becomes of an output dtype when f64 inputs are replaced by inputs of dtype t.
DType follows(DType of_f64, DType t) {
  if (is_integral(t)) return of_f64;
  return of_f64 == f64 ? t : of_f64 == c128 ? complex_of(t) : of_f64;
}

// A fixed direction to weigh outputs with.
Tensor weights(const Tensor& like, int salt, DType rounded) {
  Tensor w = to(to(away(like.shape(), 90 + salt), rounded), f64);
  if (is_complex(like.dtype())) w = complex_of(w, away(like.shape(), 95 + salt));
  return to(w, like.dtype());
}

struct Gradients {
  TensorList outputs, inputs;  // an input that takes no gradient has none
};
Gradients gradients(const Case& c, const TensorList& inputs, bool create_graph, DType weights_in = f64) {
  EnableGrad enable;
  Gradients r;
  TensorList leaves = inputs, used, wrt, ws;
  for (Tensor& t : leaves)
    if (is_float_input(t)) {
      t = detach(t);
      t.requires_grad_();
      wrt.push_back(t);
    }
  r.outputs = c.op(leaves);
  for (size_t k = 0; k < r.outputs.size(); ++k)
    if (r.outputs[k].requires_grad()) {
      used.push_back(r.outputs[k]);
      ws.push_back(weights(r.outputs[k], int(k), weights_in));
    }
  if (used.empty()) return r;
  r.inputs = grad(used, wrt, ws, {.create_graph = create_graph, .retain_graph = false, .allow_unused = true});
  for (size_t i = 0; i < wrt.size(); ++i)
    r.inputs[i] = r.inputs[i].defined() ? detach(r.inputs[i]) : zeros_like(detach(wrt[i]));
  return r;
}

std::string compare_lists(const TensorList& got, const TensorList& want, double tolerance, bool elementwise) {
  if (got.size() != want.size()) return fmt::format("{} results; expected {}", got.size(), want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    std::string d = differs(nd(got[k]), nd(want[k]), tolerance, elementwise);
    if (!d.empty()) return fmt::format("result {}: {}", k, d);
  }
  return "";
}

// ---- views of equal values

Tensor transposed_view(const Tensor& x) {
  Shape order;
  for (int d = x.dim(); d-- > 0;) order.push_back(d);
  return raw::permute(raw::clone(raw::permute(x, order)), order);
}
// Every other element of a longer line that starts earlier; what lies between would be noticed.
Tensor sliced_view(const Tensor& x) {
  Shape longer = x.shape();
  if (x.dim() == 0)
    longer = {3};
  else
    longer[x.dim() - 1] = 2 * longer[x.dim() - 1] + 3;
  Scalar garbage = is_differentiable(x.dtype()) ? Scalar(std::numeric_limits<double>::quiet_NaN())
                                                : nearest(int64_t(1) << 40, x.dtype());
  Tensor big = raw::full(longer, garbage, x.options());
  Shape strides = big.strides();
  if (x.dim() == 0)
    strides = {};
  else
    strides[x.dim() - 1] = 2;
  Tensor view = raw::as_strided(big, x.shape(), strides, 1);
  raw::copy_into(view, x);
  return view;
}
// One row, repeated.
Tensor expanded_view(const Tensor& x) {
  if (x.dim() == 0 || x.shape()[0] < 2) return x;
  Shape one = x.shape();
  one[0] = 1;
  return raw::expand(raw::clone(raw::as_strided(x, one, x.strides(), x.storage_offset())), x.shape());
}

}  // namespace

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  auto host = [](const Tensor& t) { return raw::contiguous(raw::to_device(detach(t), Device::cpu())); };
  Tensor x = host(a), y = host(b);
  return x.numel() == 0 || std::memcmp(x.raw_data(), y.raw_data(), size_t(x.nbytes())) == 0;
}

bool has_complex(const TensorList& inputs) {
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const Tensor& t) { return t.defined() && is_complex(t.dtype()); });
}

TensorList in_dtype(const TensorList& inputs, DType t) {
  TensorList out = inputs;
  for (Tensor& x : out) {
    if (!is_float_input(x)) continue;
    if (is_integral(t))  // small whole numbers, none of them 0 where x is not
      x = raw::cast(t == u8 ? abs(round(x * 2)) : round(x * 2), t);
    else
      x = raw::cast(x, is_complex(x.dtype()) ? complex_of(t) : t);
  }
  return out;
}

std::string check_forward(const OpSpec& spec, const Case& c, DType t) {
  if (!c.reference) return "";
  NoGrad guard;
  TensorList inputs = in_dtype(c.inputs, t), in_f64 = c.op(c.inputs), got = c.op(inputs);
  NdList of;
  for (const Tensor& x : inputs) of.push_back(nd(x));
  NdList want = c.reference(of);
  if (got.size() != want.size()) return fmt::format("{} results; expected {}", got.size(), want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    DType computed = got[k].dtype();
    if (!is_integral(t) && computed != follows(in_f64[k].dtype(), t))
      return fmt::format("result {}: dtype {}; expected {}", k, name_of(computed),
                         name_of(follows(in_f64[k].dtype(), t)));
    if (computed == u8)
      for (C& v : want[k].v) v = double(uint8_t(int64_t(v.real())));
    DType rounded = is_integral(t) ? computed : is_integral(computed) ? computed : t;
    std::string d = differs(nd(got[k]), want[k], tolerance(spec, c, rounded), spec.elementwise);
    if (!d.empty()) return fmt::format("result {}: {}", k, d);
  }
  return "";
}

std::string check_layouts(const OpSpec& spec, const Case& c, DType t) {
  NoGrad guard;
  TensorList inputs = in_dtype(c.inputs, t);
  using View = Tensor (*)(const Tensor&);
  struct Layout {
    const char* name;
    View view;
  };
  for (Layout l : {Layout{"transposed", transposed_view}, {"sliced", sliced_view}, {"expanded", expanded_view}}) {
    if (l.view == View(expanded_view) && !spec.expandable) continue;
    for (size_t only = 0; only <= inputs.size(); ++only) {  // each input in turn, then all
      TensorList views = inputs, plain = inputs;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].defined() && (only == i || only == inputs.size())) {
          views[i] = l.view(inputs[i]);
          plain[i] = raw::clone(views[i]);
        }
      TensorList got = c.op(views), want = c.op(plain);
      std::string d;
      if (spec.elementwise) {
        for (size_t k = 0; k < want.size(); ++k)
          if (!same_bits(got[k], want[k])) d = fmt::format("result {}: other bits than contiguous", k);
      } else {
        d = compare_lists(got, want, tolerance(spec, c, t), false);
      }
      if (!d.empty()) return fmt::format("{} input {}: {}", l.name, only, d);
    }
  }
  return "";
}

std::string check_threads(const OpSpec& spec, const Case& c, DType t) {
  TensorList inputs = in_dtype(c.inputs, t);
  int before = num_threads();
  set_num_threads(1);
  Gradients one = gradients(c, inputs, false);
  set_num_threads(2);
  Gradients two = gradients(c, inputs, false);
  set_num_threads(before);
  for (size_t k = 0; k < one.outputs.size(); ++k)
    if (!same_bits(one.outputs[k], two.outputs[k])) return fmt::format("result {} depends on the number of threads", k);
  if (spec.gradient)
    for (size_t k = 0; k < one.inputs.size(); ++k)
      if (!same_bits(one.inputs[k], two.inputs[k]))
        return fmt::format("gradient {} depends on the number of threads", k);
  return "";
}

std::string check_gradient(const OpSpec& spec, const Case& c, DType t) {
  TensorList inputs = in_dtype(c.inputs, t), exact = inputs;
  for (Tensor& x : exact)
    if (is_float_input(x)) x = raw::cast(x, is_complex(x.dtype()) ? c128 : f64);
  Gradients got = gradients(c, inputs, false), want = gradients(c, exact, false);
  for (size_t k = 0, i = 0; i < inputs.size(); ++i)
    if (is_float_input(inputs[i])) {
      if (!got.inputs.empty() && got.inputs[k].dtype() != inputs[i].dtype())
        return fmt::format("gradient {}: dtype {} for an input of {}", k, name_of(got.inputs[k].dtype()),
                           name_of(inputs[i].dtype()));
      ++k;
    }
  // the output's weights are rounded too, and a rule makes about as many roundings again as the op
  return compare_lists(got.inputs, want.inputs, 4 * tolerance(spec, c, t), false);
}

namespace {

// The largest |a - b| over elements where both are finite.
double largest_error(const Nd& a, const Nd& b) {
  double m = 0;
  for (size_t i = 0; i < a.v.size(); ++i)
    if (std::isfinite(std::abs(a.v[i])) && std::isfinite(std::abs(b.v[i]))) m = std::max(m, std::abs(a.v[i] - b.v[i]));
  return m;
}

// got is `exact` rounded to t, besides what the same op makes of f32. An overflow of t is no error. Of a gradient eight
// roundings of the largest element are allowed: rules start from saved results, which were rounded.
std::string differs_by_roundings(const Tensor& got, const Tensor& in_f32, const Tensor& exact, DType t, bool gradient) {
  if (got.defined() != exact.defined()) return "one is undefined";
  if (!got.defined()) return "";
  if (!(got.shape() == exact.shape()))
    return fmt::format("shape {}; expected {}", got.shape().str(), exact.shape().str());
  const Nd a = nd(got), b = nd(exact), f = nd(in_f32);
  const double least = t == f16 ? 0x1p-25 : 0x1p-134, most = t == f16 ? 65504 : 0x1.fep127,
               slack = 4 * largest_error(f, b);
  double size = 0;
  for (C v : b.v)
    if (std::isfinite(v.real())) size = std::max(size, std::abs(v.real()));
  for (size_t i = 0; i < a.v.size(); ++i) {
    const double x = a.v[i].real(), y = b.v[i].real(), z = f.v[i].real();
    if (std::isnan(x) && (std::isnan(y) || std::isnan(z))) continue;
    const double allowed =
        slack + (gradient ? 8 * (epsilon(t) * size + least) : 1.02 * epsilon(t) * std::abs(y) + least);
    if (x == y || std::abs(x - y) <= allowed) continue;
    if (std::isinf(x) && (x > 0) == (y > 0) && std::abs(y) + allowed >= most) continue;
    if (std::isinf(z) && x == z) continue;  // beyond f32 too
    return fmt::format("element {}: got {:.9g}; expected {:.9g} within {:.3g} (f32: {:.9g})", i, x, y, allowed, z);
  }
  return "";
}

// x by a power of two, the largest element then in [2^14, 2^15).
Tensor enlarged(const Tensor& x) {
  const double most = x.numel() ? max(abs(x)).item() : 0;
  return most > 0 && std::isfinite(most) ? x * std::exp2(14 - std::floor(std::log2(most))) : x;
}

}  // namespace

std::string check_halves(const OpSpec& spec, const Case& c, DType t) {
  for (int large = -1; large <= int(c.inputs.size()); ++large) {  // none, each, all
    TensorList halves = c.inputs;
    for (size_t i = 0; i < halves.size(); ++i)
      if (is_float_input(halves[i])) {
        if (large == int(i) || large == int(halves.size())) halves[i] = enlarged(halves[i]);
        halves[i] = to(halves[i], t);
      }
    auto run = [&](DType in) {
      TensorList x = halves;
      for (Tensor& v : x)
        if (is_float_input(v)) v = to(v, in);
      manual_seed(7);
      if (spec.gradient) return gradients(c, x, false, t);
      return Gradients{c.op(x), {}};
    };
    Gradients exact;
    try {
      exact = run(f64);
    } catch (const Error&) { continue; }  // outside the op's domain
    const Gradients got = run(t), wide = run(f32);
    bool overflow = false;  // then the gradient is that of other numbers
    for (size_t k = 0; k < exact.outputs.size(); ++k) {
      if (std::string d = differs_by_roundings(got.outputs[k], wide.outputs[k], exact.outputs[k], t, false); !d.empty())
        return fmt::format("large input {}: result {}: {}", large, k, d);
      overflow |= any(isfinite(got.outputs[k]) != isfinite(exact.outputs[k])).item<bool>();
    }
    if (overflow || !spec.rounds_again.empty()) continue;
    for (size_t k = 0; k < exact.inputs.size(); ++k)
      if (std::string d = differs_by_roundings(got.inputs[k], wide.inputs[k], exact.inputs[k], t, true); !d.empty())
        return fmt::format("large input {}: gradient {}: {}", large, k, d);
  }
  return "";
}

std::string check_fused(const OpSpec& spec, const Case& c, DType t) {
  TensorList inputs = in_dtype(c.inputs, t);
  Gradients fused = gradients(c, inputs, false), recorded = gradients(c, inputs, true);
  return compare_lists(fused.inputs, recorded.inputs, 4 * tolerance(spec, c, t), false);
}

TensorList results_and_gradients(const OpSpec& spec, const Case& c, DType t) {
  manual_seed(7);
  TensorList inputs = in_dtype(c.inputs, t);
  if (!spec.gradient) return c.op(inputs);
  Gradients g = gradients(c, inputs, false);
  TensorList all = g.outputs;
  all.insert(all.end(), g.inputs.begin(), g.inputs.end());
  return all;
}

std::string check_parity(const OpSpec& spec, const Case& c, DType t, Device device) {
  TensorList here, there;
  {
    DefaultDevice cpu(Device::cpu());
    here = results_and_gradients(spec, c, t);
  }
  DefaultDevice guard(device);
  Case moved = c;
  for (Tensor& x : moved.inputs)
    if (x.defined()) x = raw::to_device(x, device);
  there = results_and_gradients(spec, moved, t);
  for (const Tensor& y : there)
    if (y.defined() && !(y.device() == device) && base_name(spec.name) != "to")
      return fmt::format("a result stands on {}", y.device().str());
  return compare_lists(there, here, 4 * tolerance(spec, c, t), false);
}

std::string check_modes(const OpSpec& spec, const Case& c) {
  TensorList leaves = c.inputs;
  bool any = false;
  for (Tensor& t : leaves)
    if (is_float_input(t)) {
      t = detach(t);
      t.requires_grad_();
      any = true;
    }
  auto is_input = [&](const Tensor& y) {
    return std::any_of(leaves.begin(), leaves.end(), [&](const Tensor& x) { return x.defined() && y.is_same(x); });
  };
  {
    NoGrad guard;
    for (const Tensor& y : c.op(leaves))
      if (y.requires_grad() && !is_input(y)) return "a result requires a gradient under NoGrad";
  }
  if (!any) return "";
  bool some = false;
  for (const Tensor& y : c.op(leaves)) {
    if (y.requires_grad() && !is_differentiable(y.dtype())) return "a result that is not a float requires a gradient";
    if (y.requires_grad() && !spec.gradient) return "a result requires a gradient, but the op has none";
    some |= y.requires_grad();
  }
  if (spec.gradient && !some) return "no result requires a gradient";
  return "";
}

std::string check_inputs_kept(const OpSpec& spec, const Case& c) {
  TensorList before;
  std::vector<uint32_t> versions;
  for (const Tensor& t : c.inputs) {
    before.push_back(t.defined() ? raw::clone(t) : t);
    versions.push_back(t.defined() ? t.impl()->storage->version : 0);
  }
  if (spec.gradient)
    gradients(c, c.inputs, false);
  else
    c.op(c.inputs);
  for (size_t i = 0; i < before.size(); ++i) {
    if (!before[i].defined()) continue;
    if (!same_bits(before[i], c.inputs[i])) return fmt::format("input {} changed", i);
    if (c.inputs[i].impl()->storage->version != versions[i]) return fmt::format("the version of input {} changed", i);
  }
  return "";
}

std::string check_error(const ErrorInput& e) {
  try {
    e.call();
  } catch (const Error& error) {
    std::string text = error.what();
    if (!e.is(error)) return fmt::format("not a {}: {}", e.type, text);
    if (text.find(e.message) == std::string::npos)
      return fmt::format("\"{}\" does not contain \"{}\"", text, e.message);
    return "";
  } catch (const std::exception& other) { return fmt::format("no Error of ours: {}", other.what()); }
  return fmt::format("nothing was thrown; expected a {}", e.type);
}

}  // namespace ink::test
