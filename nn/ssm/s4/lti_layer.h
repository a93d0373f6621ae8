// What the layers S4D, S4 and RTF have in common: checks, starting step sizes, parameters that are pairs of numbers,
// the direct path D u.
#pragma once
#include "tensor/function_ref.h"
#include "tensor/tensor.h"

namespace ink {

// ValueError for sizes below 1, or steps that are not positive and finite or in the wrong order.
void check_lti_sizes(const char* layer, int64_t dim, int64_t state, double step_min, double step_max);
void check_rate(const char* layer, double rate);                        // ValueError unless positive and finite
void check_length(const char* layer, int64_t length);                   // ValueError below 0
void check_lti_input(const char* layer, const Tensor& x, int64_t dim);  // ShapeError unless [batch, time, dim]
// ShapeError for a state that is there but of another shape, DTypeError for one of another dtype.
void check_lti_state(const char* layer, const Tensor& x, const Shape& expected, const Options& options);

// log Delta for each channel, uniform between the logarithms of the two.
Tensor starting_log_steps(int64_t dim, double step_min, double step_max);

// A parameter of pairs [.., 2] as complex numbers, halves as c64.
Tensor pairs_as_complex(const Tensor& parts);

// f(u) + D u for u = x in f32 if x is a half; the sum is rounded to x's dtype once.
Tensor with_skip(const Tensor& x, const Tensor& D, FunctionRef<Tensor(const Tensor&)> f);

}  // namespace ink
