// Making tensors from sizes, numbers and foreign memory. No gradients.
//
// `options` names dtype and device: `zeros({2, 3}, f64)`, `zeros({2}, {f32, Device::cuda()})`; f32 on the default
// device unless given. Results are contiguous. Errors: ShapeError for a negative size, MemoryError for more elements
// than fit, DeviceError for a device that is not there.
#pragma once
#include <concepts>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>

#include "tensor/tensor.h"

namespace ink {

// A tensor of that shape: uninitialised; of zeros; of ones; of one number (ValueError for an integer that the dtype
// does not hold).
Tensor empty(const Shape& shape, const Options& options = {});
Tensor zeros(const Shape& shape, const Options& options = {});
Tensor ones(const Shape& shape, const Options& options = {});
Tensor full(const Shape& shape, const Scalar& value, const Options& options = {});
// The same with x's shape, dtype and device.
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, const Scalar& value);

// start, start + step, ... as long as they lie before stop: [ceil((stop - start) / step)]. start is 0 and step 1 unless
// given; i64 if all numbers are integers, else f32. ValueError if step is 0 or leads away from stop, or for 2^62 steps
// or more.
Tensor arange(const Scalar& stop);
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step = 1);
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step, const Options& options);
// `steps` numbers at equal distances, both ends among them exactly: [steps]. ValueError for a negative number of steps.
Tensor linspace(double start, double stop, int64_t steps, const Options& options = {});
// The identity [n, n].
Tensor eye(int64_t n, const Options& options = {});
// bool [rows, cols], true where column - row <= diagonal: on and below that diagonal.
Tensor tri(int64_t rows, int64_t cols, int64_t diagonal = 0);

// A copy of the data in that shape, row by row: from_data({1., 2., 3., 4.}, {2, 2}). Spans give their own dtype on the
// CPU, lists what `options` says. ShapeError if there are more or fewer numbers than the shape has places.
Tensor from_data(std::span<const float> data, const Shape& shape);
Tensor from_data(std::span<const double> data, const Shape& shape);
Tensor from_data(std::span<const int64_t> data, const Shape& shape);
Tensor from_data(std::initializer_list<double> data, const Shape& shape, const Options& options = {});
// A number or a list of such, so that braces may be nested as deep as a tensor has dims. Lives as long as the call it
// stands in.
struct Nested {
  template <class T>
  requires std::is_arithmetic_v<T> Nested(T number) : number(number) {}
  Nested(std::initializer_list<Nested> list) : list(list), is_list(true) {}
  Scalar number;
  std::initializer_list<Nested> list;
  bool is_list = false;
};
// A tensor of the numbers as written: {5, 7} is [2], {{5}, {7}} is [2, 1], {{{1, 2}}} is [1, 1, 2]. ShapeError for
// ragged lists.
Tensor tensor(std::initializer_list<Nested> values, const Options& options = {});
// A list that has a name.
template <std::same_as<double> T> Tensor tensor(std::initializer_list<T> values, const Options& options = {}) {
  return from_data(values, {int64_t(values.size())}, options);
}
// A tensor on memory that somebody else owns, on options.device, contiguous and large enough for the shape (which is
// not checked). `owner` (may be null: then the memory must outlive all views) is released with the last view.
Tensor from_blob(void* data, const Shape& shape, const Options& options = {}, std::shared_ptr<void> owner = {});

}  // namespace ink
