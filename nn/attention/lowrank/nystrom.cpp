// Nystrom attention: landmarks, the iterative inverse, three products from right to left.
#include "nn/attention/lowrank/nystrom.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/attention.h"
#include "autograd/ops.h"

namespace ink {

Tensor landmarks(const Tensor& x, int64_t m) {
  if (m < 1 || x.dim() < 2)
    throw ValueError(
        fmt::format("landmarks: got {} landmarks of {}; expected at least 1, and [.., n, d]", m, x.shape().str()));
  const int64_t n = x.size(-2);
  if (m >= n) return x;
  Tensor stretch = floor_divide(arange(0, n, 1, {i64, x.device()}) * m, n);  // floor(i m / n)
  Tensor size = index_add(zeros({m}, x.options()), 0, stretch, ones({n}, x.options()));
  Shape shape = x.shape();
  shape[x.dim() - 2] = m;
  return index_add(zeros(shape, x.options()), -2, stretch, x) / unsqueeze(size, -1);  // (11.15)
}

Tensor iterative_inverse(const Tensor& a, int64_t iterations) {
  if (a.dim() < 2 || a.size(-1) != a.size(-2))
    throw ShapeError(fmt::format("iterative_inverse: got {}; expected square matrices [.., m, m]", a.shape().str()));
  if (iterations < 0) throw ValueError(fmt::format("iterative_inverse: got {} iterations", iterations));
  if (a.numel() == 0) return a.clone();
  auto largest_sum = [&](int64_t dim) { return max(sum(abs(a), {dim}, true), {-1, -2}, true); };  // of each matrix
  Tensor z = transpose(a, -1, -2) / (largest_sum(-2) * largest_sum(-1));                          // (11.17)
  Tensor one = eye(a.size(-1), a.options());
  for (int64_t i = 0; i < iterations; ++i) {
    Tensor az = matmul(a, z);
    z = 0.25 * matmul(z, 13 * one - matmul(az, 15 * one - matmul(az, 7 * one - az)));  // (11.17)
  }
  return z;
}

Tensor nystrom_attention(const Tensor& q, const Tensor& k, const Tensor& v, const NystromOptions& o) {
  if (q.dim() < 2 || !(q.shape() == k.shape()) || v.dim() != q.dim() || v.size(-2) != q.size(-2))
    throw ShapeError(
        fmt::format("nystrom_attention: queries, keys and values do not fit; got {}, {}, {}; expected [.., n, d] "
                    "twice, [.., n, dv]",
                    q.shape().str(), k.shape().str(), v.shape().str()));
  if (o.landmarks < 1 || o.iterations < 0)
    throw ValueError(fmt::format("nystrom_attention: got {} landmarks, {} iterations; expected at least 1 and 0",
                                 o.landmarks, o.iterations));
  if (v.numel() == 0) return v.clone();
  Tensor qm = landmarks(q, o.landmarks), km = landmarks(k, o.landmarks);
  Tensor a = softmax(matmul(qm, transpose(km, -1, -2)) * (1 / std::sqrt(double(q.size(-1)))), -1);  // [.., m, m]
  Tensor z = o.exact_inverse ? inverse(a) : iterative_inverse(a, o.iterations);
  // [n, m] ([m, m] ([m, n] [n, dv])): each product is small, and the two wide softmaxes go tile by tile.
  return scaled_dot_product_attention(q, km, matmul(z, scaled_dot_product_attention(qm, k, v)));  // (11.16)
}

Tensor depthwise_over_time(const Tensor& v, const Tensor& kernel) {
  if (v.dim() != 4 || kernel.dim() != 3 || kernel.size(0) != v.size(1) || kernel.size(1) != 1 ||
      kernel.size(2) % 2 == 0)
    throw ShapeError(fmt::format(
        "depthwise_over_time: got v {}, kernel {}; expected [batch, heads, n, dv] and [heads, 1, an odd size]",
        v.shape().str(), kernel.shape().str()));
  if (v.numel() == 0) return v.clone();
  const int64_t batch = v.size(0), heads = v.size(1), n = v.size(2), width = v.size(3);
  Tensor lines = reshape(permute(v, {0, 3, 1, 2}), {batch * width, heads, n});  // heads are the channels
  Tensor y = conv1d(lines, kernel, {}, {.padding = kernel.size(2) / 2, .groups = heads});
  return permute(reshape(y, {batch, width, heads, n}), {0, 2, 3, 1});
}

}  // namespace ink
