// Between C and C-tilde.
#include "nn/ssm/s4/truncation.h"

#include "autograd/ops.h"

namespace ink {
namespace {

Tensor row_times(const Tensor& row, const Tensor& A) { return squeeze(matmul(unsqueeze(row, -2), A), -2); }

}  // namespace

Tensor matrix_power(const Tensor& A, int64_t power) {
  Tensor result, square = A;
  for (int64_t left = power; left > 0; left /= 2) {
    if (left % 2) result = result.defined() ? matmul(result, square) : square;
    if (left > 1) square = matmul(square, square);
  }
  return result.defined() ? result : expand(eye(A.size(-1), A.options()), A.shape());
}

Tensor truncated(const Tensor& C, const Tensor& A, int64_t length) {
  return C - row_times(C, matrix_power(A, length));  // (9.30)
}

Tensor untruncated(const Tensor& C_tilde, const Tensor& A, int64_t length) {
  // a row times a matrix is the transposed matrix times a column: no conjugate
  const Tensor M = eye(A.size(-1), A.options()) - matrix_power(A, length);
  return squeeze(solve(transpose(M, -2, -1), unsqueeze(C_tilde, -1)), -1);  // (9.32)
}

Tensor doubled(const Tensor& C_tilde, const Tensor& A, int64_t length) {
  return C_tilde + row_times(C_tilde, matrix_power(A, length));  // (9.33)
}

}  // namespace ink
