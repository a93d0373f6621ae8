// What x.index({...}) asks for, as views and one gather: which dims are taken, dropped, added or indexed by tensors.
#include "autograd/ops/index/places.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "tensor/raw/index.h"

namespace ink {
namespace {

int dims_taken(const Index& i) {
  switch (i.kind) {
    case Index::Kind::none:
    case Index::Kind::ellipsis:
      return 0;
    case Index::Kind::tensor:
      return i.tensor->dtype() == boolean ? i.tensor->dim() : 1;
    default:
      return 1;
  }
}

void add_tensor(const char* op, Selection& s, int& d, const Tensor& t) {
  if (t.dtype() != boolean) {
    s.dims.push_back(d);
    s.index.push_back(raw::checked_index({op, s.view.shape()[d++], true}, t));
    return;
  }
  Tensor mask = t;
  if (t.dim() == 0) {  // picks all or nothing, along a new dim
    s.view = unsqueeze(s.view, d);
    mask = raw::reshape(t, {1});
  }
  Tensor where = nonzero(mask);
  for (int m = 0; m < mask.dim(); ++m) {
    if (mask.shape()[m] != s.view.shape()[d])
      throw IndexError(fmt::format("{}: the mask does not fit; got {} for a tensor {}; expected size {} in dim {}", op,
                                   t.shape().str(), s.view.shape().str(), s.view.shape()[d], d));
    s.dims.push_back(d++);
    s.index.push_back(raw::contiguous(select(where, 1, m)));
  }
}

void arrange(const char* op, Selection& s) {
  const Shape& shape = s.view.shape();
  int first = int(s.dims[0]), count = s.dims.size(), last = int(s.dims[count - 1]);
  s.at = last - first == count - 1 ? first : 0;
  Shape rest, broadcast;
  for (int d = 0, k = 0; d < shape.size(); ++d)
    if (k < count && s.dims[k] == d)
      ++k;
    else
      rest.push_back(d);
  for (int i = 0; i < s.at; ++i) s.order.push_back(rest[i]);
  for (int64_t d : s.dims) s.order.push_back(d);
  for (int i = s.at; i < rest.size(); ++i) s.order.push_back(rest[i]);

  for (const Tensor& t : s.index) broadcast = broadcast_shapes(op, broadcast, t.shape());
  Tensor linear = s.index[0];
  int64_t size = shape[first];
  for (int k = 1; k < count; ++k) {  // Horner: the last index counts fastest
    linear = linear * shape[int(s.dims[k])] + s.index[size_t(k)];
    size = checked_product(op, size, shape[int(s.dims[k])]);
  }
  s.linear = raw::contiguous(raw::reshape(raw::expand(linear, broadcast), {broadcast.numel()}));
  for (int i = 0; i < rest.size() + 1; ++i) {
    if (i == s.at) {
      s.merged.push_back(size);
      for (int64_t n : broadcast) s.result.push_back(n);
    }
    if (i == rest.size()) break;
    s.merged.push_back(shape[int(rest[i])]);
    s.result.push_back(shape[int(rest[i])]);
  }
}

}  // namespace

Selection select_places(const char* op, const Tensor& x, Places places) {
  int taken = 0, ellipses = 0;
  for (const Index& i : places) {
    taken += dims_taken(i);
    ellipses += i.kind == Index::Kind::ellipsis;
    if (i.kind == Index::Kind::tensor) raw::common_device(op, {&x, i.tensor});
  }
  if (taken > x.dim())
    throw IndexError(fmt::format("{}: too many indices; got {} for shape {}", op, taken, x.shape().str()));
  if (ellipses > 1) throw IndexError(fmt::format("{}: more than one Ellipsis", op));
  Selection s;
  s.view = x;
  int d = 0;
  for (const Index& i : places) {
    switch (i.kind) {
      case Index::Kind::ellipsis:
        d += x.dim() - taken;
        break;
      case Index::Kind::none:
        s.view = unsqueeze(s.view, d++);
        break;
      case Index::Kind::integer:
        s.view = select(s.view, d, i.integer);
        break;
      case Index::Kind::slice:
        s.view = slice(s.view, d++, i.slice.start, i.slice.stop, i.slice.step);
        break;
      case Index::Kind::tensor:
        add_tensor(op, s, d, *i.tensor);
        break;
    }
  }
  if (!s.index.empty()) arrange(op, s);
  return s;
}

}  // namespace ink
