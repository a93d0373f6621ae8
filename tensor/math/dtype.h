// Element types and the rules for mixing them.
#pragma once
#include <cstdint>

#include "tensor/math/complex.h"
#include "tensor/math/half.h"

namespace ink {

enum class DType : uint8_t { f32, f64, f16, bf16, c64, c128, i64, i32, u8, boolean };
inline constexpr int kNumDTypes = 10;

inline constexpr DType f32 = DType::f32, f64 = DType::f64, f16 = DType::f16, bf16 = DType::bf16, c64 = DType::c64,
                       c128 = DType::c128, i64 = DType::i64, i32 = DType::i32, u8 = DType::u8, boolean = DType::boolean;

// The kind of a dtype, also used as a bit mask: the domain of an op.
enum Domain : unsigned {
  kBool = 1,
  kInt = 2,
  kFloat = 4,
  kComplex = 8,
  kReal = kInt | kFloat,
  kField = kFloat | kComplex,
  kNumber = kReal | kComplex,
  kOrdered = kBool | kReal,
  kDiscrete = kBool | kInt,
  kAny = 15
};

INK_INLINE constexpr Domain domain_of(DType t) {
  constexpr Domain d[] = {kFloat, kFloat, kFloat, kFloat, kComplex, kComplex, kInt, kInt, kInt, kBool};
  return d[int(t)];
}
INK_INLINE constexpr int64_t size_of(DType t) {
  constexpr int8_t s[] = {4, 8, 2, 2, 8, 16, 8, 4, 1, 1};
  return s[int(t)];
}
constexpr const char* name_of(DType t) {
  constexpr const char* n[] = {"f32", "f64", "f16", "bf16", "c64", "c128", "i64", "i32", "u8", "bool"};
  return n[int(t)];
}
template <class Stream> Stream& operator<<(Stream& s, DType t) {
  s << name_of(t);
  return s;
}
INK_INLINE constexpr bool is_floating(DType t) { return domain_of(t) == kFloat; }
INK_INLINE constexpr bool is_complex(DType t) { return domain_of(t) == kComplex; }
INK_INLINE constexpr bool is_half(DType t) { return t == DType::f16 || t == DType::bf16; }
INK_INLINE constexpr bool is_integral(DType t) { return (domain_of(t) & kDiscrete) != 0; }
INK_INLINE constexpr bool is_differentiable(DType t) { return (domain_of(t) & kField) != 0; }
// The dtype in which arithmetic on t is done: f16 and bf16 compute in f32 and round once per op.
INK_INLINE constexpr DType compute_type(DType t) { return is_half(t) ? DType::f32 : t; }
constexpr DType real_of(DType t) { return t == DType::c64 ? DType::f32 : t == DType::c128 ? DType::f64 : t; }
constexpr DType complex_of(DType t) { return t == DType::f64 || t == DType::c128 ? DType::c128 : DType::c64; }

// The dtype of `a op b` for two tensors (torch's promotion table). tests/tensor/test_dtype.cpp holds the full table.
DType promote(DType a, DType b);

template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::f32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::f64; };
template <> struct DTypeOf<half> { static constexpr DType value = DType::f16; };
template <> struct DTypeOf<bfloat16> { static constexpr DType value = DType::bf16; };
template <> struct DTypeOf<complex<float>> { static constexpr DType value = DType::c64; };
template <> struct DTypeOf<complex<double>> { static constexpr DType value = DType::c128; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::i64; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::i32; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::u8; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::boolean; };
template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;

// Calls f.template operator()<T>() with that C++ type of the list which t names; callers have checked that it is there.
template <class First, class... Others, class F> INK_INLINE decltype(auto) visit_among(DType t, F&& f) {
  if constexpr (sizeof...(Others) > 0)
    if (t != dtype_of<First>) return visit_among<Others...>(t, f);
  return f.template operator()<First>();
}
// Among all types: `visit(t, []<class T>() { ... })`.
template <class F> INK_INLINE decltype(auto) visit(DType t, F&& f) {
  return visit_among<float, double, half, bfloat16, complex<float>, complex<double>, int64_t, int32_t, uint8_t, bool>(
      t, f);
}
// Float and double only.
template <class F> INK_INLINE decltype(auto) visit_float(DType t, F&& f) { return visit_among<double, float>(t, f); }
// All floating types, f16 and bf16 too.
template <class F> INK_INLINE decltype(auto) visit_real(DType t, F&& f) {
  return visit_among<double, half, bfloat16, float>(t, f);
}
// f32, f64, c64 and c128.
template <class F> INK_INLINE decltype(auto) visit_field(DType t, F&& f) {
  return visit_among<float, double, complex<float>, complex<double>>(t, f);
}

}  // namespace ink
