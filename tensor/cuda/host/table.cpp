// The kernel table of CUDA devices.
#include "tensor/cuda/host/table.h"

#include "tensor/cuda/host/device.h"

namespace ink::cuda {

static constexpr Kernels table = table_of_slots(true, true);

const Kernels& kernels(int device) {
  use(device);
  return table;
}

}  // namespace ink::cuda
