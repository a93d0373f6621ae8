// Tensor cores, and the two instructions that feed them: loads of 8 x 8 matrices from shared memory, and copies from
// global to shared memory that run while the threads go on. Each is one PTX instruction, or the simulator's stand-in.
//
// All 32 lanes of a warp must call mma and ldmatrix together; every lane holds a part of each matrix (PTX ISA, "Matrix
// Fragments for mma.m16n8k16"), two 16-bit numbers in a register, the lower column (of B: row) in the lower half. With
// g = lane / 4 and t = lane % 4:
//
//   A 16 x 16  a[0] = A[g][2t], A[g][2t+1]       a[1]: the same 8 rows below     a[2], a[3]: as a[0], a[1], 8 columns
//   on B 16 x 8   b[0] = B[2t][g], B[2t+1][g]       b[1]: the same 8 rows below C 16 x 8   c[0], c[1] = C[g][2t],
//   C[g][2t+1] c[2], c[3]: the same 8 rows below
//
// ldmatrix loads N matrices of 8 x 8: lane l passes the address of row l % 8 of matrix l / 8 (16 bytes; lanes beyond 8
// N are not asked) and gets r[j] = M_j[g][2t], M_j[g][2t+1]; transposed, M_j[2t][g], M_j[2t+1][g]. So A from rows of A,
// and B from rows of B transposed, or from rows of B's transpose.
#pragma once
#include "tensor/cuda/host/launch.h"
#include "tensor/math/half.h"

namespace ink::cuda {

#if INK_CUDA_SIM
namespace simulated {
struct Fragments {
  float* c;
  const uint32_t *a, *b;
};
struct Request {
  const void* row;
  uint32_t* r;
};

// The last lane to arrive multiplies for all, from the fragments that the others have left. Products are exact, and the
// sum is rounded once; a GPU rounds it about as well, but not to the same bits.
template <class T> void multiply(void* const* lanes, int) {
  auto of = [&](int lane) { return *static_cast<const Fragments*>(lanes[lane]); };
  auto number = [](uint32_t reg, int k) {
    T x;
    x.bits = uint16_t(reg >> (k % 2 * 16));
    return double(float(x));
  };
  for (int row = 0; row < 16; ++row)
    for (int col = 0; col < 8; ++col) {
      float& c = of(row % 8 * 4 + col / 2).c[row / 8 * 2 + col % 2];
      double sum = c;
      for (int k = 0; k < 16; ++k)
        sum +=
            number(of(row % 8 * 4 + k % 8 / 2).a[k / 8 * 2 + row / 8], k) * number(of(col * 4 + k % 8 / 2).b[k / 8], k);
      c = float(sum);
    }
}
template <int N, bool kTranspose> void load_matrices(void* const* lanes, int) {
  auto of = [&](int lane) { return *static_cast<const Request*>(lanes[lane]); };
  for (int lane = 0; lane < 32; ++lane)
    for (int j = 0; j < N; ++j) {
      auto at = [&](int row, int col) { return uint32_t(static_cast<const uint16_t*>(of(8 * j + row).row)[col]); };
      const int g = lane / 4, t = lane % 4;
      of(lane).r[j] = kTranspose ? at(2 * t, g) | at(2 * t + 1, g) << 16 : at(g, 2 * t) | at(g, 2 * t + 1) << 16;
    }
}
}  // namespace simulated

// c += a b, for T = half or bfloat16.
template <class T>
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                  sim::Where where = sim::Where::current()) {
  simulated::Fragments fragments{c, a, b};
  sim::warp_collective("mma_m16n8k16", kFull, &fragments, simulated::multiply<T>, where);
}
template <int N, bool kTranspose = false>
void ldmatrix(uint32_t (&r)[N], const void* row, sim::Where where = sim::Where::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  if (sim::lane_id() < 8 * N && reinterpret_cast<uintptr_t>(row) % 16 != 0)
    sim::fail("ldmatrix: a row's address is not a multiple of 16", where);
  if (sim::lane_id() < 8 * N && !sim::is_shared(row)) sim::fail("ldmatrix: a row is not in shared memory", where);
  simulated::Request request{row, r};
  sim::warp_collective("ldmatrix", kFull, &request, simulated::load_matrices<N, kTranspose>, where);
}
// Copies 16 bytes; both addresses are multiples of 16. The copy has landed when the thread has waited for its group
// (and other threads see it after the barrier that follows the wait).
inline void cp_async16(void* shared, const void* global, sim::Where where = sim::Where::current()) {
  sim::async_copy(shared, global, where);
}
inline void cp_async_commit() { sim::async_commit(); }  // what was copied since the last one is a group
template <int N>                                        // all but the newest N groups
void cp_async_wait() {
  sim::async_wait(N);
}

#elif defined(__CUDACC__)
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, half>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  if constexpr (std::is_same_v<T, half>) {  // sm_75 has half the depth
#pragma unroll
    for (int k = 0; k < 2; ++k)
      asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
  } else {  // and nothing for bfloat16: every lane fetches its rows of A and columns of B, two numbers at a time
    unsigned lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
#pragma unroll
    for (int k = 0; k < 8; ++k)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint32_t x = __shfl_sync(kFull, a[k / 4 * 2 + j / 2], lane / 4 * 4 + k % 4);
        const uint32_t y = __shfl_sync(kFull, b[k / 4], (lane % 4 * 2 + j % 2) * 4 + k % 4);
        c[j] += __uint_as_float(x << 16) * __uint_as_float(y << 16) +
                __uint_as_float(x & 0xffff0000u) * __uint_as_float(y & 0xffff0000u);
      }
  }
#endif
}

template <int N, bool kTranspose = false> __device__ __forceinline__ void ldmatrix(uint32_t (&r)[N], const void* row) {
  static_assert(N == 1 || N == 2 || N == 4);
  const unsigned at = unsigned(__cvta_generic_to_shared(row));
  if constexpr (N == 1 && !kTranspose)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(at) : "memory");
  else if constexpr (N == 1)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(at) : "memory");
  else if constexpr (N == 2 && !kTranspose)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(at)
                 : "memory");
  else if constexpr (N == 2)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(at)
                 : "memory");
  else if constexpr (!kTranspose)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

// Before sm_80 a plain copy, which is there at once.
__device__ __forceinline__ void cp_async16(void* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(unsigned(__cvta_generic_to_shared(shared))),
               "l"(__cvta_generic_to_global(global))
               : "memory");
#else
  *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
#endif
}
__device__ __forceinline__ void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> __device__ __forceinline__ void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}
#endif

}  // namespace ink::cuda
