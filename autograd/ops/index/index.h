// Reading and writing at places given by numbers. Index tensors are i64 or i32 (DTypeError else); negative indices
// count from the end, and one outside is an IndexError that names it: at once on the CPU, at the next synchronisation
// on a CUDA device. All dtypes, which results keep; what is written is converted to x's dtype (DTypeError if its kind
// is higher). Nothing is written into x: the results are new tensors.
#pragma once
#include <span>

#include "tensor/tensor.h"

namespace ink {

// x.index({...}): numbers, Slice, None, "..." and Ellipsis, index tensors and masks, one for each dim, as in NumPy. The
// shape is that of the dims that are left, with the index tensors' broadcast shape in their place (in front, if they do
// not stand side by side). IndexError for too many places or a mask of another shape, ShapeError for index tensors that
// do not broadcast.
Tensor index(const Tensor& x, std::span<const Index> where);
// x with `value`, broadcast to the shape that index() reads, at those places; with `accumulate` it is added. Of a place
// that is written twice the last value stays. ShapeError if the value does not fit.
Tensor index_put(const Tensor& x, std::span<const Index> where, const Tensor& value, bool accumulate = false);

// Elements of one dim, in the order of index [k]: [.., n, ..] -> [.., k, ..]. A 0-dim x or index counts as one element,
// and the result has x's number of dims. ShapeError for an index of more dims.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
// x with source [.., k, ..] added to the elements that index [k] names; x's shape. ShapeError if the source does not
// fit.
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

// y[i, j, ..] = x[i, index[i, j, ..], ..] (for dim 1): the index's shape, which has x's number of dims and no larger
// sizes but in `dim` (ShapeError else); 0-dim operands count as one element. take_along_dim broadcasts the two in the
// other dims.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);
// x with y[i, index[i, j, ..], ..] = source[i, j, ..], or added to it; x's shape. The source has the index's shape or
// more, or is one number (ShapeError else). Of a place that is written twice the last value stays; sums are taken in a
// fixed order.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

// The elements of x where the mask (bool, broadcast with x) holds, row by row: [count]. DTypeError for another mask.
Tensor masked_select(const Tensor& x, const Tensor& mask);
// The places of the elements that are not 0, row by row: i64 [count, dims] (no gradient).
Tensor nonzero(const Tensor& x);
// Rows of weight [rows, d] by their numbers, index [..] -> [.., d]. ShapeError unless the weight has two dims.
Tensor embedding(const Tensor& weight, const Tensor& index);
// How many elements of the last dim, sorted ascending, stand before each value (with `right`: before it or equal): i64
// of the values' shape (no gradient). sorted [.., n], values [.., k], or any values for sorted [n]; ShapeError else.
// NaN counts as the largest.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);

}  // namespace ink
