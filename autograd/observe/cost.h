// What one call of an op costs: floating point operations, by the `flops` of its row, and bytes, by one rule for all.
//
// An operation on two numbers, a comparison and a function such as exp count as one each, so a multiplication with an
// addition counts as two; what is done once per row or per call is left out where rows are long by nature (the root of
// a norm's variance). Reading, choosing, converting and copying count nothing. Complex numbers count as one number, but
// in products, where a multiplication with an addition is eight operations on reals. Composed ops count as the ops they
// consist of.
#pragma once
#include "autograd/graph/call.h"

namespace ink {

struct Cost {
  double flops = 0;
  int64_t read = 0;     // bytes of the inputs: each once, but as often as it is broadcast
  int64_t written = 0;  // bytes of the outputs. A view costs nothing
};
Cost cost_of(const Call& call);

// ---- what rows name
inline double no_flops(const Call&) { return 0; }
template <int count> double flops_per_input(const Call& c) { return count * double(c.in(0).numel()); }

// `count` multiplications, each with an addition.
inline double multiply_adds(DType t, double count) { return (is_complex(t) ? 8 : 2) * count; }

// How many pairs (i, j) of a rectangle of rows and columns lie in the band low <= j - i <= high.
struct Rectangle {
  int64_t row, row_end, column, column_end;
};
double pairs_in_band(const Rectangle& r, int64_t low, int64_t high);

}  // namespace ink
