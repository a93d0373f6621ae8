// Causal linear attention on a CUDA device.
#include "tensor/cuda/table.h"
#include "tensor/error.h"

namespace ink::cuda {
void linear_attention(const LinearAttentionArgs&, void*, const void*, const void*, const void*, const void*) {
  throw NotSupported("linear_attention: not on CUDA devices yet");
}
}  // namespace ink::cuda
