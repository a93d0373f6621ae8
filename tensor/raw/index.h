// The graph-free ops on indices. Functions that take a `checked` index expect what checked_index() returns.
#pragma once
#include "tensor/raw/raw.h"

namespace ink::raw {

// The index as contiguous i64, each entry what `check` allows (with wrap: negative ones counted from the end).
// DTypeError unless i64 or i32; IndexError naming the first value that is not, on a CUDA device at the next
// synchronisation.
Tensor checked_index(const IndexCheck& check, const Tensor& index);
[[noreturn]] void throw_bad_index(const IndexCheck& check, int64_t value, int64_t place);

// out[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on. Index may be smaller than x in the other dims.
Tensor gather(const char* op, const Tensor& x, int dim, const Tensor& checked);
// A copy of x with out[index[i][j][k]][j][k] = (or +=) source[i][j][k]; source has index's shape and x's dtype.
Tensor scatter(const char* op, const Tensor& x, int dim, const Tensor& checked, const Tensor& source, bool add);
// Rows `checked` [k] of x along dim.
Tensor index_select(const Tensor& x, int dim, const Tensor& checked);
// A copy of x with rows of `source` added at `checked` [k]; source has x's shape but k in dim.
Tensor index_add(const Tensor& x, int dim, const Tensor& checked, const Tensor& source);
// Flat positions (i64 [count]) of the true elements of a bool tensor, in row-major order.
Tensor true_positions(const Tensor& mask);

}  // namespace ink::raw
