// Layer norm (Ba et al. 2016), RMS norm (Zhang & Sennrich 2019) and group norm (Wu & He 2018) of rows:
//   x_hat = (x - mean) rstd,  y = w x_hat + b,  rstd = 1 / sqrt(mean (x - mean)^2 + eps)
// RMS norm is the same with mean = 0. E[x^2] - E[x]^2 would cancel: each thread takes the mean of what it holds and the
// squares around it, and these are combined (Chan, Golub & LeVeque 1983, eq. 2.1).
//
// A team of threads per row (team.h); a row that fits in its registers is read once and written once.
#include "tensor/cuda/normalise/norm.h"

namespace ink::cuda {
namespace {

// Of some values: how many, their mean (0 for RMS norm), the sum of (x - mean)^2. The mean is counted from a value of
// the row, so that its rounding is small beside the spread of the values and not beside the values.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  // Takes in what a thread holds of a chunk's first n entries.
  template <class T, int N, int kPer, class Team>
  __device__ __forceinline__ void add(const Team& team, const Held<T, N, kPer>& x, int64_t n, T from, bool rms) {
    int k = 0;
    x.each_vector(team, n, [&](int, int) { k += N; });
    if (k == 0) return;
    const T m = rms ? T(0) : x.sum(team, n, [&](int i) { return x.v[i] - from; }) / T(k);
    // of that sum's rounding
    const T rest = rms ? T(0) : x.sum(team, n, [&](int i) { return x.v[i] - from - m; }) / T(k);
    const T square = x.sum(team, n, [&](int i) { return (x.v[i] - from - m) * (x.v[i] - from - m); });
    join(k, double(m) + double(rest), double(square));
  }
  __device__ __forceinline__ void join(double k, double m, double s) {
    if (count == 0) {
      count = k, mean = m, squares = s;
      return;
    }
    const double apart = m - mean, part = k / (count + k);
    mean += apart * part;
    squares += s + apart * apart * count * part;
    count += k;
  }
};

template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    norm_kernel(const LineSet lines, const double per_n, const double eps, const bool rms, T* y, T* mean, T* rstd,
                const T* x, const Parameter<T> weight, const Parameter<T> bias) {
  const Team team(lines);
  const int64_t n = team.present ? lines.n : 0;
  x += team.start, y += team.start;
  const T from = n > 0 && !rms ? *x : T(0);

  Held<T, N, kPer> held;
  Moments own;
  for (int64_t first = 0; first < n; first += lines.chunk) {
    held.load(team, x + first, n - first, T(0));
    own.add(team, held, n - first, from, rms);
  }
  const double all = rms ? 0 : team.sum(own.count * own.mean) * per_n, apart = own.mean - all;
  const double variance = team.sum(own.squares + own.count * apart * apart) * per_n;
  const T m = T(double(from) + all), s = T(1) / fn::sqrt(T(variance + eps));
  if (team.present && team.rank == 0) {
    if (!rms) mean[team.line] = m;
    rstd[team.line] = s;
  }

  const Parameter<T> p = weight.of_row(team.line), q = bias.of_row(team.line);
  for (int64_t first = lines.last; first >= 0; first -= lines.chunk) {
    if (first + lines.chunk < n) held.load(team, x + first, n - first, T(0));
    held.each_vector(team, n - first, [&](int k, int i) {
      const Vec<T, N> w = p.template at<N>(first + i), b = q.template at<N>(first + i);
      Vec<T, N> out;
      INK_UNROLL
      for (int j = 0; j < N; ++j) out.lane[j] = (held.v[k + j] - m) * s * w.lane[j] + b.lane[j];
      store_vector<N>(y + first + i, out);
    });
  }
}

}  // namespace

void norm(const NormArgs& a, void* y, void* mean, void* rstd, const void* x, const void* weight, const void* bias) {
  check_rows(a);
  visit_float(a.dtype, [&]<class T>() {
    const bool vectors = by_vectors<T>(a, y, x, weight, bias);
    for_rows<T, 1>(a.rows, a.cols, vectors, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
      launch("norm", norm_kernel<T, N, kPer, Team>, grid, block, 0, lines, 1 / double(a.cols), a.eps, a.rms,
             static_cast<T*>(y), static_cast<T*>(mean), static_cast<T*>(rstd), static_cast<const T*>(x),
             Parameter<T>(a, weight, T(1)), Parameter<T>(a, bias, T(0)));
    });
  });
}

}  // namespace ink::cuda
