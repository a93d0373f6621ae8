#include "tensor/cuda/attention_half.h"
namespace ink::cuda {
bool attention_mma(const AttentionArgs&, void*, void*, const void*, const void*, const void*) { return false; }
}
