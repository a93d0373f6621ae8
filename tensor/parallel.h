// One pool of threads for BLAS calls and for every loop of the library.
#pragma once
#include <cstdint>
#include <type_traits>

#include "tensor/math/hd.h"

namespace ink {

// The number of threads that parallel_for may use, the caller included. Default: INK_NUM_THREADS, else the CPUs this
// process may run on. Results never depend on it: work is cut by size alone.
int num_threads();
void set_num_threads(int n);  // ValueError for n < 1

using RangeFn = void (*)(void* context, int64_t begin, int64_t end);
void parallel_run(int64_t n, int64_t grain, RangeFn fn, void* context);

// Calls f(begin, end) over [0, n) in pieces of `grain` (the last may be shorter), on all threads; returns when all are
// done. Pieces start at multiples of grain. Runs serially when n <= grain, when nested, or with one thread. The first
// exception thrown by f is rethrown here.
template <class F> INK_INLINE void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (n <= grain) {
    if (n > 0) f(int64_t(0), n);
    return;
  }
  auto call = [](void* c, int64_t b, int64_t e) { (*static_cast<std::remove_reference_t<F>*>(c))(b, e); };
  parallel_run(n, grain, call, (void*)&f);
}

}  // namespace ink
