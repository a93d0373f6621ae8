// Linformer: keys and values projected along the sequence to a fixed number of rows; Wang et al. 2020, eq. 7.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// softmax(q (E k)^T / sqrt(d)) (F v) for q [batch, heads, nq, d], k [batch, heads, n, d], v [batch, heads, n, dv] ->
// [batch, heads, nq, dv]; E, F [m, longest]: a shorter sequence uses their first n columns. O((nq + n) m) instead of
// O(nq n). Each of the m rows is a mixture of all positions, later ones too, so there is no causal form. ShapeError for
// n above `longest`, or shapes that do not fit.
Tensor linformer_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f);

}  // namespace ink
