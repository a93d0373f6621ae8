// softmax: y_i = e^(x_i - m) / sum_k e^(x_k - m), m = max x, so that no exponential overflows.
// log_softmax: y_i = x_i - m - log sum_k e^(x_k - m).
//
// A team of threads per line (team.h); a line that fits in its registers is read once and written once. Entries that a
// causal line does not count are not read.
#include "tensor/cuda/device/online.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

struct Form {
  bool log;
  int64_t causal_rows;

  // The number of leading entries of a line that count.
  __device__ __forceinline__ int64_t visible(int64_t line, int64_t n) const {
    if (causal_rows == 0) return n;
    const int64_t count = line % causal_rows + 1 + n - causal_rows;
    return count < 0 ? 0 : count;
  }
};

template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    softmax_kernel(const LineSet lines, const Form form, T* y, const T* x) {
  const Team team(lines);
  const int64_t n = team.present ? lines.n : 0, seen = team.present ? form.visible(team.line, n) : 0;
  const T hidden = form.log ? fn::lowest<T>() : T(0);
  x += team.start, y += team.start;

  Held<T, N, kPer> held;
  OnlineSum<T> line;
  for (int64_t first = 0; first < seen; first += lines.chunk) {
    held.load(team, x + first * team.stride, seen - first, fn::lowest<T>());
    line.add(held);
  }
  line = line.over(team);

  const T shift = form.log ? line.top + fn::log(T(line.sum)) : line.top, scale = T(1 / line.sum);
  for (int64_t first = lines.last; first >= 0; first -= lines.chunk) {
    if (first + lines.chunk < seen) held.load(team, x + first * team.stride, seen - first, fn::lowest<T>());
    held.store(team, y + first * team.stride, n - first, [&](int k, int i) {
      if (first + i >= seen) return hidden;
      const T v = held.v[k] - shift;
      return form.log ? v : fn::exp(v) * scale;
    });
  }
}

// dx = y (dy - sum dy y); for the log form dx = dy - e^y sum dy.
template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    softmax_backward_kernel(const LineSet lines, const Form form, T* dx, const T* dy, const T* y) {
  const Team team(lines);
  const int64_t n = team.present ? lines.n : 0, seen = team.present ? form.visible(team.line, n) : 0;
  dx += team.start, dy += team.start, y += team.start;

  Held<T, N, kPer> g, v;
  const auto load = [&](int64_t first) {
    g.load(team, dy + first * team.stride, seen - first, T(0));
    v.load(team, y + first * team.stride, seen - first, T(0));
  };
  double total = 0;
  for (int64_t first = 0; first < seen; first += lines.chunk) {
    load(first);
    total += double(g.sum(team, seen - first, [&](int k) { return form.log ? g.v[k] : g.v[k] * v.v[k]; }));
  }
  const T sum = T(team.sum(total));

  for (int64_t first = lines.last; first >= 0; first -= lines.chunk) {
    if (first + lines.chunk < seen) load(first);
    g.store(team, dx + first * team.stride, n - first, [&](int k, int i) {
      if (first + i >= seen) return T(0);
      return form.log ? g.v[k] - fn::exp(v.v[k]) * sum : v.v[k] * (g.v[k] - sum);
    });
  }
}

// Calls run as for_rows and for_columns do.
template <class T, int kArrays, class F> void for_lines(Lines l, bool aligned, F&& run) {
  if (l.inner == 1)
    for_rows<T, kArrays>(l.outer, l.n, aligned && l.n % kWidth<T> == 0, run);
  else
    for_columns<T>(l, run);
}

}  // namespace

void softmax(const SoftmaxArgs& a, void* y, const void* x) {
  if (a.lines.n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    const bool aligned = is_aligned(y, 16) && is_aligned(x, 16);
    for_lines<T, 1>(a.lines, aligned, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
      launch("softmax", softmax_kernel<T, N, kPer, Team>, grid, block, 0, lines, Form{a.log, a.causal_rows},
             static_cast<T*>(y), static_cast<const T*>(x));
    });
  });
}

void softmax_backward(const SoftmaxArgs& a, void* dx, const void* dy, const void* y) {
  if (a.lines.n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    const bool aligned = is_aligned(dx, 16) && is_aligned(dy, 16) && is_aligned(y, 16);
    for_lines<T, 2>(a.lines, aligned, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
      launch("softmax_backward", softmax_backward_kernel<T, N, kPer, Team>, grid, block, 0, lines,
             Form{a.log, a.causal_rows}, static_cast<T*>(dx), static_cast<const T*>(dy), static_cast<const T*>(y));
    });
  });
}

}  // namespace ink::cuda
