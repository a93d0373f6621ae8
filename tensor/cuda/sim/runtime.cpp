// The simulated CUDA runtime: devices, memory, streams, graphs.
#include "tensor/cuda/sim/runtime.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tensor/cuda/sim/memory.h"
#include "tensor/cuda/sim/shared.h"

namespace {

int devices() { return int(ink::sim::environment("INK_SIM_DEVICES", 1)); }

constinit thread_local int device = 0;
constinit thread_local cudaError_t last_error = cudaSuccess;
constinit thread_local const char* launch_text = "";

}  // namespace

namespace ink::sim {

cudaError_t result(cudaError_t e) { return e == cudaSuccess ? e : last_error = e; }

void enqueue(Stream* stream, std::function<void()> f) {
  if (stream && stream->capture) return stream->capture->nodes.push_back(std::move(f));
  Touch device_memory;
  f();
}

cudaError_t launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, Stream* stream, Body run, void* body,
                   size_t bytes) {
  auto within = [](unsigned n, unsigned most) { return n >= 1 && n <= most; };
  const bool fits = within(block.x, 1024) && within(block.y, 1024) && within(block.z, 64) &&
                    block.x * block.y * block.z <= 1024 && within(grid.x, 0x7fffffff) && within(grid.y, 65535) &&
                    within(grid.z, 65535) && shared_bytes <= kMaxShared;
  if (!fits) return result(cudaErrorInvalidConfiguration);
  auto go = [=](void* arguments) {
    const char* text =
        run_grid(kernel, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes, run, arguments);
    if (*text) launch_text = text, last_error = cudaErrorLaunchFailure;
  };
  if (!stream || !stream->capture) {
    enqueue(stream, [&] { go(body); });
    return last_error;
  }
  // aligned as any argument may want
  struct alignas(16) Chunk {
    char bytes[16];
  };
  std::vector<Chunk> copy((bytes + 15) / 16);
  std::memcpy(copy.data(), body, bytes);
  enqueue(stream, [go, copy]() mutable { go(copy.data()); });
  return last_error;
}

}  // namespace ink::sim

using namespace ink::sim;

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorLaunchFailure:
      return launch_text;
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return "invalid argument";
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
  p->totalGlobalMem = total_memory(), p->sharedMemPerBlockOptin = kMaxShared;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* v) { return *v = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { return *v = 13000, cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return result(last_error); }

cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  *p = host_memory(bytes);
  return result(*p ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) { return *device = host, cudaSuccess; }
cudaError_t cudaFreeHost(void* p) { return std::free(p), cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
  if (bytes) enqueue(s, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t s) {
  if (bytes) enqueue(s, [=] { std::memset(p, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return *s = new Stream, cudaSuccess; }
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
  s->capture = new Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  if (!s || !s->capture) return result(cudaErrorInvalidValue);
  *g = std::exchange(s->capture, nullptr);
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  return *e = new Graph(*g), cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  if (s && s->capture) return result(cudaErrorStreamCaptureUnsupported);
  Touch device_memory;
  for (size_t i = 0; i < e->nodes.size() && last_error == cudaSuccess; ++i) e->nodes[i]();
  return last_error;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { return delete e, cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = new Event, cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* e) { return *e = new Event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) { return e->seconds = now(), cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  return *ms = float(1e3 * (to->seconds - from->seconds)), cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
