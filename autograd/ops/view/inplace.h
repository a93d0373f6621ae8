// In-place writes under autograd. A write to a tensor that takes part in a graph is recorded as the functional form,
// whose result is copied into the tensor, and the handle takes over the new history.
#pragma once
#include "autograd/graph/mode.h"
#include "tensor/tensor.h"

namespace ink {

// True if a write of `source` (may be undefined) into target must be recorded. GradError where that could give a wrong
// gradient: target is a leaf that requires one, or a view under recording.
bool records_write(const char* op, const Tensor& target, const Tensor& source = {});
// target's elements and history become those of `result`, the recorded functional form.
void adopt(const char* op, Tensor& target, const Tensor& result);
// x.index({...}) = value, in place.
void index_put_into(Tensor& x, std::span<const Index> where, const Tensor& value, bool accumulate);

// DTypeError if one of the two is bool: there is no difference of bools.
void refuse_bool(const char* op, DType a, DType b);
Scalar negated(const Scalar& s);  // -s; the smallest i64 stays itself

}  // namespace ink
