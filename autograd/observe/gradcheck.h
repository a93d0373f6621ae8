// Gradients against central differences. Part of <inkstone/testing.h>, usable with any test library.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "tensor/function_ref.h"
#include "tensor/tensor.h"

namespace ink {

using TensorList = std::vector<Tensor>;
using MultiFn = FunctionRef<TensorList(const TensorList&)>;

struct GradcheckOptions {
  double eps = 1e-6;   // step of the central difference
  double rtol = 1e-5;  // |analytic - numeric| <= atol + rtol * (the largest magnitude in either gradient)
  double atol = 1e-7;
};
struct GradcheckResult {
  bool ok = true;
  std::string message;  // which input and element, both values
  double worst = 0;     // largest difference seen
  explicit operator bool() const { return ok; }
};

// Compares d(sum v . f(inputs)) / d inputs for a fixed random v with central differences, for every element of every
// input of dtype f64 or c128 (others are constants). f must be deterministic.
GradcheckResult gradcheck(MultiFn f, const TensorList& inputs, const GradcheckOptions& options = {});
// The same for the gradients of f as functions of the inputs and the output gradients.
GradcheckResult gradgradcheck(MultiFn f, const TensorList& inputs, const GradcheckOptions& options = {});
// For one input and one output: gradcheck1([](const Tensor& x) { return x.exp(); }, x).
GradcheckResult gradcheck1(FunctionRef<Tensor(const Tensor&)> f, const Tensor& x, const GradcheckOptions& options = {});
GradcheckResult gradgradcheck1(FunctionRef<Tensor(const Tensor&)> f, const Tensor& x,
                               const GradcheckOptions& options = {});

}  // namespace ink
