// The gradient of attention on a CUDA device.
#include "tensor/cuda/table.h"
#include "tensor/error.h"

namespace ink::cuda {
void attention_backward(const AttentionArgs&, void*, void*, void*, const void*, const void*, const void*, const void*, const void*,
                        const void*, const void*) {
  throw NotSupported("attention_backward: not on CUDA devices yet");
}
}  // namespace ink::cuda
