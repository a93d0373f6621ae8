// The positions of the true elements. A warp looks at 512 flags, 32 neighbours at a time: a vote tells every lane how
// many trues there are before its own. First each warp counts, then the counts are summed up, then each warp writes
// from where its sum says. The mask is read twice, the positions are written once.
#include "tensor/cuda/host/launch.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

constexpr int kTurns = 16, kSpan = kTurns * kWarp;  // flags of a warp
constexpr int kWarps = 4;                           // of a block

// all[w] = trues of warp w; if `out`, all[w] holds the sum up to and including warp w, and the positions are written.
__global__ void find_true(const bool* mask, int64_t n, int64_t* all, int64_t* out) {
  const int64_t warp = int64_t(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = int(threadIdx.x % kWarp);
  const int64_t first = warp * kSpan + lane;
  bool flag[kTurns];
  for (int turn = 0; turn < kTurns; ++turn) flag[turn] = first + turn * kWarp < n && mask[first + turn * kWarp];
  unsigned vote[kTurns];
  int count = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    vote[turn] = __ballot_sync(kFull, flag[turn]);
    count += __popc(vote[turn]);
  }
  if (warp * kSpan >= n) return;
  if (!out) {
    if (lane == 0) all[warp] = count;
    return;
  }
  int64_t to = all[warp] - count;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (flag[turn]) out[to + __popc(vote[turn] & ((1u << lane) - 1))] = first + turn * kWarp;
    to += __popc(vote[turn]);
  }
}

}  // namespace

int64_t nonzero(const bool* mask, int64_t n, int64_t* out) {
  if (capturing(current())) synchronize(current(), "nonzero");  // throws: the count has to come back
  const int64_t warps = ceil_div(n, kSpan);
  const dim3 grid(unsigned(ceil_div(warps, kWarps))), block(unsigned(kWarp * (warps < kWarps ? warps : kWarps)));
  Scratch<int64_t> counts(warps), sums(warps);
  launch("nonzero", find_true, grid, block, 0, mask, n, counts.data(), nullptr);
  scan(ScanOp::sum, DType::i64, sums.data(), nullptr, counts.data(), {1, warps, 1}, false);
  if (out) launch("nonzero", find_true, grid, block, 0, mask, n, sums.data(), out);
  int64_t total = 0;
  check(cudaMemcpyAsync(&total, sums.data() + warps - 1, sizeof total, cudaMemcpyDeviceToHost, stream()), "nonzero");
  synchronize(current(), "nonzero");
  return total;
}

}  // namespace ink::cuda
