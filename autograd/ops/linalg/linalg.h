// Linear algebra over the last two dims, through LAPACK, on the host: dims in front are batches. f32, f64, c64 and
// c128; integers are converted to f32, f16 and bf16 are a DTypeError (but for matrix_exp). ShapeError for a matrix that
// is not square (but for qr), LinalgError for one that is singular, or not positive definite, naming its place in the
// batch. Gradients: Giles 2008.
#pragma once
#include <tuple>

#include "tensor/tensor.h"

namespace ink {

// x with a x = b: a [..., n, n], b [..., n, k] -> [..., n, k], by LU; batches broadcast. ShapeError if the sides do not
// fit.
Tensor solve(const Tensor& a, const Tensor& b);
// The same for a triangular a, of which the other triangle is not read.
Tensor triangular_solve(const Tensor& a, const Tensor& b, bool upper);
Tensor inverse(const Tensor& a);  // [..., n, n] -> [..., n, n]
// The determinant, [..., n, n] -> [...]; its gradient at a singular matrix is a LinalgError. {its sign or phase, log
// |det|}, which does not overflow: sign 0 and -inf if singular.
Tensor det(const Tensor& a);
std::tuple<Tensor, Tensor> slogdet(const Tensor& a);
// The lower triangular L with L L^H = a, for hermitian positive definite a [..., n, n]; the lower triangle is read.
// Murray 2016.
Tensor cholesky(const Tensor& a);
// a = q r, reduced: [..., m, n] -> q [..., m, k] with orthonormal columns, r [..., k, n] upper triangular, k = min(m,
// n). The gradient assumes full rank. Seeger et al. 2017.
std::tuple<Tensor, Tensor> qr(const Tensor& a);
// {eigenvalues ascending, real [..., n]; eigenvectors as columns [..., n, n]} of a hermitian a, of which the lower
// triangle is read. The gradient assumes distinct eigenvalues; a function of the vectors must not depend on their
// phase.
std::tuple<Tensor, Tensor> eigh(const Tensor& a);
// e^a = 1 + a + a^2 / 2 + ..., [..., n, n] -> [..., n, n], by scaling and squaring; Higham 2005, alg. 2.3.
Tensor matrix_exp(const Tensor& a);

}  // namespace ink
