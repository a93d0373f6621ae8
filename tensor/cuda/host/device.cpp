// Devices: which there are, the current one, its stream, waiting for it, and what it reports.
#include "tensor/cuda/host/device.h"

#include <fmt/format.h>

#include <mutex>
#include <vector>

#include "tensor/error.h"
#include "tensor/raw/index.h"

namespace ink::cuda {
namespace {

constexpr int kMaxDevices = 16;

struct Devices {
  int count = 0;
  std::string reason;
  std::once_flag opened[kMaxDevices];
  DeviceState state[kMaxDevices] = {};
};

// The first call of the runtime: without a driver it returns an error, and the process goes on on the CPU.
Devices& devices() {
  static Devices* all = [] {
    auto* d = new Devices;  // never destroyed: tensors may die after main
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess) {
      cudaGetLastError();
      d->reason = fmt::format("{} ({})", cudaGetErrorString(e), cudaGetErrorName(e));
      int driver = 0, runtime = 0;
      if (e == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess &&
          cudaRuntimeGetVersion(&runtime) == cudaSuccess && driver > 0)
        d->reason += fmt::format("; the driver knows CUDA {}.{}, this build needs {}.{}", driver / 1000,
                                 driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
      else if (e == cudaErrorInsufficientDriver)
        d->reason += "; no NVIDIA driver is installed";
      n = 0;
    }
    d->count = n < kMaxDevices ? n : kMaxDevices;
    return d;
  }();
  return *all;
}

void open(DeviceState& d, int index) {
  d.index = index;
  check(cudaSetDevice(index), "cudaSetDevice");
  check(cudaGetDeviceProperties(&d.properties, index), "cudaGetDeviceProperties");
  check(cudaStreamCreateWithFlags(&d.stream, cudaStreamNonBlocking), "cudaStreamCreate");
  void *host = nullptr, *device = nullptr;
  check(cudaHostAlloc(&host, sizeof(ErrorWord), cudaHostAllocMapped), "cudaHostAlloc");
  check(cudaHostGetDevicePointer(&device, host, 0), "cudaHostGetDevicePointer");
  d.errors = new (host) ErrorWord{};
  d.device_errors = static_cast<ErrorWord*>(device);
}

constinit thread_local DeviceState* mine = nullptr;

}  // namespace

int device_count() { return devices().count; }

DeviceState& use(int index) {
  if (mine && mine->index == index) [[likely]]
    return *mine;
  Devices& all = devices();
  if (index < 0 || index >= all.count)
    throw DeviceError(fmt::format("device: no such device; got {}; expected {}", Device::cuda(index).str(),
                                  all.count == 0   ? fmt::format("cpu; there is no CUDA device here: {}", all.reason)
                                  : all.count == 1 ? std::string("cpu or cuda:0")
                                                   : fmt::format("cpu or cuda:0 .. cuda:{}", all.count - 1)));
  std::call_once(all.opened[index], [&] { open(all.state[index], index); });
  check(cudaSetDevice(index), "cudaSetDevice");
  return *(mine = &all.state[index]);
}

DeviceState& current() { return mine ? *mine : use(0); }

bool capturing(const DeviceState& d) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(d.stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

void check(cudaError_t e, const char* what) {
  if (e == cudaSuccess) [[likely]]
    return;
  std::string text = cudaGetErrorString(e);  // before the state is cleared
  cudaGetLastError();
  throw CudaError(fmt::format("{}: {} ({})", what, text, cudaGetErrorName(e)));
}

void synchronize(DeviceState& d, const char* what) {
  if (capturing(d))
    throw CudaError(
        fmt::format("{}: a captured step cannot wait for the device; hint: read values and copy from the CPU "
                    "outside of capture",
                    what));
  check(cudaStreamSynchronize(d.stream), what);
  if (d.errors->state == 0) [[likely]]
    return;
  const ErrorWord e = *d.errors;
  d.errors->state = 0;
  raw::throw_bad_index(e.check, e.value, e.place);
}

std::string status() {
  if (device_count() == 0) return devices().reason;
  std::string all;
  for (int i = 0; i < device_count(); ++i) {
    const cudaDeviceProp& p = use(i).properties;
    all += fmt::format("{}cuda:{} {}, {:.1f} GiB, sm_{}{}", i ? "; " : "", i, p.name,
                       double(p.totalGlobalMem) / (1 << 30), p.major, p.minor);
  }
  return all;
}

}  // namespace ink::cuda
