// Shape ops. Views share elements; the gradient of a view is its inverse, or, where it skips or repeats elements, the
// gradient written back into zeros through the same view.
#include <fmt/format.h>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

using B = const Backward&;

// ---- reshape, permute, expand: every element once (or broadcast, which the engine undoes)

static Shape infer(const char* op, const Tensor& x, const Shape& shape) {
  Shape out = shape;
  int open = -1;
  Shape known;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1 && open < 0)
      open = i;
    else if (shape[i] < 0)
      throw ShapeError(fmt::format("{}: bad size; got {}; expected sizes >= 0 and at most one -1", op, shape.str()));
    else
      known.push_back(shape[i]);
  }
  const int64_t count = checked_numel(op, known);
  if (open >= 0 && count > 0 && x.numel() % count == 0) out[open] = x.numel() / count;
  if ((open >= 0 && out[open] < 0) || checked_numel(op, out) != x.numel())
    throw ShapeError(fmt::format("{}: the number of elements differs; got {} with {} elements; cannot become {}", op,
                                 x.shape().str(), x.numel(), shape.str()));
  return out;
}
Tensor reshape(const Tensor& x, const Shape& shape) {
  static constexpr Op op{.name = "reshape", .rules = {{[](B b) { return reshape(b.grad(), b.in_shape(0)); }}}};
  Shape to = infer("reshape", x, shape);
  return call(
      op, NoContext{}, [&](const Tensor& x) { return raw::reshape(x, to); }, x);
}
Tensor view(const Tensor& x, const Shape& shape) {
  Tensor y = reshape(x, shape);
  if (!y.shares_storage(x))
    throw ShapeError(fmt::format(
        "view: the strides do not allow it; got {} with strides {}; expected {}; hint: use reshape, which copies",
        x.shape().str(), x.strides().str(), shape.str()));
  return y;
}
Tensor flatten(const Tensor& x, int64_t first, int64_t last) {
  int a = wrap_dim("flatten", first, x.dim()), z = wrap_dim("flatten", last, x.dim());
  if (a > z) throw ValueError(fmt::format("flatten: first dim after last; got {} and {}", first, last));
  Shape s;
  for (int d = 0; d < a; ++d) s.push_back(x.shape()[d]);
  int64_t n = 1;
  for (int d = a; d <= z && d < x.dim(); ++d) n = checked_product("flatten", n, x.shape()[d]);
  s.push_back(n);
  for (int d = z + 1; d < x.dim(); ++d) s.push_back(x.shape()[d]);
  return reshape(x, s);
}
Tensor squeeze(const Tensor& x) {
  Shape s;
  for (int64_t n : x.shape())
    if (n != 1) s.push_back(n);
  return reshape(x, s);
}
Tensor squeeze(const Tensor& x, int64_t dim) {
  int d = wrap_dim("squeeze", dim, x.dim());
  Shape s = x.shape();
  if (d < s.size() && s[d] == 1) s.erase(d);
  return reshape(x, s);
}
Tensor unsqueeze(const Tensor& x, int64_t dim) {
  int d = wrap_dim("unsqueeze", dim, x.dim() + 1);
  Shape s = x.shape();
  s.insert(d, 1);
  return reshape(x, s);
}

static Tensor permute_rule(B b) {
  const Shape& order = b.context<Shape>();
  Dims inverse(Shape::filled(order.size(), 0));
  for (int i = 0; i < order.size(); ++i) inverse[int(order[i])] = i;
  return permute(b.grad(), inverse);
}
Tensor permute(const Tensor& x, const Dims& order) {
  static constexpr Op op{.name = "permute", .rules = {{permute_rule}}};
  if (order.size() != x.dim() || __builtin_popcount(raw::dim_mask("permute", order, x.dim())) != x.dim())
    throw ShapeError(fmt::format("permute: not an order of the dims; got {} for {} dims", order.str(), x.dim()));
  Shape wrapped = order;
  for (int64_t& d : wrapped) d = wrap_dim("permute", d, x.dim());
  return call(
      op, wrapped, [&](const Tensor& x) { return raw::permute(x, wrapped); }, x);
}
Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  if (x.dim() == 0) return reshape(x, {});
  Shape order;
  for (int d = 0; d < x.dim(); ++d) order.push_back(d);
  std::swap(order[wrap_dim("transpose", a, x.dim())], order[wrap_dim("transpose", b, x.dim())]);
  return permute(x, order);
}
Tensor movedim(const Tensor& x, int64_t from, int64_t to) {
  int f = wrap_dim("movedim", from, x.dim()), t = wrap_dim("movedim", to, x.dim());
  Shape order;
  for (int d = 0; d < x.dim(); ++d)
    if (d != f) order.push_back(d);
  order.insert(t, f);
  return permute(x, order);
}
Tensor expand(const Tensor& x, const Shape& shape) {
  static constexpr Op op{.name = "expand", .rules = {{[](B b) { return b.grad(); }}}};
  Shape to = shape;
  for (int i = 0; i < to.size(); ++i)
    if (to[i] == -1 && i >= to.size() - x.dim()) to[i] = x.shape()[i - to.size() + x.dim()];
  return call(
      op, NoContext{}, [&](const Tensor& x) { return raw::alias(raw::expand(x, to)); }, x);
}

// ---- slice, diagonal, unfold: views that skip or repeat elements

namespace {
struct ViewArgs {
  enum Kind { kSlice, kDiagonal, kUnfold } kind;
  int dim, dim2;
  // slice: start, size, step; diagonal: offset in start, size; unfold: count in start, size, step
  int64_t start, size, step;
  Shape base;  // the shape the view is taken of
};

Tensor raw_view(const Tensor& x, const ViewArgs& v) {
  Shape shape = x.shape(), strides = x.strides();
  int64_t offset = x.storage_offset();
  // nothing is read; products of huge sizes would overflow
  if (x.numel() == 0) strides = Shape::filled(shape.size(), 0);
  switch (v.kind) {
    case ViewArgs::kSlice:
      if (v.size > 0) offset += v.start * strides[v.dim];
      shape[v.dim] = v.size;
      if (v.size > 1) strides[v.dim] *= v.step;  // of one element a step may lead anywhere
      break;
    case ViewArgs::kDiagonal: {
      if (v.size > 0) offset += v.start >= 0 ? v.start * strides[v.dim2] : -v.start * strides[v.dim];
      int64_t step = strides[v.dim] + strides[v.dim2];
      for (int d : {v.dim > v.dim2 ? v.dim : v.dim2, v.dim > v.dim2 ? v.dim2 : v.dim}) {
        shape.erase(d);
        strides.erase(d);
      }
      shape.push_back(v.size);
      strides.push_back(step);
      break;
    }
    case ViewArgs::kUnfold: {
      int64_t stride = strides[v.dim];
      shape[v.dim] = v.start;
      if (v.start > 1) strides[v.dim] *= v.step;
      shape.push_back(v.size);
      strides.push_back(stride);
      break;
    }
  }
  return raw::as_strided(x, shape, x.numel() == 0 ? contiguous_strides(shape) : strides, offset);
}

Tensor take_view(const Tensor& x, const ViewArgs& args);

// Zeros of shape args.base with g added through the view.
Tensor embed_view(const Tensor& g, const ViewArgs& args) {
  static constexpr Op op{.name = "embed_view",
                         .rules = {{[](B b) { return take_view(b.grad(), b.context<ViewArgs>()); }}}};
  return call(
      op, args,
      [&](const Tensor& g) {
        const bool overlap = args.kind == ViewArgs::kUnfold && args.size > 1 && args.step < args.size;
        Tensor from = overlap ? raw::cast(g, compute_type(g.dtype())) : g, base = raw::zeros(args.base, from.options()),
               view = raw_view(base, args);
        if (!overlap) {
          raw::copy_into(view, from);
        } else {  // one position within the window at a time
          int last = view.dim() - 1;
          for (int64_t j = 0; j < args.size; ++j) {
            ViewArgs one{ViewArgs::kSlice, last, 0, j, 1, 1, {}};
            raw::add_into(raw_view(view, one), raw_view(from, one));
          }
        }
        return raw::cast(base, g.dtype());
      },
      g);
}
Tensor take_view(const Tensor& x, const ViewArgs& args) {
  static constexpr Op op{.name = "slice", .rules = {{[](B b) { return embed_view(b.grad(), b.context<ViewArgs>()); }}}};
  return call(
      op, args, [&](const Tensor& x) { return raw_view(x, args); }, x);
}
}  // namespace

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  if (x.dim() == 0) throw ShapeError("slice: a 0-dim tensor has nothing to slice");
  int d = wrap_dim("slice", dim, x.dim());
  if (step < 1)
    throw ValueError(fmt::format("slice: step must be positive; got {}; hint: flip() reverses a dim", step));
  int64_t n = x.shape()[d];
  auto clamp = [&](int64_t i) {
    if (i < 0) i += n;
    return i < 0 ? 0 : i > n ? n : i;
  };
  int64_t from = clamp(start), to = clamp(stop), size = to > from ? (to - from - 1) / step + 1 : 0;
  return take_view(x, {ViewArgs::kSlice, d, 0, from, size, step, x.shape()});
}
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  int64_t n = x.size(dim);
  if (start < 0) start += n;
  if (start < 0 || start > n || length < 0 || length > n - start)
    throw IndexError(
        fmt::format("narrow: out of range; got start {} and length {}; the dim has {} elements", start, length, n));
  return slice(x, dim, start, start + length);
}
Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  if (x.dim() == 0) throw IndexError("select: a 0-dim tensor cannot be indexed; hint: item()");
  int d = wrap_dim("select", dim, x.dim());
  int64_t n = x.shape()[d], i = index < 0 ? index + n : index;
  if (i < 0 || i >= n)
    throw IndexError(fmt::format("select: index out of range; got {}; dim {} has {} elements", index, d, n));
  return squeeze(slice(x, d, i, i + 1), d);
}
Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  int a = wrap_dim("diagonal", dim1, x.dim()), b = wrap_dim("diagonal", dim2, x.dim());
  if (x.dim() < 2 || a == b)
    throw ShapeError(
        fmt::format("diagonal: needs two different dims; got {} and {} of shape {}", dim1, dim2, x.shape().str()));
  int64_t rows = x.shape()[a] + (offset < 0 ? offset : 0), cols = x.shape()[b] - (offset > 0 ? offset : 0);
  int64_t size = rows < cols ? rows : cols;
  return take_view(x, {ViewArgs::kDiagonal, a, b, offset, size > 0 ? size : 0, 1, x.shape()});
}
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  int d = wrap_dim("unfold", dim, x.dim());
  if (x.dim() == 0 && size == 1 && step >= 1) return unsqueeze(x, 0);  // the one window of one element
  if (x.dim() == 0 || size < 1 || step < 1 || size > x.shape()[d])
    throw ShapeError(fmt::format("unfold: window does not fit; got size {} and step {}; shape {} in dim {}", size, step,
                                 x.shape().str(), dim));
  return take_view(x, {ViewArgs::kUnfold, d, 0, (x.shape()[d] - size) / step + 1, size, step, x.shape()});
}

// ---- pieces: one op with many outputs, so that the gradient is one cat instead of a padded copy per piece

namespace {
struct PiecesArgs {
  int dim;
  int64_t size;  // of each piece; the last may be smaller
  bool squeeze;  // pieces of size 1 lose the dim
};

Tensor piece(const Tensor& x, const PiecesArgs& a, int64_t at) {
  int64_t n = x.shape()[a.dim], size = a.size <= n - at ? a.size : n - at;
  Tensor y = raw_view(x, {ViewArgs::kSlice, a.dim, 0, at, size, 1, {}});
  if (!a.squeeze) return y;
  Shape shape = y.shape(), strides = y.strides();
  shape.erase(a.dim);
  strides.erase(a.dim);
  return raw::as_strided(y, shape, strides, y.storage_offset());
}

void split_rule(const Backward& b, std::span<Tensor> grads) {
  const PiecesArgs& a = b.context<PiecesArgs>();
  std::vector<Tensor> parts;
  Tensor like;
  for (int i = 0; i < b.num_outputs(); ++i)
    if (b.grad(i).defined()) like = b.grad(i);
  Shape whole = b.in_shape(0);
  for (int i = 0; i < b.num_outputs(); ++i) {
    Shape shape = whole;
    int64_t at = i * a.size;
    shape[a.dim] = a.size <= whole[a.dim] - at ? a.size : whole[a.dim] - at;
    Tensor g = b.grad(i);
    if (!g.defined()) g = zeros(shape, like.options());
    parts.push_back(a.squeeze && g.dim() < whole.size() ? unsqueeze(g, a.dim) : g);
  }
  grads[0] = cat(parts, a.dim);
}
std::vector<Tensor> pieces(const Tensor& x, const PiecesArgs& args) {
  static constexpr Op op{.name = "split", .backward = split_rule, .differentiable = 1 << 30};
  auto cut = [&](const Tensor& x) {
    const int64_t n = x.shape()[args.dim], count = n / args.size + (n % args.size != 0);
    constexpr int64_t most = 1 << 20;  // each piece is a tensor of its own
    if (count > most)
      throw MemoryError(
          fmt::format("split: too many pieces; got {} in dim {}; expected at most {}", count, args.dim, most));
    std::vector<Tensor> parts;
    for (int64_t i = 0; i < count; ++i) parts.push_back(piece(x, args, i * args.size));
    return parts;
  };
  return call(op, args, cut, x);
}
}  // namespace

std::vector<Tensor> split(const Tensor& x, const Shape& sizes, int64_t dim) {
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t n : sizes) {
    parts.push_back(narrow(x, dim, at, n));
    at += n;  // at most the dim's size, as narrow has seen
  }
  if (at != x.size(dim))
    throw ShapeError(
        fmt::format("split: the sizes do not add up; got {}; expected a sum of {}", sizes.str(), x.size(dim)));
  return parts;
}
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  if (size < 1) throw ValueError(fmt::format("split: size must be positive; got {}", size));
  if (x.dim() == 0) throw ShapeError("split: a 0-dim tensor has nothing to split");
  int d = wrap_dim("split", dim, x.dim());
  if (x.shape()[d] == 0) return {slice(x, d, 0, 0)};
  return pieces(x, {d, size, false});
}
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  if (chunks < 1) throw ValueError(fmt::format("chunk: needs at least one; got {}", chunks));
  int64_t n = x.size(dim), size = n / chunks + (n % chunks != 0);
  return split(x, size > 0 ? size : 1, dim);
}
std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) throw ShapeError("unbind: a 0-dim tensor has nothing to unbind");
  return pieces(x, {wrap_dim("unbind", dim, x.dim()), 1, true});
}

}  // namespace ink
