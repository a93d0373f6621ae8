// The kernel table of CUDA devices.
#include "tensor/cuda/table.h"

#include "tensor/cuda/device.h"

namespace ink::cuda {

static constexpr Kernels table = table_of_slots(true);

const Kernels& kernels(int device) {
  use(device);
  return table;
}

}  // namespace ink::cuda
