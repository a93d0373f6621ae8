// Comparisons of tensors, and of gradients with what they should be.
#pragma once
#include <functional>

#include "autograd/graph/engine.h"
#include "autograd/observe/gradcheck.h"
#include "autograd/ops.h"
#include "tests/support/tensors.h"
#include "tests/support/values.h"

namespace ink::test {

// Normal numbers; the dtype may be complex (real and imaginary parts normal).
inline Tensor normal(const Shape& shape, unsigned seed, DType dtype = f64) {
  if (!is_complex(dtype)) return random_tensor(shape, seed, dtype);
  return to(complex_of(random_tensor(shape, seed), random_tensor(shape, seed + 1000)), dtype);
}
// Indices in [0, high).
inline Tensor whole(const Shape& shape, int64_t high, unsigned seed) {
  return from_data(std::span<const int64_t>(whole_values<int64_t>(shape.numel(), high, seed)), shape);
}

// The largest |a - b| / (1 + |b|); infinite if the shapes differ.
inline double difference(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return INFINITY;
  auto flat = [](const Tensor& t) {
    return (is_complex(t.dtype()) ? view_as_real(contiguous(t.detach())) : t.detach()).to_vector<double>();
  };
  return error(flat(a), flat(b));
}

// The gradients of sum(w f(inputs)), w fixed, with the fused kernels and with the compositions recorded for higher
// orders.
inline double paths_differ(const std::function<Tensor(const TensorList&)>& f, TensorList inputs) {
  for (Tensor& t : inputs) t = t.detach(), t.requires_grad_();
  Tensor y = f(inputs);
  Tensor w[] = {normal(y.shape(), 99, y.dtype())};
  GradOptions fused, composed;
  fused.retain_graph = true;
  composed.create_graph = true;
  auto a = grad(std::span(&y, 1), inputs, w, fused), b = grad(std::span(&y, 1), inputs, w, composed);
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, difference(a[i], b[i]));
  return worst;
}

// gradcheck and gradgradcheck; "" or what failed, so that CHECK(check_twice(f, inputs) == "") prints it.
inline std::string check_twice(MultiFn f, const TensorList& inputs, const GradcheckOptions& options = {}) {
  if (auto r = gradcheck(f, inputs, options); !r) return "gradcheck: " + r.message;
  if (auto r = gradgradcheck(f, inputs, options); !r) return "gradgradcheck: " + r.message;
  return "";
}
inline std::string check_twice(FunctionRef<Tensor(const Tensor&)> f, const Tensor& x,
                               const GradcheckOptions& options = {}) {
  return check_twice([&](const TensorList& in) { return TensorList{f(in[0])}; }, {x}, options);
}

}  // namespace ink::test
