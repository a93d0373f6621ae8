// Reading at positions given by i64 indices: check_index, gather, index_select. A thread per element; index_select's
// rows are cut into elements of up to 16 bytes, whatever their dtype, as reading moves bytes. Per element gather reads
// it and its index (8 bytes) and writes it; index_select's index is shared by a whole row and comes from the cache.
#include "tensor/cuda/index/index.h"

namespace ink::cuda {
namespace {

__global__ void check_kernel(const IndexCheck check, int64_t* out, const int64_t* in, int64_t count,
                             ErrorWord* errors) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int64_t v = in[i];
  const bool inside = check.takes(v);
  out[i] = inside ? check.place_of(v) : -1;
  // The host reads the word after it has waited for the device. One error fills it, the others are as wrong as that
  // one.
  if (!inside && atomicCAS(&errors->state, 0, 1) == 0) {
    errors->check = check;
    errors->value = v;
    errors->place = i;
    __threadfence_system();
  }
}

// y[place] = x[place with the index along the dim]; N > 1: elements of N units, moved by one instruction.
template <int N, class U>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const Nest<3> nest, U* y, const int64_t* index, const U* x, int64_t step) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[3];
  nest.seek(uint32_t(i), at);
  const int64_t from = index[at[1]];
  Vec<U, N> v = {};
  if (from >= 0) {
    if constexpr (N == 1)
      v.lane[0] = x[at[2] + from * step];
    else
      v = load_vector<N>(x + (at[2] + from * step) * N);
  }
  if constexpr (N == 1)
    y[at[0]] = v.lane[0];
  else
    store_vector<N>(y + at[0] * N, v);
}

// Strides count elements of N units of type U.
template <int N, class U>
void gather_units(const char* name, const Array& out, const Array& in, const Array& index, int dim) {
  const Array x = without_step(in, dim);
  const Array* operands[] = {&out, &index, &x};
  for_each_nest<3>(plan_loop(operands, 3), [&](const Nest<3>& nest, const int64_t* start) {
    const int threads = threads_for(nest.numel, kThreads);
    launch(name, gather_kernel<N, U>, dim3(unsigned(ceil_div(nest.numel, threads))), dim3(unsigned(threads)), 0, nest,
           static_cast<U*>(out.data) + start[0] * N, static_cast<const int64_t*>(index.data) + start[1],
           static_cast<const U*>(in.data) + start[2] * N, step_along(in, dim));
  });
}

}  // namespace

int64_t check_index(const IndexCheck& check, int64_t* out, const int64_t* in, int64_t count) {
  const int threads = threads_for(count);
  launch("check_index", check_kernel, dim3(unsigned(ceil_div(count, threads))), dim3(unsigned(threads)), 0, check, out,
         in, count, current().device_errors);
  return -1;
}

void gather(const Array& out, const Array& in, const Array& index, int dim) {
  visit_bits(size_of(out.dtype), [&]<class U>() { gather_units<1, U>("gather", out, in, index, dim); });
}

void index_select(void* out, const void* in, const int64_t* index, int64_t k, Lines lines, int64_t item_bytes) {
  const int64_t row = lines.inner * item_bytes;
  int64_t bytes = 16;
  while (row % bytes != 0 || !is_aligned(out, size_t(bytes)) || !is_aligned(in, size_t(bytes))) bytes /= 2;
  auto move = [&]<int N, class U>() {
    const int64_t inner = row / bytes;
    gather_units<N, U>("index_select", rows_of(DType::u8, out, lines.outer, k, inner),
                       rows_of(DType::u8, in, lines.outer, lines.n, inner), index_of_rows(index, lines.outer, k, inner),
                       1);
  };
  if (bytes == 16)
    move.operator()<2, uint64_t>();
  else
    visit_bits(bytes, [&]<class U>() { move.template operator()<1, U>(); });
}

}  // namespace ink::cuda
