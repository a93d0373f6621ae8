// CUDA devices: whether there are any, waiting for them, switches, pinned memory. The devices are NVIDIA GPUs in a
// build with INK_CUDA=ON, and simulated ones with INK_CUDA=SIM (docs/kernels/simulator.md); without either there are
// none.
#pragma once
#include <string>

#include "tensor/device.h"
#include "tensor/tensor_fwd.h"

namespace ink {

bool cuda_is_available();  // is there a device this build can use?
int cuda_device_count();   // 0 if not
bool cuda_is_simulated();  // is that device the simulator's?
// The devices with their memory, or why there are none: the build, the driver, the machine.
std::string cuda_status();
// Waits until the device has done all that was asked of it. Throws what went wrong there: IndexError for an index out
// of range, CudaError for the rest.
void cuda_synchronize(Device device = Device::cuda());

// Switches of the process.
struct CudaOptions {
  // wait after every kernel, so that an error is thrown by the op that caused it (INK_CUDA_SYNC=1)
  bool sync = false;
  bool tf32 = false;           // let f32 products round their factors to 10 fraction bits, on tensor cores
  bool deterministic = false;  // scatter_add and index_add sum in a fixed order, without atomics
};
CudaOptions& cuda_options();

// A copy on the CPU in page-locked memory: to(device, true) from it runs while the program goes on.
Tensor pin_memory(const Tensor& x);

}  // namespace ink
