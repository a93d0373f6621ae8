// One block of a simulated kernel: its threads run one after another on fibers, until each meets a barrier or ends. A
// warp intrinsic is a barrier of the lanes it names. Blocks run in parallel on the CPU's threads, and never leave
// theirs.
//
// What goes wrong inside a block (a barrier that not all threads reach, a wrong mask, a write past the end of shared
// memory) is recorded as a text that says where; the launch then fails with it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace ink::sim {

struct Size3 {
  unsigned x = 1, y = 1, z = 1;
};

using Where = std::source_location;
// Called by the last thread to arrive, with what each of those that take part has deposited (by lane or thread; null
// for the others). It sees all deposits, and writes the results back into them.
using Complete = void (*)(void* const* deposits, int count);

// Waits for all lanes in `mask`, which must call the same `what` with the same mask.
void warp_collective(const char* what, uint32_t mask, void* deposit, Complete complete, Where where);
// Waits for all threads of the block, which must all come from the same line.
void block_collective(const char* what, void* deposit, Complete complete, Where where);

// Shared memory. A static array is known by the place that declares it; `key` is different for each.
void* static_shared(const void* key, size_t bytes, Where where);
void* dynamic_shared();
bool is_shared(const void* p);                          // inside a shared array of this block?
int lane_id();                                          // of the thread that runs
int thread_rank();                                      // x fastest
[[noreturn]] void fail(const char* what, Where where);  // ends the launch with this text and the thread's place

// Copies of 16 bytes into shared memory that nobody sees before the thread has waited for them. They are waited for in
// groups: a commit closes one, a wait leaves the newest `pending` of them under way.
void async_copy(void* shared, const void* global, Where where);
void async_commit();
void async_wait(int pending);

// How blocks are run. The default order is that of the indices; a seed shuffles threads and warps between any two
// barriers, and an odd one runs the last block first, so that a kernel in which a barrier is missing, or whose blocks
// count on each other, gives different results for different seeds.
struct Options {
  uint64_t seed = 0;      // 0: in order; INK_SIM_SEED
  uint8_t poison = 0xff;  // what shared memory holds before anybody wrote it; INK_SIM_POISON
};
Options options();
void set_options(const Options& o);
uint64_t environment(const char* name, uint64_t otherwise);  // the number that a variable holds

// Runs body() for every thread of every block; an empty text, or what failed first (valid until this thread's next
// failure).
using Body = void (*)(void* context);
const char* run_grid(const char* kernel, Size3 grid, Size3 block, size_t shared_bytes, Body body, void* context);

}  // namespace ink::sim
