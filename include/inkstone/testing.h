// For people who add ops and layers: comparisons and probes that say what is wrong. They return a result and know no
// test library; CHECK(r), EXPECT_TRUE(r) << r.message and assert(r) all work. gradcheck stands in
// autograd/observe/gradcheck.h.
#pragma once
#include "autograd/observe/gradcheck.h"
#include "nn/module.h"

namespace ink::verify {

struct Result {
  bool ok = true;
  std::string message;  // empty if ok
  explicit operator bool() const { return ok; }
};

// |got - expected| <= atol + rtol |expected|
struct Tolerance {
  double rtol = 0, atol = 0;
};
double epsilon(DType dtype);  // the distance from 1 to the next number; 0 for integers and bool
// What a computation in `dtype` on numbers of order 1 may be off by: roundings * eps * sqrt(terms), for results that
// sum `terms` terms (rounding errors add like a random walk).
Tolerance tolerance(DType dtype, int64_t terms = 1, double roundings = 8);

struct Comparison : Result {
  double max_abs = 0, max_rel = 0;  // over all elements where both are finite
  int64_t bad = 0;                  // elements out of tolerance
  Shape first_bad;                  // index of the first of them
};
// Elements of any dtype, complex ones by their distance. NaN equals NaN, an infinity only itself. Differing shapes or
// dtypes are a failure.
Comparison close(const Tensor& got, const Tensor& expected, const Tolerance& tolerance);
// With the tolerance of got's dtype: tolerance(got.dtype()).
Comparison close(const Tensor& got, const Tensor& expected);

using LayerFn = FunctionRef<Tensor(const Tensor&)>;

// f on `device` gives what f gives on the CPU. Inputs are moved; f must not hold tensors of one device.
Comparison device_parity(MultiFn f, const TensorList& inputs, Device device, const Tolerance& tolerance);
// Output t depends on the inputs 0 .. t only, along `dim` of x and of f(x). Later inputs are replaced by others, at
// each t. A function whose output never changes fails too: it would pass for a wrong reason.
Result causality(LayerFn f, const Tensor& x, int64_t dim);
// Each sample alone (dim 0) gives what it gives within the batch.
Result batch(LayerFn f, const Tensor& x);
// First and second derivatives of f, which runs `layer`, by central differences: for x and for every parameter. x and
// the parameters must be f64 (layer.to(f64)); DTypeError otherwise.
Result gradients(Module& layer, LayerFn f, const Tensor& x, const GradcheckOptions& options = {});

}  // namespace ink::verify
