// Device memory of the simulator, and the range of addresses that the host must not touch.
#include "tensor/cuda/sim/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "tensor/cuda/sim/asan.h"
#include "tensor/cuda/sim/runtime.h"
#include "tensor/fork.h"

namespace ink::sim {
namespace {

constexpr size_t kRange = size_t(1) << 40;  // addresses are not given out twice, so that old pointers stay wrong
constexpr size_t kPage = 4096;
struct sigaction outer;  // what handled SIGSEGV before
char* range = nullptr;   // of guarded memory

// The instruction is then repeated, and dies by what was there before: a core dump, the debugger, AddressSanitizer.
void on_fault(int, siginfo_t* info, void*) {
  const char* at = static_cast<char*>(info->si_addr);
  if (at >= range && at < range + kRange) {
    char text[160];
    int n = std::snprintf(text, sizeof text, "host code touched device memory at %p; hint: copy it to the CPU first\n",
                          info->si_addr);
    if (write(STDERR_FILENO, text, size_t(n)) != n) _exit(1);
  }
  sigaction(SIGSEGV, &outer, nullptr);
}

struct Memory {
  ForkMutex mutex{ForkOrder::last};
  std::unordered_map<void*, size_t> blocks;  // what cudaMalloc has given out
  size_t used = 0;
  const bool guarded = environment("INK_SIM_GUARD", 0) != 0;
  size_t taken = 0;  // of the range
  int touching = 0;

  Memory() {
    if (!guarded) return;
    void* p = mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::fprintf(stderr, "INK_SIM_GUARD: no range of addresses to be had\n"), std::abort();
    range = static_cast<char*>(p);
    struct sigaction handler = {};
    handler.sa_sigaction = on_fault;
    handler.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &handler, &outer);
  }
  void protect(char* begin, size_t bytes) { mprotect(begin, bytes, touching ? PROT_READ | PROT_WRITE : PROT_NONE); }
  void touch(int change) {
    if (!guarded) return;
    std::lock_guard lock(mutex);
    const bool was = touching != 0;
    touching += change;
    if (was != (touching != 0) && taken) protect(range, taken);
  }
  static size_t room(size_t bytes) { return (bytes + 2 * kPage - 1) / kPage * kPage; }
  void* guarded_block(size_t bytes) {
    if (kRange - taken < room(bytes)) return nullptr;
    char* p = range + taken;
    taken += room(bytes);
    protect(p, room(bytes));
    asan::forbid(p + bytes, room(bytes) - bytes);
    return p;
  }
  void give_back(void* p, size_t bytes) {
    if (!guarded) return std::free(p);
    madvise(p, room(bytes), MADV_DONTNEED);
    asan::forbid(p, bytes);
  }
};
Memory& memory() {
  static Memory* m = new Memory;  // never destroyed: tensors may die after main
  return *m;
}

}  // namespace

Touch::Touch() { memory().touch(1); }
Touch::~Touch() { memory().touch(-1); }

size_t total_memory() { return environment("INK_SIM_MEMORY", size_t(8) << 30); }

void* host_memory(size_t bytes) {
  void* p = nullptr;
  return posix_memalign(&p, 256, bytes) == 0 ? p : nullptr;  // exactly so many bytes, for AddressSanitizer
}

}  // namespace ink::sim

using namespace ink::sim;

cudaError_t cudaMalloc(void** p, size_t bytes) {
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  *p = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (bytes <= total_memory() && m.used <= total_memory() - bytes)
    *p = m.guarded ? m.guarded_block(bytes) : host_memory(bytes);
  if (!*p) return result(cudaErrorMemoryAllocation);
  m.blocks[*p] = bytes, m.used += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  auto found = m.blocks.find(p);
  if (found == m.blocks.end()) return result(cudaErrorInvalidValue);
  m.used -= found->second;
  m.give_back(p, found->second);
  m.blocks.erase(found);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  *total = total_memory(), *free = *total - std::min(*total, m.used);
  return cudaSuccess;
}
