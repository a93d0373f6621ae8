// Elementwise ops of one operand: y = f(x), of x's shape.
//
// dtypes: what x has. A function of real numbers takes f16, bf16, f32 and f64, and converts integers and bool to f32;
// one that is marked (complex) takes complex numbers too. Others are a DTypeError. f16 and bf16 are computed in f32 and
// rounded once.
#pragma once
#include <optional>

#include "tensor/tensor.h"

namespace ink {

// ---- signs and rounding: integers stay integers, bool becomes i64
Tensor neg(const Tensor& x);         // (complex); DTypeError for bool
Tensor abs(const Tensor& x);         // (complex: |z|, real); the gradient at 0 is 0
Tensor sign(const Tensor& x);        // -1, 0, 1; NaN of NaN; gradient 0
Tensor square(const Tensor& x);      // (complex)
Tensor reciprocal(const Tensor& x);  // (complex); 1 / x, of integers in f32
// Rounding. The gradient is 0; integers are copied.
Tensor round(const Tensor& x);  // to the nearest, halves to the even number
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor trunc(const Tensor& x);  // towards 0

// ---- exponentials and roots. Outside its domain a function is NaN, at a pole +-inf, as in the C library
Tensor exp(const Tensor& x);    // (complex)
Tensor expm1(const Tensor& x);  // e^x - 1, exact near 0
Tensor log(const Tensor& x);    // (complex)
Tensor log1p(const Tensor& x);  // log(1 + x), exact near 0
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor sqrt(const Tensor& x);   // (complex)
Tensor rsqrt(const Tensor& x);  // 1 / sqrt(x)

// ---- circular and hyperbolic functions and their inverses
Tensor sin(const Tensor& x);  // (complex)
Tensor cos(const Tensor& x);  // (complex)
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);  // (complex)
Tensor cosh(const Tensor& x);  // (complex)
Tensor tanh(const Tensor& x);  // (complex)

// ---- special functions
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);  // 1 - erf(x), exact far out
Tensor erfinv(const Tensor& x);
Tensor lgamma(const Tensor& x);   // log |Gamma(x)|
Tensor digamma(const Tensor& x);  // its derivative

// ---- activations
Tensor sigmoid(const Tensor& x);                          // 1 / (1 + e^-x)
Tensor log_sigmoid(const Tensor& x);                      // log sigmoid(x) = -softplus(-x)
Tensor softplus(const Tensor& x);                         // log(1 + e^x), without overflow
Tensor relu(const Tensor& x);                             // max(x, 0), of integers too; the gradient at 0 is 0
Tensor leaky_relu(const Tensor& x, double slope = 0.01);  // slope x below 0
Tensor elu(const Tensor& x, double alpha = 1);            // alpha (e^x - 1) below 0; Clevert et al. 2015, eq. 14
Tensor silu(const Tensor& x);                             // x sigmoid(x); Elfwing et al. 2017, Ramachandran et al. 2017
// x Phi(x) with the normal distribution function Phi, or its approximation by tanh; Hendrycks & Gimpel 2016.
enum class GeluForm {
  erf,   // x (1 + erf(x / sqrt 2)) / 2
  tanh,  // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
};
Tensor gelu(const Tensor& x, GeluForm form = GeluForm::erf);

// ---- predicates: bool, any dtype (no gradient)
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);     // of complex: one of the parts
Tensor isfinite(const Tensor& x);  // neither
Tensor logical_not(const Tensor& x);

// ---- bounds
// Numbers in place of NaN, inf and -inf: 0 and the largest and least finite number of x's dtype, unless given. Integers
// are copied.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = {},
                  std::optional<double> neginf = {});
// min(max(x, low), high); an absent bound does not bind, NaN stays. x's dtype promoted with the bounds'. The gradient
// passes where low <= x <= high. ValueError without any bound, DTypeError for complex x.
Tensor clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high = {});

// ---- copies and conversions. The gradient comes back in x's dtype and on x's device
// x in another dtype (any; complex to real: the real part; floats to integers are cut towards 0) or on another device;
// x itself if it has it. `non_blocking`: the host does not wait for the copy. DeviceError for a device that is not
// there.
Tensor to(const Tensor& x, DType dtype);
Tensor to(const Tensor& x, Device device, bool non_blocking = false);
Tensor to(const Tensor& x, const Options& options);
Tensor clone(const Tensor& x);       // a contiguous copy
Tensor contiguous(const Tensor& x);  // x itself if it is contiguous, else a copy
Tensor detach(const Tensor& x);      // the same elements, without history (no gradient)

}  // namespace ink
