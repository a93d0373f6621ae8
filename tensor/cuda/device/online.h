// The sum of exponentials in one pass (Milakov & Gimelshein 2018, alg. 3): the maximum so far and the sum of e^(x -
// maximum), rescaled whenever the maximum grows.
#pragma once
#include "tensor/cuda/device/team.h"
#include "tensor/math/online.h"

namespace ink::cuda {

template <class T> struct OnlineSum {
  T top = fn::lowest<T>();
  double sum = 0;  // terms of a thread's chunk are added in T, chunks and threads in double

  // Takes in what a thread holds, with -inf in the places that do not count.
  template <int N, int kPer> __device__ __forceinline__ void add(const Held<T, N, kPer>& x) {
    T larger = top, terms = 0;
    INK_UNROLL
    for (int k = 0; k < kPer; ++k) larger = fn::max(larger, x.v[k]);
    const T shift = fn::online_shift(larger);
    INK_UNROLL
    for (int k = 0; k < kPer; ++k) terms += fn::exp(x.v[k] - shift);
    sum = sum * double(fn::online_scale(top, larger)) + double(terms);
    top = larger;
  }
  // The team's threads together, in all of them.
  template <class Team> __device__ __forceinline__ OnlineSum over(const Team& team) const {
    OnlineSum all;
    all.top = team.max(top);
    all.sum = team.sum(sum * double(fn::online_scale(top, all.top)));
    return all;
  }
};

}  // namespace ink::cuda
