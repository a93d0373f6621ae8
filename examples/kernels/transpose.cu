// Transpose of a matrix, y_ji = x_ij, in six steps: nothing is computed, everything is a matter of who touches which
// address when.
//
// Lanes of a warp are numbered by threadIdx.x. Tiles of 32 x 32 and their padding are those of G. Ruetsch and P.
// Micikevicius, "Optimizing Matrix Transpose in CUDA" (2009).
#include "examples/kernels/ladder.h"

using namespace ink::cuda;
using namespace ink::lesson;

namespace {

constexpr int kTile = 32;
constexpr int kRows = 8;  // a block has 32 x 8 threads, so that each moves 4 numbers of a tile

// 1. Lanes read a row of x, 4 full sectors, and write a column of y: 32 sectors, 4 of 32 bytes used in each.
__global__ void rows_first(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  const int col = int(blockIdx.x) * kTile + int(threadIdx.x), row = int(blockIdx.y) * kTile;
  for (int r = int(threadIdx.y); r < kTile; r += kRows)
    y[int64_t(col) * rows + row + r] = x[int64_t(row + r) * cols + col];
}

// 2. The other way round: as many sectors, but now it is the reads that are scattered. A cache can help with those: the
// rest of the sector is wanted by the next rows of the tile. A partly written sector may have to be completed first.
__global__ void columns_first(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  const int row = int(blockIdx.x) * kTile + int(threadIdx.x), col = int(blockIdx.y) * kTile;
  for (int c = int(threadIdx.y); c < kTile; c += kRows)
    y[int64_t(col + c) * rows + row] = x[int64_t(row) * cols + col + c];
}

// 3. A tile is read by rows, turned in shared memory, written by rows: 4 sectors a request on both sides. But a column
// of the tile lies in one bank (32 words from row to row): 32 wavefronts for one request.
__global__ void tile(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  INK_SHARED(Watched<float>[kTile][kTile], tile);
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile, i = int(threadIdx.x);
  for (int r = int(threadIdx.y); r < kTile; r += kRows) tile[r][i] = x[int64_t(row + r) * cols + col + i];
  __syncthreads();
  for (int c = int(threadIdx.y); c < kTile; c += kRows) y[int64_t(col + c) * rows + row + i] = tile[i][c];
}

// 4. One column more in every row of the tile moves the next row by one bank: (33 r + c) mod 32 is different for all r.
__global__ void padded(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  INK_SHARED(Watched<float>[kTile][kTile + 1], tile);
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile, i = int(threadIdx.x);
  for (int r = int(threadIdx.y); r < kTile; r += kRows) tile[r][i] = x[int64_t(row + r) * cols + col + i];
  __syncthreads();
  for (int c = int(threadIdx.y); c < kTile; c += kRows) y[int64_t(col + c) * rows + row + i] = tile[i][c];
}

// 5. The same without the extra column: element (r, c) stands at (r, c xor r). In a row that only permutes the columns;
// in a column it is a different bank for every r. Rows stay aligned, which the next step needs.
__global__ void swizzled(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  INK_SHARED(Watched<float>[kTile][kTile], tile);
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile, i = int(threadIdx.x);
  for (int r = int(threadIdx.y); r < kTile; r += kRows) tile[r][i ^ r] = x[int64_t(row + r) * cols + col + i];
  __syncthreads();
  for (int c = int(threadIdx.y); c < kTile; c += kRows) y[int64_t(col + c) * rows + row + i] = tile[i][c ^ i];
}

// 6. Four numbers by one request, everywhere. A thread loads a square of 4 x 4 as four rows, turns it in registers, and
// puts four rows of the turned tile into shared memory; 64 threads make a tile of 8 x 8 such squares. Row r, quad q of
// it stands at (r, q xor r / 4). A wide request is served 8 lanes at a time: those write 8 rows four apart, or read the
// 8 quads of one row, and in both cases touch all 32 banks.
__global__ void vectors(Watched<float>* y, const Watched<float>* x, int rows, int cols) {
  INK_SHARED(Watched<float4>[kTile][kTile / 4], tile);
  const int row = int(blockIdx.y) * kTile, col = int(blockIdx.x) * kTile, i = int(threadIdx.x),
            j = int(threadIdx.y);  // 8 x 8
  float4 v[4];
#pragma unroll
  for (int k = 0; k < 4; ++k)
    v[k] = reinterpret_cast<const Watched<float4>*>(x + int64_t(row + 4 * j + k) * cols + col)[i];
  tile[4 * i + 0][j ^ i] = make_float4(v[0].x, v[1].x, v[2].x, v[3].x);
  tile[4 * i + 1][j ^ i] = make_float4(v[0].y, v[1].y, v[2].y, v[3].y);
  tile[4 * i + 2][j ^ i] = make_float4(v[0].z, v[1].z, v[2].z, v[3].z);
  tile[4 * i + 3][j ^ i] = make_float4(v[0].w, v[1].w, v[2].w, v[3].w);
  __syncthreads();
#pragma unroll
  for (int k = 0; k < 4; ++k)
    reinterpret_cast<Watched<float4>*>(y + int64_t(col + 4 * j + k) * rows + row)[i] = tile[4 * j + k][i ^ j];
}

void climb(Ladder& ladder) {
  const int rows = int(ladder.size("n", 256, 1 << 13, "rows of x", kTile, 1 << 20));
  const int cols = int(ladder.size("cols", 128, 1 << 13, "columns of x", kTile, 1 << 20));
  const int64_t all = int64_t(rows) * cols;
  const auto x = ladder.input(all);
  Watched<float>* y = ladder.output(all);
  for (int64_t i = 0; i < all; i += spread(all, 1 << 20)) ladder.reference(i, x.host[i % rows * cols + i / rows]);
  ladder.work({.bytes = 8. * double(all)});

  const dim3 tiles(unsigned(cols / kTile), unsigned(rows / kTile)), turned(tiles.y, tiles.x), threads(kTile, kRows);
  auto step = [&](const char* name, void (*kernel)(Watched<float>*, const Watched<float>*, int, int), dim3 grid,
                  dim3 block) {
    return ladder.step(name, [&] { ladder.launch(name, kernel, grid, block, y, x.device, rows, cols); });
  };
  const auto a = step("rows first", rows_first, tiles, threads);
  const auto b = step("columns first", columns_first, turned, threads);
  const auto c = step("tile", tile, tiles, threads);
  const auto d = step("padded", padded, tiles, threads);
  const auto e = step("swizzled", swizzled, tiles, threads);
  const auto f = step("vectors", vectors, tiles, dim3(8, 8));

  ladder.expect("rows first: sectors per load", per_load(a), Equals{4});
  ladder.expect("rows first: sectors per store", per_store(a), Equals{32});
  ladder.expect("columns first: sectors per load", per_load(b), Equals{32});
  ladder.expect("columns first: sectors per store", per_store(b), Equals{4});
  ladder.expect("tile: sectors per request", per_load(c) + per_store(c), Equals{4 + 4});
  ladder.expect("tile: wavefronts per request", double(c.counts.shared_wavefronts) / double(c.counts.shared_requests),
                Equals{(1 + 32) / 2.});
  ladder.expect("padded: bank conflicts", double(d.counts.shared_conflicts), Equals{0});
  ladder.expect("swizzled: bank conflicts", double(e.counts.shared_conflicts), Equals{0});
  ladder.expect("vectors: sectors per load", per_load(f), Equals{16});
  ladder.expect("vectors: wavefronts per request",
                double(f.counts.shared_wavefronts) / double(f.counts.shared_requests), Equals{4});
}

}  // namespace

int main(int argc, char** argv) {
  return run_ladder(argc, argv,
                    {.name = "transpose",
                     .title = "Transpose of a matrix",
                     .about = "Rows in, columns out: the same bytes, moved well or badly."},
                    climb);
}
