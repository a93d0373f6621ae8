// Counts what a kernel asks of memory, as a GPU would serve it. The accesses that the lanes of a warp make by one
// instruction are one request: on global memory it moves all 32-byte sectors that it touches, on shared memory it is
// served in wavefronts, one word of each of the 32 banks at a time.
//
// A kernel declares its arrays as Watched<T> (tensor/cuda/device/watched.h) and is run between start_counting and
// stop_counting. Lanes belong together if they execute the same instruction for the same number of times. Blocks then
// run on one CPU thread. Caches are not modelled: a sector counts every time it is asked for.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ink::sim {

struct Counts {
  int64_t load_requests = 0, load_sectors = 0;  // on global memory
  int64_t store_requests = 0, store_sectors = 0;
  int64_t bytes_asked = 0;  // that threads read and wrote in global memory; the sectors hold 32 bytes each
  // Words of 4 bytes lie in the banks in turn. A request of 32 lanes is one wavefront, of 8 or 16 bytes a lane two or
  // four (16 or 8 lanes at a time), and one more for every further word of the same bank: a bank conflict. Lanes that
  // read the same word share it.
  int64_t shared_requests = 0, shared_wavefronts = 0, shared_conflicts = 0;
  int64_t barriers = 0;  // __syncthreads and its kin, once per block
};

void start_counting();
void end_launch();  // between two launches: what comes now is not done by the same threads
Counts stop_counting();
bool counting();
void count_barrier();
// One access by the thread that runs; `instruction` tells the places in the program apart.
void count_access(const void* p, size_t bytes, bool store, const void* instruction);

}  // namespace ink::sim
