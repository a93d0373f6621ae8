// The slots unary, binary, where, fill and arange.
#include "tensor/cpu/elementwise/inner.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

void unary(int op, const void* functor, const Array& out, const Array& a) {
  const DType t = compute_type(a.dtype);
  const Inner inner = t == DType::f32 ? unary_f32(op) : t == DType::f64 ? unary_f64(op) : unary_other(t, op);
  const Array* operands[] = {&out, &a};
  map(operands, 2, inner, functor, true, is_floating(t) && out.dtype == a.dtype);
}

void binary(int op, const void* functor, const Array& out, const Array& a, const Array& b) {
  const DType t = compute_type(a.dtype);
  const Inner inner = t == DType::f32 ? binary_f32(op) : t == DType::f64 ? binary_f64(op) : binary_other(t, op);
  const Array* operands[] = {&out, &a, &b};
  map(operands, 3, inner, functor, true, is_floating(t) && out.dtype == a.dtype);
}

template <class B> static void where_inner(const void*, void* out, const void* const* in, int64_t n, bool) {
  using U = typename B::type;
  U* y = static_cast<U*>(out);
  const bool* c = static_cast<const bool*>(in[0]);
  const U *a = static_cast<const U*>(in[1]), *b = static_cast<const U*>(in[2]);
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? a[i] : b[i];
}

void where(const Array& out, const Array& condition, const Array& a, const Array& b) {
  const Array* operands[] = {&out, &condition, &a, &b};
  const Inner inner = visit_bits(size_of(out.dtype), []<class B>() -> Inner { return where_inner<B>; });
  map(operands, 4, inner, nullptr, false);
}

template <class B> static void fill_inner(const void* value, void* out, const void* const*, int64_t n, bool) {
  using U = typename B::type;
  const U v = *static_cast<const U*>(value);
  U* y = static_cast<U*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = v;
}

void fill(const Array& out, const Scalar& value) {
  alignas(16) char bytes[16];
  visit(out.dtype, [&]<class T>() { *reinterpret_cast<T*>(bytes) = value.to<T>(); });
  const Array* operands[] = {&out};
  const Inner inner = visit_bits(size_of(out.dtype), []<class B>() -> Inner { return fill_inner<B>; });
  map(operands, 1, inner, bytes, false);
}

void arange(const Array& out, const Scalar& start, const Scalar& step) {
  visit(out.dtype, [&]<class T>() {
    T* y = static_cast<T*>(out.data);
    parallel_for(out.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
      // Each value from its index, in the widest type of its kind: no error adds up.
      if constexpr (domain_of_type<T> == kInt || domain_of_type<T> == kBool) {
        // Unsigned: the product may leave i64 where the sum does not.
        const uint64_t a = uint64_t(start.to<int64_t>()), d = uint64_t(step.to<int64_t>());
        for (int64_t i = begin; i < end; ++i) y[i] = T(int64_t(a + uint64_t(i) * d));
      } else if constexpr (domain_of_type<T> == kComplex) {
        const auto a = start.to<complex<double>>(), d = step.to<complex<double>>();
        for (int64_t i = begin; i < end; ++i) y[i] = T(a + complex<double>(double(i)) * d);
      } else {
        const double a = start.as_double(), d = step.as_double();
        for (int64_t i = begin; i < end; ++i) y[i] = T(a + double(i) * d);
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
