// The functions of tensor/cuda.h in a build without CUDA.
#include <fmt/format.h>

#include "tensor/capture.h"
#include "tensor/cuda.h"
#include "tensor/error.h"
#include "tensor/raw.h"

namespace ink {
namespace {
const char* const kWhy = "this build has no CUDA backend; configure with -DINK_CUDA=ON, or SIM for the simulator";
[[noreturn]] void none(int device) {
  throw DeviceError(fmt::format("device: no such device; got {}; expected cpu; {}", Device::cuda(device).str(), kWhy));
}
}  // namespace

bool cuda_is_available() { return false; }
int cuda_device_count() { return 0; }
bool cuda_is_simulated() { return false; }
std::string cuda_status() { return kWhy; }
void cuda_synchronize(Device device) { none(device.index); }
CudaOptions& cuda_options() {
  static CudaOptions options;
  return options;
}
Tensor pin_memory(const Tensor& x) { return cuda::pinned(x.shape(), x.dtype()); }

struct CudaGraph::State {};
CudaGraph::CudaGraph(FunctionRef<void()>, Device device) { none(device.index); }
CudaGraph::~CudaGraph() = default;
CudaGraph::CudaGraph(CudaGraph&&) noexcept = default;
CudaGraph& CudaGraph::operator=(CudaGraph&&) noexcept = default;
void CudaGraph::replay() {}

namespace capture {
bool active() { return false; }
Tensor live(int64_t, std::unique_ptr<Refresh>) { return {}; }
Tensor number_of(const Tensor& bytes, const Options&) { return bytes; }
RandomKey random_key(Generator& g, int64_t n) { return {g.state.seed, g.advance(uint64_t(n))}; }
}  // namespace capture

namespace cuda {
Tensor pinned(const Shape&, DType) { throw NotSupported(fmt::format("pin_memory: {}", kWhy)); }
const Kernels& kernels(int device) { none(device); }
Allocator& allocator(int device) { none(device); }
void copy(void*, Device to, const void*, Device from, int64_t, bool) { none(to.is_cuda() ? to.index : from.index); }
}  // namespace cuda

}  // namespace ink
