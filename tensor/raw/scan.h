// The graph-free ops along one dim: running reductions, extremes with their positions, sorting. They take f32, f64 and
// integers, f16 and bf16 through f32. `dim` is already wrapped; pairs are {values, i64 indices along dim}.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

using Pair = std::array<Tensor, 2>;

// Running sum, product (also complex; integers and bools become i64) or logsumexp (integers become f32).
Tensor scan(const char* op, ScanOp kind, const Tensor& x, int dim, bool reverse = false);
Pair cummax(const Tensor& x, int dim);  // NaN propagates, ties: the last
// The largest (smallest) element of each line, dim kept as size 1. NaN wins, ties: the first. ShapeError for empty
// lines.
Pair arg_reduce(const char* op, bool max, const Tensor& x, int dim);
Pair sort(const Tensor& x, int dim, bool descending);          // stable; NaN counts as the largest
Pair topk(const Tensor& x, int64_t k, int dim, bool largest);  // in order; ValueError unless 0 <= k <= n
// The maximum of each `window` neighbours; NaN wins, ties: the first. ValueError unless 1 <= window <= n.
Pair window_max(const Tensor& x, int64_t window, int dim);

}  // namespace ink::raw
