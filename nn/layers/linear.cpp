// Affine layers.
#include "nn/layers/linear.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {

static Tensor make_weight(int64_t in, int64_t out) {
  if (in < 1 || out < 1) throw ValueError(fmt::format("Linear: got in {}, out {}; expected positive sizes", in, out));
  return init::kaiming_uniform({out, in});
}
Linear::Linear(int64_t in, int64_t out, const LinearOptions& options) : weight(make_weight(in, out)) {
  double bound = 1 / std::sqrt(double(in));
  if (options.bias) bias = init::uniform({out}, -bound, bound);
}
Tensor Linear::forward(const Tensor& x) const { return linear(x, weight, bias); }

}  // namespace ink
