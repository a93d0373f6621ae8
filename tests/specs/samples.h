// Inputs of the op rows and the plain loops their references are made of.
#pragma once
#include <initializer_list>

#include "tests/op_specs.h"

namespace ink::test {

// ---- inputs: closed formulas, no ties, away from 0
Tensor away(const Shape& shape, int seed = 0);      // 0.3 <= |x| <= 2, both signs
Tensor positive(const Shape& shape, int seed = 0);  // 0.3 .. 2
Tensor unit(const Shape& shape, int seed = 0);      // 0.1 <= |x| <= 0.9
Tensor complex_away(const Shape& shape, int seed = 0);
Tensor indices(std::initializer_list<int64_t> values, const Shape& shape);
Tensor mask(const Shape& shape, int seed = 0);
using Make = Tensor (*)(const Shape&, int);

// ---- loops
void each_index(const Shape& shape, const std::function<void(const Shape&)>& f);
Nd nd(const Tensor& t);
using F1 = std::function<C(C)>;
using F2 = std::function<C(C, C)>;
F1 on_real(double (*f)(double));
F2 on_reals(double (*f)(double, double));
Nd map(const Nd& x, const F1& f);
Nd zip(const Nd& a, const Nd& b, const F2& f);  // broadcasts
Nd spread_to(const Nd& x, const Shape& shape);
// The lines along one dim, each replaced by f(line), which may have another length.
using Line = std::vector<C>;
Nd along(const Nd& x, int dim, const std::function<Line(const Line&)>& f);
// The elements of each group that a reduction joins, in row-major order, replaced by one number.
Nd reduced(const Nd& x, const std::vector<int>& dims, bool keepdim, const std::function<C(const Line&)>& f);
Nd moved(const Nd& x, const std::vector<int>& order);  // permute
// [..., m, k] x [..., k, n]; both with at least two dims
Nd product(const Nd& a, const Nd& b);
inline double re(C x) { return x.real(); }

// ---- cases
OpFn fn1(std::function<Tensor(const Tensor&)> f);
OpFn fn2(std::function<Tensor(const Tensor&, const Tensor&)> f);
Case make_case(std::string label, TensorList inputs, OpFn op, Reference reference, bool grad = true, double terms = 0);
using Cases = std::function<std::vector<Case>()>;
// Every kind of shape, one operand or two.
Cases unary_cases(std::function<Tensor(const Tensor&)> f, F1 reference, Make make = away, bool with_complex = false);
Cases binary_cases(std::function<Tensor(const Tensor&, const Tensor&)> f, F2 reference, Make a = away, Make b = away,
                   bool with_complex = false);

}  // namespace ink::test
