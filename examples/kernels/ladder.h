// What the programs of the kernel ladder share: one computation, done by a series of kernels, each a step up from the
// one above. Every step is run, checked against the step above it and against plain loops in f64, and then counted (in
// the simulator) or timed (on a GPU). Memory is the device's: cuda:0.
#pragma once
#include <cstdint>

#include "examples/support/lesson/claim.h"
#include "tensor/cuda/device/watched.h"
#include "tensor/cuda/host/launch.h"
#include "tensor/cuda/sim/counters.h"
#include "tensor/function_ref.h"

namespace ink::lesson {

struct LadderInfo {
  const char *name, *title, *about;
};

// What the computation costs however it is done: the bytes that must be read and written once, the operations.
struct Work {
  double bytes = 0, flops = 0;
};

class Ladder {
 public:
  struct Input {
    const cuda::Watched<float>* device;
    const float* host;
  };

  // ---- first: sizes, each an option of the program. ValueError unless it is a multiple of `multiple`, `most` at most.
  int64_t size(const char* name, int64_t simulated, int64_t on_gpu, const char* help, int64_t multiple = 1,
               int64_t most = INT64_MAX);

  // ---- then the data
  Input input(int64_t n, double mean = 0);   // normal random numbers of deviation 1, the same in every run
  cuda::Watched<float>* output(int64_t n);   // where the steps leave their result; NaN before each
  cuda::Watched<float>* scratch(int64_t n);  // for what a step keeps between two launches
  void work(const Work& w);
  void tolerance(double t);  // how far from the reference the next steps may be, relative to 1 + its size
  void reference(int64_t at, double expected);  // of the output

  // ---- the steps, and what their counts must be: looked at in the simulator, at the program's own sizes.
  struct Result {
    sim::Counts counts;
    double error;  // the largest distance from the reference, relative to 1 + its size
  };
  Result step(const char* name, FunctionRef<void()> run);
  template <class... P, class... A>
  void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, A&&... args) {
    cuda::launch(name, kernel, grid, block, 0, static_cast<A&&>(args)...);
  }
  void expect(const char* claim, double value, const Bound& bound);

  struct State;
  explicit Ladder(State& state) : state_(state) {}

 private:
  State& state_;
};

// Sectors that an average request of the step moves.
inline double per_load(const Ladder::Result& r) {
  return double(r.counts.load_sectors) / double(r.counts.load_requests);
}
inline double per_store(const Ladder::Result& r) {
  return double(r.counts.store_sectors) / double(r.counts.store_requests);
}

// main() of such a program: climbs, prints the table, writes OUT/NAME/. Exit code 1 if a check failed or a page differs
// from the run, 2 for wrong input, 77 if there is no device.
int run_ladder(int argc, const char* const* argv, const LadderInfo& info, void (*climb)(Ladder&));

// The distance between up to `most` of the numbers 0 .. n - 1: where a result is slow to compute in f64, some do.
// `for (int64_t row = 0; row < rows; row += spread(rows, 64))`
inline int64_t spread(int64_t n, int64_t most) { return n > most ? cuda::ceil_div(n, most) : 1; }

}  // namespace ink::lesson
