// Joining tensors and padding them.
#include <fmt/format.h>

#include <memory>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

using B = const Backward&;

namespace {

struct JoinContext {
  int dim;
};

// The part [start, start + size) of x along dim, as a view.
Tensor part(const Tensor& x, int dim, int64_t start, int64_t size) {
  Shape shape = x.shape();
  shape[dim] = size;
  return raw::as_strided(x, shape, x.strides(), x.storage_offset() + (size > 0 ? start * x.strides()[dim] : 0));
}

Tensor raw_cat(std::span<const Tensor> in, int dim) {
  Shape shape = in[0].shape();
  DType dtype = in[0].dtype();
  for (size_t k = 1; k < in.size(); ++k) {
    Shape other = in[k].shape();
    bool fits = other.size() == shape.size();
    for (int d = 0; fits && d < shape.size(); ++d) fits = d == dim || other[d] == shape[d];
    if (!fits)
      throw ShapeError(
          fmt::format("cat: tensor {} does not fit; got {} after {}; expected equal sizes except in dim {}", k,
                      other.str(), in[0].shape().str(), dim));
    raw::common_device("cat", {&in[0], &in[k]});
    shape[dim] = checked_sum("cat", shape[dim], other[dim]);
    dtype = promote(dtype, in[k].dtype());
  }
  Tensor out = raw::empty(shape, {dtype, in[0].device()});
  int64_t at = 0;
  for (const Tensor& t : in) {
    if (t.numel() > 0) raw::kernels_of(out).copy(raw::array(part(out, dim, at, t.shape()[dim])), raw::array(t));
    at += t.shape()[dim];
  }
  return out;
}

void cat_rule(B b, std::span<Tensor> grads) {
  const auto& sizes = *static_cast<const std::vector<int64_t>*>(b.node().state.get());
  int64_t at = 0;
  for (size_t k = 0; k < grads.size(); ++k) {
    if (b.node().inputs[k] && b.needs(int(k)))
      grads[k] = slice(b.grad(), b.context<JoinContext>().dim, at, at + sizes[k]);
    at += sizes[k];
  }
}

}  // namespace

Tensor cat(std::span<const Tensor> tensors, int64_t dim) {
  static constexpr Op op{.name = "cat", .backward = cat_rule};
  if (tensors.empty()) throw ValueError("cat: needs at least one tensor");
  if (tensors[0].dim() == 0) throw ShapeError("cat: 0-dim tensors cannot be joined; hint: stack()");
  int d = wrap_dim("cat", dim, tensors[0].dim());
  Tensor out = call_list(
      op, JoinContext{d}, [&](std::span<const Tensor> in) { return raw_cat(in, d); }, tensors);
  if (Vertex* v = vertex_of(out)) {
    auto sizes = std::make_shared<std::vector<int64_t>>();
    for (const Tensor& t : tensors) sizes->push_back(t.shape()[d]);
    v->creator->state = std::move(sizes);
  }
  return out;
}
Tensor cat(std::initializer_list<Tensor> tensors, int64_t dim) {
  return cat(std::span(tensors.begin(), tensors.size()), dim);
}
Tensor stack(std::span<const Tensor> tensors, int64_t dim) {
  std::vector<Tensor> rows;
  for (const Tensor& t : tensors) {
    if (!(t.shape() == tensors[0].shape()))
      throw ShapeError(fmt::format("stack: shapes differ; got {} and {}", tensors[0].shape().str(), t.shape().str()));
    rows.push_back(unsqueeze(t, dim));
  }
  if (rows.empty()) throw ValueError("stack: needs at least one tensor");
  return cat(rows, wrap_dim("stack", dim, rows[0].dim()));
}
Tensor stack(std::initializer_list<Tensor> tensors, int64_t dim) {
  return stack(std::span(tensors.begin(), tensors.size()), dim);
}

// ---- padding

// Constant padding and cropping undo each other, so the gradient is a padding with the opposite widths.
static Tensor pad_constant(const Tensor& x, const Shape& widths, double value) {
  static constexpr Op op{.name = "pad", .rules = {{[](B b) {
                                          Shape opposite = b.context<Shape>();
                                          for (int64_t& w : opposite) w = -w;
                                          return pad_constant(b.grad(), opposite, 0);
                                        }}}};
  return call(
      op, widths,
      [&](const Tensor& x) {
        Shape shape = x.shape();
        for (int i = 0; i < widths.size(); ++i) {
          int64_t& size = shape[x.dim() - 1 - i / 2];
          if (widths[i] == INT64_MIN) throw ShapeError(fmt::format("pad: a width is too small; got {}", widths.str()));
          size = checked_sum("pad", size, widths[i]);
        }
        for (int64_t n : shape)
          if (n < 0)
            throw ShapeError(fmt::format("pad: crops more than there is; got widths {} for shape {}", widths.str(),
                                         x.shape().str()));
        Tensor out = raw::full(shape, value, x.options()), to = out, from = x;
        for (int i = 0; i < widths.size(); i += 2) {  // the part of each dim that both have
          int d = x.dim() - 1 - i / 2;
          int64_t before = widths[i], first = before < 0 ? -before : 0,
                  last = x.shape()[d] + (widths[i + 1] < 0 ? widths[i + 1] : 0);
          int64_t size = last > first ? last - first : 0;
          from = part(from, d, first, size);
          to = part(to, d, before > 0 ? before : 0, size);
        }
        if (to.numel() > 0) raw::kernels_of(x).copy(raw::array(to), raw::array(from));
        return out;
      },
      x);
}

// Where position i of a padded dim of n elements comes from.
static Tensor pad_source(int64_t n, int64_t before, int64_t after, PadMode mode, Device device) {
  bool fits = before >= 0 && after >= 0 && n > 0;
  int64_t most = mode == PadMode::reflect ? n - 1 : n;
  if (mode != PadMode::replicate) fits = fits && before <= most && after <= most;
  if (!fits)
    throw ShapeError(fmt::format(
        "pad: widths do not fit the mode; got {} and {} for a dim of {}; expected {}", before, after, n,
        mode == PadMode::replicate ? "widths >= 0 and a dim that is not empty" : fmt::format("0 to {}", most)));
  Tensor i = arange(-before, checked_sum("pad", n, after), 1, {i64, device});
  switch (mode) {
    case PadMode::reflect:
      return (n - 1) - abs((n - 1) - abs(i));
    case PadMode::replicate:
      return clamp(i, 0, n - 1);
    default:
      return remainder(i, n);
  }
}
Tensor pad(const Tensor& x, const Shape& widths, PadMode mode, double value) {
  if (widths.size() % 2 != 0 || widths.size() > 2 * x.dim())
    throw ShapeError(fmt::format("pad: widths come in pairs (before, after), at most one a dim; got {} for shape {}",
                                 widths.str(), x.shape().str()));
  if (mode == PadMode::constant) return pad_constant(x, widths, value);
  Tensor y = x;
  for (int i = 0; i < widths.size(); i += 2) {
    int d = x.dim() - 1 - i / 2;
    if (widths[i] != 0 || widths[i + 1] != 0)
      y = index_select(y, d, pad_source(x.shape()[d], widths[i], widths[i + 1], mode, x.device()));
  }
  return y;
}

}  // namespace ink
