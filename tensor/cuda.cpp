// Finds the CUDA backend, and answers tensor/cuda.h and tensor/capture.h through it.
#include "tensor/cuda.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "tensor/error.h"
#include "tensor/fork.h"
#include "tensor/raw/raw.h"
#include "tensor/runtime/cuda_backend.h"

namespace ink {
namespace {

struct Backend {
  const CudaBackend* functions = nullptr;
  std::string why_none = {};
};

#if INK_CUDA_LINKED
Backend find_backend() { return {ink_cuda_backend()}; }
#elif INK_SHARED
// The simulator's library stands beside this one. It may use symbols of this one, which is loaded already.
Backend find_backend() {
  Dl_info here;
  if (!dladdr(reinterpret_cast<const void*>(&cuda_status), &here))
    return {nullptr, "the library's own path is unknown"};
  const std::filesystem::path path = std::filesystem::path(here.dli_fname).parent_path() / "libinkstone_sim.so";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return {nullptr,
            "the simulator of CUDA devices is not built; hint: ./ink build simulator, or ./ink run NAME --device cuda"};
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* entry = library ? dlsym(library, "ink_cuda_backend") : nullptr;
  if (!entry) return {nullptr, fmt::format("the simulator of CUDA devices cannot be opened: {}", dlerror())};
  return {reinterpret_cast<decltype(&ink_cuda_backend)>(entry)()};
}
#else
Backend find_backend() {
  return {nullptr, "this build has no CUDA backend; configure with -DINK_CUDA=ON, or SIM for the simulator"};
}
#endif

ForkMutex& opening_backend() {
  static auto& mutex = *new ForkMutex(ForkOrder::cache);
  return mutex;
}
[[maybe_unused]] const ForkMutex& opening_backend_early = opening_backend();

const Backend& backend() {
  static constinit std::atomic<const Backend*> found{nullptr};  // never destroyed: tensors may die after main
  if (const Backend* b = found.load(std::memory_order_acquire)) return *b;
  std::lock_guard lock(opening_backend());
  if (!found.load()) found = new Backend(find_backend());
  return *found;
}

}  // namespace

const CudaBackend& cuda_backend(Device device) {
  if (const CudaBackend* functions = backend().functions) [[likely]]
    return *functions;
  throw DeviceError(fmt::format("device: no such device; got {}; expected cpu; {}", device.str(), backend().why_none));
}

bool cuda_is_available() { return cuda_device_count() > 0; }
int cuda_device_count() { return backend().functions ? backend().functions->device_count() : 0; }
bool cuda_is_simulated() { return backend().functions && backend().functions->simulated; }
std::string cuda_status() { return backend().functions ? backend().functions->status() : backend().why_none; }
void cuda_synchronize(Device device) { cuda_backend(device).synchronize(device); }

CudaOptions& cuda_options() {
  static CudaOptions options{.sync = [] {
    const char* on = std::getenv("INK_CUDA_SYNC");
    return on && *on && *on != '0';
  }()};
  return options;
}

Tensor pin_memory(const Tensor& x) {
  Tensor y = cuda_backend(Device::cuda()).pinned(x.shape(), x.dtype());
  raw::copy_into(y, raw::to_device(x, Device::cpu()));
  return y;
}

CudaGraph::CudaGraph(FunctionRef<void()> step, Device device) : state_(cuda_backend(device).capture(step, device)) {}
CudaGraph::~CudaGraph() = default;
CudaGraph::CudaGraph(CudaGraph&&) noexcept = default;
CudaGraph& CudaGraph::operator=(CudaGraph&&) noexcept = default;

void CudaGraph::replay() {
  if (!state_) throw CudaError("replay: the graph is empty; it was moved from");
  state_->replay();
}

namespace capture {

constinit thread_local CudaGraph::State* recording = nullptr;

bool active() { return recording != nullptr; }

Tensor live(int64_t bytes, std::unique_ptr<Refresh> refresh) { return recording->live(bytes, std::move(refresh)); }

Tensor number_of(const Tensor& bytes, const Options& options) {
  Tensor number = raw::as_strided(bytes, {}, {}, 0);
  number.impl()->dtype = f64;
  return raw::cast(number, options.dtype);
}

RandomKey random_key(Generator& g, int64_t n) {
  return recording ? recording->random_key(g, n) : RandomKey{g.state.seed, g.advance(uint64_t(n))};
}

}  // namespace capture
}  // namespace ink
