#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 256;

// Sums and products of f32 run in double, so that a long row loses nothing but the last rounding.
template <class T>
struct Running {
  using type = T;
};
template <>
struct Running<float> {
  using type = double;
};
template <>
struct Running<complex<float>> {
  using type = complex<double>;
};

template <ScanOp op, class S>
INK_INLINE S step(S a, S x) {
  if constexpr (op == ScanOp::sum)
    return S(a + x);
  else if constexpr (op == ScanOp::prod)
    return S(a * x);
  else if constexpr (op == ScanOp::max)
    return fn::max(a, x);
  else {  // log(e^a + e^x)
    const S high = fn::max(a, x), low = fn::min(a, x);
    return high == low || low == fn::lowest<S>() ? (low == fn::lowest<S>() ? high : S(high + S(0.69314718055994531)))
                                                 : S(high + fn::log1p(fn::exp(low - high)));
  }
}

// `count` neighbouring columns of [n, inner]; row 0 is the first to come, `step` the way to the next.
template <ScanOp op, class T>
void scan_columns(T* y, int64_t* indices, const T* x, int64_t n, int64_t stride, int64_t count, bool reverse) {
  using S = typename Running<T>::type;
  S state[kColumns];
  int64_t where[kColumns];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t j = reverse ? n - 1 - i : i;
    const T* from = x + j * stride;
    T* to = y + j * stride;
    for (int64_t c = 0; c < count; ++c) {
      const S v = S(from[c]);
      if constexpr (op == ScanOp::max) {
        if (i == 0 || v != v || (v >= state[c] && state[c] == state[c])) state[c] = v, where[c] = j;
        if (indices) indices[j * stride + c] = where[c];
      } else {
        state[c] = i == 0 ? v : step<op>(state[c], v);
      }
      to[c] = T(state[c]);
    }
  }
}

template <ScanOp op, class T>
void scan_lines(void* out, int64_t* indices, const void* in, Lines lines, bool reverse) {
  const int64_t blocks = (lines.inner + kColumns - 1) / kColumns;
  const int64_t width = lines.inner < kColumns ? lines.inner : kColumns, work = lines.n * width;
  parallel_for(lines.outer * blocks, work > 0 && work < 32768 ? 32768 / work : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * kColumns, at = task / blocks * lines.n * lines.inner + first;
      const int64_t count = lines.inner - first < kColumns ? lines.inner - first : kColumns;
      scan_columns<op>(static_cast<T*>(out) + at, indices ? indices + at : nullptr, static_cast<const T*>(in) + at,
                       lines.n, lines.inner, count, reverse);
    }
  });
}

}  // namespace

void scan(ScanOp op, DType dtype, void* out, int64_t* indices, const void* in, Lines lines, bool reverse) {
  visit(dtype, [&]<class T>() {
    if constexpr (!std::same_as<T, half> && !std::same_as<T, bfloat16>) {
      if constexpr (!std::same_as<T, bool>) {
        if (op == ScanOp::sum) return scan_lines<ScanOp::sum, T>(out, indices, in, lines, reverse);
        if (op == ScanOp::prod) return scan_lines<ScanOp::prod, T>(out, indices, in, lines, reverse);
      }
      if constexpr (domain_of(dtype_of<T>) != kComplex)
        if (op == ScanOp::max) return scan_lines<ScanOp::max, T>(out, indices, in, lines, reverse);
      if constexpr (std::floating_point<T>)
        if (op == ScanOp::logsumexp) return scan_lines<ScanOp::logsumexp, T>(out, indices, in, lines, reverse);
    }
  });
}

}  // namespace ink::INK_CPU_LEVEL
