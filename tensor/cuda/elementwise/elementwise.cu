// The slots unary, binary, where, fill and arange.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {

void unary(int op, const void* functor, const Array& out, const Array& a) {
  const DType t = a.dtype;
  UnaryEntry run = t == DType::f32   ? unary_f32(op)
                   : t == DType::f64 ? unary_f64(op)
                   : is_half(t)      ? unary_half(t, op)
                                     : unary_other(t, op);
  run(functor, out, a);
}

void binary(int op, const void* functor, const Array& out, const Array& a, const Array& b) {
  const DType t = a.dtype;
  BinaryEntry run = t == DType::f32   ? binary_f32(op)
                    : t == DType::f64 ? binary_f64(op)
                    : is_half(t)      ? binary_half(t, op)
                                      : binary_other(t, op);
  run(functor, out, a, b);
}

namespace {

struct Choose {
  template <class U> __device__ __forceinline__ U operator()(bool condition, U a, U b) const {
    return condition ? a : b;
  }
};
template <class U> struct Constant {
  U value;
  __device__ __forceinline__ U operator()() const { return value; }
};

// Each value from its index, in the widest type of its kind: no error adds up.
template <class T, class W> __global__ void arange_kernel(T* y, int64_t n, W start, W step) {
  int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  if constexpr (std::is_same_v<W, complex<double>>)
    y[i] = T(start + complex<double>(double(i)) * step);
  else if constexpr (std::is_same_v<W, double>)
    y[i] = T(start + double(i) * step);
  // the product may leave i64 where the sum does not
  else
    y[i] = T(int64_t(uint64_t(start) + uint64_t(i) * uint64_t(step)));
}

}  // namespace

void where(const Array& out, const Array& condition, const Array& a, const Array& b) {
  visit_bits(size_of(out.dtype),
             [&]<class U>() { map<Choose, U, bool, U, U>("where", Choose{}, out, condition, a, b); });
}

void fill(const Array& out, const Scalar& value) {
  alignas(16) char bytes[16];
  visit(out.dtype, [&]<class T>() { *reinterpret_cast<T*>(bytes) = value.to<T>(); });
  visit_bits(size_of(out.dtype),
             [&]<class U>() { map<Constant<U>, U>("fill", Constant<U>{*reinterpret_cast<U*>(bytes)}, out); });
}

void arange(const Array& out, const Scalar& start, const Scalar& step) {
  visit(out.dtype, [&]<class T>() {
    constexpr Domain kind = domain_of(dtype_of<T>);
    using W =
        std::conditional_t<kind == kComplex, complex<double>, std::conditional_t<kind == kFloat, double, int64_t>>;
    const int64_t n = out.shape.numel();
    const int threads = threads_for(n);
    launch("arange", arange_kernel<T, W>, dim3(unsigned(ceil_div(n, threads))), dim3(unsigned(threads)), 0,
           static_cast<T*>(out.data), n, start.to<W>(), step.to<W>());
  });
}

}  // namespace ink::cuda
