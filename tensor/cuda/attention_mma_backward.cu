#include "tensor/cuda/attention_half.h"
namespace ink::cuda {
bool attention_mma_backward(const AttentionArgs&, void*, void*, void*, const void*, const void*, const void*, const void*, const void*, const void*) { return false; }
}
