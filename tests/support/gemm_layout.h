// Where the factors of a product lie, for tests of gemm: stored by rows or turned, with gaps, shared or one a batch.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::test {

// Sizes and strides, without pointers and dtype. Case has batch, m, n, k, turn_a, turn_b, share_b, gap, alpha, beta.
struct GemmLayout {
  GemmArgs args = {};
  int64_t size_a, size_b, size_c;  // of one matrix
  template <class Case> explicit GemmLayout(const Case& t) {
    const int64_t lda = (t.turn_a ? t.m : t.k) + t.gap, ldb = (t.turn_b ? t.k : t.n) + t.gap, ldc = t.n + t.gap;
    size_a = lda * (t.turn_a ? t.k : t.m), size_b = ldb * (t.turn_b ? t.n : t.k), size_c = ldc * t.m;
    args.batch = t.batch, args.m = t.m, args.n = t.n, args.k = t.k;
    args.a_row = t.turn_a ? 1 : lda, args.a_col = t.turn_a ? lda : 1, args.a_batch = size_a;
    args.b_row = t.turn_b ? 1 : ldb, args.b_col = t.turn_b ? ldb : 1, args.b_batch = t.share_b ? 0 : size_b;
    args.c_row = ldc, args.c_batch = size_c;
    args.alpha = t.alpha, args.beta = t.beta;
  }
};

}  // namespace ink::test
