// The slot fft: by cuFFT, in the simulator by the CPU. A plan (how rows of one length are transformed) is kept, its
// working memory is not: that comes from our allocator for the time of the call.
#include "tensor/cuda/host/device.h"
#include "tensor/cuda/host/table.h"
#include "tensor/cuda/sim/products.h"

namespace ink::cuda {
// cuFFT has no convolution: its transforms and elementwise kernels make one (tensor/raw/conv.cpp).
bool fft_convolution(const FftConvolutionArgs&, void*, const void*, const void*) { return false; }
}  // namespace ink::cuda

#if INK_CUDA_SIM
namespace ink::cuda {

void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  sim::fft(stream(), dtype, y, x, rows, n, inverse, scale);
}

}  // namespace ink::cuda
#else
#include <cufft.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <list>
#include <mutex>

#include "tensor/cuda/host/library.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/error.h"
#include "tensor/fork.h"

namespace ink::cuda {
namespace {

struct Fft {  // the functions of cuFFT
  decltype(&cufftCreate) create;
  decltype(&cufftDestroy) destroy;
  decltype(&cufftSetAutoAllocation) set_auto_allocation;
  decltype(&cufftMakePlanMany64) make_plan;
  decltype(&cufftSetWorkArea) set_work_area;
  decltype(&cufftSetStream) set_stream;
  decltype(&cufftExecC2C) run_c64;
  decltype(&cufftExecZ2Z) run_c128;

  Fft() {
    const Library l("libcufft", {12, 11});
    l.find(create, "cufftCreate");
    l.find(destroy, "cufftDestroy");
    l.find(set_auto_allocation, "cufftSetAutoAllocation");
    l.find(make_plan, "cufftMakePlanMany64");
    l.find(set_work_area, "cufftSetWorkArea");
    l.find(set_stream, "cufftSetStream");
    l.find(run_c64, "cufftExecC2C");
    l.find(run_c128, "cufftExecZ2Z");
  }
};
const Fft& library() {
  static const Fft* all = new Fft;  // process state: never destroyed
  return *all;
}

void check(cufftResult r, const char* what) {
  if (r != CUFFT_SUCCESS) throw CudaError(fmt::format("fft: {}: cuFFT error {}", what, int(r)));
}

struct Plan {
  DType dtype;
  int64_t rows, n;
  cufftHandle handle;
  size_t work_bytes;
  bool captured;  // a graph may use its tables
};
struct Plans {  // of one device, the last used ones first
  ForkMutex mutex{ForkOrder::cache};
  std::list<Plan> list;
};
Plans& plans(int device) {
  static Plans* all = new Plans[16];  // process state: never destroyed
  return all[device];
}

constexpr size_t kMostPlans = 64;

void drop_oldest(std::list<Plan>& list) {
  cuda::check(cudaStreamSynchronize(stream()), "fft");  // its tables may be in use
  for (auto p = list.rbegin(); p != list.rend(); ++p)
    if (!p->captured) {
      library().destroy(p->handle);
      list.erase(std::next(p).base());
      return;
    }
}

Plan make_plan(DType dtype, int64_t rows, int64_t n) {
  const OutsideCapture guard;
  Plan p{dtype, rows, n, 0, 0, false};
  check(library().create(&p.handle), "cufftCreate");
  check(library().set_auto_allocation(p.handle, 0), "cufftSetAutoAllocation");
  long long size = n;
  // Without `embed` the rows are contiguous and follow each other.
  check(library().make_plan(p.handle, 1, &size, nullptr, 1, n, nullptr, 1, n,
                            dtype == DType::c64 ? CUFFT_C2C : CUFFT_Z2Z, rows, &p.work_bytes),
        "cufftMakePlanMany64");
  check(library().set_stream(p.handle, stream()), "cufftSetStream");
  return p;
}

Plan& plan(std::list<Plan>& list, DType dtype, int64_t rows, int64_t n) {
  auto same = [&](const Plan& p) { return p.dtype == dtype && p.rows == rows && p.n == n; };
  const bool in_capture = capturing(current());
  auto found = std::find_if(list.begin(), list.end(), same);
  if (found == list.end()) {
    if (list.size() >= kMostPlans && !in_capture) drop_oldest(list);
    list.push_front(make_plan(dtype, rows, n));
  } else {
    list.splice(list.begin(), list, found);
  }
  list.front().captured |= in_capture;
  return list.front();
}

}  // namespace

void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  {
    Plans& mine = plans(current().index);
    std::lock_guard lock(mine.mutex);
    const Plan& p = plan(mine.list, dtype, rows, n);
    Scratch<char> work(int64_t(p.work_bytes));
    check(library().set_work_area(p.handle, work.data()), "cufftSetWorkArea");
    const int direction = inverse ? CUFFT_INVERSE : CUFFT_FORWARD;
    void* from = const_cast<void*>(x);  // a transform to another place leaves it as it is
    check(dtype == DType::c64
              ? library().run_c64(p.handle, static_cast<cufftComplex*>(from), static_cast<cufftComplex*>(y), direction)
              : library().run_c128(p.handle, static_cast<cufftDoubleComplex*>(from),
                                   static_cast<cufftDoubleComplex*>(y), direction),
          "cufftExec");
  }
  if (scale == 1) return;
  const Array parts{y, real_of(dtype), {rows * n * 2}, {1}};
  const fn::MulScalar times{{}, scale};
  unary(index_of<fn::MulScalar, UnaryOps>, &times, parts, parts);
}

}  // namespace ink::cuda
#endif
