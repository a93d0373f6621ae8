// Linformer: softmax attention to projected keys and values.
#include "nn/attention/lowrank/linformer.h"

#include <fmt/format.h>

#include "autograd/attention.h"
#include "autograd/ops.h"

namespace ink {

Tensor linformer_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  if (k.dim() < 2 || v.dim() < 2 || k.size(-2) != v.size(-2))
    throw ShapeError(fmt::format(
        "linformer_attention: keys and values do not fit; got {} and {}; expected [.., n, d] and [.., n, dv]",
        k.shape().str(), v.shape().str()));
  const int64_t n = k.size(-2);
  if (e.dim() != 2 || !(e.shape() == f.shape()) || e.size(0) < 1 || n > e.size(1))
    throw ShapeError(
        fmt::format("linformer_attention: the projections do not fit; got E {}, F {} for {} keys; expected both [m, "
                    "longest] with longest >= {}; hint: the length is fixed when the layer is made",
                    e.shape().str(), f.shape().str(), n, n));
  Tensor keys = matmul(slice(e, 1, 0, n), k), values = matmul(slice(f, 1, 0, n), v);  // [.., m, d], [.., m, dv]
  return scaled_dot_product_attention(q, keys, values);                               // (11.13)
}

}  // namespace ink
