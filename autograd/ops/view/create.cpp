// Making tensors from sizes, numbers and foreign memory. No gradients.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

Tensor empty(const Shape& shape, const Options& options) { return raw::empty(shape, options); }
Tensor zeros(const Shape& shape, const Options& options) { return raw::full(shape, 0, options); }
Tensor ones(const Shape& shape, const Options& options) { return raw::full(shape, 1, options); }
Tensor full(const Shape& shape, const Scalar& value, const Options& options) {
  return raw::full(shape, value, options);
}
Tensor empty_like(const Tensor& x) { return raw::empty(x.shape(), x.options()); }
Tensor zeros_like(const Tensor& x) { return raw::full(x.shape(), 0, x.options()); }
Tensor ones_like(const Tensor& x) { return raw::full(x.shape(), 1, x.options()); }
Tensor full_like(const Tensor& x, const Scalar& value) { return raw::full(x.shape(), value, x.options()); }

Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step, const Options& options) {
  double a = start.as_double(), z = stop.as_double(), s = step.as_double();
  if (s == 0 || (z - a) / s < 0)
    throw ValueError(fmt::format("arange: the steps do not lead from start to stop; got {}, {}, {}", a, z, s));
  const double steps = std::ceil((z - a) / s);
  if (!(steps < 0x1p62))
    throw ValueError(fmt::format("arange: too many steps; got {}, {}, {}; expected fewer than 2^62", a, z, s));
  int64_t count = int64_t(steps);
  if (start.kind() <= kInt && stop.kind() <= kInt && step.kind() <= kInt) {  // beyond 2^53 a double is not exact
    const __int128 by = step.to<int64_t>(), span = __int128(stop.to<int64_t>()) - start.to<int64_t>();
    count = int64_t(span / by + (span % by != 0));
  }
  Tensor x = raw::empty({count}, options);
  if (x.numel() > 0) raw::kernels_of(x).arange(raw::array(x), start, step);
  return x;
}
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step) {
  bool whole = start.kind() <= kInt && stop.kind() <= kInt && step.kind() <= kInt;
  return arange(start, stop, step, whole ? i64 : f32);
}
Tensor arange(const Scalar& stop) { return arange(0, stop, 1); }

Tensor linspace(double start, double stop, int64_t steps, const Options& options) {
  if (steps < 0) throw ValueError(fmt::format("linspace: negative number of steps; got {}", steps));
  Tensor i = arange(0, steps, 1, {f64, options.device});
  double h = steps > 1 ? (stop - start) / double(steps - 1) : 0;
  // Each half is counted from its own end, so that both ends are met exactly.
  NoGrad guard;
  return to(where(i < double(steps) / 2, start + i * h, stop - (double(steps - 1) - i) * h), options.dtype);
}
Tensor eye(int64_t n, const Options& options) {
  Tensor x = raw::zeros({n, n}, options);
  raw::fill(raw::as_strided(x, {n}, {n + 1}, 0), 1);
  return x;
}
Tensor tri(int64_t rows, int64_t cols, int64_t diagonal) {
  NoGrad guard;
  if (rows < 0 || cols < 0) throw ShapeError(fmt::format("tri: negative size; got {} and {}", rows, cols));
  diagonal = std::clamp(diagonal, -rows, cols);  // further away all are alike
  return le(reshape(arange(cols), {1, cols}), reshape(arange(rows), {rows, 1}) + diagonal);
}

// The numbers as a tensor; options say which.
template <class T> static Tensor copied(std::span<const T> data, const Shape& shape, const Options& options) {
  Tensor x = raw::empty(shape, {dtype_of<T>, Device::cpu()});
  if (int64_t(data.size()) != x.numel())
    throw ShapeError(
        fmt::format("from_data: the counts differ; got {} numbers for shape {}", data.size(), shape.str()));
  if (!data.empty()) std::memcpy(x.raw_data(), data.data(), data.size_bytes());
  return raw::to_device(raw::cast(x, options.dtype), options.device);
}
Tensor from_data(std::span<const float> data, const Shape& shape) { return copied(data, shape, f32); }
Tensor from_data(std::span<const double> data, const Shape& shape) { return copied(data, shape, f64); }
Tensor from_data(std::span<const int64_t> data, const Shape& shape) { return copied(data, shape, i64); }
Tensor from_data(std::initializer_list<double> data, const Shape& shape, const Options& options) {
  return copied(std::span(data.begin(), data.size()), shape, options);
}

// The shape of a nested list, by its first elements; `flat` takes the numbers, in order, as every list proves to fit.
static void flatten_into(std::initializer_list<Nested> list, int dim, Shape& shape, std::vector<Scalar>& flat) {
  const int64_t n = int64_t(list.size());
  if (dim == shape.size()) shape.push_back(n);
  if (shape[dim] != n) throw ShapeError(fmt::format("tensor: rows of different lengths; got {} and {}", shape[dim], n));
  for (const Nested& x : list) {
    if (x.is_list ? dim + 1 == shape.size() && !flat.empty() : dim + 1 < shape.size())
      throw ShapeError("tensor: a number stands beside a list; expected one depth everywhere");
    if (x.is_list)
      flatten_into(x.list, dim + 1, shape, flat);
    else
      flat.push_back(x.number);
  }
}
Tensor tensor(std::initializer_list<Nested> values, const Options& options) {
  Shape shape;
  std::vector<Scalar> flat;
  flatten_into(values, 0, shape, flat);
  auto copy = [&]<class T>(T) {
    std::vector<T> numbers;
    for (const Scalar& s : flat) numbers.push_back(s.to<T>());
    return copied(std::span<const T>(numbers), shape, options);
  };
  return options.dtype == i64 && std::all_of(flat.begin(), flat.end(), [](const Scalar& s) { return s.kind() <= kInt; })
             ? copy(int64_t())  // a double does not hold every i64
             : copy(double());
}
Tensor from_blob(void* data, const Shape& shape, const Options& options, std::shared_ptr<void> owner) {
  if (!owner) owner = std::shared_ptr<void>(data, [](void*) {});
  return raw::from_blob(data, shape, options, std::move(owner));
}

}  // namespace ink
