#include "tensor/cuda/sim/runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace {

struct Memory {  // what cudaMalloc has given out
  std::mutex mutex;
  std::unordered_map<void*, size_t> blocks;
  size_t used = 0;
};
Memory& memory() {
  static Memory* m = new Memory;  // never destroyed: tensors may die after main
  return *m;
}

size_t number(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}
int devices() { return int(number("INK_SIM_DEVICES", 1)); }
size_t total_memory() { return number("INK_SIM_MEMORY", size_t(8) << 30); }

constinit thread_local int device = 0;
constinit thread_local cudaError_t last_error = cudaSuccess;
constinit thread_local char launch_text[1024] = "";

cudaError_t result(cudaError_t e) { return e == cudaSuccess ? e : last_error = e; }

cudaError_t host_block(void** p, size_t bytes) {
  *p = bytes ? std::aligned_alloc(256, (bytes + 255) / 256 * 256) : nullptr;
  return *p || !bytes ? cudaSuccess : cudaErrorMemoryAllocation;
}

}  // namespace

namespace ink::sim {

void enqueue(Stream* stream, std::function<void()> f) {
  if (stream && stream->capture) stream->capture->nodes.push_back(std::move(f));
  else f();
}

cudaError_t launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, Stream* stream, std::function<void()> body) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const bool fits = threads >= 1 && threads <= 1024 && block.z <= 64 && grid.x <= 0x7fffffffu && grid.y <= 65535 &&
                    grid.z <= 65535 && grid.x > 0 && grid.y > 0 && grid.z > 0 && shared_bytes <= (size_t(227) << 10);
  if (!fits) return result(cudaErrorInvalidConfiguration);
  enqueue(stream, [=, body = std::move(body)]() mutable {
    auto call = [](void* f) { (*static_cast<std::function<void()>*>(f))(); };
    const char* text = run_grid(kernel, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes, call, &body);
    if (!*text) return;
    std::snprintf(launch_text, sizeof launch_text, "%s", text);
    last_error = cudaErrorLaunchFailure;
  });
  return last_error;
}

}  // namespace ink::sim

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return launch_text;
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    default: return "invalid argument";
  }
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* n) {
  if (devices() < 1) return result(cudaErrorNoDevice);
  *n = devices();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int i) {
  if (i < 0 || i >= devices()) return result(cudaErrorInvalidDevice);
  device = i;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* i) {
  *i = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int i) {
  if (i < 0 || i >= devices()) return result(cudaErrorInvalidDevice);
  *p = {};
  std::snprintf(p->name, sizeof p->name, "simulated GPU");
  p->major = 8, p->minor = 0, p->multiProcessorCount = 4;
  p->totalGlobalMem = total_memory(), p->sharedMemPerBlockOptin = size_t(227) << 10;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* v) { return *v = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { return *v = 13000, cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return result(last_error); }

cudaError_t cudaMalloc(void** p, size_t bytes) {
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  *p = nullptr;
  if (bytes > total_memory() || m.used > total_memory() - bytes || host_block(p, bytes) != cudaSuccess)
    return result(cudaErrorMemoryAllocation);
  if (*p) m.blocks[*p] = bytes, m.used += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  auto found = m.blocks.find(p);
  if (found == m.blocks.end()) return result(cudaErrorInvalidValue);
  m.used -= found->second;
  m.blocks.erase(found);
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Memory& m = memory();
  std::lock_guard lock(m.mutex);
  *total = total_memory(), *free = *total - std::min(*total, m.used);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) { return result(host_block(p, bytes)); }
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) { return *device = host, cudaSuccess; }
cudaError_t cudaFreeHost(void* p) { return std::free(p), cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
  if (bytes) ink::sim::enqueue(s, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t s) {
  if (bytes) ink::sim::enqueue(s, [=] { std::memset(p, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return *s = new ink::sim::Stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  return result(s && s->capture ? cudaErrorStreamCaptureUnsupported : last_error);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  *status = s && s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (!s || s->capture) return result(cudaErrorStreamCaptureUnsupported);
  s->capture = new ink::sim::Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  if (!s || !s->capture) return result(cudaErrorInvalidValue);
  *g = std::exchange(s->capture, nullptr);
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  return *e = new ink::sim::Graph(*g), cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  if (s && s->capture) return result(cudaErrorStreamCaptureUnsupported);
  for (auto& f : e->nodes) f();
  return last_error;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { return delete e, cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = new ink::sim::Event, cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* e) { return *e = new ink::sim::Event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) { return e->seconds = now(), cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  return *ms = float(1e3 * (to->seconds - from->seconds)), cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
