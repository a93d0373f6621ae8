// Running sums, products, maxima and logsumexps along a dim.
#include "tensor/cpu/pack/pack_math.h"
#include "tensor/cpu/table.h"
#include "tensor/math/accumulator.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 512;  // columns that advance together, their states in L1
constexpr int64_t kWork = 32768;   // elements of a task

template <ScanOp op, class S> INK_INLINE S step(S a, S x) {
  if constexpr (op == ScanOp::sum) {
    return fn::plus(a, x);
  } else if constexpr (op == ScanOp::prod) {
    return fn::times(a, x);
  } else {  // log(e^a + e^x); equal ones (both infinite, maybe) have no difference to take
    const S high = max(a, x), low = min(a, x);
    return high + log1p(exp(select(high == low, S(scalar_t<S>(0)), low - high)));
  }
}

// `count` neighbouring columns of [n, stride], row by row.
template <ScanOp op, class T>
void scan_columns(T* y, const T* x, int64_t n, int64_t stride, int64_t count, bool reverse) {
  using S = typename AccumulatorOf<T>::type;
  alignas(64) S state[kColumns];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = (reverse ? n - 1 - i : i) * stride;
    const T* from = x + at;
    T* to = y + at;
    if (i == 0) {
      for (int64_t c = 0; c < count; ++c) state[c] = S(to[c] = from[c]);
      continue;
    }
    int64_t c = 0;
    if constexpr (std::floating_point<T>) {
      constexpr int L = kLanes<T>;
      for (; c + L <= count; c += L) {
        const auto s = step<op>(Pack<S, L>::load(state + c), convert<S>(Pack<T, L>::load(from + c)));
        s.store(state + c);
        convert<T>(s).store(to + c);
      }
    }
    for (; c < count; ++c) to[c] = T(state[c] = step<op>(state[c], S(from[c])));
  }
}

// The maximum so far and where it stands: the latest of equals, as in torch.cummax; a NaN stays.
template <class T>
void max_columns(T* y, int64_t* indices, const T* x, int64_t n, int64_t stride, int64_t count, bool reverse) {
  T state[kColumns];
  int64_t where[kColumns];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = reverse ? n - 1 - i : i, at = row * stride;
    for (int64_t c = 0; c < count; ++c) {
      const T v = x[at + c];
      if (i == 0 || (v != v) | (v >= state[c])) state[c] = v, where[c] = row;
      y[at + c] = state[c];
    }
    if (indices)
      for (int64_t c = 0; c < count; ++c) indices[at + c] = where[c];
  }
}

// Eight lanes of a row at once: v_i += v_(i-1), then v_(i-2), then v_(i-4) (Hillis & Steele 1986); the chain from one
// group of eight to the next is then a single operation.
template <ScanOp op> INK_INLINE Pack<double, 8> scan_lanes(Pack<double, 8> v) {
  using P = Pack<double, 8>;
  const auto unit = P(op == ScanOp::sum ? 0.0 : 1.0).v;
  v = step<op>(v, P(__builtin_shufflevector(v.v, unit, 8, 0, 1, 2, 3, 4, 5, 6)));
  v = step<op>(v, P(__builtin_shufflevector(v.v, unit, 8, 8, 0, 1, 2, 3, 4, 5)));
  return step<op>(v, P(__builtin_shufflevector(v.v, unit, 8, 8, 8, 8, 0, 1, 2, 3)));
}
template <class T> INK_INLINE Pack<T, 8> reversed(Pack<T, 8> v) {
  return Pack<T, 8>(__builtin_shufflevector(v.v, v.v, 7, 6, 5, 4, 3, 2, 1, 0));
}
template <ScanOp op, class T> void scan_row(T* y, const T* x, int64_t n, bool reverse) {
  double carry = op == ScanOp::sum ? 0 : 1;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int64_t at = reverse ? n - 8 - i : i;
    const auto in = Pack<T, 8>::load(x + at);
    auto v = scan_lanes<op>(convert<double>(reverse ? reversed(in) : in));
    const double last = v[7];
    v = step<op>(Pack<double, 8>(carry), v);
    carry = step<op>(carry, last);
    const auto out = convert<T>(v);
    (reverse ? reversed(out) : out).store(y + at);
  }
  for (; i < n; ++i) {
    const int64_t at = reverse ? n - 1 - i : i;
    y[at] = T(carry = step<op>(carry, double(x[at])));
  }
}

template <ScanOp op, class T> void scan_lines(T* out, int64_t* indices, const T* in, Lines lines, bool reverse) {
  if (lines.inner == 0) return;
  const int64_t width = lines.inner < kColumns ? lines.inner : kColumns, blocks = (lines.inner + width - 1) / width;
  const int64_t work = lines.n * width;
  parallel_for(lines.outer * blocks, work > 0 && work < kWork ? kWork / work : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * width, at = task / blocks * lines.n * lines.inner + first;
      const int64_t count = lines.inner - first < width ? lines.inner - first : width;
      if constexpr (op == ScanOp::max) {
        max_columns(out + at, indices ? indices + at : nullptr, in + at, lines.n, lines.inner, count, reverse);
      } else {
        if constexpr (std::floating_point<T> && op != ScanOp::logsumexp) {
          if (lines.inner == 1) {
            scan_row<op>(out + at, in + at, lines.n, reverse);
            continue;
          }
        }
        scan_columns<op>(out + at, in + at, lines.n, lines.inner, count, reverse);
      }
    }
  });
}

}  // namespace

void scan(ScanOp op, DType dtype, void* out, int64_t* indices, const void* in, Lines lines, bool reverse) {
  visit(dtype, [&]<class T>() {
    constexpr unsigned domain = is_half(dtype_of<T>) ? 0u : unsigned(domain_of(dtype_of<T>));
    T* y = static_cast<T*>(out);
    const T* x = static_cast<const T*>(in);
    if constexpr ((domain & kNumber) != 0) {
      if (op == ScanOp::sum) return scan_lines<ScanOp::sum>(y, indices, x, lines, reverse);
      if (op == ScanOp::prod) return scan_lines<ScanOp::prod>(y, indices, x, lines, reverse);
    }
    if constexpr ((domain & kOrdered) != 0)
      if (op == ScanOp::max) return scan_lines<ScanOp::max>(y, indices, x, lines, reverse);
    if constexpr (domain == kFloat)
      if (op == ScanOp::logsumexp) return scan_lines<ScanOp::logsumexp>(y, indices, x, lines, reverse);
  });
}

}  // namespace ink::INK_CPU_LEVEL
