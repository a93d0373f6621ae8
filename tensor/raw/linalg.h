// Linear algebra of the graph-free layer, through LAPACK, over the last two dims of f32 f64 c64 c128 tensors (integers
// are cast to f32). Errors: ShapeError, DTypeError, and LinalgError that names the matrix of the batch which failed.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

Tensor solve(const char* op, const Tensor& a, const Tensor& b);  // a x = b by LU; batch dims broadcast
Tensor triangular_solve(const char* op, const Tensor& a, const Tensor& b, bool upper);
// {sign, log |det|, det}; a singular matrix has sign 0, log -inf.
std::array<Tensor, 3> determinant(const char* op, const Tensor& a);
Tensor cholesky(const char* op, const Tensor& a);           // lower L with L L^H = a; reads the lower triangle of a
std::array<Tensor, 2> qr(const char* op, const Tensor& a);  // {q [..., m, k], r [..., k, n]}, k = min(m, n)
std::array<Tensor, 2> eigh(const char* op,
                           const Tensor& a);  // {ascending eigenvalues, vectors}; reads the lower triangle
// The eigenvalues of any square matrix, complex, in no order. What is not finite must not be asked: LAPACK may not end.
Tensor eigvals(const char* op, const Tensor& a);

}  // namespace ink::raw
