// Operands as kernels take them: which dtype a kernel computes in, and tensors brought to that dtype and to a layout
// that the kernel can read. A tensor that is stored like that already is passed on as it is, else it is copied. An
// undefined tensor (an operand that was left out) stays undefined.
#pragma once
#include "tensor/raw/raw.h"

namespace ink::raw {

// ---- dtypes
struct Working {
  DType result;   // of the op
  DType compute;  // of its kernel, which takes no f16 and bf16: they are computed in f32 and rounded once
};
// Of an op on floats; integers become f32, complex numbers are a DTypeError.
inline Working working_dtypes(const char* op, DType t) {
  DType result = computed_in(op, t, kFloat);
  return {result, compute_type(result)};
}
// The same for operands of one device that must be floats: integers are a DTypeError, other devices a DeviceError.
inline Working working_dtypes(const char* op, std::initializer_list<const Tensor*> operands) {
  common_device(op, operands);
  DType t = (*operands.begin())->dtype();
  for (const Tensor* x : operands)
    if (x->defined()) t = promote(t, x->dtype());
  check_domain(op, t, kFloat);
  return {t, compute_type(t)};
}
// What a device's kernels of products, and of attention, compute t in: f16 and bf16 themselves where they take them.
inline DType product_dtype(DType t, Device device) { return kernels(device).half_products ? t : compute_type(t); }
inline DType attention_dtype(DType t, Device device) { return kernels(device).half_attention ? t : compute_type(t); }

// ---- operands
// Contiguous, in dtype t.
inline Tensor contiguous_in(const Tensor& x, DType t) { return x.defined() ? contiguous(cast(x, t)) : x; }
// In dtype t, the elements of a row (the last dim) side by side; any strides for the other dims.
inline Tensor rows_contiguous_in(const Tensor& x, DType t) {
  Tensor y = cast(x, t);
  return y.size(-1) <= 1 || y.stride(-1) == 1 ? y : contiguous(y);
}

// ---- pointers
// The first element; null if the tensor is undefined.
inline void* data_or_null(const Tensor& x) { return x.defined() ? x.raw_data() : nullptr; }
inline int64_t* index_data(const Tensor& x) { return static_cast<int64_t*>(x.raw_data()); }

}  // namespace ink::raw
