// Every scalar formula of the framework, once, for the CPU, CUDA and all dtypes, and the lists the backends turn into
// tables.
//
// A formula is a struct with `T operator()(T...) const`. T is float or double, a Pack of them (so: no branches on T,
// but select, max and min), ink::complex, an integer or bool, as far as its domain goes. The output dtype of an op is
// what its operator() returns: a comparison gives bool, abs of a complex number a real one. Integers wrap around: sums,
// differences and products are plus, minus and times (math.h). A formula may carry parameters (at most 32 bytes); the
// tables pass it as `const void*`, the kernels take it by value.
#pragma once
#include <limits>

#include "tensor/math/math.h"
#include "tensor/math/scalar.h"

// One formula a line, as in a table.
// clang-format off
namespace ink {

// ---- lists of types, indexed at compile time
template <class... F> struct List {
  static constexpr int size = sizeof...(F);
};
template <class F, class L> inline constexpr int index_of = -1;
template <class F, class... Fs> inline constexpr int index_of<F, List<Fs...>> = [] {
  int i = 0, found = -1;
  ((std::same_as<F, Fs> ? void(found = i++) : void(i++)), ...);
  return found;
}();

namespace fn {

// A number operand as T (a Pack holds it in every lane).
template <class T> INK_HD INK_INLINE T value(const Scalar& s) { return T(s.to<scalar_t<T>>()); }

// Domains: which kinds of dtype a formula takes. Others are cast (an integer to f32 for Float) or refused.
// integers and floats
struct Real { static constexpr unsigned domain = kReal; };
// f16 bf16 f32 f64; integers are cast to f32
struct Float { static constexpr unsigned domain = kFloat; };
// floats and complex; integers are cast to f32
struct Field { static constexpr unsigned domain = kField; };
// all but bool
struct Number { static constexpr unsigned domain = kNumber; };
struct Any { static constexpr unsigned domain = kAny; };
// all but complex
struct Ordered { static constexpr unsigned domain = kOrdered; };
struct ComplexOnly { static constexpr unsigned domain = kComplex; };

// ======================================================================================== one operand
struct Neg : Number {
  template <class T> INK_HD INK_INLINE T operator()(T x) const {
    if constexpr (std::integral<T>) return minus(T(0), x);
    else return T(-x);
  }
};
struct Abs : Number { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return abs(x); } };
struct Sign : Ordered {
  template <class T> INK_HD INK_INLINE T operator()(T x) const {  // NaN stays NaN, as 0 * NaN does
    return select(x > T(0), T(1), select(x < T(0), T(T(0) - T(1)), T(x * T(0))));
  }
};
struct Exp : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return exp(x); } };
struct Expm1 : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return expm1(x); } };
struct Log : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return log(x); } };
struct Log1p : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return log1p(x); } };
struct Log2 : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return log2(x); } };
struct Log10 : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return log10(x); } };
struct Sqrt : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return sqrt(x); } };
struct Rsqrt : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return T(1) / sqrt(x); } };
struct Sin : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return sin(x); } };
struct Cos : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return cos(x); } };
struct Tan : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return tan(x); } };
struct Asin : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return asin(x); } };
struct Acos : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return acos(x); } };
struct Atan : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return atan(x); } };
struct Sinh : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return sinh(x); } };
struct Cosh : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return cosh(x); } };
struct Tanh : Field { template <class T> INK_HD INK_INLINE T operator()(T x) const { return tanh(x); } };
struct Erf : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return erf(x); } };
struct Erfc : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return erfc(x); } };
struct Erfinv : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return erfinv(x); } };
struct Lgamma : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return lgamma(x); } };
struct Digamma : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return digamma(x); } };
// half to even
struct Round : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return round(x); } };
struct Floor : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return floor(x); } };
struct Ceil : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return ceil(x); } };
struct Trunc : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return trunc(x); } };

// Activations.
template <class T> INK_HD INK_INLINE T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }
struct Sigmoid : Float { template <class T> INK_HD INK_INLINE T operator()(T x) const { return sigmoid(x); } };
struct Relu : Real { template <class T> INK_HD INK_INLINE T operator()(T x) const { return max(x, T(0)); } };
struct LeakyRelu : Float {
  double slope;
  template <class T> INK_HD INK_INLINE T operator()(T x) const { return select(x > T(0), x, x * T(scalar_t<T>(slope))); }
};
struct Elu : Float {  // Clevert et al. 2015, eq. 14
  double alpha;
  template <class T> INK_HD INK_INLINE T operator()(T x) const {
    return select(x > T(0), x, T(scalar_t<T>(alpha)) * expm1(min(x, T(0))));
  }
};
// Activations of the form x s(x) with s(-inf) = 0: there the largest finite number stands for x, since inf 0 is no number and the limit is 0.
template <class T> INK_HD INK_INLINE T not_minus_inf(T x) { return max(x, T(-std::numeric_limits<scalar_t<T>>::max())); }
template <class T> INK_HD INK_INLINE T finite(T x) { return min(not_minus_inf(x), T(std::numeric_limits<scalar_t<T>>::max())); }
struct Silu : Float {
  template <class T> INK_HD INK_INLINE T operator()(T x) const { return not_minus_inf(x) / (T(1) + exp(-x)); }
};
struct Softplus : Float {  // log(1 + e^x) without overflow
  template <class T> INK_HD INK_INLINE T operator()(T x) const { return max(x, T(0)) + log1p(exp(-abs(x))); }
};
struct Gelu : Float {  // x Phi(x); Hendrycks & Gimpel 2016
  template <class T> INK_HD INK_INLINE T operator()(T x) const {
    return T(scalar_t<T>(0.5)) * not_minus_inf(x) * (T(1) + erf(x * T(scalar_t<T>(0.70710678118654752))));
  }
};
struct GeluTanh : Float {  // the tanh form of the same paper, written as x sigmoid(2 u)
  template <class T> INK_HD INK_INLINE T operator()(T x) const {
    T u = x * (T(scalar_t<T>(1.5957691216057308)) + T(scalar_t<T>(0.071354816272600248)) * x * x);
    return not_minus_inf(x) / (T(1) + exp(-u));
  }
};

// Complex parts and predicates.
struct RealPart : ComplexOnly { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x.re; } };
struct ImagPart : ComplexOnly { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x.im; } };
struct Conj : ComplexOnly { template <class T> INK_HD INK_INLINE T operator()(T x) const { return {x.re, -x.im}; } };
struct Angle : ComplexOnly { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return atan2(x.im, x.re); } };
struct IsNan : Field { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x != x; } };
struct IsInf : Float { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return isinf(x); } };
struct LogicalNot : Any { template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x == T(0); } };

// One operand and a number.
struct AddScalar : Number { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return plus(x, value<T>(s)); } };
struct RsubScalar : Number { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return minus(value<T>(s), x); } };
struct MulScalar : Number { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return times(x, value<T>(s)); } };
struct DivScalar : Field { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return x / value<T>(s); } };
struct RdivScalar : Field { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return value<T>(s) / x; } };
struct PowScalar : Number { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return pow(x, value<T>(s)); } };
struct RpowScalar : Number { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return pow(value<T>(s), x); } };
struct Square : Number { template <class T> INK_HD INK_INLINE T operator()(T x) const { return times(x, x); } };
struct ClampMin : Real { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return max(x, value<T>(s)); } };
struct ClampMax : Real { Scalar s; template <class T> INK_HD INK_INLINE T operator()(T x) const { return min(x, value<T>(s)); } };
struct EqScalar : Any { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x == value<T>(s); } };
struct NeScalar : Any { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x != value<T>(s); } };
struct LtScalar : Ordered { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x < value<T>(s); } };
struct LeScalar : Ordered { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x <= value<T>(s); } };
struct GtScalar : Ordered { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x > value<T>(s); } };
struct GeScalar : Ordered { Scalar s; template <class T> INK_HD INK_INLINE auto operator()(T x) const { return x >= value<T>(s); } };

using UnaryOps =
    List<Neg, Abs, Sign, Exp, Expm1, Log, Log1p, Log2, Log10, Sqrt, Rsqrt, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh,
         Erf, Erfc, Erfinv, Lgamma, Digamma, Round, Floor, Ceil, Trunc, Sigmoid, Relu, LeakyRelu, Elu, Silu, Softplus, Gelu,
         GeluTanh, RealPart, ImagPart, Conj, Angle, IsNan, IsInf, LogicalNot, AddScalar, RsubScalar, MulScalar, DivScalar,
         RdivScalar, PowScalar, RpowScalar, Square, ClampMin, ClampMax, EqScalar, NeScalar, LtScalar, LeScalar, GtScalar, GeScalar>;

// ======================================================================================== two operands
struct Add : Number { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return plus(a, b); } };
struct Sub : Number { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return minus(a, b); } };
struct Mul : Number { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return times(a, b); } };
struct Div : Field { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return a / b; } };
struct FloorDiv : Real { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return floor_divide(a, b); } };
struct Remainder : Real {  // the sign of b, as in Python
  template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return remainder(a, b); }
};
struct Pow : Number { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return pow(a, b); } };
struct Atan2 : Float { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return atan2(a, b); } };
struct Maximum : Ordered { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return max(a, b); } };
struct Minimum : Ordered { template <class T> INK_HD INK_INLINE T operator()(T a, T b) const { return min(a, b); } };
struct Eq : Any { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a == b; } };
struct Ne : Any { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a != b; } };
struct Lt : Ordered { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a < b; } };
struct Le : Ordered { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a <= b; } };
struct Gt : Ordered { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a > b; } };
struct Ge : Ordered { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return a >= b; } };
// (Two bools under & give an int.)
struct LogicalAnd : Any { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return decltype(a != b)((a != T(0)) & (b != T(0))); } };
struct LogicalOr : Any { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return decltype(a != b)((a != T(0)) | (b != T(0))); } };
struct LogicalXor : Any { template <class T> INK_HD INK_INLINE auto operator()(T a, T b) const { return decltype(a != b)((a != T(0)) ^ (b != T(0))); } };
struct MakeComplex : Float {  // re + i im; scalar T only
  template <class T> INK_HD INK_INLINE auto operator()(T re, T im) const { return complex<T>(re, im); }
};

// Derivatives: g = gradient of the output, x = input, y = output. As kernels they make one pass; while a higher derivative
// is recorded the same formulas run as compositions of public ops (autograd/ops/elementwise/derivative.h).
struct ReluGrad : Float { template <class T> INK_HD INK_INLINE T operator()(T g, T y) const { return select(y > T(0), g, T(0)); } };
struct SigmoidGrad : Float { template <class T> INK_HD INK_INLINE T operator()(T g, T y) const { return g * y * (T(1) - y); } };
struct TanhGrad : Float { template <class T> INK_HD INK_INLINE T operator()(T g, T y) const { return g * (T(1) - y * y); } };
struct SiluGrad : Float {
  template <class T> INK_HD INK_INLINE T operator()(T g, T x) const {
    T s = sigmoid(x);
    return g * s * (T(1) + finite(x) * (T(1) - s));
  }
};
struct GeluGrad : Float {  // Phi(x) + x phi(x)
  template <class T> INK_HD INK_INLINE T operator()(T g, T x) const {
    T cdf = T(scalar_t<T>(0.5)) * (T(1) + erf(x * T(scalar_t<T>(0.70710678118654752))));
    T at = finite(x), pdf = T(scalar_t<T>(0.39894228040143268)) * exp(at * at * T(scalar_t<T>(-0.5)));
    return g * (cdf + at * pdf);
  }
};
// beyond it the derivative is 0 or 1 in every dtype, and powers of x would overflow
constexpr double kGeluTanhEnd = 30;
struct GeluTanhGrad : Float {
  template <class T> INK_HD INK_INLINE T operator()(T g, T x_any) const {
    T x = min(max(x_any, T(scalar_t<T>(-kGeluTanhEnd))), T(scalar_t<T>(kGeluTanhEnd)));
    T a = T(scalar_t<T>(1.5957691216057308)), b = T(scalar_t<T>(0.071354816272600248));
    T s = sigmoid(x * (a + b * x * x));
    return g * s * (T(1) + x * (T(1) - s) * (a + T(3) * b * x * x));
  }
};

using BinaryOps = List<Add, Sub, Mul, Div, FloorDiv, Remainder, Pow, Atan2, Maximum, Minimum, Eq, Ne, Lt, Le, Gt, Ge, LogicalAnd,
                       LogicalOr, LogicalXor, MakeComplex, ReluGrad, SigmoidGrad, TanhGrad, SiluGrad, GeluGrad, GeluTanhGrad>;

// ======================================================================================== reductions
// `map` takes an element to what is combined; `combine` is associative with identity `start`. T may be a Pack.
struct Sum : Number {
  template <class T> INK_HD INK_INLINE static T start() { return T(0); }
  template <class T> INK_HD INK_INLINE static T map(T x) { return x; }
  template <class T> INK_HD INK_INLINE static T combine(T a, T b) { return plus(a, b); }
};
struct SumSquares : Float {
  template <class T> INK_HD INK_INLINE static T start() { return T(0); }
  template <class T> INK_HD INK_INLINE static T map(T x) { return x * x; }
  template <class T> INK_HD INK_INLINE static T combine(T a, T b) { return a + b; }
};
struct Prod : Number {
  template <class T> INK_HD INK_INLINE static T start() { return T(1); }
  template <class T> INK_HD INK_INLINE static T map(T x) { return x; }
  template <class T> INK_HD INK_INLINE static T combine(T a, T b) { return times(a, b); }
};
struct Max : Ordered {  // NaN propagates; raw:: refuses empty reductions
  template <class T> INK_HD INK_INLINE static T start() { return T(lowest<scalar_t<T>>()); }
  template <class T> INK_HD INK_INLINE static T map(T x) { return x; }
  template <class T> INK_HD INK_INLINE static T combine(T a, T b) { return max(a, b); }
};
struct Min : Ordered {
  template <class T> INK_HD INK_INLINE static T start() { return T(highest<scalar_t<T>>()); }
  template <class T> INK_HD INK_INLINE static T map(T x) { return x; }
  template <class T> INK_HD INK_INLINE static T combine(T a, T b) { return min(a, b); }
};
struct CountNonzero : Any {  // output i64, whatever the input
  template <class T> INK_HD INK_INLINE static int64_t map(T x) { return x != T(0); }
  INK_HD INK_INLINE static int64_t combine(int64_t a, int64_t b) { return a + b; }
};

using ReduceOps = List<Sum, SumSquares, Prod, Max, Min, CountNonzero>;

}  // namespace fn

using fn::BinaryOps, fn::ReduceOps, fn::UnaryOps;

}  // namespace ink
// clang-format on
