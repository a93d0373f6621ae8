// Parts that layers over a matrix state share.
#include "nn/ssm/linear/heads.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {

void check_tokens(const char* layer, const Tensor& x, int64_t dim) {
  if (x.dim() != 3 || x.size(2) != dim)
    throw ShapeError(fmt::format("{}: wrong input; got {}; expected [batch, time, {}]", layer, x.shape().str(), dim));
}

void check_heads(const char* layer, int64_t dim, int64_t heads, int64_t value_dim) {
  if (dim < 1 || heads < 1 || value_dim < 1 || dim % heads || value_dim % heads)
    throw ValueError(
        fmt::format("{}: got dim {}, heads {}, value dim {}; expected positive sizes, both dims multiples of heads",
                    layer, dim, heads, value_dim));
}

Tensor to_heads(const Tensor& x, int64_t heads) {
  return permute(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), {0, 2, 1, 3});
}
Tensor from_heads(const Tensor& x) {
  return reshape(permute(x, {0, 2, 1, 3}), {x.size(0), x.size(2), x.size(1) * x.size(3)});
}
Tensor unit_length(const Tensor& x) { return x * rsqrt(sum(square(x), {-1}, true) + 1e-12); }

LowRank::LowRank(int64_t dim, int64_t rank, int64_t out, Between between, const Tensor& start, bool from_zero)
    : between(between),
      down(init::kaiming_uniform({rank, dim}).t().contiguous()),
      up(from_zero ? zeros({rank, out}) : init::kaiming_uniform({out, rank}).t().contiguous()) {
  if (start.defined()) bias = start;
}
Tensor LowRank::forward(const Tensor& x) const {
  Tensor h = matmul(x, down);
  if (between == Between::tanh) h = tanh(h);
  if (between == Between::sigmoid) h = sigmoid(h);
  const Tensor y = matmul(h, up);
  return bias.defined() ? y + bias : y;
}

}  // namespace ink
