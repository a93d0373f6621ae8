// Shapes: views, which share the elements of x, and copies in another order. All dtypes, which results keep. IndexError
// for a dim that is not there; negative dims count from the end.
#pragma once
#include <initializer_list>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

// ---- views: no element is copied, and a write through one is seen by all
// The elements row by row in another shape; one size may be -1, and is what is left. reshape copies if the strides
// leave no choice, view throws a ShapeError then. ShapeError if the number of elements differs.
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor view(const Tensor& x, const Shape& shape);
// Dims first .. last as one; ValueError if first lies after last. May copy, as reshape.
Tensor flatten(const Tensor& x, int64_t first = 0, int64_t last = -1);
// Dim i of the result is dim order[i] of x: every dim once, else ValueError or ShapeError.
Tensor permute(const Tensor& x, const Dims& order);
Tensor transpose(const Tensor& x, int64_t a, int64_t b);    // dims a and b exchanged
Tensor movedim(const Tensor& x, int64_t from, int64_t to);  // dim `from` at place `to`, the others in their order
// Dims of size 1 repeated up to `shape`, which may have more dims in front; -1 keeps a size. ShapeError if another size
// differs.
Tensor expand(const Tensor& x, const Shape& shape);
Tensor squeeze(const Tensor& x);                 // without the dims of size 1
Tensor squeeze(const Tensor& x, int64_t dim);    // without that dim, if its size is 1
Tensor unsqueeze(const Tensor& x, int64_t dim);  // with a dim of size 1 at that place of the result
// Elements start, start + step, ... before stop, of a dim: [.., ceil((stop - start) / step), ..]. Negative bounds count
// from the end and bounds outside are moved to it, as in Python. ValueError for step < 1, ShapeError for x without
// dims.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start,
              int64_t length);  // `length` elements from start; IndexError if there are fewer
Tensor select(const Tensor& x, int64_t dim,
              int64_t index);  // one element of a dim, which disappears; IndexError outside
// The elements x[.., i, .., i + offset, ..]: dim1 and dim2 disappear, the diagonal is the last dim. ShapeError for one
// dim named twice.
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
// Windows of `size` neighbours, `step` apart: the dim's size becomes (n - size) / step + 1, and [.., size] a new last
// dim. A 0-dim tensor is one element. ShapeError unless 1 <= size <= n and step >= 1.
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step);
// Pieces along a dim: of `size` (the last may be smaller); of these sizes, whose sum is the dim's (ShapeError if it is
// less, IndexError if it is more); `chunks` pieces of equal size, the last smaller; of size 1 and without the dim.
// ValueError for sizes below 1.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
std::vector<Tensor> split(const Tensor& x, const Shape& sizes, int64_t dim);
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);

// ---- copies
// One after the other along a dim, in which sizes add up; all other sizes are equal (ShapeError else); dtypes promote.
// ValueError for no tensors.
Tensor cat(std::span<const Tensor> tensors, int64_t dim = 0);
Tensor cat(std::initializer_list<Tensor> tensors, int64_t dim = 0);
// Tensors of one shape along a new dim: n tensors [..] -> [.., n, ..]. ShapeError if shapes differ.
Tensor stack(std::span<const Tensor> tensors, int64_t dim = 0);
Tensor stack(std::initializer_list<Tensor> tensors, int64_t dim = 0);
enum class PadMode {
  constant,   // with one number; negative widths crop
  reflect,    // mirrored at the first and last element, which are not repeated: c b | a b c | b a
  replicate,  // the first and last element repeated
  circular,   // from the other end
};
// `widths` lists (before, after) from the last dim backwards, as in torch: {1, 2} adds 1 and 2 to the last dim.
// ShapeError for an odd number of widths, more pairs than dims, widths that the mode does not allow (negative, or
// longer than there is to mirror), or crop more than there is.
Tensor pad(const Tensor& x, const Shape& widths, PadMode mode = PadMode::constant, double value = 0);
Tensor roll(const Tensor& x, int64_t shift, int64_t dim);  // element i moves to i + shift, around the end
Tensor flip(const Tensor& x, const Dims& dims);            // in reverse order along each of the dims; no dims: a copy
// The matrices in the last two dims with 0 above (tril) or below (triu) the diagonal column - row = `diagonal`.
// ShapeError below 2 dims.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);
// The whole of x times[d] times along each dim, which may be more than x has; ShapeError if they are fewer, ValueError
// below 0.
Tensor repeat(const Tensor& x, const Shape& times);
// Each element of the dim `times` in a row; errors as above.
Tensor repeat_interleave(const Tensor& x, int64_t times, int64_t dim);
// [n] -> [n, n] with x on the diagonal, 0 elsewhere. ShapeError unless x has one dim.
Tensor diag(const Tensor& x);
// 1 at the index and 0 elsewhere: i64 or i32 [..] -> f32 [.., classes] (no gradient). DTypeError, IndexError outside 0
// .. classes - 1.
Tensor one_hot(const Tensor& index, int64_t classes);

}  // namespace ink
