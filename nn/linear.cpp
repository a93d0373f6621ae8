#include "nn/linear.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options) : weight(init::kaiming_uniform({out, in})) {
  double bound = 1 / std::sqrt(double(in));
  if (options.bias) bias = init::uniform({out}, -bound, bound);
}
Tensor Linear::forward(const Tensor& x) const { return linear(x, weight, bias); }

}  // namespace ink
