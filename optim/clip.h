// Bounding gradients before a step.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace ink {

// Scales all gradients by max_norm / norm if their joint Euclidean norm exceeds max_norm (Pascanu et al. 2013,
// algorithm 1). Returns the norm before; a norm that is not finite leaves the gradients as they are, or throws
// ValueError if `strict`.
double clip_grad_norm_(const std::vector<Tensor>& params, double max_norm, bool strict = false);
// Clamps every gradient element to [-limit, limit].
void clip_grad_value_(const std::vector<Tensor>& params, double limit);

}  // namespace ink
