// The graph-free layer: check, allocate, plan, call the kernel table. Ops in autograd/ are built on it; it records
// nothing.
//
// Mixed dtypes are promoted, shapes broadcast. Results are new contiguous tensors unless said otherwise.
#pragma once
#include "tensor/backend/kernels.h"
#include "tensor/tensor.h"

namespace ink::raw {

// ---- making tensors
Tensor empty(const Shape& shape, const Options& options = {});
Tensor full(const Shape& shape, const Scalar& value, const Options& options = {});
Tensor zeros(const Shape& shape, const Options& options = {});
// A tensor over memory of somebody else, who keeps it while `owner` lives.
Tensor from_blob(void* data, const Shape& shape, const Options& options, std::shared_ptr<void> owner);
// A view of x's storage; the caller guarantees that every element lies inside it.
Tensor as_strided(const Tensor& x, const Shape& shape, const Shape& strides, int64_t offset);
Tensor expand(const Tensor& x, const Shape& shape);  // a view; ShapeError if x does not broadcast to shape
Tensor alias(const Tensor& x);                       // a new handle without history on the same elements
// a view if the strides allow it, else a copy; sizes are final (no -1)
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor permute(const Tensor& x, const Shape& order);  // a view
Tensor contiguous(const Tensor& x);                   // x itself if it is contiguous already
Tensor cast(const Tensor& x, DType dtype);            // x itself if it has that dtype
Tensor clone(const Tensor& x);
Tensor to_device(const Tensor& x, Device device, bool non_blocking = false);

// ---- writing into tensors; every write bumps the storage's version in the name of `op`
void bump_version(const Tensor& x, const char* op);
void copy_into(const Tensor& target, const Tensor& source);  // broadcasts source
void fill(const Tensor& target, const Scalar& value);
void add_into(const Tensor& target, const Tensor& source);  // target += source, same shape

// ---- checks
// DeviceError naming both devices unless all defined tensors stand on one.
Device common_device(const char* op, std::initializer_list<const Tensor*> tensors);
// DTypeError listing what is supported unless domain_of(x.dtype()) is in `domain`.
void check_domain(const char* op, DType dtype, unsigned domain);
// What an elementwise op computes in for input dtype t: integers become f32 where the formula is floating point only.
DType computed_in(const char* op, DType t, unsigned domain);
Array array(const Tensor& x);
const Kernels& kernels_of(const Tensor& x);

// ---- the list ops
enum class Result { same, boolean, real, complex };
// The kind of result a formula gives, read off its operator().
template <class F, class... T> constexpr Result result_kind() {
  using R = decltype(std::declval<const F&>()(std::declval<T>()...));
  if constexpr (std::is_same_v<R, bool>)
    return Result::boolean;
  else if constexpr (std::is_same_v<R, complex<float>> && (std::is_same_v<T, float> && ...))
    return Result::complex;
  else if constexpr (std::is_same_v<R, float> && (std::is_same_v<T, complex<float>> && ...))
    return Result::real;
  else
    return Result::same;
}
template <class F> constexpr Result unary_result() {
  if constexpr (F::domain & kComplex)
    return result_kind<F, complex<float>>();
  else
    return result_kind<F, float>();
}
template <class F> constexpr Result binary_result() { return result_kind<F, float, float>(); }

Tensor unary(const char* name, int op, const void* functor, unsigned domain, Result result, const Tensor& x);
Tensor binary(const char* name, int op, const void* functor, unsigned domain, Result result, const Tensor& a,
              const Tensor& b);
template <class F> Tensor unary(const char* name, const F& f, const Tensor& x) {
  static_assert(sizeof(F) <= 32 && index_of<F, UnaryOps> >= 0, "name the formula in UnaryOps (tensor/math/functors.h)");
  return unary(name, index_of<F, UnaryOps>, &f, F::domain, unary_result<F>(), x);
}
template <class F> Tensor binary(const char* name, const F& f, const Tensor& a, const Tensor& b) {
  static_assert(sizeof(F) <= 32 && index_of<F, BinaryOps> >= 0);
  return binary(name, index_of<F, BinaryOps>, &f, F::domain, binary_result<F>(), a, b);
}
// target = f(target, other) in place, other broadcast and cast to target's dtype.
void binary_into(const char* name, int op, const void* functor, const Tensor& target, const Tensor& other);
void unary_into(const char* name, int op, const void* functor, const Tensor& target);
template <class F> void binary_into(const char* name, const F& f, const Tensor& target, const Tensor& other) {
  check_domain(name, target.dtype(), F::domain);
  binary_into(name, index_of<F, BinaryOps>, &f, target, other);
}
template <class F> void unary_into(const char* name, const F& f, const Tensor& target) {
  check_domain(name, target.dtype(), F::domain);
  unary_into(name, index_of<F, UnaryOps>, &f, target);
}
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// ---- reductions. `dims` may be negative; empty means all. Result dtype: i64 for sums and products of integers and
// bools. bit d set for each reduced dim; IndexError, ValueError on repeats
uint32_t dim_mask(const char* op, const Dims& dims, int ndim);
Tensor reduce(const char* name, int op, unsigned domain, bool has_identity, const Tensor& x, const Dims& dims,
              bool keepdim);
template <class F> Tensor reduce(const char* name, const Tensor& x, const Dims& dims = {}, bool keepdim = false) {
  constexpr bool identity = !std::is_same_v<F, fn::Max> && !std::is_same_v<F, fn::Min>;
  return reduce(name, index_of<F, ReduceOps>, F::domain, identity, x, dims, keepdim);
}
// Sums x over the dims in which `shape` is smaller: what undoes a broadcast.
Tensor sum_to(const Tensor& x, const Shape& shape);
Lines lines_of(const Shape& shape, int dim);

}  // namespace ink::raw
