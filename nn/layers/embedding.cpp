// A table of vectors, read by index.
#include "nn/layers/embedding.h"

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {

Embedding::Embedding(int64_t rows, int64_t dim) : weight(init::normal({rows, dim}, 1)) {}
Tensor Embedding::forward(const Tensor& index) const { return embedding(weight, index); }

}  // namespace ink
