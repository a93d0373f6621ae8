// x.index({...}) and assignment to it.
#include <fmt/format.h>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "autograd/ops/index/places.h"
#include "autograd/ops/view/inplace.h"
#include "tensor/raw/index.h"

namespace ink {

using B = const Backward&;

namespace {

// The value, without size-1 dims in front that the target does not have.
Tensor fitted(const char* op, const Tensor& value, const Shape& target) {
  Tensor v = value;
  while (v.dim() > target.size() && v.shape()[0] == 1) v = squeeze(v, 0);
  if (v.dim() > target.size() || !(broadcast_shapes(op, v.shape(), target) == target))
    throw ShapeError(fmt::format("{}: the value does not fit; got {}; expected a shape that broadcasts to {}", op,
                                 value.shape().str(), target.str()));
  return v;
}

// x[places] = value, or += value. Positions written twice: the last value stays, or all are added, in their order.
void put(const char* op, const Tensor& x, Places places, const Tensor& value, bool accumulate) {
  NoGrad guard;
  raw::common_device(op, {&x, &value});
  if (domain_of(value.dtype()) > domain_of(x.dtype()))
    throw DTypeError(fmt::format("{}: the value does not fit the tensor; got {} into {}", op, name_of(value.dtype()),
                                 name_of(x.dtype())));
  if (accumulate && is_half(x.dtype())) {  // many values may go to one element: they are added in f32
    Tensor sum = raw::cast(x, f32);
    put(op, sum, places, raw::cast(value, f32), true);
    raw::copy_into(x, sum);
    return raw::bump_version(x, op);
  }
  Selection s = select_places(op, detach(x), places);
  const Shape& shape = s.index.empty() ? s.view.shape() : s.result;
  Tensor v = raw::cast(fitted(op, value, shape), x.dtype());
  if (v.shares_storage(x)) v = raw::clone(v);
  if (s.index.empty()) {
    if (accumulate)
      raw::add_into(s.view, v);
    else
      raw::copy_into(s.view, v);
  } else {
    Tensor moved = raw::permute(s.view, s.order), target = raw::reshape(moved, s.merged);
    Shape rows = s.merged, strides = Shape::filled(s.merged.size(), 0);
    rows[s.at] = s.linear.numel();
    strides[s.at] = 1;
    Tensor from = raw::reshape(raw::expand(v, s.result), rows), index = raw::as_strided(s.linear, rows, strides, 0);
    if (from.numel() > 0)
      raw::kernels_of(x).scatter(raw::array(target), raw::array(from), raw::array(index), s.at, accumulate);
    if (!target.shares_storage(x)) raw::copy_into(moved, raw::reshape(target, moved.shape()));
  }
  raw::bump_version(x, op);
}

// The places as a node keeps them: tensors are inputs 2, 3, ... of the op.
struct PutContext {
  struct Place {
    Index::Kind kind;
    Slice slice;
    int64_t integer;
  };
  Place places[2 * kMaxDims + 1];
  int count = 0, tensors = 0;
  bool accumulate = false;

  PutContext(Places from, bool accumulate) : accumulate(accumulate) {
    if (from.size() > std::size(places))
      throw IndexError(fmt::format("index_put: too many indices; got {}", from.size()));
    for (const Index& i : from) {
      places[count++] = {i.kind, i.slice, i.integer};
      tensors += i.kind == Index::Kind::tensor;
    }
    if (tensors > 6) throw NotSupported(fmt::format("index_put: more than 6 index tensors; got {}", tensors));
  }
  std::vector<Index> restore(std::span<const Tensor> from) const {
    std::vector<Index> result;
    size_t next = 0;
    for (int i = 0; i < count; ++i) {
      Index index = places[i].slice;
      index.kind = places[i].kind;
      index.integer = places[i].integer;
      if (index.kind == Index::Kind::tensor) index.tensor = &from[next++];
      result.push_back(index);
    }
    return result;
  }
};

// True where a value is the last one written to its position.
Tensor survives(const Tensor& x, Places places, const Shape& result) {
  Options options{i64, x.device()};
  Tensor number = reshape(arange(0, result.numel(), 1, options), result), written = raw::zeros(x.shape(), options);
  put("index_put", written, places, number, false);
  return eq(index(written, places), number);
}

void put_rule(B b, std::span<Tensor> grads) {
  const auto& c = b.context<PutContext>();
  const Tensor g = b.grad();
  std::vector<Tensor> tensors;
  for (int i = 0; i < c.tensors; ++i) tensors.push_back(b.in(2 + i));
  std::vector<Index> places = c.restore(tensors);
  if (b.needs(0)) grads[0] = c.accumulate ? g : index_put(g, places, zeros({}, g.options()));
  if (!b.needs(1)) return;
  grads[1] = index(g, places);
  if (!c.accumulate && c.tensors > 0)
    grads[1] = where(survives(g, places, grads[1].shape()), grads[1], zeros_like(grads[1]));
  Shape wanted = b.in_shape(1);
  while (wanted.size() > grads[1].dim()) wanted.erase(0);
  grads[1] = reshape(sum_to(grads[1], wanted), b.in_shape(1));
}

}  // namespace

Tensor index(const Tensor& x, Places places) {
  Selection s = select_places("index", x, places);
  if (s.index.empty()) return s.view;
  return reshape(index_select(reshape(permute(s.view, s.order), s.merged), s.at, s.linear), s.result);
}

Tensor index_put(const Tensor& x, Places places, const Tensor& value, bool accumulate) {
  static constexpr Op op{.name = "index_put", .backward = put_rule, .saves = kAllIn & ~uint32_t(kIn0 | kIn1)};
  std::vector<Tensor> inputs{x, value};
  for (const Index& i : places)
    if (i.kind == Index::Kind::tensor) inputs.push_back(*i.tensor);
  return call_list(
      op, PutContext(places, accumulate),
      [&](std::span<const Tensor> in) {
        Tensor y = raw::clone(in[0]);
        put("index_put", y, places, in[1], accumulate);
        return y;
      },
      inputs);
}

void index_put_into(Tensor& x, Places places, const Tensor& value, bool accumulate) {
  if (records_write("index_put_", x, value))
    adopt("index_put_", x, index_put(x, places, value, accumulate));
  else
    put("index_put_", x, places, value, accumulate);
}

}  // namespace ink
