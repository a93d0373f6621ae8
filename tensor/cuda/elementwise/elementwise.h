// The list ops: one kernel for contiguous arrays, which moves 16 bytes at a time, and one for everything else. The
// formulas are those of tensor/math/functors.h.
#pragma once
#include <algorithm>

#include "tensor/cuda/device/nest.h"
#include "tensor/cuda/device/vector.h"
#include "tensor/cuda/host/launch.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {

template <class T> inline constexpr bool is_half_type = std::is_same_v<T, half> || std::is_same_v<T, bfloat16>;
template <class T> using compute_t = std::conditional_t<is_half_type<T>, float, T>;  // 16-bit numbers compute in f32

// The element type of F's result on operands of type T: 16 bits again if they were.
template <class F, class... T> using result_of = std::invoke_result_t<const F&, compute_t<T>...>;
template <class F, class T, class... Ts>
using stored_t =
    std::conditional_t<is_half_type<T> && std::is_same_v<result_of<F, T, Ts...>, float>, T, result_of<F, T, Ts...>>;

inline constexpr int kThreads = 256;
inline constexpr int kTurns = 4;  // vectors (or elements) per thread, a block's width apart: enough loads in flight

// y[i] = f(x[i]...), contiguous; n is a multiple of N except for the rest, which the last threads do one by one.
template <int N, class F, class R, class... T>
__global__ void __launch_bounds__(kThreads) map_vectors(const F f, const int64_t n, R* y, const T*... x) {
  const int64_t first = int64_t(blockIdx.x) * kTurns * blockDim.x + threadIdx.x;
  for (int turn = 0; turn < kTurns; ++turn) {
    const int64_t i = (first + int64_t(turn) * blockDim.x) * N;
    if (i + N <= n) {
      auto apply = [&](const Vec<T, N>&... v) {
        Vec<R, N> out;
        for (int j = 0; j < N; ++j) out.lane[j] = R(f(compute_t<T>(v.lane[j])...));
        store_vector<N>(y + i, out);
      };
      apply(load_vector<N>(x + i)...);
    } else {
      for (int64_t j = i; j < n; ++j) y[j] = R(f(compute_t<T>(x[j])...));
    }
  }
}

template <class F, class R, class... T>
__global__ void __launch_bounds__(kThreads)
    map_strided(const F f, const Nest<1 + sizeof...(T)> nest, R* y, const T*... x) {
  const int64_t first = int64_t(blockIdx.x) * kTurns * blockDim.x + threadIdx.x;
  for (int turn = 0; turn < kTurns; ++turn) {
    const int64_t i = first + int64_t(turn) * blockDim.x;
    if (i >= nest.numel) return;
    int64_t at[1 + sizeof...(T)];
    nest.seek(uint32_t(i), at);
    [&]<size_t... k>(std::index_sequence<k...>) { y[at[0]] = R(f(compute_t<T>(x[at[1 + k]])...)); }
    (std::index_sequence_for<T...>{});
  }
}

inline dim3 blocks_for(int64_t pieces, int threads) {
  return dim3(unsigned(ceil_div(pieces, int64_t(threads) * kTurns)));
}

// out = f(in...): all arrays have out's shape.
template <class F, class R, class... T, class... In>
void map(const char* name, const F& f, const Array& out, const In&... in) {
  const Array* operands[] = {&out, &in...};
  const Loop loop = plan_loop(operands, 1 + sizeof...(In));
  constexpr int N = int(16 / std::max({sizeof(R), sizeof(T)...}));
  bool contiguous = loop.ndim == 1;
  for (int k = 0; k < 1 + int(sizeof...(In)); ++k)
    contiguous = contiguous && loop.stride[k][0] == 1 &&
                 is_aligned(operands[k]->data, size_t(N) * size_t(size_of(operands[k]->dtype)));
  R* y = static_cast<R*>(out.data);
  if (N > 1 && contiguous) {
    const int64_t vectors = ceil_div(loop.numel, N);
    const int threads = threads_for(vectors, kThreads);
    launch(name, map_vectors<N, F, R, T...>, blocks_for(vectors, threads), dim3(unsigned(threads)), 0, f, loop.numel, y,
           static_cast<const T*>(in.data)...);
  } else {
    for_each_nest<1 + sizeof...(In)>(loop, [&](const auto& nest, const int64_t* start) {
      const int threads = threads_for(nest.numel, kThreads);
      [&]<size_t... k>(std::index_sequence<k...>) {
        launch(name, map_strided<F, R, T...>, blocks_for(nest.numel, threads), dim3(unsigned(threads)), 0, f, nest,
               y + start[0], (static_cast<const T*>(in.data) + start[1 + k])...);
      }
      (std::index_sequence_for<T...>{});
    });
  }
}

// Moving bits does not depend on what they mean.
template <class F> void visit_bits(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1:
      return f.template operator()<uint8_t>();
    case 2:
      return f.template operator()<uint16_t>();
    case 4:
      return f.template operator()<uint32_t>();
    case 8:
      return f.template operator()<uint64_t>();
    default:
      return f.template operator()<complex<double>>();
  }
}

using UnaryEntry = void (*)(const void* functor, const Array& out, const Array& a);
using BinaryEntry = void (*)(const void* functor, const Array& out, const Array& a, const Array& b);

template <class T, class F> constexpr UnaryEntry unary_entry() {
  if constexpr ((F::domain & domain_of(dtype_of<T>)) != 0)
    return [](const void* f, const Array& out, const Array& a) {
      map<F, stored_t<F, T>, T>("unary", *static_cast<const F*>(f), out, a);
    };
  else
    return nullptr;
}
template <class T, class F> constexpr BinaryEntry binary_entry() {
  if constexpr ((F::domain & domain_of(dtype_of<T>)) != 0)
    return [](const void* f, const Array& out, const Array& a, const Array& b) {
      map<F, stored_t<F, T, T>, T, T>("binary", *static_cast<const F*>(f), out, a, b);
    };
  else
    return nullptr;
}
template <class T, class... F> UnaryEntry unary_at(List<F...>, int op) {
  static constexpr UnaryEntry table[] = {unary_entry<T, F>()...};
  return table[op];
}
template <class T, class... F> BinaryEntry binary_at(List<F...>, int op) {
  static constexpr BinaryEntry table[] = {binary_entry<T, F>()...};
  return table[op];
}

// By dtype, each in a file of its own: they are most of what the compiler has to do.
UnaryEntry unary_f32(int op);
UnaryEntry unary_f64(int op);
UnaryEntry unary_half(DType t, int op);
UnaryEntry unary_other(DType t, int op);
BinaryEntry binary_f32(int op);
BinaryEntry binary_f64(int op);
BinaryEntry binary_half(DType t, int op);
BinaryEntry binary_other(DType t, int op);

}  // namespace ink::cuda
