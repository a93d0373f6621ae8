// What the functions of linalg.h share: LAPACK by element type, matrices by columns, and the loop over a batch.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tensor/fork.h"
#include "tensor/math/math.h"
#include "tensor/parallel.h"
#include "tensor/raw/raw.h"
#include "tensor/runtime/blas.h"

namespace ink::raw::lapack {

// The LAPACK function of T's letter. Fortran passes the length of each character argument at the end.
template <class T, class F> auto function(const char* name) {
  constexpr char letter = std::is_same_v<T, float> ? 's' : std::is_same_v<T, double> ? 'd' : sizeof(T) == 8 ? 'c' : 'z';
  return [f = blas::function<F>((letter + std::string(name)).c_str())](auto... arguments) {
    const ForkGate in_flight;
    f(arguments...);
  };
}

// Floating point as LAPACK has it (integers become f32), or DTypeError; ShapeError unless a is [..., n, n].
DType field_dtype(const char* op, DType t);
void check_square(const char* op, const Tensor& a);
[[noreturn]] void throw_failed(const char* op, int64_t matrix, const char* problem, int info);
inline Shape batch_of(const Tensor& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
inline Shape with(Shape batch, std::initializer_list<int64_t> sizes) {
  for (int64_t n : sizes) batch.push_back(n);
  return batch;
}

inline Tensor transposed(const Tensor& x) {
  Shape order;
  for (int d = 0; d < x.dim(); ++d) order.push_back(d);
  std::swap(order[x.dim() - 1], order[x.dim() - 2]);
  return permute(x, order);
}
// LAPACK works in place on matrices that lie by columns: a copy of x^T by rows is x by columns.
// It works on the host: a matrix of another device is copied here, and the result back.
inline Tensor to_columns(const Tensor& x, DType t) { return clone(transposed(cast(to_device(x, Device::cpu()), t))); }
inline Tensor from_columns(const Tensor& x, Device device) { return to_device(clone(transposed(x)), device); }

// Runs f(i), which returns LAPACK's info, for all matrices; then reports the first that failed.
template <class F> void for_each_matrix(const char* op, int64_t count, int64_t n, const char* problem, F f) {
  std::vector<int> info(size_t(count), 0);
  parallel_for(count, 1 + 20000 / (1 + n * n * n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) info[size_t(i)] = f(i);
  });
  for (int64_t i = 0; i < count; ++i)
    if (info[size_t(i)] != 0) throw_failed(op, i, problem, info[size_t(i)]);
}

template <class T> T* matrix(const Tensor& x, int64_t i) { return x.data<T>() + i * x.size(-1) * x.size(-2); }
inline int leading(int64_t rows) { return int(std::max<int64_t>(1, rows)); }

// Asks LAPACK for the size of its scratch memory (a call with length -1), then calls again with it.
template <class T, class F> int with_work(F f) {
  T best{};
  f(&best, -1);
  int size;
  if constexpr (is_complex_type<T>)
    size = int(best.re);
  else
    size = int(best);
  std::vector<T> work(size_t(std::max(1, size)));
  return f(work.data(), int(work.size()));
}

}  // namespace ink::raw::lapack
