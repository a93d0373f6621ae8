// Along a dim, in order: running results, sorting, maxima of windows. Results have x's shape unless said otherwise.
// IndexError for a dim that is not there.
#pragma once
#include <tuple>

#include "tensor/tensor.h"

namespace ink {

// y_k = x_0 + ... + x_k and x_0 ... x_k, of any dtype: integers and bool give i64. The gradient of a product is right
// where factors are 0.
Tensor cumsum(const Tensor& x, int64_t dim);
Tensor cumprod(const Tensor& x, int64_t dim);
// y_k = log(e^{x_0} + ... + e^{x_k}), without overflow: of integers in f32; DTypeError for complex x.
Tensor logcumsumexp(const Tensor& x, int64_t dim);
// {the largest so far, i64 its position, of equal ones the last}; DTypeError for complex x. The gradient goes to that
// position.
std::tuple<Tensor, Tensor> cummax(const Tensor& x, int64_t dim);
// The maximum of each window of `window` neighbours, step 1: dim shrinks from n to n - window + 1. O(n) for any window
// (van Herk 1992, Gil & Werman 1993). The gradient goes to the window's first maximum. ValueError unless 1 <= window <=
// n, and for integers beyond 2^53; DTypeError for bool and complex x.
Tensor sliding_window_max(const Tensor& x, int64_t window, int64_t dim = -1);

// Sorting, of all dtypes but complex (DTypeError); NaN counts as the largest. {values, i64 positions}; elements that
// are equal keep their order. argsort gives the positions alone (no gradient).
std::tuple<Tensor, Tensor> sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
// The k largest (or least) in order: dim shrinks to k. {values, i64 positions}. ValueError unless 0 <= k <= n.
std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);

}  // namespace ink
