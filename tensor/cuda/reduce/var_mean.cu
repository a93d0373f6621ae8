// Mean and variance along a dim: a reduction (see reduction.h) whose states are moments. The elements of a thread's
// turn are summed, then the squares of their distances from their own mean are, while they are in registers; such
// moments are joined by the formula of Chan, Golub & LeVeque 1979. Nothing cancels, memory is read once.
#include "tensor/cuda/reduce/reduction.h"

namespace ink::cuda {
namespace {

// Of n numbers: their mean and the sum of squared distances from it.
struct Moments {
  double n, mean, m2;
};

__device__ __forceinline__ double at_least_0(double x) { return x > 0 || x != x ? x : 0; }

template <class T> struct MomentsReducer {
  using In = T;
  using State = Moments;

  T *var, *mean;
  double n, freedom;

  __device__ __forceinline__ State start() const { return {0, 0, 0}; }
  template <int K, int V>
  __device__ __forceinline__ void add(State& s, const Vec<T, V> (&x)[K], int m, int64_t, int64_t) const {
    const double scale = 1 / double(m * V);
    T sum = T(0), shift = T(0), squares = T(0);
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < V; ++j)
        if (k < m) sum += x[k].lane[j];
    const T middle = sum * T(scale);
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < V; ++j) {
        if (k >= m) continue;
        const T d = x[k].lane[j] - middle;
        shift += d;  // corrects for the rounding of `middle`
        squares = fn::fma(d, d, squares);
      }
    const double off = double(shift) * scale;
    s = merge(s, {double(m * V), double(middle) + off, at_least_0(double(squares) - off * double(shift))});
  }
  __device__ __forceinline__ State merge(const State& a, const State& b) const {
    const double all = a.n + b.n, weight = all > 0 ? b.n / all : 0, delta = b.mean - a.mean;
    return {all, a.mean + delta * weight, a.m2 + b.m2 + delta * (delta * (a.n * weight))};
  }
  __device__ __forceinline__ void write(int64_t at, const State& s) const {
    mean[at] = n > 0 ? T(s.mean) : T(NAN);
    var[at] = T(s.m2 / (freedom > 0 ? freedom : 0));
  }
};

}  // namespace

void var_mean(const Array& var, const Array& mean, const Array& in, Lines lines, double correction) {
  const Reduction plan(lines);
  visit_float(in.dtype, [&]<class T>() {
    const MomentsReducer<T> r{static_cast<T*>(var.data), static_cast<T*>(mean.data), double(lines.n),
                              double(lines.n) - correction};
    run_reduction("var_mean", r, plan, in.data);
  });
}

}  // namespace ink::cuda
