// Members of Tensor that need no graph: numbers in and out, shape, equality of storage.
#include "tensor/tensor.h"

#include <fmt/format.h>

#include "tensor/raw/raw.h"

namespace ink {

Tensor::Tensor(Scalar value) {
  constexpr DType by_kind[] = {DType::boolean, DType::i64, DType::f32, DType::c64};
  DType t = by_kind[value.kind() == kBool ? 0 : value.kind() == kInt ? 1 : value.kind() == kFloat ? 2 : 3];
  *this = raw::full({}, value, t);
}

void Tensor::throw_undefined() {
  throw ValueError(
      "tensor: it is undefined; got a default-constructed Tensor; expected one made by zeros, from_data, an op, ...");
}

int64_t Tensor::size(int64_t dim) const { return shape()[wrap_dim("size", dim, this->dim())]; }
int64_t Tensor::stride(int64_t dim) const { return strides()[wrap_dim("stride", dim, this->dim())]; }

void Tensor::check_access(DType wanted) const {
  if (wanted != dtype())
    throw DTypeError(
        fmt::format("data: wrong element type; got {}; the tensor holds {}", name_of(wanted), name_of(dtype())));
  if (!device().is_cpu())
    throw DeviceError(fmt::format("data: the elements are on {}; hint: call to(Device::cpu()) first", device().str()));
}

void Tensor::check_contiguous() const {
  if (!is_contiguous())
    throw ShapeError(
        fmt::format("span: the tensor is not contiguous; got shape {} with strides {}; hint: call contiguous() first",
                    shape().str(), strides().str()));
}

Scalar Tensor::item_scalar() const {
  if (!defined()) throw ValueError("item: the tensor is undefined");
  if (numel() != 1) throw ShapeError(fmt::format("item: needs exactly one element; got shape {}", shape().str()));
  Tensor host = raw::to_device(*this, Device::cpu());
  return visit(dtype(), [&]<class T>() {
    T v = *static_cast<T*>(host.raw_data());
    if constexpr (std::is_same_v<T, half> || std::is_same_v<T, bfloat16>)
      return Scalar(float(v));
    else
      return Scalar(v);
  });
}

template <class T> std::vector<T> Tensor::to_vector() const {
  Tensor host = raw::contiguous(raw::cast(raw::to_device(*this, Device::cpu()), dtype_of<T>));
  const T* p = static_cast<const T*>(host.raw_data());
  return std::vector<T>(p, p + host.numel());
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;
template std::vector<complex<float>> Tensor::to_vector() const;
template std::vector<complex<double>> Tensor::to_vector() const;

}  // namespace ink
