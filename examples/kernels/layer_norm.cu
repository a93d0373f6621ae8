// Layer normalisation of each row of a matrix, y_j = (x_j - mean) / sqrt(var + eps) gamma_j + beta_j, in six steps:
// from three reads of the matrix to one, without losing the variance to rounding.
//
// The merge of step 4 is that of T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances" (1979); of one number, it is B. Welford's update (1962).
#include "examples/kernels/ladder.h"
#include "tensor/math/math.h"

using namespace ink;
using namespace ink::cuda;
using namespace ink::lesson;

namespace {

constexpr int kThreads = 128;  // of a block
constexpr int kWarps = kThreads / kWarp;
constexpr int kMostCols = 1024;  // steps 5 and 6 hold a row in the registers of a warp
constexpr int kRowsPerWarp = 8;  // step 6
constexpr float kEps = 1e-5f;

struct Matrix {
  Watched<float>* y;
  const Watched<float>*x, *gamma, *beta;
  int rows, cols;
};

// 1. A thread per row, three loops: mean, variance, result. Lanes read one column of 32 rows: 32 sectors a load.
__global__ void thread_per_row(Matrix a) {
  const int row = int(blockIdx.x) * kThreads + int(threadIdx.x);
  if (row >= a.rows) return;
  const Watched<float>* x = a.x + int64_t(row) * a.cols;
  float sum = 0, squares = 0;
  for (int j = 0; j < a.cols; ++j) sum += x[j];
  const float mean = sum / float(a.cols);
  for (int j = 0; j < a.cols; ++j) {
    const float d = x[j] - mean;
    squares += d * d;
  }
  const float scale = fn::rsqrt(squares / float(a.cols) + kEps);
  for (int j = 0; j < a.cols; ++j) a.y[int64_t(row) * a.cols + j] = (x[j] - mean) * scale * a.gamma[j] + a.beta[j];
}

__device__ __forceinline__ float warp_sum(float v, int lanes = kWarp) {
  for (int s = lanes / 2; s > 0; s /= 2) v += __shfl_xor_sync(kFull, v, s);
  return v;
}
// The sum over the block, for every thread: shuffles, and one number per warp through shared memory.
__device__ __forceinline__ float block_sum(float v) {
  INK_SHARED(Watched<float>[kWarps], part);
  const int t = int(threadIdx.x);
  v = warp_sum(v);
  if (t % kWarp == 0) part[t / kWarp] = v;
  __syncthreads();
  v = warp_sum(part[t % kWarps], kWarps);
  __syncthreads();  // before the next call writes
  return v;
}
// What every step from here on ends with.
__device__ __forceinline__ void write_row(const Matrix& a, int64_t row, float mean, float scale) {
  const Watched<float>* x = a.x + row * a.cols;
  for (int j = int(threadIdx.x); j < a.cols; j += kThreads)
    a.y[row * a.cols + j] = (x[j] - mean) * scale * a.gamma[j] + a.beta[j];
}

// 2. A block per row: lanes read neighbouring columns, 4 full sectors a load. gamma and beta are read again for every
// row, as many sectors as two more reads of x; on a GPU a cache serves most of them.
__global__ void block_per_row(Matrix a) {
  const Watched<float>* x = a.x + int64_t(blockIdx.x) * a.cols;
  float sum = 0, squares = 0;
  for (int j = int(threadIdx.x); j < a.cols; j += kThreads) sum += x[j];
  const float mean = block_sum(sum) / float(a.cols);
  for (int j = int(threadIdx.x); j < a.cols; j += kThreads) {
    const float d = x[j] - mean;
    squares += d * d;
  }
  write_row(a, blockIdx.x, mean, fn::rsqrt(block_sum(squares) / float(a.cols) + kEps));
}

// 3. Sum and sum of squares in one loop, var = mean of squares - square of mean: a read less. But where the mean is
// large against the deviation, the difference of two large numbers is what rounding left of it.
__global__ void squares(Matrix a) {
  const Watched<float>* x = a.x + int64_t(blockIdx.x) * a.cols;
  float sum = 0, squares = 0;
  for (int j = int(threadIdx.x); j < a.cols; j += kThreads) {
    const float v = x[j];
    sum += v, squares += v * v;
  }
  const float mean = block_sum(sum) / float(a.cols), var = block_sum(squares) / float(a.cols) - mean * mean;
  write_row(a, blockIdx.x, mean, fn::rsqrt(fn::max(var, 0.f) + kEps));
}

// Of some numbers: how many, their mean, and the sum of squared distances from it.
struct Moments {
  float n = 0, mean = 0, m2 = 0;
};
__device__ __forceinline__ Moments merge(Moments a, Moments b) {
  const float n = a.n + b.n, d = b.mean - a.mean, share = n > 0 ? b.n / n : 0.f;
  return {n, a.mean + d * share, a.m2 + b.m2 + d * d * a.n * share};
}
__device__ __forceinline__ Moments warp_merge(Moments a, int lanes = kWarp) {
  for (int s = lanes / 2; s > 0; s /= 2) {
    const float n = __shfl_xor_sync(kFull, a.n, s), mean = __shfl_xor_sync(kFull, a.mean, s),
                m2 = __shfl_xor_sync(kFull, a.m2, s);
    a = merge(a, {n, mean, m2});
  }
  return a;
}

// 4. One loop again, over what can be merged: (n, mean, m2). Distances are taken from a mean, never from 0, so nothing
// cancels. The traffic is that of step 3.
__global__ void merged(Matrix a) {
  INK_SHARED(Watched<float4>[kWarps], part);
  const int t = int(threadIdx.x);
  const Watched<float>* x = a.x + int64_t(blockIdx.x) * a.cols;
  Moments m;
  for (int j = t; j < a.cols; j += kThreads) m = merge(m, {1, x[j], 0});
  m = warp_merge(m);
  if (t % kWarp == 0) part[t / kWarp] = make_float4(m.n, m.mean, m.m2, 0);
  __syncthreads();
  const float4 p = part[t % kWarps];
  m = warp_merge({p.x, p.y, p.z}, kWarps);
  write_row(a, blockIdx.x, m.mean, fn::rsqrt(m.m2 / m.n + kEps));
}

// 5. A warp per row, which it reads once into registers; there the two loops of step 2 are free, and exact. No shared
// memory, no barrier. What remains besides x and y are gamma and beta.
__global__ void registers(Matrix a) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t row = int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
  if (row >= a.rows) return;  // a whole warp
  float v[kMostCols / kWarp], sum = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k) {
    const int j = k * kWarp + lane;
    v[k] = j < a.cols ? float(a.x[row * a.cols + j]) : 0.f;
    sum += v[k];
  }
  const float mean = warp_sum(sum) / float(a.cols);
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k) {
    const float d = k * kWarp + lane < a.cols ? v[k] - mean : 0.f;
    squares += d * d;
  }
  const float scale = fn::rsqrt(warp_sum(squares) / float(a.cols) + kEps);
#pragma unroll
  for (int k = 0; k < kMostCols / kWarp; ++k)
    if (const int j = k * kWarp + lane; j < a.cols)
      a.y[row * a.cols + j] = (v[k] - mean) * scale * a.gamma[j] + a.beta[j];
}

__device__ __forceinline__ float sum4(float4 v) { return (v.x + v.y) + (v.z + v.w); }

// 6. A warp does 8 rows and keeps its columns of gamma and beta in registers: an eighth of their reads. Four columns by
// one load or store: a quarter of the requests.
__global__ void vectors(Matrix a) {
  constexpr int kQuads = kMostCols / kWarp / 4;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp, quads = a.cols / 4;
  const auto *gamma4 = reinterpret_cast<const Watched<float4>*>(a.gamma),
             *beta4 = reinterpret_cast<const Watched<float4>*>(a.beta);
  float4 gamma[kQuads], beta[kQuads];
#pragma unroll
  for (int k = 0; k < kQuads; ++k)
    if (const int j = k * kWarp + lane; j < quads) gamma[k] = gamma4[j], beta[k] = beta4[j];
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int64_t row = (int64_t(blockIdx.x) * kRowsPerWarp + r) * kWarps + warp;
    if (row >= a.rows) return;
    const auto* x4 = reinterpret_cast<const Watched<float4>*>(a.x + row * a.cols);
    auto* y4 = reinterpret_cast<Watched<float4>*>(a.y + row * a.cols);
    float4 v[kQuads];
    float sum = 0, squares = 0;
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      v[k] = make_float4(0, 0, 0, 0);
      if (const int j = k * kWarp + lane; j < quads) v[k] = x4[j];
      sum += sum4(v[k]);
    }
    const float mean = warp_sum(sum) / float(a.cols);
#pragma unroll
    for (int k = 0; k < kQuads; ++k) {
      if (k * kWarp + lane >= quads) continue;
      v[k] = make_float4(v[k].x - mean, v[k].y - mean, v[k].z - mean, v[k].w - mean);
      squares += sum4(make_float4(v[k].x * v[k].x, v[k].y * v[k].y, v[k].z * v[k].z, v[k].w * v[k].w));
    }
    const float scale = fn::rsqrt(warp_sum(squares) / float(a.cols) + kEps);
#pragma unroll
    for (int k = 0; k < kQuads; ++k)
      if (const int j = k * kWarp + lane; j < quads)
        y4[j] = make_float4(v[k].x * scale * gamma[k].x + beta[k].x, v[k].y * scale * gamma[k].y + beta[k].y,
                            v[k].z * scale * gamma[k].z + beta[k].z, v[k].w * scale * gamma[k].w + beta[k].w);
  }
}

void climb(Ladder& ladder) {
  const int rows = int(ladder.size("rows", 128, 1 << 16, "rows of the matrix", 1, 1 << 20));
  const int cols = int(ladder.size("n", 512, 1024, "columns of the matrix", 4, kMostCols));
  const int64_t all = int64_t(rows) * cols;
  const auto x = ladder.input(all, 30), gamma = ladder.input(cols, 1), beta = ladder.input(cols);
  const Matrix matrix{ladder.output(all), x.device, gamma.device, beta.device, rows, cols};
  for (int64_t row = 0; row < rows; row += spread(rows, 1024)) {
    const float* v = x.host + row * cols;
    double sum = 0, squares = 0;
    for (int j = 0; j < cols; ++j) sum += v[j];
    const double mean = sum / cols;
    for (int j = 0; j < cols; ++j) squares += (v[j] - mean) * (v[j] - mean);
    const double scale = 1 / fn::sqrt(squares / cols + double(kEps));
    for (int j = 0; j < cols; ++j)
      ladder.reference(row * cols + j, (v[j] - mean) * scale * gamma.host[j] + beta.host[j]);
  }
  ladder.work({.bytes = 8. * double(all)});
  ladder.tolerance(1e-3);

  auto step = [&](const char* name, void (*kernel)(Matrix), int rows_per_block) {
    return ladder.step(name, [&] {
      ladder.launch(name, kernel, dim3(unsigned(ceil_div(rows, rows_per_block))), dim3(kThreads), matrix);
    });
  };
  const auto a = step("thread per row", thread_per_row, kThreads);
  const auto b = step("block per row", block_per_row, 1);
  const auto c = step("squares", squares, 1);
  const auto d = step("merged", merged, 1);
  const auto e = step("registers", registers, kWarps);
  const auto f = step("vectors", vectors, kWarps * kRowsPerWarp);

  const double once = double(all) / 8;  // sectors of the matrix, where rows begin with a sector
  ladder.expect("thread per row: loads of x move 32 sectors, of gamma and beta 1: on average", per_load(a),
                Within{18, 20});
  ladder.expect("block per row: sectors per load", per_load(b), Within{3.9, 4});
  ladder.expect("block per row: reads of x, gamma, beta", double(b.counts.load_sectors) / once, Within{5, 5.3});
  ladder.expect("squares: reads of x, gamma, beta", double(c.counts.load_sectors) / once, Within{4, 4.3});
  ladder.expect("merged: sectors over those of squares", double(d.counts.load_sectors) / double(c.counts.load_sectors),
                Equals{1});
  ladder.expect("registers: reads of x, gamma, beta", double(e.counts.load_sectors) / once, Within{3, 3.2});
  ladder.expect("registers: barriers", double(e.counts.barriers), Equals{0});
  ladder.expect("vectors: reads of x, gamma, beta", double(f.counts.load_sectors) / once, Within{1.2, 1.5});
}

}  // namespace

int main(int argc, char** argv) {
  return run_ladder(
      argc, argv,
      {.name = "layer_norm",
       .title = "Layer normalisation of rows",
       .about = "Mean and variance of a row cost two passes, or one with care; registers make the question void."},
      climb);
}
