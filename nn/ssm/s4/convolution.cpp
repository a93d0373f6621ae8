// Kernels that are sums of powers.
#include "nn/ssm/s4/convolution.h"

#include "autograd/ops.h"

namespace ink {

Tensor powers(const Tensor& x, int64_t n) {
  Tensor all = ones_like(unsqueeze(x, -1)), step = unsqueeze(x, -1);  // x^0 .. x^{m-1}, and x^m
  for (int64_t m = 1; m < n; m *= 2) {
    all = cat({all, slice(all, -1, 0, n - m) * step}, -1);
    step = step * step;
  }
  return slice(all, -1, 0, n);
}

Tensor mode_sum(const Tensor& weight, const Tensor& x, int64_t n) {
  int64_t s = 1;
  while (s * s < n) s *= 2;
  const Tensor along = powers(x, s), next = select(along, -1, s - 1) * x;     // x^q, x^s
  const Tensor down = unsqueeze(weight, -1) * powers(next, (n + s - 1) / s);  // weight x^{s r}
  const auto by_row = [](const Tensor& a, const Tensor& b) { return matmul(transpose(a, -2, -1), b); };
  // Re (a b) = Re a Re b - Im a Im b, as one real product
  const Tensor taps = is_complex(x.dtype())
                          ? by_row(cat({real(down), -imag(down)}, -2), cat({real(along), imag(along)}, -2))
                          : by_row(down, along);
  return slice(flatten(taps, -2, -1), -1, 0, n);  // [.., r, q]
}

}  // namespace ink
