// Nystromformer: a softmax matrix approximated from m landmark rows and columns; Xiong et al. 2021.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// Means of m stretches of consecutive rows, x [..., n, d] -> [..., min(m, n), d]. Row i belongs to stretch floor(i m /
// n): lengths differ by at most one where m does not divide n. ValueError for m < 1.
Tensor landmarks(const Tensor& x, int64_t m);

// Z -> A^+ for A [..., m, m] by  Z <- 1/4 Z (13 I - A Z (15 I - A Z (7 I - A Z))),  Z0 = A^T / (|A|_1 |A|_inf);  Razavi
// et al. 2014, of third order. The norms are of each matrix: taken over a whole batch, as common code does, a matrix of
// large norm makes Z0 of all others too small and their results, after a fixed number of iterations, different.
// ShapeError if A is not square.
Tensor iterative_inverse(const Tensor& a, int64_t iterations = 6);

struct NystromOptions {
  int64_t landmarks = 64;
  int64_t iterations = 6;
  bool exact_inverse = false;  // inverse() through LAPACK instead: LinalgError for landmarks that coincide
};

// softmax(q km^T) A^+ softmax(qm k^T) v with A = softmax(qm km^T), qm and km the landmarks, scores scaled by 1 /
// sqrt(d), evaluated from right to left: O(n m), the outer factors never stored. q, k [batch, heads, n, d], v [batch,
// heads, n, dv]. Landmarks are means over later positions too: no causal form. With as many landmarks as rows and the
// exact inverse it is softmax attention. Fewer dims: as in scaled_dot_product_attention. ShapeError, ValueError.
Tensor nystrom_attention(const Tensor& q, const Tensor& k, const Tensor& v, const NystromOptions& options = {});

// The residual of the paper: v [batch, heads, n, dv] convolved along n, one kernel [heads, 1, size] a head, size odd.
Tensor depthwise_over_time(const Tensor& v, const Tensor& kernel);

}  // namespace ink
