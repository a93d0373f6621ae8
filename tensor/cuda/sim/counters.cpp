// Counting sectors and bank conflicts of a warp's requests.
#include "tensor/cuda/sim/counters.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <vector>

#include "tensor/cuda/sim/block.h"
#include "tensor/cuda/sim/language.h"

namespace ink::sim {
namespace {

constexpr int kLanes = 32, kBanks = 32;
constexpr uintptr_t kSector = 32, kWord = 4;

// One instruction, executed by one warp for the n-th time: where each lane went.
struct Request {
  uintptr_t at[kLanes];
  uint32_t lanes;  // those that took part
  uint32_t bytes;  // of one lane
  bool store, shared;
};
// Threads run one after another, so a request is complete only when the block is. Until then:
struct Instruction {
  std::vector<uint32_t> times;                // by thread: how often it has been here
  std::vector<std::vector<Request>> by_warp;  // the n-th request of each warp
};

struct Counters {
  bool on = false;
  int64_t block = -1;
  Counts counts;
  std::unordered_map<const void*, Instruction> instructions;  // of the block that runs
};
Counters state;

// The numbers of the units (sectors, words) that lanes first .. last - 1 touch, each once. Returns the end.
uintptr_t* units_of(const Request& r, int first, int last, uintptr_t unit, uintptr_t* units) {
  uintptr_t* end = units;
  for (int lane = first; lane < last; ++lane) {
    if (!(r.lanes >> lane & 1)) continue;
    for (uintptr_t u = r.at[lane] / unit; u * unit < r.at[lane] + r.bytes; ++u) *end++ = u;
  }
  std::sort(units, end);
  return std::unique(units, end);
}

void count(const Request& r, Counts& c) {
  uintptr_t units[2 * kLanes * 16 / kWord];  // 16 bytes a lane, possibly misaligned
  if (!r.shared) {
    const int64_t sectors = units_of(r, 0, kLanes, kSector, units) - units;
    (r.store ? c.store_requests : c.load_requests) += 1;
    (r.store ? c.store_sectors : c.load_sectors) += sectors;
    c.bytes_asked += int64_t(r.bytes) * std::popcount(r.lanes);
    return;
  }
  ++c.shared_requests;
  const int parts = r.bytes > kWord ? int(r.bytes / kWord) : 1, lanes = kLanes / parts;
  for (int first = 0; first < kLanes; first += lanes) {
    const uintptr_t* end = units_of(r, first, first + lanes, kWord, units);
    if (end == units) continue;
    int in_bank[kBanks] = {};
    for (const uintptr_t* u = units; u != end; ++u) ++in_bank[*u % kBanks];
    const int most = *std::max_element(in_bank, in_bank + kBanks);
    c.shared_wavefronts += most;
    c.shared_conflicts += most - 1;
  }
}

void finish_block() {
  for (auto& [address, instruction] : state.instructions) {
    for (std::vector<Request>& warp : instruction.by_warp) {
      for (const Request& r : warp) count(r, state.counts);
      warp.clear();
    }
    std::fill(instruction.times.begin(), instruction.times.end(), 0);
  }
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
  if (block != state.block) finish_block(), state.block = block;
  const size_t thread = size_t(thread_rank()), warp = thread / kLanes, lane = thread % kLanes;
  Instruction& here = state.instructions[instruction];
  if (here.times.size() <= thread) here.times.resize(thread + 1), here.by_warp.resize(warp + 1);
  const uint32_t nth = here.times[thread]++;
  std::vector<Request>& requests = here.by_warp[warp];
  if (requests.size() <= nth) requests.resize(nth + 1, Request{{}, 0, uint32_t(bytes), store, is_shared(p)});
  requests[nth].at[lane] = reinterpret_cast<uintptr_t>(p);
  requests[nth].lanes |= 1u << lane;
}

void end_launch() {
  finish_block();
  state.block = -1;
}

Counts stop_counting() {
  end_launch();
  Counts result = state.counts;
  state = {};
  return result;
}

}  // namespace ink::sim
