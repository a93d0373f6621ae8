// What norm and norm_backward share: where the affine parameters of a row stand.
#pragma once
#include "tensor/cuda/device/nest.h"
#include "tensor/cuda/device/team.h"
#include "tensor/cuda/host/table.h"
#include "tensor/error.h"

namespace ink::cuda {

// A weight or bias (or none: `otherwise` for all) as rows see it.
template <class T> struct Parameter {
  const T* data;
  T otherwise;
  int64_t groups, channels;
  Divisor inner;

  Parameter(const NormArgs& a, const void* p, T otherwise)
      : data(static_cast<const T*>(p)),
        otherwise(otherwise),
        groups(a.groups),
        channels(a.cols / a.inner),
        inner(a.inner) {}

  // The same with `data` where the row's parameters begin.
  __device__ __forceinline__ Parameter of_row(int64_t row) const {
    Parameter p = *this;
    if (data && groups > 1) p.data += row % groups * channels;
    return p;
  }
  // Of entries i .. i + N - 1 of the row.
  template <int N> __device__ __forceinline__ Vec<T, N> at(int64_t i) const {
    if (data && inner.size == 1) return load_vector<N>(data + i);
    const T one = data ? data[inner.divide(uint32_t(i))] : otherwise;
    Vec<T, N> v;
    INK_UNROLL
    for (int j = 0; j < N; ++j) v.lane[j] = one;
    return v;
  }
};

// Whether rows go by vectors, so that one vector has parameters side by side, or one parameter.
template <class T, class... P> bool by_vectors(const NormArgs& a, const P*... p) {
  return a.cols % kWidth<T> == 0 && (a.inner == 1 || a.inner % kWidth<T> == 0) && (is_aligned(p, 16) && ...);
}

// Divisor takes numbers below 2^31.
inline void check_rows(const NormArgs& a) {
  if (a.inner > 1 && a.cols >= (int64_t(1) << 31))
    throw NotSupported("a group of 2^31 values or more on a CUDA device");
}

}  // namespace ink::cuda
