// The language that kernels are written in: what each built-in does, thread by thread.
#include <set>

#include "tensor/cuda/device/vector.h"
#include "tests/catch.h"
#include "tests/sim/buffer.h"

using namespace ink::cuda;

namespace {

// ---- where a thread is
struct Place {
  unsigned thread[3], block[3], block_size[3], grid_size[3];
};
__global__ void places(Place* out) {
  const unsigned in_block = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + in_block] = {{threadIdx.x, threadIdx.y, threadIdx.z},
                                                                  {blockIdx.x, blockIdx.y, blockIdx.z},
                                                                  {blockDim.x, blockDim.y, blockDim.z},
                                                                  {gridDim.x, gridDim.y, gridDim.z}};
}

// ---- barriers
__global__ void turn_around(int* y, const int* x, int n) {
  INK_SHARED(int[1024], tile);
  for (int round = 0; round < 3; ++round) {  // the same barriers again and again
    tile[threadIdx.x] = round == 0 ? x[threadIdx.x] : tile[threadIdx.x] + 1;
    __syncthreads();
    const int other = tile[n - 1 - int(threadIdx.x)];
    __syncthreads();
    tile[threadIdx.x] = other;
  }
  y[threadIdx.x] = tile[threadIdx.x];
}
__global__ void barrier_votes(int* y) {
  const int t = int(threadIdx.x), n = int(blockDim.x);
  int* out = y + 5 * t;
  out[0] = __syncthreads_count(t % 3 == 0);
  out[1] = __syncthreads_or(t == n - 1);
  out[2] = __syncthreads_or(t == n);
  out[3] = __syncthreads_and(t < n);
  out[4] = __syncthreads_and(t < n - 1);
}

// ---- warps
template <class T> __global__ void shuffles(T* y, int width, int by) {
  const T own = T(100 + threadIdx.x);
  T* out = y + 4 * threadIdx.x;
  out[0] = __shfl_sync(kFull, own, by, width);
  out[1] = __shfl_up_sync(kFull, own, unsigned(by), width);
  out[2] = __shfl_down_sync(kFull, own, unsigned(by), width);
  out[3] = __shfl_xor_sync(kFull, own, by, width);
}
__global__ void votes(unsigned* y) {
  const unsigned t = threadIdx.x;
  unsigned* out = y + 7 * t;
  out[0] = __ballot_sync(kFull, t % 5 == 0);
  out[1] = unsigned(__any_sync(kFull, t == 31));
  out[2] = unsigned(__any_sync(kFull, 0));
  out[3] = unsigned(__all_sync(kFull, 7));
  out[4] = unsigned(__all_sync(kFull, t != 3));
  const unsigned half = t % 32 < 16 ? 0xffffu : 0xffff0000u;  // two groups, one after the other or not
  out[5] = __ballot_sync(half, t % 2);
  __syncwarp(half);
  out[6] = __shfl_sync(half, t, t % 32 < 16 ? 3 : 19);
}

// ---- atomics
__global__ void atomics(int* word, float* sum, double* wide, unsigned long long* order, int* seen) {
  seen[threadIdx.x] = atomicAdd(&word[0], 2);
  atomicAdd(sum, 0.5f);
  atomicAdd(wide, 0.25);
  atomicMax(&word[1], int(threadIdx.x));
  atomicMin(&word[2], -int(threadIdx.x));
  atomicOr(&word[3], 1 << threadIdx.x % 8);
  atomicAnd(&word[4], ~(1 << threadIdx.x % 8));
  atomicExch(&word[5], 77);
  atomicCAS(&word[6], 0, int(threadIdx.x) + 1);
  if (threadIdx.x == 0) atomicAdd(order, 1ull << 40);
}
__global__ void atomic_results(int* y) {  // each starts from 10
  int word[6] = {10, 10, 10, 10, 10, 10};
  y[0] = atomicAdd(&word[0], 5), y[1] = word[0];
  y[2] = atomicExch(&word[1], 3), y[3] = word[1];
  y[4] = atomicCAS(&word[2], 10, 4), y[5] = word[2];
  y[6] = atomicCAS(&word[3], 11, 4), y[7] = word[3];
  y[8] = atomicMax(&word[4], 12), y[9] = word[4];
  y[10] = atomicMin(&word[5], 12), y[11] = word[5];
}
__global__ void bits(unsigned* y) {
  y[0] = unsigned(__popc(0xf0f0u)), y[1] = unsigned(__clz(1)), y[2] = unsigned(__clz(0)), y[3] = unsigned(__ffs(8));
  y[4] = unsigned(__ffs(0)), y[5] = __brev(1), y[6] = __umulhi(0x80000000u, 6), y[7] = __float_as_uint(1.0f);
  y[8] = unsigned(__int_as_float(0x40000000));
}

// ---- shared memory and vectors
template <int kArrays> __global__ void shared_arrays(int* y) {
  INK_SHARED(int[64], a);
  INK_SHARED(double[64], b);
  int* c = dynamic_shared<int>();
  a[threadIdx.x] = int(threadIdx.x), b[threadIdx.x] = 1000, c[threadIdx.x] = kArrays;
  __syncthreads();
  const unsigned other = blockDim.x - 1 - threadIdx.x;
  y[blockIdx.x * blockDim.x + threadIdx.x] = a[other] + int(b[other]) + c[other];
}
__global__ void vectors(float* y, const float* x) {
  Vec<float, 4> v = load_vector<4>(x + 4 * threadIdx.x);
  for (float& f : v.lane) f *= 2;
  store_vector<4>(y + 4 * threadIdx.x, v);
}
__global__ void built_in_vectors(float* y, const float* x) {
  const float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
  reinterpret_cast<float2*>(y)[2 * threadIdx.x] = make_float2(v.w, v.z);
  reinterpret_cast<float2*>(y)[2 * threadIdx.x + 1] = {v.y, v.x};
}

std::vector<float> counted(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = float(i);
  return x;
}

}  // namespace

TEST_CASE("every thread of every block runs once and knows its place", "[sim]") {
  const unsigned grid[3] = {3, 2, 4}, block[3] = {8, 4, 3};
  Buffer<Place> out(24 * 96);
  launch("places", places, dim3(3, 2, 4), dim3(8, 4, 3), 0, out.data());
  std::vector<Place> seen = out.host();
  for (size_t i = 0; i < seen.size(); ++i) {
    size_t thread = i % 96, b = i / 96;
    const unsigned t[3] = {unsigned(thread % 8), unsigned(thread / 8 % 4), unsigned(thread / 32)};
    const unsigned where[3] = {unsigned(b % 3), unsigned(b / 3 % 2), unsigned(b / 6)};
    bool right = true;
    for (int d = 0; d < 3; ++d)
      right = right && seen[i].thread[d] == t[d] && seen[i].block[d] == where[d] && seen[i].block_size[d] == block[d] &&
              seen[i].grid_size[d] == grid[d];
    REQUIRE(right);
  }
}

TEST_CASE("a barrier holds every thread until all have come", "[sim]") {
  for (int n : {1, 31, 32, 33, 256, 1024}) {
    std::vector<int> x(n);
    for (int i = 0; i < n; ++i) x[size_t(i)] = i * i;
    Buffer<int> in(x), out{size_t(n)};
    launch("turn_around", turn_around, 1, unsigned(n), 0, out.data(), in.data(), n);
    std::vector<int> y = out.host();
    bool right = true;  // turned three times, and one added before the second and the third
    for (int i = 0; i < n; ++i) right = right && y[size_t(i)] == x[size_t(n - 1 - i)] + 2;
    CHECK(right);
  }
}

TEST_CASE("barriers count", "[sim]") {
  Buffer<int> out(5 * 70);
  launch("barrier_votes", barrier_votes, 1, 70, 0, out.data());
  std::vector<int> y = out.host();
  for (size_t t = 0; t < 70; ++t)
    REQUIRE(std::vector<int>(&y[5 * t], &y[5 * t] + 5) == std::vector<int>{24, 1, 0, 1, 0});
}

TEMPLATE_TEST_CASE("shuffles take from the lane they say", "[sim]", int, float, double, uint64_t) {
  for (int width : {1, 2, 8, 16, 32})
    for (int by : {0, 1, 3, 7, 16, 31}) {
      Buffer<TestType> out(4 * 64);
      launch("shuffles", shuffles<TestType>, 1, 64, 0, out.data(), width, by);
      std::vector<TestType> y = out.host();
      bool right = true;
      for (int t = 0; t < 64; ++t) {
        const int begin = t / width * width, end = begin + width, flipped = t / 32 * 32 + (t % 32 ^ by);
        auto check = [&](int k, int from) { right = right && y[size_t(4 * t + k)] == TestType(100 + from); };
        check(0, begin + by % width);
        check(1, t - by < begin ? t : t - by);
        check(2, t + by >= end ? t : t + by);
        check(3, flipped >= end ? t : flipped);
      }
      CAPTURE(width, by);
      CHECK(right);
    }
}

TEST_CASE("votes of warps and parts of warps", "[sim]") {
  Buffer<unsigned> out(7 * 64);
  launch("votes", votes, 1, 64, 0, out.data());
  std::vector<unsigned> y = out.host();
  for (unsigned t = 0; t < 64; ++t) {
    unsigned fives = 0;
    for (unsigned lane = 0; lane < 32; ++lane) fives |= unsigned((t / 32 * 32 + lane) % 5 == 0) << lane;
    const unsigned half = t % 32 < 16 ? 0xaaaau : 0xaaaa0000u, from = t / 32 * 32 + (t % 32 < 16 ? 3 : 19);
    const std::vector<unsigned> want{fives, t < 32, 0, 1, t >= 32, half, from};
    REQUIRE(std::vector<unsigned>(&y[7 * t], &y[7 * t] + 7) == want);
  }
}

TEST_CASE("atomics return the value before, and lose nothing between blocks", "[sim]") {
  const std::vector<int> first{0, -5, 5, 0, 255, 0, 0};
  Buffer<int> word(first), seen(256);
  Buffer<float> sum(std::vector<float>{1});
  Buffer<double> wide(std::vector<double>{1});
  Buffer<unsigned long long> order(std::vector<unsigned long long>{0});
  launch("atomics", atomics, 40, 256, 0, word.data(), sum.data(), wide.data(), order.data(), seen.data());
  std::vector<int> w = word.host();
  CHECK(w[6] >= 1);
  w[6] = 0;
  CHECK(w == std::vector<int>{2 * 40 * 256, 255, -255, 255, 0, 77, 0});
  CHECK(sum.host()[0] == 1 + 0.5f * 40 * 256);
  CHECK(wide.host()[0] == 1 + 0.25 * 40 * 256);
  CHECK(order.host()[0] == 40ull << 40);
  Buffer<int> again(first);
  launch("atomics", atomics, 1, 256, 0, again.data(), sum.data(), wide.data(), order.data(), seen.data());
  std::vector<int> all = seen.host();
  std::set<int> different(all.begin(), all.end());
  CHECK(different.size() == 256);
  CHECK(*different.rbegin() == 2 * 255);

  Buffer<int> results(12);
  launch("atomic_results", atomic_results, 1, 1, 0, results.data());
  CHECK(results.host() == std::vector<int>{10, 15, 10, 3, 10, 4, 10, 10, 10, 12, 10, 10});
}

TEST_CASE("bits and integers", "[sim]") {
  Buffer<unsigned> out(9);
  launch("bits", bits, 1, 1, 0, out.data());
  CHECK(out.host() == std::vector<unsigned>{8, 31, 32, 4, 0, 0x80000000u, 3, 0x3f800000u, 2});
}

TEST_CASE("static and dynamic shared memory belong to the block", "[sim]") {
  Buffer<int> out(10 * 64);
  auto check = [&](auto kernel, int add) {
    launch("shared_arrays", kernel, 10, 64, 64 * sizeof(int), out.data());
    std::vector<int> y = out.host();
    bool right = true;
    for (size_t i = 0; i < y.size(); ++i) right = right && y[i] == 63 - int(i % 64) + 1000 + add;
    CHECK(right);
  };
  check(shared_arrays<1>, 1);
  check(shared_arrays<2>, 2);  // another kernel's arrays are others
  check(shared_arrays<1>, 1);
}

TEST_CASE("vector loads and stores", "[sim]") {
  Buffer<float> x(counted(128)), y(128), z(128);
  launch("vectors", vectors, 1, 32, 0, y.data(), x.data());
  launch("built_in_vectors", built_in_vectors, 1, 32, 0, z.data(), x.data());
  std::vector<float> doubled = y.host(), turned = z.host();
  bool right = true;
  for (size_t i = 0; i < 128; ++i)
    right = right && doubled[i] == 2 * float(i) && turned[i] == float(i / 4 * 4 + 3 - i % 4);
  CHECK(right);
}
