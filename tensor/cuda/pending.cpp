#include "tensor/cuda/table.h"
#include "tensor/error.h"

namespace ink::cuda {


}  // namespace ink::cuda
