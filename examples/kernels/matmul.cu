// Product of two n x n matrices, c = a b, in eight steps: each makes a number that was read once serve more products.
//
// The order of the steps, from naive to register tiles and vector loads, is the one that many have taken before; it is
// measured step by step in S. Boehm's work log "How to optimize a CUDA matmul kernel for cuBLAS-like performance".
#include "examples/kernels/ladder.h"
#include "tensor/cuda/device/mma.h"
#include "tensor/math/math.h"

using namespace ink;
using namespace ink::cuda;
using namespace ink::lesson;

namespace {

// 1. A thread per element of c, lanes along a column of it. A load of a touches 32 rows, 32 sectors; all lanes read the
// same number of b, 1 sector. Two loads for one product.
__global__ void naive(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  const int row = int(blockIdx.x) * 32 + int(threadIdx.x), col = int(blockIdx.y) * 8 + int(threadIdx.y);
  float sum = 0;
  for (int k = 0; k < n; ++k) sum = fn::fma(a[row * n + k], b[k * n + col], sum);
  c[row * n + col] = sum;
}

// 2. Lanes along a row of c: now a gives one number to all lanes, 1 sector, and b 32 neighbours, 4 sectors. Nothing but
// the names of row and col has changed.
__global__ void coalesced(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  const int row = int(blockIdx.y) * 8 + int(threadIdx.y), col = int(blockIdx.x) * 32 + int(threadIdx.x);
  float sum = 0;
  for (int k = 0; k < n; ++k) sum = fn::fma(a[row * n + k], b[k * n + col], sum);
  c[row * n + col] = sum;
}

// 3. A block makes 32 x 32 elements of c. It carries 32 x 32 of a and of b into shared memory, where each number is
// used 32 times: global loads drop to a thirty-second. The two loads for one product are still there, of shared memory.
__global__ void shared_tile(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(Watched<float>[32][32], as);
  INK_SHARED(Watched<float>[32][32], bs);
  const int x = int(threadIdx.x), y = int(threadIdx.y), row = int(blockIdx.y) * 32 + y, col = int(blockIdx.x) * 32 + x;
  float sum = 0;
  for (int k0 = 0; k0 < n; k0 += 32) {
    as[y][x] = a[row * n + k0 + x];
    bs[y][x] = b[(k0 + y) * n + col];
    __syncthreads();
    for (int k = 0; k < 32; ++k) sum = fn::fma(as[y][k], bs[k][x], sum);
    __syncthreads();
  }
  c[row * n + col] = sum;
}

// 4. A thread makes 8 elements of a column of c: a number of b is loaded into a register and serves 8 products, so
// there are 9 loads for 8 products. Blocks make 64 x 64, tiles are 8 deep.
__global__ void column_per_thread(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(Watched<float>[64][8], as);
  INK_SHARED(Watched<float>[8][64], bs);
  const int t = int(threadIdx.x), x = t % 64, y = t / 64;  // 512 threads
  const int row = int(blockIdx.y) * 64, col = int(blockIdx.x) * 64;
  float sum[8] = {};
  for (int k0 = 0; k0 < n; k0 += 8) {
    as[t / 8][t % 8] = a[(row + t / 8) * n + k0 + t % 8];
    bs[y][x] = b[(k0 + y) * n + col + x];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float right = bs[k][x];
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = fn::fma(as[8 * y + i][k], right, sum[i]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 8; ++i) c[(row + 8 * y + i) * n + col + x] = sum[i];
}

constexpr int kTile = 128, kDepth = 8;  // steps 5 to 7: a block makes 128 x 128, its 256 threads 8 x 8 each

// 5. A thread makes 8 x 8 elements: 16 loads for 64 products. But its columns are 8 neighbours, so that lanes stand 8
// words apart: 16 of them meet in 4 banks. The two rows of a that a warp reads stand 64 words apart, in one bank.
__global__ void square_per_thread(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(Watched<float>[kTile][kDepth], as);
  INK_SHARED(Watched<float>[kDepth][kTile], bs);
  const int t = int(threadIdx.x), x = t % 16 * 8, y = t / 16 * 8;
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile;
  float sum[8][8] = {};
  for (int k0 = 0; k0 < n; k0 += kDepth) {
    for (int i = t; i < kTile * kDepth; i += 256) {
      as[i / kDepth][i % kDepth] = a[(row + i / kDepth) * n + k0 + i % kDepth];
      bs[i / kTile][i % kTile] = b[(k0 + i / kTile) * n + col + i % kTile];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float left[8], right[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) left[i] = as[y + i][k], right[i] = bs[k][x + i];
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[i][j] = fn::fma(left[i], right[j], sum[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) c[(row + y + i) * n + col + x + j] = sum[i][j];
}

// ---- steps 6 and 7. a stands in shared memory with k as its row, so that both operands of a k are neighbours and come
// by two loads of four. A thread's 8 columns are 4 and 4, half a tile apart: 8 lanes then read 32 words in a row, all
// banks. Four words more in each row of a bring the two halves of a warp, which store 4 rows apart, into different
// banks.
using TileA = Watched<float>[kDepth][kTile + 4];
using TileB = Watched<float>[kDepth][kTile];

__device__ __forceinline__ float4 load4(const Watched<float>& at) {
  return *reinterpret_cast<const Watched<float4>*>(&at);
}
__device__ __forceinline__ void store4(Watched<float>& at, float4 v) { *reinterpret_cast<Watched<float4>*>(&at) = v; }

// The part of a block in a tile that thread t carries from global to shared memory: four numbers of a and of b.
struct Carried {
  float4 a, b;
};
__device__ __forceinline__ Carried load(const Watched<float>* a, const Watched<float>* b, int n, int row, int col,
                                        int k0, int t) {
  const float4 from_a = load4(a[(row + t / 2) * n + k0 + t % 2 * 4]),
               from_b = load4(b[(k0 + t / 32) * n + col + t % 32 * 4]);
  return {from_a, from_b};
}
__device__ __forceinline__ void store(TileA& as, TileB& bs, const Carried& v, int t) {
  as[t % 2 * 4 + 0][t / 2] = v.a.x;
  as[t % 2 * 4 + 1][t / 2] = v.a.y;
  as[t % 2 * 4 + 2][t / 2] = v.a.z;
  as[t % 2 * 4 + 3][t / 2] = v.a.w;
  store4(bs[t / 32][t % 32 * 4], v.b);
}
// sum += a b of one tile, for the 8 x 8 elements of this thread.
__device__ __forceinline__ void multiply(float (&sum)[8][8], const TileA& as, const TileB& bs, int x, int y) {
#pragma unroll
  for (int k = 0; k < kDepth; ++k) {
    const float4 a0 = load4(as[k][4 * y]), a1 = load4(as[k][64 + 4 * y]);
    const float4 b0 = load4(bs[k][4 * x]), b1 = load4(bs[k][64 + 4 * x]);
    const float left[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
    const float right[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j) sum[i][j] = fn::fma(left[i], right[j], sum[i][j]);
  }
}
__device__ __forceinline__ void write(Watched<float>* c, const float (&sum)[8][8], int n, int row, int col, int x,
                                      int y) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    Watched<float>* to = c + (row + i / 4 * 64 + 4 * y + i % 4) * n + col + 4 * x;
    store4(to[0], make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
    store4(to[64], make_float4(sum[i][4], sum[i][5], sum[i][6], sum[i][7]));
  }
}

// 6. Four numbers by one request: a quarter of the loads, global and shared, and no bank conflicts.
__global__ void vectors(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(TileA, as);
  INK_SHARED(TileB, bs);
  const int t = int(threadIdx.x), x = t % 16, y = t / 16, row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile;
  float sum[8][8] = {};
  for (int k0 = 0; k0 < n; k0 += kDepth) {
    store(as, bs, load(a, b, n, row, col, k0, t), t);
    __syncthreads();
    multiply(sum, as, bs, x, y);
    __syncthreads();
  }
  write(c, sum, n, row, col, x, y);
}

// 7. Two tiles take turns: while one is multiplied, the next is on its way into registers, so that memory and
// arithmetic work at the same time. And one barrier a tile is enough: nobody writes what others still read.
__global__ void two_tiles(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(TileA[2], as);
  INK_SHARED(TileB[2], bs);
  const int t = int(threadIdx.x), x = t % 16, y = t / 16, row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile;
  float sum[8][8] = {};
  Carried next = load(a, b, n, row, col, 0, t);
  for (int k0 = 0; k0 < n; k0 += kDepth) {
    const int now = k0 / kDepth % 2;
    store(as[now], bs[now], next, t);
    __syncthreads();
    if (k0 + kDepth < n) next = load(a, b, n, row, col, k0 + kDepth, t);
    multiply(sum, as[now], bs[now], x, y);
  }
  write(c, sum, n, row, col, x, y);
}

// ---- step 8. Tiles are 16 deep and rounded to 16 bits: 128 rows of a, or columns of b, of four quads of k each. Quad
// q of row r stands at q xor s(r), where s is different for 8 rows that are stored, and in bit 1 for rows 4 apart that
// are read together: no bank conflicts.
using Tile16 = Watched<uint2>[kTile][4];
__device__ __forceinline__ int slot(int row, int q) { return q ^ (row / 4 % 2 * 2 + row / 8 % 2); }
__device__ __forceinline__ unsigned pair(float low, float high) {
  return half(low).bits | unsigned(half(high).bits) << 16;
}
__device__ __forceinline__ void put(Tile16& tile, int row, int q, float4 v) {
  tile[row][slot(row, q)] = uint2{pair(v.x, v.y), pair(v.z, v.w)};
}
// Numbers 2 k2 and 2 k2 + 1 of a row.
__device__ __forceinline__ unsigned two(const Tile16& tile, int row, int k2) {
  return reinterpret_cast<const Watched<unsigned>*>(&tile[row][slot(row, k2 / 2)])[k2 % 2];
}
// Thread t carries 2 quads of rows of a, and 2 of columns of b, whose lanes are neighbours.
__device__ __forceinline__ void load(float4 (&v)[4], const Watched<float>* a, const Watched<float>* b, int n, int row,
                                     int col, int k0, int t) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const Watched<float>* from_b = b + (k0 + 4 * (t / 128 + 2 * i)) * n + col + t % 128;
    v[i] = load4(a[(row + t / 4 + 64 * i) * n + k0 + t % 4 * 4]);
    v[2 + i] = make_float4(from_b[0], from_b[n], from_b[2 * n], from_b[3 * n]);
  }
}

// 8. Tensor cores: a warp multiplies 16 x 16 by 16 x 8 with one instruction, from 6 registers a lane. Its tile of 32 x
// 64 takes 24 loads for 16 of them, 32 Ki products. The price is rounding: factors have 11 bits.
__global__ void tensor_cores(Watched<float>* c, const Watched<float>* a, const Watched<float>* b, int n) {
  INK_SHARED(Tile16[2], as);
  INK_SHARED(Tile16[2], bs);
  const int t = int(threadIdx.x), g = t % 32 / 4, q = t % 4, top = t / 32 % 4 * 32, left = t / 128 * 64;
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile;
  float sum[2][8][4] = {};
  float4 next[4];
  load(next, a, b, n, row, col, 0, t);
  for (int k0 = 0; k0 < n; k0 += 16) {
    const int now = k0 / 16 % 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      put(as[now], t / 4 + 64 * i, t % 4, next[i]);
      put(bs[now], t % 128, t / 128 + 2 * i, next[2 + i]);
    }
    __syncthreads();
    if (k0 + 16 < n) load(next, a, b, n, row, col, k0 + 16, t);
    unsigned from_a[2][4], from_b[2];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      from_a[i / 4][i % 4] = two(as[now], top + i / 4 * 16 + i % 2 * 8 + g, i % 4 / 2 * 4 + q);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      from_b[0] = two(bs[now], left + 8 * j + g, q), from_b[1] = two(bs[now], left + 8 * j + g, 4 + q);
#pragma unroll
      for (int i = 0; i < 2; ++i) mma_m16n8k16<half>(sum[i][j], from_a[i], from_b);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      Watched<float>* to = c + (row + top + 8 * i + g) * n + col + left + 8 * j + 2 * q;
      *reinterpret_cast<Watched<float2>*>(to) = make_float2(sum[i / 2][j][i % 2 * 2], sum[i / 2][j][i % 2 * 2 + 1]);
    }
}

void climb(Ladder& ladder) {
  const int n = int(ladder.size("n", 128, 4096, "rows and columns", kTile, 32768));
  const int64_t all = int64_t(n) * n;
  const auto a = ladder.input(all), b = ladder.input(all);
  Watched<float>* c = ladder.output(all);
  for (int64_t i = 0; i < all; i += spread(all, 1 << 14)) {
    double sum = 0;
    for (int k = 0; k < n; ++k) sum += double(a.host[i / n * n + k]) * b.host[int64_t(k) * n + i % n];
    ladder.reference(i, sum);
  }
  ladder.work({.bytes = 12. * double(all), .flops = 2. * double(n) * double(all)});
  ladder.tolerance(1e-7 * n);

  auto step = [&](const char* name, void (*kernel)(Watched<float>*, const Watched<float>*, const Watched<float>*, int),
                  dim3 grid, dim3 block) {
    return ladder.step(name, [&] { ladder.launch(name, kernel, grid, block, c, a.device, b.device, n); });
  };
  const unsigned m = unsigned(n);
  const auto r1 = step("naive", naive, dim3(m / 32, m / 8), dim3(32, 8));
  const auto r2 = step("coalesced", coalesced, dim3(m / 32, m / 8), dim3(32, 8));
  const auto r3 = step("shared tile", shared_tile, dim3(m / 32, m / 32), dim3(32, 32));
  const auto r4 = step("column per thread", column_per_thread, dim3(m / 64, m / 64), dim3(512));
  const auto r5 = step("square per thread", square_per_thread, dim3(m / kTile, m / kTile), dim3(256));
  const auto r6 = step("vectors", vectors, dim3(m / kTile, m / kTile), dim3(256));
  const auto r7 = step("two tiles", two_tiles, dim3(m / kTile, m / kTile), dim3(256));
  ladder.tolerance(2e-3 * fn::sqrt(double(n)));
  const auto r8 = step("tensor cores", tensor_cores, dim3(m / kTile, m / kTile), dim3(256));

  auto per_product = [&](const Ladder::Result& r) {
    return double(r.counts.shared_requests) * 32 / (double(n) * double(all));
  };
  ladder.expect("naive: 32 sectors of a and 1 of b", per_load(r1), Equals{16.5});
  ladder.expect("coalesced: 1 sector of a and 4 of b", per_load(r2), Equals{2.5});
  ladder.expect("shared tile: sectors of global memory against coalesced",
                double(r3.counts.load_sectors) / double(r2.counts.load_sectors), Equals{8. / 160});
  ladder.expect("shared tile: requests of shared memory per product", per_product(r3), Within{2, 2.1});
  ladder.expect("column per thread: the same", per_product(r4), Within{9. / 8, 1.2});
  ladder.expect("square per thread: the same", per_product(r5), Within{1. / 4, 0.3});
  ladder.expect("square per thread: bank conflicts", double(r5.counts.shared_conflicts), Above{0});
  ladder.expect("vectors: requests of shared memory per product", per_product(r6), Within{1. / 16, 0.1});
  ladder.expect("vectors: bank conflicts", double(r6.counts.shared_conflicts), Equals{0});
  ladder.expect("tensor cores: requests of shared memory per product", per_product(r8), Within{24. / 1024, 0.04});
  ladder.expect("tensor cores: bank conflicts", double(r8.counts.shared_conflicts), Equals{0});
  ladder.expect("two tiles: barriers over those of vectors", double(r7.counts.barriers) / double(r6.counts.barriers),
                Equals{0.5});
}

}  // namespace

int main(int argc, char** argv) {
  return run_ladder(
      argc, argv,
      {.name = "matmul",
       .title = "Product of two matrices",
       .about = "2 n^3 operations on 3 n^2 numbers: all depends on how often a number is used once it is there."},
      climb);
}
