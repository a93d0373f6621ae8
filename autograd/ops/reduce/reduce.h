// Reductions: many elements to one. They run over `dims`, or over all dims if none is named; those disappear from the
// shape, or stay with size 1 if `keepdim`. IndexError for a dim that is not there, ValueError for one that is named
// twice.
#pragma once
#include <optional>
#include <tuple>

#include "tensor/tensor.h"

namespace ink {

// Sum and product of any dtype, of nothing 0 and 1: integers and bool give i64, others their own dtype. (Running sums
// are in f32 for f16 and bf16, and rounded once.) The gradient of a product is right where factors are 0.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor prod(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// sum / count, of floating point and complex numbers (DTypeError else); of nothing NaN.
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// Variance, sum |x - mean|^2 / (count - correction), and its root, for floating point x (DTypeError else); NaN if count
// <= correction. The gradient of std is 0 where all elements are equal. var_mean gives {variance, mean}.
Tensor var(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
Tensor std(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
std::tuple<Tensor, Tensor> var_mean(const Tensor& x, const Dims& dims = {}, double correction = 1,
                                    bool keepdim = false);

// The largest and the least element, in x's dtype; NaN if there is one. The gradient goes to the first in row-major
// order. ShapeError if there is nothing to reduce, DTypeError for complex x.
Tensor max(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor min(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// {values, i64 positions of the first} along one dim; errors as above.
std::tuple<Tensor, Tensor> max_with_indices(const Tensor& x, int64_t dim, bool keepdim = false);
std::tuple<Tensor, Tensor> min_with_indices(const Tensor& x, int64_t dim, bool keepdim = false);
// The positions alone, i64 (no gradient); without a dim the position among all elements, row by row, as a 0-dim tensor
// (keepdim: of sizes 1). NaN counts as the largest for argmax, as the least for argmin.
Tensor argmax(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
Tensor argmin(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);

// Is one, are all, how many are not 0: bool, bool and i64, of any dtype (no gradient). Of nothing: false, true, 0.
Tensor any(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor all(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor count_nonzero(const Tensor& x, const Dims& dims = {}, bool keepdim = false);

// log sum e^x, without overflow: of floating point x, of integers in f32; of nothing -inf. DTypeError for complex x.
Tensor logsumexp(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// The Euclidean length sqrt(sum |x|^2), without overflow; real, for floating point and complex x (DTypeError else). The
// gradient at 0 is 0.
Tensor norm(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// Sums x over the dims in which `shape` would be broadcast to x's shape: the inverse of expand(), of that shape and x's
// dtype. ShapeError if x was not broadcast from it.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace ink
