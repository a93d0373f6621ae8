// Counts what a kernel asks of memory, as a GPU would serve it: a warp's loads of one instruction are joined into
// 32-byte sectors, and words of one shared-memory bank at different addresses are served one after another.
//
// A kernel declares its arrays as Watched<T> (tensor/cuda/watched.h) and is run between start_counting and
// stop_counting; the accesses of a warp's lanes belong together if they come from the same instruction, the same number
// of times. Blocks then run on one CPU thread.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ink::sim {

struct Counts {
  int64_t load_requests = 0, load_sectors = 0;    // warp instructions on global memory; 32-byte sectors they touch
  int64_t store_requests = 0, store_sectors = 0;
  int64_t shared_requests = 0, shared_wavefronts = 0;  // wavefronts - requests = bank conflicts
  int64_t barriers = 0;                                // __syncthreads, per block
  int64_t bytes_asked = 0;                             // bytes that threads read and wrote in global memory
};

void start_counting();
Counts stop_counting();
bool counting();
void count_barrier();
// One access by the thread that runs; `instruction` tells source lines apart.
void count_access(const void* p, size_t bytes, bool store, const void* instruction);

}  // namespace ink::sim
