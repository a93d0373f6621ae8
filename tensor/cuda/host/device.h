// What this process knows of its CUDA devices: the stream that all work of a device goes through, its properties, the
// word in which kernels leave errors. One stream per device keeps everything in order, memory included.
#pragma once
#include <string>

#include "tensor/backend/kernels.h"
#include "tensor/cuda/cuda.h"
#include "tensor/device.h"

namespace ink::cuda {

// Left by a kernel that met an index out of range; in page-locked memory that both sides see.
struct ErrorWord {
  int state;  // 0: none
  IndexCheck check;
  int64_t value, place;
};

struct DeviceState {
  int index;
  cudaDeviceProp properties;
  cudaStream_t stream;
  ErrorWord* errors;         // as the host sees it
  ErrorWord* device_errors;  // as kernels see it
};

int device_count();
std::string status();         // the devices with their memory, or why there are none
DeviceState& use(int index);  // makes it the device of this thread's launches; DeviceError if there is none
DeviceState& current();
inline cudaStream_t stream() { return current().stream; }
bool capturing(const DeviceState& d);

// CudaError `what: ... ` unless e is cudaSuccess.
void check(cudaError_t e, const char* what);
// Waits for the device and throws what kernels have left. `what` says on whose behalf.
void synchronize(DeviceState& d, const char* what);

}  // namespace ink::cuda
