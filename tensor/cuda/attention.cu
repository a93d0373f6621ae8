// Attention on a CUDA device.
#include "tensor/cuda/table.h"
#include "tensor/error.h"

namespace ink::cuda {
void attention(const AttentionArgs&, void*, void*, const void*, const void*, const void*) {
  throw NotSupported("attention: not on CUDA devices yet");
}
}  // namespace ink::cuda
