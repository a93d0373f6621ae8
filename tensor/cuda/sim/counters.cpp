#include "tensor/cuda/sim/counters.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "tensor/cuda/sim/block.h"
#include "tensor/cuda/sim/language.h"

namespace ink::sim {
namespace {

constexpr uintptr_t kSector = 32, kWord = 4, kBanks = 32;

// The accesses of one warp by one instruction, the n-th time.
struct Request {
  bool store, shared;
  std::vector<uintptr_t> units;  // sectors, or words of shared memory
};
using Key = std::tuple<int64_t, int, const void*, int>;  // block, warp, instruction, occurrence

struct Counters {
  bool on = false;
  Counts counts;
  std::map<Key, Request> requests;
  std::map<std::tuple<int64_t, int, const void*>, int> occurrences;  // block, thread, instruction
};
Counters state;

// How often the banks must be served: the most different words in one bank.
int64_t wavefronts(std::vector<uintptr_t> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  int64_t in_bank[kBanks] = {};
  for (uintptr_t w : words) ++in_bank[w % kBanks];
  return *std::max_element(in_bank, in_bank + kBanks);
}

}  // namespace

bool counting() { return state.on; }

void start_counting() {
  state = {};
  state.on = true;
}

void count_barrier() { ++state.counts.barriers; }

void count_access(const void* p, size_t bytes, bool store, const void* instruction) {
  const int64_t block = (int64_t(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = thread_rank();
  const int nth = state.occurrences[{block, thread, instruction}]++;
  Request& r = state.requests[{block, thread / 32, instruction, nth}];
  r.store = store;
  r.shared = is_shared(p);
  if (!r.shared) state.counts.bytes_asked += int64_t(bytes);
  const uintptr_t unit = r.shared ? kWord : kSector, first = reinterpret_cast<uintptr_t>(p) / unit;
  for (uintptr_t u = first; u * unit < reinterpret_cast<uintptr_t>(p) + bytes; ++u) r.units.push_back(u);
}

Counts stop_counting() {
  Counts& c = state.counts;
  for (auto& [key, r] : state.requests) {
    if (r.shared) {
      // Wide accesses are served in parts of 32 words: a float4 of 32 lanes takes four wavefronts at best.
      ++c.shared_requests;
      c.shared_wavefronts += wavefronts(r.units);
      continue;
    }
    std::sort(r.units.begin(), r.units.end());
    r.units.erase(std::unique(r.units.begin(), r.units.end()), r.units.end());
    (r.store ? c.store_requests : c.load_requests) += 1;
    (r.store ? c.store_sectors : c.load_sectors) += int64_t(r.units.size());
  }
  Counts result = c;
  state = {};
  return result;
}

}  // namespace ink::sim
