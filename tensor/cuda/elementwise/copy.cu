// Copies, with conversion between any two dtypes.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
namespace {

// Static conversion; a complex number gives its real part, anything but zero is true.
template <class To> struct Convert {
  template <class From> __device__ __forceinline__ To operator()(From x) const {
    constexpr Domain to = domain_of(dtype_of<To>), from = domain_of(dtype_of<From>);
    if constexpr (from == kComplex && to == kComplex)
      return To(x);
    else if constexpr (from == kComplex && to == kBool)
      return x.re != 0 || x.im != 0;
    else if constexpr (from == kComplex)
      return (*this)(x.re);
    else if constexpr (to == kBool)
      return x != From(0);
    else if constexpr (to == kComplex)
      return To(decltype(To::re)(x));
    else
      return To(x);
  }
};
struct Same {
  template <class U> __device__ __forceinline__ U operator()(U x) const { return x; }
};

constexpr int kTile = 32, kRows = 8;

// y[j][i] = x[i][j] by tiles: read in rows of x, turned in shared memory, written in rows of y. The extra column puts
// the elements of a tile's column into different banks.
template <class U>
__global__ void turn(U* y, const U* x, int64_t rows, int64_t cols, int64_t x_row, int64_t y_row, int64_t x_batch,
                     int64_t y_batch) {
  INK_SHARED(U[kTile][kTile + 1], tile);
  x += int64_t(blockIdx.z) * x_batch;
  y += int64_t(blockIdx.z) * y_batch;
  const int64_t row = int64_t(blockIdx.y) * kTile, col = int64_t(blockIdx.x) * kTile;
  for (int r = threadIdx.y; r < kTile; r += kRows)
    if (row + r < rows && col + threadIdx.x < cols) tile[r][threadIdx.x] = x[(row + r) * x_row + col + threadIdx.x];
  __syncthreads();
  for (int c = threadIdx.y; c < kTile; c += kRows)
    if (col + c < cols && row + threadIdx.x < rows) y[(col + c) * y_row + row + threadIdx.x] = tile[threadIdx.x][c];
}

// A transposing copy of two dims, perhaps with one more around them: out walks dim 0, in walks dim 1.
bool is_turned(const Loop& l) {
  return (l.ndim == 2 || (l.ndim == 3 && l.size[2] <= 65535)) && l.stride[0][0] == 1 && l.stride[1][1] == 1 &&
         l.stride[1][0] > 1 && l.size[0] >= kTile && l.size[1] >= kTile && ceil_div(l.size[0], kTile) <= 65535;
}

}  // namespace

void copy(const Array& out, const Array& a) {
  if (out.dtype != a.dtype)
    return visit(out.dtype, [&]<class To>() {
      visit(a.dtype, [&]<class From>() {
        if constexpr (!std::is_same_v<To, From>) {
          // Convert sees 16-bit numbers as f32, like every formula.
          map<Convert<To>, To, From>("copy", Convert<To>{}, out, a);
        }
      });
    });
  const Array* operands[] = {&out, &a};
  const Loop l = plan_loop(operands, 2);
  visit_bits(size_of(out.dtype), [&]<class U>() {
    if (!is_turned(l)) return map<Same, U, U>("copy", Same{}, out, a);
    const dim3 grid(unsigned(ceil_div(l.size[1], kTile)), unsigned(ceil_div(l.size[0], kTile)),
                    l.ndim == 3 ? unsigned(l.size[2]) : 1u);
    launch("copy", turn<U>, grid, dim3(kTile, kRows), 0, static_cast<U*>(out.data), static_cast<const U*>(a.data),
           l.size[0], l.size[1], l.stride[1][0], l.stride[0][1], l.ndim == 3 ? l.stride[1][2] : 0,
           l.ndim == 3 ? l.stride[0][2] : 0);
  });
}

}  // namespace ink::cuda
