// Softmax of each row of a matrix, y_j = e^{x_j - m} / sum_k e^{x_k - m} with m = max_k x_k, in six steps: from three
// reads of the matrix to one.
//
// The online form of step 4 is that of M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax"
// (2018).
#include <float.h>
#include <math.h>

#include "examples/kernels/ladder.h"
#include "tensor/math/math.h"

using namespace ink;
using namespace ink::cuda;
using namespace ink::lesson;

namespace {

constexpr int kThreads = 128;  // of a block
constexpr int kWarps = kThreads / kWarp;
constexpr int kMostCols = 1024;  // steps 5 and 6 hold a row in the registers of a warp

struct Max {
  __device__ __forceinline__ float operator()(float a, float b) const { return fn::max(a, b); }
};
struct Sum {
  __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};

// 1. A thread per row, three loops. Lanes read one column of 32 rows: 32 sectors a load, 4 bytes of each used, three
// times for x and once more for y.
__global__ void thread_per_row(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  const int row = int(blockIdx.x) * kThreads + int(threadIdx.x);
  if (row >= rows) return;
  x += int64_t(row) * cols, y += int64_t(row) * cols;
  float m = -INFINITY, sum = 0;
  for (int j = 0; j < cols; ++j) m = fn::max(float(x[j]), m);
  for (int j = 0; j < cols; ++j) sum += fn::exp(x[j] - m);
  for (int j = 0; j < cols; ++j) y[j] = fn::exp(x[j] - m) / sum;
}

// What op makes of one number per thread, for all threads of the block: a tree in shared memory, a barrier a level.
template <class Op> __device__ __forceinline__ float tree(float v, Op op) {
  INK_SHARED(Watched<float>[kThreads], part);
  const int t = int(threadIdx.x);
  part[t] = v;
  __syncthreads();
  for (int s = kThreads / 2; s > 0; s /= 2) {
    if (t < s) part[t] = op(part[t], part[t + s]);
    __syncthreads();
  }
  v = part[0];
  __syncthreads();  // before the next call writes
  return v;
}

// 2. A block per row: lanes read neighbouring columns, 4 full sectors a load. The threads now have to agree on m and on
// the sum, which takes two trees.
__global__ void block_per_row(Watched<float>* y, const Watched<float>* x, int, int cols) {
  const int t = int(threadIdx.x);
  x += int64_t(blockIdx.x) * cols, y += int64_t(blockIdx.x) * cols;
  float m = -INFINITY, sum = 0;
  for (int j = t; j < cols; j += kThreads) m = fn::max(float(x[j]), m);
  m = tree(m, Max{});
  for (int j = t; j < cols; j += kThreads) sum += fn::exp(x[j] - m);
  sum = tree(sum, Sum{});
  for (int j = t; j < cols; j += kThreads) y[j] = fn::exp(x[j] - m) / sum;
}

template <class Op> __device__ __forceinline__ float warp_all(float v, Op op, int lanes = kWarp) {
  for (int s = lanes / 2; s > 0; s /= 2) v = op(v, __shfl_xor_sync(kFull, v, s));
  return v;
}
// As tree(), by shuffles: only one number per warp goes through shared memory, and every warp combines these for
// itself.
template <class Op> __device__ __forceinline__ float block_all(float v, Op op) {
  INK_SHARED(Watched<float>[kWarps], part);
  const int t = int(threadIdx.x);
  v = warp_all(v, op);
  if (t % kWarp == 0) part[t / kWarp] = v;
  __syncthreads();
  v = warp_all(part[t % kWarps], op, kWarps);
  __syncthreads();
  return v;
}

// 3. Shuffles in place of the trees. The reads of x stay, shared memory and barriers nearly vanish.
__global__ void shuffles(Watched<float>* y, const Watched<float>* x, int, int cols) {
  const int t = int(threadIdx.x);
  x += int64_t(blockIdx.x) * cols, y += int64_t(blockIdx.x) * cols;
  float m = -INFINITY, sum = 0;
  for (int j = t; j < cols; j += kThreads) m = fn::max(float(x[j]), m);
  m = block_all(m, Max{});
  for (int j = t; j < cols; j += kThreads) sum += fn::exp(x[j] - m);
  sum = block_all(sum, Sum{});
  for (int j = t; j < cols; j += kThreads) y[j] = fn::exp(x[j] - m) / sum;
}

// The maximum m of some numbers and the sum of e^{x - m} over them. Nothing: m is the lowest number (not -inf, whose
// difference with itself is NaN) and the sum 0.
struct Online {
  float m = -FLT_MAX, sum = 0;
};
__device__ __forceinline__ Online merge(Online a, Online b) {
  const float m = fn::max(a.m, b.m);
  return {m, a.sum * fn::exp(a.m - m) + b.sum * fn::exp(b.m - m)};
}
__device__ __forceinline__ Online warp_merge(Online a, int lanes = kWarp) {
  for (int s = lanes / 2; s > 0; s /= 2) {
    const float m = __shfl_xor_sync(kFull, a.m, s), sum = __shfl_xor_sync(kFull, a.sum, s);
    a = merge(a, {m, sum});
  }
  return a;
}

// 4. Maximum and sum in one loop: when a larger m turns up, the sum so far is multiplied by e^{old m - new m}. One read
// of x less, for one more exponential a number, and one exchange between threads instead of two.
__global__ void online(Watched<float>* y, const Watched<float>* x, int, int cols) {
  INK_SHARED(Watched<float2>[kWarps], part);
  const int t = int(threadIdx.x);
  x += int64_t(blockIdx.x) * cols, y += int64_t(blockIdx.x) * cols;
  Online a;
  for (int j = t; j < cols; j += kThreads) a = merge(a, {x[j], 1});
  a = warp_merge(a);
  if (t % kWarp == 0) part[t / kWarp] = make_float2(a.m, a.sum);
  __syncthreads();
  const float2 p = part[t % kWarps];
  a = warp_merge({p.x, p.y}, kWarps);
  for (int j = t; j < cols; j += kThreads) y[j] = fn::exp(x[j] - a.m) / a.sum;
}

// 5. A warp per row, which it reads once: 1024 columns are 32 registers a lane. Nothing is exchanged but by shuffles,
// so there is no barrier, and the two plain loops are back: they cost no traffic any more.
__global__ void registers(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  const int lane = int(threadIdx.x) % kWarp, row = int(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
  if (row >= rows) return;  // a whole warp
  x += int64_t(row) * cols, y += int64_t(row) * cols;
  float v[kMostCols / kWarp], m = -INFINITY, sum = 0;
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k) {
    const int j = k * kWarp + lane;
    v[k] = j < cols ? float(x[j]) : -INFINITY;
    m = fn::max(v[k], m);
  }
  m = warp_all(m, Max{});
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k) sum += v[k] = fn::exp(v[k] - m);
  sum = warp_all(sum, Sum{});
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k)
    if (k * kWarp + lane < cols) y[k * kWarp + lane] = v[k] / sum;
}

// 6. Four columns by one load or store: a quarter of the requests for the same sectors.
__global__ void vectors(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  const int lane = int(threadIdx.x) % kWarp, row = int(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
  if (row >= rows) return;
  const auto* x4 = reinterpret_cast<const Watched<float4>*>(x + int64_t(row) * cols);
  auto* y4 = reinterpret_cast<Watched<float4>*>(y + int64_t(row) * cols);
  constexpr int kQuads = kMostCols / kWarp / 4;
  float4 v[kQuads];
  float m = -INFINITY, sum = 0;
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    const int j = k * kWarp + lane;
    v[k] = make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
    if (4 * j < cols) v[k] = x4[j];
    m = fn::max(fn::max(fn::max(v[k].x, v[k].y), fn::max(v[k].z, v[k].w)), m);
  }
  m = warp_all(m, Max{});
#pragma unroll
  for (int k = 0; k < kQuads; ++k) {
    v[k] = make_float4(fn::exp(v[k].x - m), fn::exp(v[k].y - m), fn::exp(v[k].z - m), fn::exp(v[k].w - m));
    sum += (v[k].x + v[k].y) + (v[k].z + v[k].w);
  }
  sum = warp_all(sum, Sum{});
#pragma unroll
  for (int k = 0; k < kQuads; ++k)
    if (const int j = k * kWarp + lane; 4 * j < cols)
      y4[j] = make_float4(v[k].x / sum, v[k].y / sum, v[k].z / sum, v[k].w / sum);
}

void climb(Ladder& ladder) {
  const int rows = int(ladder.size("rows", 128, 1 << 16, "rows of the matrix", 1, 1 << 20));
  const int cols = int(ladder.size("n", 512, 1024, "columns of the matrix", 4, kMostCols));
  const int64_t all = int64_t(rows) * cols;
  const auto x = ladder.input(all);
  Watched<float>* y = ladder.output(all);
  for (int64_t row = 0; row < rows; row += spread(rows, 1024)) {
    const float* v = x.host + row * cols;
    double m = -INFINITY, sum = 0;
    for (int j = 0; j < cols; ++j) m = ::fmax(m, v[j]);
    for (int j = 0; j < cols; ++j) sum += ::exp(v[j] - m);
    for (int j = 0; j < cols; ++j) ladder.reference(row * cols + j, ::exp(v[j] - m) / sum);
  }
  ladder.work({.bytes = 8. * double(all)});
  ladder.tolerance(1e-6);

  auto step = [&](const char* name, void (*kernel)(Watched<float>*, const Watched<float>*, int, int),
                  int rows_per_block) {
    return ladder.step(name, [&] {
      ladder.launch(name, kernel, dim3(unsigned(ceil_div(rows, rows_per_block))), dim3(kThreads), y, x.device, rows,
                    cols);
    });
  };
  const auto a = step("thread per row", thread_per_row, kThreads);
  const auto b = step("block per row", block_per_row, 1);
  const auto c = step("shuffles", shuffles, 1);
  const auto d = step("online", online, 1);
  const auto e = step("registers", registers, kWarps);
  const auto f = step("vectors", vectors, kWarps);

  const double once = double(all) / 8;  // sectors of the matrix, where rows begin with a sector
  ladder.expect("thread per row: sectors per load", per_load(a), Above{28});
  ladder.expect("block per row: reads of the matrix", double(b.counts.load_sectors) / once, Within{3, 3.2});
  ladder.expect("shuffles: barriers over those of block per row", double(c.counts.barriers) / double(b.counts.barriers),
                Equals{2. / 9});
  ladder.expect("online: reads of the matrix", double(d.counts.load_sectors) / once, Within{2, 2.2});
  ladder.expect("registers: reads of the matrix", double(e.counts.load_sectors) / once, Within{1, 1.1});
  ladder.expect("registers: barriers", double(e.counts.barriers), Equals{0});
  ladder.expect("vectors: loads over those of registers",
                double(f.counts.load_requests) / double(e.counts.load_requests), Within{0.25, 0.3});
}

}  // namespace

int main(int argc, char** argv) {
  return run_ladder(argc, argv,
                    {.name = "softmax",
                     .title = "Softmax of rows",
                     .about =
                         "Three passes over each row, then two, then one: what is read once cannot be read slowly."},
                    climb);
}
