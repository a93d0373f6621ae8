// Sum of n numbers, in seven steps: from one run of numbers per thread to one pass at the speed of memory.
//
// Every kernel turns n numbers into fewer, and is launched again on what it left until one remains. The order of
// additions depends on n alone. The tree of steps 2 to 4 is the one of M. Harris, "Optimizing Parallel Reduction in
// CUDA" (2007).
#include "examples/kernels/ladder.h"

using namespace ink::cuda;
using namespace ink::lesson;

namespace {

constexpr int kThreads = 256;                // of a block
constexpr int kRun = 64;                     // step 1: numbers of a thread
constexpr int kEach = 16;                    // steps 5 to 7: numbers of a thread
constexpr int kPerBlock = kThreads * kEach;  // steps 5 to 7: numbers of a block

__device__ __forceinline__ int64_t global_thread() { return int64_t(blockIdx.x) * kThreads + threadIdx.x; }

// 1. As a CPU would share the work: thread i sums the i-th run of 64 neighbours. The 32 lanes of a warp read at the
// same time, 256 bytes apart, so each load moves 32 sectors and uses 4 of the 32 bytes of each: an eighth of what is
// moved.
__global__ void runs(Watched<float>* out, const Watched<float>* x, int64_t n) {
  const int64_t first = global_thread() * kRun;
  float sum = 0;
  for (int64_t i = first; i < first + kRun && i < n; ++i) sum += x[i];
  if (first < n) out[global_thread()] = sum;
}

// 2. Neighbouring lanes read neighbouring numbers: 32 x 4 bytes are 4 full sectors. A block then adds its 256 numbers
// in shared memory, pairwise, as a tree. Threads that are multiples of 2, 4, 8, ... work: in each of the first five
// levels all 8 warps still issue requests, for fewer and fewer lanes.
__global__ void interleaved(Watched<float>* out, const Watched<float>* x, int64_t n) {
  INK_SHARED(Watched<float>[kThreads], part);
  const int t = int(threadIdx.x);
  const int64_t i = global_thread();
  part[t] = i < n ? float(x[i]) : 0.f;
  for (int s = 1; s < kThreads; s *= 2) {
    __syncthreads();
    if (t % (2 * s) == 0) part[t] += part[t + s];
  }
  if (t == 0) out[blockIdx.x] = part[0];
}

// 3. The same additions by the first threads: the others' warps have nothing to do, so there are fewer requests. But
// now the lanes of a warp stand 2, 4, ... words apart, so that 2, 4, 8, 8, 8, 4, 2, 1 of them meet in one bank, level
// by level: the wavefronts stay.
__global__ void strided(Watched<float>* out, const Watched<float>* x, int64_t n) {
  INK_SHARED(Watched<float>[kThreads], part);
  const int t = int(threadIdx.x);
  const int64_t i = global_thread();
  part[t] = i < n ? float(x[i]) : 0.f;
  for (int s = 1; s < kThreads; s *= 2) {
    __syncthreads();
    if (2 * s * t < kThreads) part[2 * s * t] += part[2 * s * t + s];
  }
  if (t == 0) out[blockIdx.x] = part[0];
}

// The sum of one number per thread, for thread 0. Lanes take neighbouring words at every level: no two share a bank.
__device__ __forceinline__ float tree(float v) {
  INK_SHARED(Watched<float>[kThreads], part);
  const int t = int(threadIdx.x);
  part[t] = v;
  for (int s = kThreads / 2; s > 0; s /= 2) {
    __syncthreads();
    if (t < s) part[t] += part[t + s];
  }
  return t == 0 ? float(part[0]) : 0.f;
}

// 4. The upper half is added onto the lower half.
__global__ void halves(Watched<float>* out, const Watched<float>* x, int64_t n) {
  const int64_t i = global_thread();
  const float sum = tree(i < n ? float(x[i]) : 0.f);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// 5. A tree costs 45 requests of shared memory and 8 barriers, and serves 8 loads of x. So each thread first adds 16
// numbers in a register (256 apart: still full sectors), and the tree is paid once for 4096.
__global__ void registers(Watched<float>* out, const Watched<float>* x, int64_t n) {
  const int64_t first = int64_t(blockIdx.x) * kPerBlock + threadIdx.x;
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k * kThreads < n) sum += x[first + k * kThreads];
  sum = tree(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// The sum over the block, for thread 0: a warp adds by shuffles, from register to register; only one number per warp
// goes through shared memory, past one barrier.
__device__ __forceinline__ float warp_sum(float v) {
  for (int s = kWarp / 2; s > 0; s /= 2) v += __shfl_xor_sync(kFull, v, s);
  return v;
}
__device__ __forceinline__ float block_sum(float v) {
  INK_SHARED(Watched<float>[kThreads / kWarp], part);
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  v = warp_sum(v);
  if (lane == 0) part[warp] = v;
  __syncthreads();
  if (warp == 0) v = warp_sum(lane < kThreads / kWarp ? float(part[lane]) : 0.f);
  return v;
}

// 6. The tree by shuffles.
__global__ void shuffles(Watched<float>* out, const Watched<float>* x, int64_t n) {
  const int64_t first = int64_t(blockIdx.x) * kPerBlock + threadIdx.x;
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k * kThreads < n) sum += x[first + k * kThreads];
  sum = block_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// 7. Four numbers by one load: the same sectors by a quarter of the requests, so that the same instructions keep four
// times as many bytes in flight.
__global__ void vectors(Watched<float>* out, const Watched<float>* x, int64_t n) {
  const auto* x4 = reinterpret_cast<const Watched<float4>*>(x);
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kEach / 4; ++k) {
    const int64_t i = int64_t(blockIdx.x) * kPerBlock + 4 * (k * kThreads + int(threadIdx.x));
    if (i + 4 <= n) {
      const float4 v = x4[i / 4];
      sum += (v.x + v.y) + (v.z + v.w);
    } else {
      for (int64_t j = i; j < n; ++j) sum += x[j];
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

using Kernel = void (*)(Watched<float>*, const Watched<float>*, int64_t);

void climb(Ladder& ladder) {
  const int64_t n = ladder.size("n", 1 << 18, 1 << 27, "numbers to add");
  const auto x = ladder.input(n, 1);
  Watched<float>* result = ladder.output(1);
  Watched<float>* left[] = {ladder.scratch(ceil_div(n, kRun)), ladder.scratch(ceil_div(n, kRun))};
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x.host[i];
  ladder.reference(0, sum);
  ladder.work({.bytes = 4. * double(n), .flops = double(n)});
  ladder.tolerance(1e-5);

  // `numbers` and `threads` of each result.
  auto step = [&](const char* name, Kernel kernel, int64_t numbers, int64_t threads) {
    return ladder.step(name, [&] {
      const Watched<float>* from = x.device;
      for (int64_t many = n, pass = 0; pass == 0 || many > 1; ++pass) {
        const int64_t few = ceil_div(many, numbers);
        Watched<float>* to = few == 1 ? result : left[pass % 2];
        ladder.launch(name, kernel, dim3(unsigned(ceil_div(few * threads, kThreads))), dim3(kThreads), to, from, many);
        from = to, many = few;
      }
    });
  };
  const auto a = step("runs", runs, kRun, 1);
  const auto b = step("interleaved", interleaved, kThreads, kThreads);
  const auto c = step("strided", strided, kThreads, kThreads);
  const auto d = step("halves", halves, kThreads, kThreads);
  const auto e = step("registers", registers, kPerBlock, kThreads);
  const auto f = step("shuffles", shuffles, kPerBlock, kThreads);
  const auto g = step("vectors", vectors, kPerBlock, kThreads);

  ladder.expect("runs: sectors per load", per_load(a), Above{28});
  ladder.expect("interleaved: sectors per load", per_load(b), Within{3.9, 4});
  ladder.expect("interleaved: bank conflicts", double(b.counts.shared_conflicts), Equals{0});
  ladder.expect("strided: requests over those of interleaved",
                double(c.counts.shared_requests) / double(b.counts.shared_requests), Below{0.7});
  ladder.expect("strided: wavefronts per request",
                double(c.counts.shared_wavefronts) / double(c.counts.shared_requests), Above{1.5});
  ladder.expect("halves: bank conflicts", double(d.counts.shared_conflicts), Equals{0});
  ladder.expect("registers: wavefronts over those of halves",
                double(e.counts.shared_wavefronts) / double(d.counts.shared_wavefronts), Below{1. / 12});
  ladder.expect("shuffles: barriers over those of registers", double(f.counts.barriers) / double(e.counts.barriers),
                Equals{1. / 8});
  ladder.expect("vectors: sectors per load", per_load(g), Above{14});
  ladder.expect("vectors: sectors over those of shuffles",
                double(g.counts.load_sectors) / double(f.counts.load_sectors), Equals{1});
}

}  // namespace

int main(int argc, char** argv) {
  return run_ladder(argc, argv,
                    {.name = "reduction",
                     .title = "Sum of n numbers",
                     .about =
                         "One number out of many: a single read of memory, if the adding up does not get in its way."},
                    climb);
}
