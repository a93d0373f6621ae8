// Cross entropy of logits against class numbers, without ever storing the probabilities.
//   lse = log sum_k e^(x_k)      loss = (1 - s) (lse - x_t) + s (lse - mean_k x_k)      (s: label smoothing)
//   dx_k = g (e^(x_k - lse) - s / K - (1 - s) [k = t])
// A team of threads per row (team.h). Forwards the logits are read once, backwards they are read once and dx is
// written. A target outside [0, classes) counts as ignored (check_index has left -1 there); such rows are not read.
#include "tensor/cuda/device/online.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

struct Targets {
  const int64_t* target;
  int64_t ignore_index;
  double smoothing;

  // The row's class, or -1.
  template <class Team> __device__ __forceinline__ int64_t of(const Team& team, int64_t classes) const {
    const int64_t t = team.present ? target[team.line] : -1;
    return t >= 0 && t < classes && t != ignore_index ? t : -1;
  }
};

template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    cross_entropy_kernel(const LineSet lines, const Targets targets, T* loss, T* lse, const T* x) {
  const Team team(lines);
  const int64_t t = targets.of(team, lines.n), n = t >= 0 ? lines.n : 0;
  const double s = targets.smoothing;
  x += team.start;

  Held<T, N, kPer> held;
  OnlineSum<T> line;
  double sum = 0;
  for (int64_t first = 0; first < n; first += lines.chunk) {
    held.load(team, x + first, n - first, fn::lowest<T>());
    line.add(held);
    if (s != 0) sum += double(held.sum(team, n - first, [&](int k) { return held.v[k]; }));
  }
  line = line.over(team);
  if (s != 0) sum = team.sum(sum);

  if (!team.present || team.rank != 0) return;
  const double z = t >= 0 ? double(line.top) + fn::log(line.sum) : 0, nll = t >= 0 ? z - double(x[t]) : 0;
  lse[team.line] = T(z);
  loss[team.line] = T(s == 0 || t < 0 ? nll : (1 - s) * nll + s * (z - sum / double(n)));
}

template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    cross_entropy_backward_kernel(const LineSet lines, const Targets targets, T* dx, const T* dloss, const T* x,
                                  const T* lse) {
  const Team team(lines);
  const int64_t t = targets.of(team, lines.n), n = team.present ? lines.n : 0, seen = t >= 0 ? n : 0;
  const T g = seen ? dloss[team.line] : T(0), z = seen ? lse[team.line] : T(0);
  const T others = T(targets.smoothing / double(lines.n)), own = T(1 - targets.smoothing);
  x += team.start, dx += team.start;

  Held<T, N, kPer> held;
  for (int64_t first = 0; first < n; first += lines.chunk) {
    held.load(team, x + first, seen - first, T(0));
    held.store(team, dx + first, n - first, [&](int k, int i) {
      return seen ? g * (fn::exp(held.v[k] - z) - others - (first + i == t ? own : T(0))) : T(0);
    });
  }
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& a, void* loss, void* lse, const void* logits, const int64_t* target) {
  visit_float(a.dtype, [&]<class T>() {
    const bool vectors = a.classes % kWidth<T> == 0 && is_aligned(logits, 16);
    for_rows<T, 1>(a.rows, a.classes, vectors, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
      launch("cross_entropy", cross_entropy_kernel<T, N, kPer, Team>, grid, block, 0, lines,
             Targets{target, a.ignore_index, a.label_smoothing}, static_cast<T*>(loss), static_cast<T*>(lse),
             static_cast<const T*>(logits));
    });
  });
}

void cross_entropy_backward(const CrossEntropyArgs& a, void* dlogits, const void* dloss, const void* logits,
                            const void* lse, const int64_t* target) {
  visit_float(a.dtype, [&]<class T>() {
    const bool vectors = a.classes % kWidth<T> == 0 && is_aligned(logits, 16) && is_aligned(dlogits, 16);
    for_rows<T, 1>(a.rows, a.classes, vectors, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
      launch("cross_entropy_backward", cross_entropy_backward_kernel<T, N, kPer, Team>, grid, block, 0, lines,
             Targets{target, a.ignore_index, a.label_smoothing}, static_cast<T*>(dlogits), static_cast<const T*>(dloss),
             static_cast<const T*>(logits), static_cast<const T*>(lse));
    });
  });
}

}  // namespace ink::cuda
