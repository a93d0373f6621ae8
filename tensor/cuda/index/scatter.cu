// Writing at positions given by i64 indices: scatter and index_add, which is a scatter whose index is shared by whole
// rows. Positions may come more than once.
//
// Without add the last one along the dim stays, as if they were written in order: first every position of out learns
// the last place that points to it (an atomic maximum, whose result has no order), then all places but these are struck
// from the index, then what is left is written, a thread per element.
//
// With add there are two ways. Atomics, a thread per element: fast, but sums of floats differ from run to run by
// rounding. Or in order: a thread owns some positions of one line, reads the whole index of the line and adds what
// concerns it.
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/index/index.h"
#include "tensor/error.h"

namespace ink::cuda {
namespace {

// a + b in the type that T computes in; for bools: whether one is set.
template <class T> __device__ __forceinline__ T add(T a, T b) { return T(fn::plus(compute_t<T>(a), compute_t<T>(b))); }

template <class T> inline constexpr bool has_atomic_add = !std::is_same_v<T, uint8_t> && !std::is_same_v<T, bool>;

template <class T> __device__ __forceinline__ void atomic_add(T* p, T v) {
  if constexpr (std::is_same_v<T, int64_t>) {  // two's complement: the sum is the same
    atomicAdd(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(v));
  } else if constexpr (is_half_type<T>) {  // exchanged when nobody was faster
    auto* word = reinterpret_cast<unsigned short*>(p);
    for (unsigned short seen = *word, old;; seen = old) {
      T sum;
      sum.bits = seen;
      sum = add(sum, v);
      old = atomicCAS(word, seen, static_cast<unsigned short>(sum.bits));
      if (old == seen) return;
    }
  } else if constexpr (domain_of(dtype_of<T>) == kComplex) {
    atomicAdd(&p->re, v.re);
    atomicAdd(&p->im, v.im);
  } else {
    atomicAdd(p, v);
  }
}

struct Store {
  template <class T> __device__ __forceinline__ void operator()(T* to, T v) const { *to = v; }
};
struct AtomicAdd {
  template <class T> __device__ __forceinline__ void operator()(T* to, T v) const { atomic_add(to, v); }
};

// write(out[place with the index along the dim], src[place])
template <class T, class Write>
__global__ void __launch_bounds__(kThreads)
    scatter_kernel(const Write write, const Nest<3> nest, const int64_t* index, const T* src, T* out, int64_t step) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[3];
  nest.seek(uint32_t(i), at);
  const int64_t to = index[at[0]];
  if (to >= 0) write(out + at[2] + to * step, src[at[1]]);
}

template <class T, class Write>
void scatter_each(const Write& write, const Array& out, const Array& src, const Array& index, int dim) {
  const Array y = without_step(out, dim);
  const Array* operands[] = {&index, &src, &y};
  for_each_nest<3>(plan_loop(operands, 3, 1), [&](const Nest<3>& nest, const int64_t* start) {
    const int threads = threads_for(nest.numel, kThreads);
    launch("scatter", scatter_kernel<T, Write>, dim3(unsigned(ceil_div(nest.numel, threads))), dim3(unsigned(threads)),
           0, write, nest, static_cast<const int64_t*>(index.data) + start[0],
           static_cast<const T*>(src.data) + start[1], static_cast<T*>(out.data) + start[2], step_along(out, dim));
  });
}

// ---- the last one stays

// last[position that the place points to] = the greatest of 1 + place along the dim
__global__ void __launch_bounds__(kThreads)
    find_last(const Nest<3> nest, const int64_t* index, unsigned* last, int64_t first_place, int64_t step) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[3];
  nest.seek(uint32_t(i), at);
  const int64_t to = index[at[0]];
  if (to >= 0) atomicMax(last + at[1] + to * step, unsigned(1 + first_place + at[2]));
}
__global__ void __launch_bounds__(kThreads) keep_last(const Nest<4> nest, const int64_t* index, const unsigned* last,
                                                      int64_t* kept, int64_t first_place, int64_t step) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[4];
  nest.seek(uint32_t(i), at);
  const int64_t to = index[at[0]];
  kept[at[3]] = to >= 0 && last[at[1] + to * step] == unsigned(1 + first_place + at[2]) ? to : -1;
}

// Lines that share their index share their answers: dims that the index is broadcast along have size 1 here.
template <class T> void scatter_last(const Array& out, const Array& src, const Array& index, int dim) {
  const int64_t k = index.shape[dim], n = out.shape[dim];
  if (k >= UINT32_MAX) throw NotSupported("scatter: a dim of 2^32 indices or more");
  Array places = index;
  for (int d = 0; d < places.shape.size(); ++d)
    if (d != dim && places.strides[d] == 0) places.shape[d] = 1;
  Shape marks = places.shape;
  marks[dim] = n;
  Scratch<unsigned> last(marks.numel());
  Scratch<int64_t> kept(places.shape.numel());
  check(cudaMemsetAsync(last.data(), 0, size_t(marks.numel()) * sizeof(unsigned), stream()), "scatter");

  const Shape mark_strides = contiguous_strides(marks);
  Shape along = Shape::filled(places.shape.size(), 0);
  along[dim] = 1;  // the offset of this operand is the place along the dim
  const Array mark = without_step({last.data(), DType::i32, places.shape, mark_strides}, dim),
              place{nullptr, DType::i64, places.shape, along};
  Array left{kept.data(), DType::i64, places.shape, contiguous_strides(places.shape)};
  const Array* operands[] = {&places, &mark, &place, &left};
  const Loop loop = plan_loop(operands, 4, 3);
  auto run = [&]<int kOperands>(auto kernel, auto... kept_data) {
    for_each_nest<kOperands>(loop, [&](const Nest<kOperands>& nest, const int64_t* start) {
      const int threads = threads_for(nest.numel, kThreads);
      launch("scatter", kernel, dim3(unsigned(ceil_div(nest.numel, threads))), dim3(unsigned(threads)), 0, nest,
             static_cast<const int64_t*>(index.data) + start[0], last.data() + start[1], (kept_data + start[3])...,
             start[2], mark_strides[dim]);
    });
  };
  run.template operator()<3>(find_last);
  run.template operator()<4>(keep_last, kept.data());

  for (int d = 0; d < left.shape.size(); ++d)
    if (left.shape[d] != index.shape[d]) left.shape[d] = index.shape[d], left.strides[d] = 0;
  scatter_each<T>(Store{}, out, src, left, dim);
}

// ---- sums in order

// The line a thread works on is its place in the nest; block row y owns the positions first .. first + share - 1 of all
// lines.
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_in_order(const Nest<3> nest, const int64_t* index, const T* src, T* out, int64_t k, int64_t n, int64_t share,
                 int64_t index_step, int64_t src_step, int64_t out_step) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[3];
  nest.seek(uint32_t(i), at);
  const int64_t first = blockIdx.y * share, end = first + share < n ? first + share : n;
  for (int64_t p = 0; p < k; ++p) {
    const int64_t to = index[at[0] + p * index_step];
    if (to < first || to >= end) continue;
    T* y = out + at[2] + to * out_step;
    *y = add(*y, src[at[1] + p * src_step]);
  }
}

template <class T> void scatter_in_order(const Array& out, const Array& src, const Array& index, int dim) {
  const int64_t k = index.shape[dim], n = out.shape[dim];
  Array line[] = {index, src, out};  // as an array of lines: without the dim
  for (Array& a : line) a.shape = index.shape, a.shape.erase(dim), a.strides.erase(dim);
  const Array* operands[] = {&line[0], &line[1], &line[2]};
  // Few lines are shared by several threads, as long as each has some 16 positions.
  const int64_t wanted = ceil_div(int64_t(1) << 16, line[0].shape.numel()),
                most = ceil_div(n, 16) < 65535 ? ceil_div(n, 16) : 65535;
  const int64_t share = ceil_div(n, wanted < most ? wanted : most), shares = ceil_div(n, share);
  for_each_nest<3>(plan_loop(operands, 3, 1), [&](const Nest<3>& nest, const int64_t* start) {
    const int threads = threads_for(nest.numel, kThreads);
    launch("scatter", add_in_order<T>, dim3(unsigned(ceil_div(nest.numel, threads)), unsigned(shares)),
           dim3(unsigned(threads)), 0, nest, static_cast<const int64_t*>(index.data) + start[0],
           static_cast<const T*>(src.data) + start[1], static_cast<T*>(out.data) + start[2], k, n, share,
           index.strides[dim], src.strides[dim], out.strides[dim]);
  });
}

}  // namespace

void scatter(const Array& out, const Array& src, const Array& index, int dim, bool sums) {
  if (index.shape.empty()) {  // one place: a line of one
    auto line = [](const Array& a) { return Array{a.data, a.dtype, {1}, {1}}; };
    return scatter(line(out), line(src), line(index), 0, sums);
  }
  if (out.shape[dim] == 0) return;
  const bool repeats = index.shape[dim] > 1;
  if (!sums)
    return visit_bits(size_of(out.dtype), [&]<class T>() {
      if (repeats)
        scatter_last<T>(out, src, index, dim);
      else
        scatter_each<T>(Store{}, out, src, index, dim);
    });
  visit(out.dtype, [&]<class T>() {
    if constexpr (has_atomic_add<T>) {
      if (!repeats || !cuda_options().deterministic) return scatter_each<T>(AtomicAdd{}, out, src, index, dim);
    }
    scatter_in_order<T>(out, src, index, dim);
  });
}

void index_add(DType dtype, void* out, const void* src, const int64_t* index, int64_t k, Lines lines) {
  scatter(rows_of(dtype, out, lines.outer, lines.n, lines.inner), rows_of(dtype, src, lines.outer, k, lines.inner),
          index_of_rows(index, lines.outer, k, lines.inner), 1, true);
}

}  // namespace ink::cuda
