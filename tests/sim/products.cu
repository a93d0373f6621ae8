// Tensor cores and asynchronous copies, against a plain product.
#include <cmath>
#include <random>

#include "tensor/cuda/device/mma.h"
#include "tests/catch.h"
#include "tests/sim/buffer.h"

using namespace ink;
using namespace ink::cuda;

namespace {

// One warp: C 16 x 8 += A 16 x 16 times B 16 x 8, all by rows. B comes as rows of B turned by ldmatrix, or as rows of
// B's transpose.
template <class T, bool kTransposed> __global__ void product(float* c, const T* a, const T* b) {
  INK_SHARED(T[16][16], rows_of_a);
  INK_SHARED(T[16][8], rows_of_b);
  const int lane = int(threadIdx.x), g = lane / 4, t = lane % 4;
  for (int i = lane; i < 256; i += 32) rows_of_a[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) (&rows_of_b[0][0])[i] = b[i];
  __syncwarp();
  uint32_t fa[4], fb[2];
  ldmatrix<4>(fa, &rows_of_a[lane % 16][lane / 16 * 8]);
  if constexpr (kTransposed)
    ldmatrix<2>(fb, &rows_of_b[0][0] + lane % 8 * 16 + lane / 8 % 2 * 8);  // 8 rows of 16
  else
    ldmatrix<2, true>(fb, &rows_of_b[lane % 16][0]);
  float sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_m16n8k16<T>(sum, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sum[i];
}

template <int N, bool kTranspose> __global__ void load(uint32_t* y, const uint16_t* x) {
  INK_SHARED(uint16_t[32][8], tile);
  for (int i = int(threadIdx.x); i < 256; i += 32) tile[i / 8][i % 8] = x[i];
  __syncwarp();
  uint32_t r[N];
  ldmatrix<N, kTranspose>(r, &tile[threadIdx.x][0]);
  for (int j = 0; j < N; ++j) y[j * 32 + int(threadIdx.x)] = r[j];
}

// y = 2 x by pieces of a block, of which the next is under way while one is computed.
constexpr int kPieces = 5;
__global__ void pipeline(float* y, const float* x) {
  INK_SHARED(float[2][128], tile);
  auto start = [&](int piece) {
    if (piece < kPieces) cp_async16(&tile[piece % 2][4 * threadIdx.x], x + piece * 128 + 4 * int(threadIdx.x));
    cp_async_commit();
  };
  start(0);
  for (int piece = 0; piece < kPieces; ++piece) {
    start(piece + 1);
    cp_async_wait<1>();
    __syncthreads();
    for (int i = int(threadIdx.x); i < 128; i += 32) y[piece * 128 + i] = 2 * tile[piece % 2][i];
    __syncthreads();
  }
}

template <class T> std::vector<T> random(size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<T> x(n);
  for (T& v : x) v = T(float(int(engine() % 2001) - 1000) / 250);
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("mma is a matrix product", "[sim]", half, bfloat16) {
  const std::vector<TestType> a = random<TestType>(256, 1), b = random<TestType>(128, 2);
  std::vector<TestType> bt(128);
  for (size_t k = 0; k < 16; ++k)
    for (size_t j = 0; j < 8; ++j) bt[j * 16 + k] = b[k * 8 + j];
  const std::vector<float> c = random<float>(128, 3);
  Buffer<TestType> da(a), db(b), dbt(bt);
  Buffer<float> by_rows(c), by_columns(c);
  launch("product", product<TestType, false>, 1, 32, 0, by_rows.data(), da.data(), db.data());
  launch("product", product<TestType, true>, 1, 32, 0, by_columns.data(), da.data(), dbt.data());
  const std::vector<float> got = by_rows.host();
  CHECK(got == by_columns.host());
  for (size_t i = 0; i < 16; ++i)
    for (size_t j = 0; j < 8; ++j) {
      double sum = c[i * 8 + j];
      for (size_t k = 0; k < 16; ++k) sum += double(float(a[i * 16 + k])) * double(float(b[k * 8 + j]));
      REQUIRE(std::abs(got[i * 8 + j] - sum) <= 1e-6 * std::abs(sum));
    }
}

TEST_CASE("ldmatrix gives every lane its two numbers", "[sim]") {
  std::vector<uint16_t> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = uint16_t(i);
  Buffer<uint16_t> in(x);
  auto check = [&](auto kernel, size_t matrices, bool transposed) {
    Buffer<uint32_t> out(matrices * 32);
    launch("load", kernel, 1, 32, 0, out.data(), in.data());
    const std::vector<uint32_t> y = out.host();
    bool right = true;
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t j = i / 32, g = i % 32 / 4, t = i % 4;
      auto at = [&](size_t row, size_t col) { return uint32_t(x[64 * j + 8 * row + col]); };
      right =
          right && y[i] == (transposed ? at(2 * t, g) | at(2 * t + 1, g) << 16 : at(g, 2 * t) | at(g, 2 * t + 1) << 16);
    }
    CAPTURE(matrices, transposed);
    CHECK(right);
  };
  check(load<1, false>, 1, false);
  check(load<2, false>, 2, false);
  check(load<4, false>, 4, false);
  check(load<1, true>, 1, true);
  check(load<2, true>, 2, true);
  check(load<4, true>, 4, true);
}

TEST_CASE("asynchronous copies land group by group", "[sim]") {
  std::vector<float> x = random<float>(128 * kPieces, 4);
  Buffer<float> in(x), out(x.size());
  launch("pipeline", pipeline, 1, 32, 0, out.data(), in.data());
  for (float& v : x) v *= 2;
  CHECK(out.host() == x);
}
