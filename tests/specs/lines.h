// What the rows of reductions, scans and softmax share: cases of ops along one dim, and references that see one line.
#pragma once
#include <tuple>

#include "tests/specs/samples.h"

namespace ink::test {

using LineOp = std::function<TensorList(const Tensor&, int64_t)>;
using LineReference = std::vector<std::function<Line(const Line&)>>;
// Cases of an op along one dim; the reference gives each result of a line. `empty_line`: also a line of no elements;
// `dropped`: the op's results lose the dim.
Cases line_cases(LineOp f, LineReference g, bool empty_line = true, bool dropped = false, Make make = away,
                 bool with_complex = false);
LineOp one(std::function<Tensor(const Tensor&, int64_t)> f);
LineOp two(std::function<std::tuple<Tensor, Tensor>(const Tensor&, int64_t)> f);

C largest_of(const Line& x);
C log_sum_exp(const Line& x);
// Positions of a line in ascending (or descending) order, equal ones in their order.
std::vector<size_t> order_of(const Line& x, bool descending);
Line values_at(const Line& x, const std::vector<size_t>& order);
Line numbers(const std::vector<size_t>& order);

ErrorInput bad_dim(const char* message, void (*f)(const Tensor&));  // f gets a tensor of two dims

}  // namespace ink::test
