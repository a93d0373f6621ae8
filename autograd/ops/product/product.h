// Products of matrices. All dtypes but bool (DTypeError); operands promote to one dtype. Sums of f16 and bf16 run in
// f32 and are rounded once; autocast converts the operands of these ops to its dtype.
#pragma once
#include <initializer_list>
#include <span>
#include <string_view>

#include "tensor/tensor.h"

namespace ink {

// [.., m, k] [.., k, n] -> [.., m, n]; batch dims broadcast. A 1-D operand is a row (left) or a column (right), and
// disappears again: [k] [k] ->
// []. ShapeError if the inner sizes differ, batches do not broadcast, or an operand has no dims.
Tensor matmul(const Tensor& a, const Tensor& b);
// [b, m, k] [b, k, n] -> [b, m, n]; ShapeError for anything else.
Tensor bmm(const Tensor& a, const Tensor& b);
// beta c + alpha a b for a [m, k], b [k, n], and c broadcast to [m, n]. With beta = 0 the values of c do not matter.
// ShapeError if they do not fit, ValueError for integers with factors that are not whole.
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
// x weight^T + bias: x [.., in], weight [out, in], bias [out] (or none) -> [.., out]. ShapeError if they do not fit.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
Tensor outer(const Tensor& a, const Tensor& b);  // [m] [n] -> [m, n]; ShapeError unless both have one dim
Tensor dot(const Tensor& a, const Tensor& b);    // [n] [n] -> [], without conjugation; ShapeError for anything else
// A sum of products by names of dims: "bij,bjk->bik" sums over j, which stands in no result; "..." names the dims in
// front; without "->" the result has the labels that stand once, in alphabetical order. The shape is that of the labels
// after "->". ValueError for an equation that makes no sense (a label twice or of no operand in the result, not as many
// terms as operands), ShapeError for a label of two sizes or a term that does not fit its operand.
Tensor einsum(std::string_view equation, std::span<const Tensor> operands);
Tensor einsum(std::string_view equation, std::initializer_list<Tensor> operands);

}  // namespace ink
