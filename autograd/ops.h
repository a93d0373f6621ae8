// Every op of the framework, one declaration each. Names and meanings are libtorch's where libtorch has the op.
//
// All are differentiable any number of times unless marked (no gradient). Operands broadcast and promote as in torch;
// negative dims and indices count from the end. Errors: ShapeError, DTypeError, DeviceError, IndexError, ValueError, each
// naming the op, what it got and what it expected. tests/specs/ has a row for each function declared here.
#pragma once
#include <optional>
#include <string_view>
#include <tuple>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// ======================================================================================== making tensors (no gradient)
Tensor empty(const Shape& shape, const Options& options = {});  // uninitialised
Tensor zeros(const Shape& shape, const Options& options = {});
Tensor ones(const Shape& shape, const Options& options = {});
Tensor full(const Shape& shape, const Scalar& value, const Options& options = {});
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, const Scalar& value);
Tensor arange(const Scalar& stop);  // 0, 1, ... below stop; i64 for integers, f32 otherwise
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step = 1);
Tensor arange(const Scalar& start, const Scalar& stop, const Scalar& step, const Options& options);
Tensor linspace(double start, double stop, int64_t steps, const Options& options = {});
Tensor eye(int64_t n, const Options& options = {});
Tensor tri(int64_t rows, int64_t cols, int64_t diagonal = 0);  // bool [rows, cols], true on and below the diagonal
// Copies data into a new tensor of that shape: from_data({1., 2., 3., 4.}, {2, 2}). ShapeError if the counts differ.
Tensor from_data(std::span<const float> data, const Shape& shape);
Tensor from_data(std::span<const double> data, const Shape& shape);
Tensor from_data(std::span<const int64_t> data, const Shape& shape);
Tensor from_data(std::initializer_list<double> data, const Shape& shape, const Options& options = {});
// A number or a list of such, so that braces may be nested as deep as a tensor has dims. Lives as long as the call it stands in.
struct Nested {
  template <class T> requires std::is_arithmetic_v<T>
  Nested(T number) : number(number) {}
  Nested(std::initializer_list<Nested> list) : list(list), is_list(true) {}
  Scalar number;
  std::initializer_list<Nested> list;
  bool is_list = false;
};
// A tensor of the numbers as written: {5, 7} is [2], {{5}, {7}} is [2, 1], {{{1, 2}}} is [1, 1, 2]. ShapeError for ragged lists.
Tensor tensor(std::initializer_list<Nested> values, const Options& options = {});
// A tensor on memory that somebody else owns; `owner` (may be null) is released with the last view.
Tensor from_blob(void* data, const Shape& shape, const Options& options = {}, std::shared_ptr<void> owner = {});

// Random numbers: the generator is the device's default unless given; same seed, same numbers, for any number of threads.
Tensor rand(const Shape& shape, const Options& options = {}, Generator* generator = nullptr);   // uniform [0, 1)
Tensor randn(const Shape& shape, const Options& options = {}, Generator* generator = nullptr);  // standard normal
Tensor rand_like(const Tensor& x);
Tensor randn_like(const Tensor& x);
Tensor randint(int64_t low, int64_t high, const Shape& shape, const Options& options = i64, Generator* generator = nullptr);
Tensor randperm(int64_t n, Generator* generator = nullptr);         // i64 permutation of 0 .. n-1
Tensor bernoulli(const Tensor& p, Generator* generator = nullptr);  // 1 with probability p, in p's dtype
// Draws `count` class indices (i64 [..., count]) per row of non-negative weights [..., classes].
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement = false, Generator* generator = nullptr);

// ======================================================================================== elementwise, one operand
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);   // |z| for complex; gradient at 0 is 0
Tensor sign(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor erfinv(const Tensor& x);
Tensor lgamma(const Tensor& x);
Tensor digamma(const Tensor& x);
Tensor round(const Tensor& x);    // half to even; rounding ops have gradient 0
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor trunc(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor log_sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor elu(const Tensor& x, double alpha = 1);
enum class GeluForm { erf, tanh };
Tensor gelu(const Tensor& x, GeluForm form = GeluForm::erf);
Tensor silu(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor isnan(const Tensor& x);     // (no gradient)
Tensor isinf(const Tensor& x);     // (no gradient)
Tensor isfinite(const Tensor& x);  // (no gradient)
Tensor logical_not(const Tensor& x);  // (no gradient)
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = {}, std::optional<double> neginf = {});
// min and max of the pair; an absent bound does not bind. The gradient passes where low <= x <= high.
Tensor clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high = {});
Tensor to(const Tensor& x, DType dtype);
Tensor to(const Tensor& x, Device device, bool non_blocking = false);
Tensor to(const Tensor& x, const Options& options);
Tensor clone(const Tensor& x);
Tensor contiguous(const Tensor& x);
Tensor detach(const Tensor& x);

// ======================================================================================== elementwise, two or three operands
Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);  // a + alpha b
Tensor add(const Tensor& a, const Scalar& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Scalar& b);
Tensor sub(const Scalar& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Scalar& b);
Tensor div(const Tensor& a, const Tensor& b);  // true division: integers give f32
Tensor div(const Tensor& a, const Scalar& b);
Tensor div(const Scalar& a, const Tensor& b);
Tensor floor_divide(const Tensor& a, const Tensor& b);  // (no gradient)
Tensor floor_divide(const Tensor& a, const Scalar& b);  // (no gradient)
Tensor remainder(const Tensor& a, const Tensor& b);     // the sign of b
Tensor remainder(const Tensor& a, const Scalar& b);
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Scalar& b);
Tensor pow(const Scalar& a, const Tensor& b);
Tensor atan2(const Tensor& y, const Tensor& x);
Tensor maximum(const Tensor& a, const Tensor& b);  // NaN propagates; at a tie each side gets half the gradient
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);  // a + weight (b - a)
Tensor lerp(const Tensor& a, const Tensor& b, double weight);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);  // condition is bool
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value);
// Comparisons and logic give bool tensors. (no gradient)
Tensor eq(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, const Scalar& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Scalar& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Scalar& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Scalar& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Scalar& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Scalar& b);
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
bool equal(const Tensor& a, const Tensor& b);  // same shape and elements
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);

// ======================================================================================== complex numbers
// Gradients follow torch: for a real loss L, grad = dL/d(re) + i dL/d(im).
Tensor real(const Tensor& x);
Tensor imag(const Tensor& x);
Tensor conj(const Tensor& x);   // x itself if it is real
Tensor angle(const Tensor& x);
Tensor complex_of(const Tensor& re, const Tensor& im);  // re + i im
Tensor polar(const Tensor& abs, const Tensor& angle);   // abs e^{i angle}
Tensor view_as_real(const Tensor& x);     // [...] complex -> [..., 2]
Tensor view_as_complex(const Tensor& x);  // [..., 2] -> [...] complex

// ======================================================================================== reductions; no dims means all
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor prod(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor max(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // the gradient goes to the first maximum
Tensor min(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
std::tuple<Tensor, Tensor> max_with_indices(const Tensor& x, int64_t dim, bool keepdim = false);  // values, i64 indices
std::tuple<Tensor, Tensor> min_with_indices(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmax(const Tensor& x, int64_t dim = -1, bool keepdim = false);  // first maximum; NaN counts as the largest (no gradient)
Tensor argmin(const Tensor& x, int64_t dim = -1, bool keepdim = false);  // (no gradient)
Tensor any(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // (no gradient)
Tensor all(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // (no gradient)
Tensor count_nonzero(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // (no gradient)
Tensor var(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
Tensor std(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
std::tuple<Tensor, Tensor> var_mean(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
Tensor logsumexp(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor norm(const Tensor& x, const Dims& dims = {}, bool keepdim = false);  // Euclidean; gradient at 0 is 0
Tensor sum_to(const Tensor& x, const Shape& shape);  // sums over the dims in which x was broadcast from shape
// Running reductions along one dim.
Tensor cumsum(const Tensor& x, int64_t dim);
Tensor cumprod(const Tensor& x, int64_t dim);
std::tuple<Tensor, Tensor> cummax(const Tensor& x, int64_t dim);  // values, i64 indices (the last maximum so far, as torch)
Tensor logcumsumexp(const Tensor& x, int64_t dim);
// The maximum of each window of `window` neighbours, step 1: dim shrinks to n - window + 1; the gradient goes to the first
// maximum. O(n) for any window (van Herk 1992, Gil & Werman 1993).
Tensor sliding_window_max(const Tensor& x, int64_t window, int64_t dim = -1);
// Sorting; NaN counts as the largest. Values and i64 indices.
std::tuple<Tensor, Tensor> sort(const Tensor& x, int64_t dim = -1, bool descending = false);  // stable
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);                   // (no gradient)
std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true);
Tensor softmax(const Tensor& x, int64_t dim);
Tensor log_softmax(const Tensor& x, int64_t dim);
// softmax over the last dim of scores [..., queries, keys], where query i sees keys 0 .. i + keys - queries; others get 0.
Tensor causal_softmax(const Tensor& scores);

// ======================================================================================== shape; views share elements
Tensor reshape(const Tensor& x, const Shape& shape);  // one size may be -1; a copy only if the strides force it
Tensor view(const Tensor& x, const Shape& shape);     // like reshape, but ShapeError instead of a copy
Tensor flatten(const Tensor& x, int64_t first = 0, int64_t last = -1);
Tensor permute(const Tensor& x, const Dims& order);
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor movedim(const Tensor& x, int64_t from, int64_t to);
Tensor expand(const Tensor& x, const Shape& shape);  // -1 keeps a size
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, int64_t dim);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);  // clamped as in Python
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);  // the diagonal becomes the last dim
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step);  // windows, as a new last dim
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
std::vector<Tensor> split(const Tensor& x, const Shape& sizes, int64_t dim);
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);
// Copies.
Tensor cat(std::span<const Tensor> tensors, int64_t dim = 0);
Tensor cat(std::initializer_list<Tensor> tensors, int64_t dim = 0);
Tensor stack(std::span<const Tensor> tensors, int64_t dim = 0);
Tensor stack(std::initializer_list<Tensor> tensors, int64_t dim = 0);
enum class PadMode { constant, reflect, replicate, circular };
// `widths` lists (before, after) from the last dim backwards, as in torch; negative widths crop (constant mode).
Tensor pad(const Tensor& x, const Shape& widths, PadMode mode = PadMode::constant, double value = 0);
Tensor roll(const Tensor& x, int64_t shift, int64_t dim);
Tensor flip(const Tensor& x, const Dims& dims);
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);
Tensor repeat(const Tensor& x, const Shape& times);
Tensor repeat_interleave(const Tensor& x, int64_t times, int64_t dim);
Tensor diag(const Tensor& x);                             // [n] -> [n, n] with x on the diagonal
Tensor one_hot(const Tensor& index, int64_t classes);     // i64 [...] -> f32 [..., classes] (no gradient)

// ======================================================================================== indices (i64 or i32)
Tensor index(const Tensor& x, std::span<const Index> where);
Tensor index_put(const Tensor& x, std::span<const Index> where, const Tensor& value, bool accumulate = false);
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);  // a position written twice: the last one
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim);  // gather with broadcasting
Tensor masked_select(const Tensor& x, const Tensor& mask);                 // 1-D, in order
Tensor nonzero(const Tensor& x);                                           // i64 [count, ndim] (no gradient)
Tensor embedding(const Tensor& weight, const Tensor& index);               // weight [rows, d], index [...] -> [..., d]
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);  // over the last dim (no gradient)

// ======================================================================================== products
Tensor matmul(const Tensor& a, const Tensor& b);  // 1-D operands as in NumPy; batch dims broadcast
Tensor bmm(const Tensor& a, const Tensor& b);     // [b, m, k] [b, k, n]
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);  // beta c + alpha a b
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});  // x [..., in], weight [out, in], bias [out]
Tensor outer(const Tensor& a, const Tensor& b);
Tensor dot(const Tensor& a, const Tensor& b);  // 1-D; no conjugation
Tensor einsum(std::string_view equation, std::span<const Tensor> operands);  // "bij,bjk->bik"; "..." allowed
Tensor einsum(std::string_view equation, std::initializer_list<Tensor> operands);
// Linear algebra over the last two dims, through LAPACK (LinalgError for singular or indefinite matrices).
Tensor solve(const Tensor& a, const Tensor& b);  // a x = b, b [..., n, k]
Tensor inverse(const Tensor& a);
Tensor det(const Tensor& a);
std::tuple<Tensor, Tensor> slogdet(const Tensor& a);  // sign, log |det|
Tensor cholesky(const Tensor& a);                     // lower triangular L with L L^H = a
Tensor triangular_solve(const Tensor& a, const Tensor& b, bool upper);
std::tuple<Tensor, Tensor> qr(const Tensor& a);    // reduced: q [..., m, k], r [..., k, n]
std::tuple<Tensor, Tensor> eigh(const Tensor& a);  // eigenvalues ascending, eigenvectors as columns
Tensor matrix_exp(const Tensor& a);

// ======================================================================================== neural network ops
struct Conv2dOptions { int64_t stride = 1, padding = 0, dilation = 1, groups = 1, output_padding = 0; };
// x [batch, in, length], weight [out, in / groups, k]; the transpose takes weight [in, out / groups, k].
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});
struct Pool2dOptions { int64_t kernel = 2, stride = 0 /* 0: kernel */, padding = 0, dilation = 1; bool count_include_pad = true; };
Tensor max_pool1d(const Tensor& x, const Pool2dOptions& options);  // [batch, channels, length]
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options);  // [batch, channels, h, w]
Tensor avg_pool1d(const Tensor& x, const Pool2dOptions& options);
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options);
Tensor upsample_nearest2d(const Tensor& x, int64_t scale);
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);  // over the last dim
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-6);
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
// x * mask / (1 - p); the mask is drawn again from the counter-based generator in the backward pass, never stored.
Tensor dropout(const Tensor& x, double p, bool training = true, Generator* generator = nullptr);
enum class Reduction { mean, sum, none };
struct CrossEntropyOptions { Reduction reduction = Reduction::mean; double label_smoothing = 0; int64_t ignore_index = -100; };
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {});  // [n, classes], i64 [n]
Tensor nll_loss(const Tensor& log_probs, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor huber_loss(const Tensor& x, const Tensor& target, double delta = 1, Reduction reduction = Reduction::mean);
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor kl_div(const Tensor& log_q, const Tensor& p, Reduction reduction = Reduction::mean);  // p (log p - log q)

// Fourier transforms of any length along one dim; forward unscaled, inverse scaled by 1/n. n pads or cuts.
Tensor fft(const Tensor& x, int64_t n = -1, int64_t dim = -1);
Tensor ifft(const Tensor& x, int64_t n = -1, int64_t dim = -1);
Tensor rfft(const Tensor& x, int64_t n = -1, int64_t dim = -1);   // real -> n/2 + 1 complex
Tensor irfft(const Tensor& x, int64_t n = -1, int64_t dim = -1);  // n defaults to 2 (size - 1)

}  // namespace ink
