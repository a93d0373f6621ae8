// Memory of CUDA devices and page-locked memory of the host. Blocks are cut from large segments and kept: cudaMalloc
// and cudaFree wait for the whole device. All work of a device goes through one stream, so a freed block may be handed
// out at once: what reads it was launched before whatever will write it.
#include "tensor/cuda/host/memory.h"

#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/cuda/host/device.h"
#include "tensor/error.h"
#include "tensor/fork.h"
#include "tensor/raw/raw.h"
#include "tensor/runtime/memory_counters.h"
#include "tensor/runtime/segment_allocator.h"

namespace ink::cuda {
namespace {

// During capture cudaMalloc is only allowed in the relaxed mode; it is not part of what is captured.
char* map_device(size_t bytes) {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  cudaThreadExchangeStreamCaptureMode(&mode);
  void* p = nullptr;
  cudaError_t e = cudaMalloc(&p, bytes);
  cudaThreadExchangeStreamCaptureMode(&mode);
  if (e != cudaSuccess) cudaGetLastError();
  return e == cudaSuccess ? static_cast<char*>(p) : nullptr;
}
void unmap_device(char* begin, size_t) { cudaFree(begin); }
size_t no_limit() { return SIZE_MAX / 2; }
constexpr SegmentSource device_memory{map_device, unmap_device, no_limit, 512};

}  // namespace

struct Pool::Blocks {
  SegmentAllocator segments{device_memory};
  std::unordered_set<void*> exact;  // without caching: blocks that are never given back
};

class DeviceAllocator final : public Allocator {
 public:
  explicit DeviceAllocator(int index) : index_(index) {}

  void* allocate(size_t bytes) override {
    if (bytes == 0) return nullptr;
    use(index_);
    void* p = kCaching ? segments().allocate(bytes) : map_device(bytes);
    if (!p && kCaching) {
      cudaStreamSynchronize(current().stream);  // what is cached may still be in use by the device
      own_.release_free();
      p = segments().allocate(bytes);
    }
    if (!p) fail(bytes);
    if (!kCaching && target_) {
      std::lock_guard lock(mutex_);
      target_->exact.insert(p);
    }
    usage_.add(bytes);
    return p;
  }

  void deallocate(void* p, size_t bytes) noexcept override {
    if (!p) return;
    usage_.remove(bytes);
    if (kCaching && own_.deallocate(p)) return;
    std::lock_guard lock(mutex_);
    for (auto& pool : pools_)
      if (kCaching ? pool->segments.deallocate(p) : pool->exact.count(p) > 0) return;
    if (!kCaching) unmap_device(static_cast<char*>(p), bytes);
  }

  MemoryStats stats() const override { return usage_.stats(kCaching ? own_.reserved() : usage_.live()); }
  void reset_peak() override { usage_.reset_peak(); }
  void release_cached() override {
    use(index_);
    cudaStreamSynchronize(current().stream);
    own_.release_free();
  }

  std::shared_ptr<Pool::Blocks> add_pool() {
    std::lock_guard lock(mutex_);
    return pools_.emplace_back(std::make_shared<Pool::Blocks>());
  }
  void redirect(std::shared_ptr<Pool::Blocks> to) { target_ = std::move(to); }

 private:
  SegmentAllocator& segments() { return target_ ? target_->segments : own_; }

  [[noreturn]] void fail(size_t bytes) const {
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    MemoryStats s = stats();
    throw MemoryError(fmt::format(
        "allocate: {} has not enough memory; got a request for {} bytes ({:.3g} GiB) with {} bytes live, {} cached and "
        "{} of "
        "{} free; expected a request that fits; use smaller tensors or a smaller batch",
        Device::cuda(index_).str(), bytes, double(bytes) / (1 << 30), s.live, s.reserved - s.live, free, total));
  }

  int index_;
  SegmentAllocator own_{device_memory};
  MemoryCounters usage_;
  ForkMutex mutex_{ForkOrder::device};
  std::vector<std::shared_ptr<Pool::Blocks>> pools_;  // of captured graphs; kept while the process lives
  std::shared_ptr<Pool::Blocks> target_;              // where blocks come from during a capture
};

namespace {
DeviceAllocator& device_allocator(int device) {
  static DeviceAllocator* all[16] = {};
  static auto& mutex = *new ForkMutex(ForkOrder::device);
  use(device);  // checks the index
  std::lock_guard lock(mutex);
  if (!all[device]) all[device] = new DeviceAllocator(device);  // never destroyed: tensors may die after main
  return *all[device];
}
}  // namespace

Allocator& allocator(int device) { return device_allocator(device); }

Pool::Pool(int device) : device_(device), blocks_(device_allocator(device).add_pool()) {}
void Pool::begin() { device_allocator(device_).redirect(blocks_); }
void Pool::end() { device_allocator(device_).redirect(nullptr); }

void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes, bool async) {
  const bool both = to_device.is_cuda() && from_device.is_cuda();
  if (both) synchronize(use(from_device.index), "to");  // the other device's stream knows nothing of this one
  DeviceState& d = use(to_device.is_cuda() ? to_device.index : from_device.index);
  if (from_device.is_cpu() && capturing(d))
    throw CudaError(
        "to: a captured step cannot copy from the CPU: a replay would read memory that may be gone; hint: make "
        "the tensor before, and copy_ into it");
  check(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDefault, d.stream), "to");
  // From ordinary memory the runtime has read everything when it returns; into it, or from another device, we wait.
  if (!async && (to_device.is_cpu() || both)) synchronize(d, "to");
}

// ---- page-locked memory: kept, since locking pages is slow; a freed block waits until the device has passed it
namespace {

struct Pinned {
  void* memory;
  size_t bytes;
  cudaEvent_t event;
};
class PinnedMemory {
 public:
  Pinned take(size_t bytes) {
    std::lock_guard lock(mutex_);
    for (auto it = free_.begin(); it != free_.end(); ++it)
      if (it->bytes >= bytes && it->bytes <= 2 * bytes && cudaEventQuery(it->event) == cudaSuccess) {
        Pinned p = *it;
        free_.erase(it);
        return p;
      }
    cudaGetLastError();  // an event that is not ready counts as an error
    Pinned p{nullptr, bytes, nullptr};
    check(cudaHostAlloc(&p.memory, bytes, cudaHostAllocDefault), "pin_memory");
    check(cudaEventCreateWithFlags(&p.event, cudaEventDisableTiming), "pin_memory");
    return p;
  }
  void give_back(const Pinned& p) noexcept {
    cudaEventRecord(p.event, current().stream);
    std::lock_guard lock(mutex_);
    free_.push_back(p);
  }

 private:
  ForkMutex mutex_{ForkOrder::device};
  std::deque<Pinned> free_;
};
PinnedMemory& pinned_memory() {
  static PinnedMemory* all = new PinnedMemory;  // never destroyed: tensors may die after main
  return *all;
}

}  // namespace

Tensor pinned(const Shape& shape, DType dtype) {
  current();  // DeviceError if there is no device
  const Options options{dtype, Device::cpu()};
  const int64_t bytes = shape.numel() * size_of(dtype);
  if (bytes == 0) return raw::empty(shape, options);
  const Pinned p = pinned_memory().take(size_t(bytes));
  return raw::from_blob(p.memory, shape, options,
                        std::shared_ptr<void>(p.memory, [p](void*) { pinned_memory().give_back(p); }));
}

}  // namespace ink::cuda
