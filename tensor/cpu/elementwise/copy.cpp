// Copies between any strides and dtypes.
#include "tensor/cpu/elementwise/copy_transposed.h"
#include "tensor/cpu/elementwise/map.h"
#include "tensor/cpu/pack/pack_half.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// Static conversion; a complex number gives its real part, anything but zero is true.
template <class To, class From> INK_INLINE To converted(From x) {
  if constexpr (std::same_as<To, From>)
    return x;
  else if constexpr (domain_of(dtype_of<From>) == kComplex && domain_of(dtype_of<To>) == kComplex)
    return To(x);
  else if constexpr (std::same_as<To, bool> && domain_of(dtype_of<From>) == kComplex)
    return x.re != 0 || x.im != 0;
  else if constexpr (domain_of(dtype_of<From>) == kComplex)
    return converted<To>(x.re);
  else if constexpr (std::same_as<From, half> || std::same_as<From, bfloat16>)
    return converted<To>(float(x));
  else if constexpr (std::same_as<To, bool>)
    return x != From(0);
  else if constexpr (domain_of(dtype_of<To>) == kComplex)
    return To(decltype(To::re)(x));
  else
    return To(x);
}

// f32 from or to f16 and bf16.
template <class To, class From>
inline constexpr bool by_half_packs = (std::same_as<From, float> && is_half_type<To>) ||
                                      (is_half_type<From> && std::same_as<To, float>);

template <class To, class From>
requires by_half_packs<To, From>
void convert_inner(const void*, void* out, const void* const* in, int64_t n, bool) {
  convert_row(static_cast<To*>(out), static_cast<const From*>(in[0]), n);
}
template <class To, class From>
requires(!by_half_packs<To, From>) void convert_inner(const void*, void* out, const void* const* in, int64_t n, bool) {
  constexpr int64_t kBlock = 32;  // blocks of a fixed length are what the compiler turns into vector code
  To* __restrict y = static_cast<To*>(out);
  const From* __restrict x = static_cast<const From*>(in[0]);
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock)
    for (int64_t j = 0; j < kBlock; ++j) y[i + j] = converted<To>(x[i + j]);
  for (; i < n; ++i) y[i] = converted<To>(x[i]);
}

template <class To> Inner convert_from(DType from) {
  return visit(from, []<class From>() -> Inner { return convert_inner<To, From>; });
}

template <class B> void move_inner(const void*, void* out, const void* const* in, int64_t n, bool past_caches) {
  constexpr int64_t size = sizeof(typename B::type);
  if (past_caches) return stream(out, in[0], n * size);
  __builtin_memcpy(out, in[0], size_t(n * size));
}

}  // namespace

void copy(const Array& out, const Array& a) {
  const Array* operands[] = {&out, &a};
  if (out.dtype == a.dtype) {
    const Loop loop = plan_loop(operands, 2);
    if (loop.stride[0][0] == 1 && is_transposed(loop, 1))
      return copy_transposed(loop, out.data, a.data, size_of(out.dtype));
    const Inner inner = visit_bits(size_of(out.dtype), []<class B>() -> Inner { return move_inner<B>; });
    return map(operands, 2, inner, nullptr, false, true);
  }
  const Inner inner = visit(out.dtype, [&]<class To>() { return convert_from<To>(a.dtype); });
  map(operands, 2, inner, nullptr, false);
}

}  // namespace ink::INK_CPU_LEVEL
