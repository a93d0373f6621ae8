// Matrix products: batch dims that broadcast become as few calls of the kernel as their strides allow.
#include "tensor/raw/product.h"

#include <fmt/format.h>

#include "tensor/batch_invariant.h"
#include "tensor/raw/operand.h"
#include "tensor/runtime/gemm.h"

namespace ink::raw {
namespace {

// A factor whose last two dims are a matrix that BLAS can read, perhaps as a transposed one.
Tensor readable_factor(const Tensor& x) {
  return blas_reads(x.size(-2), x.size(-1), x.stride(-2), x.stride(-1)) ? x : clone(x);
}

// The step of x when dim d of an array of `dims` dims advances; 0 where x is broadcast.
int64_t batch_stride(const Tensor& x, int dims, int d) {
  int own = d - (dims - x.dim());
  return own < 0 || x.shape()[own] == 1 ? 0 : x.strides()[own];
}

struct BatchDim {  // `size` matrices of the result; a and b advance by these steps between them
  int64_t size, a, b;
};

// The batch dims, the innermost first: neighbouring dims that can be walked as one are merged.
int merged_batch_dims(const Tensor& out, const Tensor& a, const Tensor& b, BatchDim* dims) {
  int count = 0;
  for (int d = out.dim() - 3; d >= 0; --d) {
    BatchDim r{out.shape()[d], batch_stride(a, out.dim(), d), batch_stride(b, out.dim(), d)};
    if (r.size == 1) continue;
    BatchDim* last = count ? &dims[count - 1] : nullptr;
    if (last && r.a == last->size * last->a && r.b == last->size * last->b)
      last->size *= r.size;
    else
      dims[count++] = r;
  }
  return count;
}

std::string pair(const Tensor& a, const Tensor& b) { return a.shape().str() + " and " + b.shape().str(); }

}  // namespace

void matmul_into(const Tensor& out, const Tensor& a_in, const Tensor& b_in, double alpha, double beta,
                 const Tensor& bias) {
  if (out.numel() == 0) return;
  const Tensor a = readable_factor(a_in), b = readable_factor(b_in);
  GemmArgs g{};
  g.dtype = out.dtype();
  g.m = a.size(-2), g.k = a.size(-1), g.n = b.size(-1);
  g.a_row = a.stride(-2), g.a_col = a.stride(-1);
  g.b_row = b.stride(-2), g.b_col = b.stride(-1);
  g.alpha = alpha, g.beta = beta;
  g.bias = data_or_null(bias);
  g.batch_invariant = ink::batch_invariant();
  g.c_row = g.n;

  BatchDim dims[kMaxDims], inner{1, 0, 0};
  int count = merged_batch_dims(out, a, b, dims);
  if (count > 0) inner = dims[0];
  // One b for the whole batch, and the matrices of a continue each other: a single product with more rows.
  int64_t row = g.m == 1 ? inner.a : g.a_row;
  if (count == 1 && inner.b == 0 && inner.a == g.m * row && blas_reads(g.m * inner.size, g.k, row, g.a_col)) {
    g.a_row = row;
    g.m *= inner.size;
    inner = {1, 0, 0};
  }
  g.batch = inner.size;
  g.a_batch = inner.a, g.b_batch = inner.b;
  g.c_batch = g.m * g.n;

  const int64_t item = size_of(g.dtype), calls = out.numel() / (g.batch * g.m * g.n);
  for (int64_t i = 0; i < calls; ++i) {
    int64_t a_at = 0, b_at = 0, rest = i;
    for (int d = 1; d < count; ++d) {
      a_at += rest % dims[d].size * dims[d].a;
      b_at += rest % dims[d].size * dims[d].b;
      rest /= dims[d].size;
    }
    g.a = static_cast<const char*>(a.raw_data()) + a_at * item;
    g.b = static_cast<const char*>(b.raw_data()) + b_at * item;
    g.c = static_cast<char*>(out.raw_data()) + i * g.batch * g.c_batch * item;
    multiply(kernels_of(out), g);
  }
}

// The dtype of a product: that of any numbers, not of bools.
static DType number_dtype(const char* op, DType t) {
  check_domain(op, t, kNumber);
  return t;
}

Tensor matmul(const char* op, const Tensor& a, const Tensor& b) {
  Device device = common_device(op, {&a, &b});
  DType t = number_dtype(op, promote(a.dtype(), b.dtype())), work = product_dtype(t, device);
  if (a.size(-1) != b.size(-2))
    throw ShapeError(
        fmt::format("{}: inner sizes differ; got {}; expected [..., m, k] and [..., k, n]", op, pair(a, b)));
  Shape shape = a.shape();
  if (b.dim() > 2 || a.dim() > 2)
    shape = broadcast_shapes(op, Shape(a.shape().begin(), a.shape().end() - 2),
                             Shape(b.shape().begin(), b.shape().end() - 2));
  else
    shape = {};
  shape.push_back(a.size(-2));
  shape.push_back(b.size(-1));
  Tensor out = empty(shape, {work, device});
  matmul_into(out, cast(a, work), cast(b, work));
  return cast(out, t);
}

Tensor addmm(const char* op, const Tensor& c, const Tensor& a, const Tensor& b, double beta, double alpha) {
  Device device = common_device(op, {&c, &a, &b});
  DType t = number_dtype(op, promote(c.dtype(), promote(a.dtype(), b.dtype()))), work = product_dtype(t, device);
  if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(0))
    throw ShapeError(fmt::format("{}: factors do not fit; got {}; expected [m, k] and [k, n]", op, pair(a, b)));
  if (is_integral(t) && (alpha != double(int64_t(alpha)) || beta != double(int64_t(beta))))
    throw ValueError(
        fmt::format("{}: integer tensors need integer factors; got beta {} and alpha {}", op, beta, alpha));
  Tensor out = empty({a.size(0), b.size(1)}, {work, device});
  Tensor start = expand(c, out.shape());
  if (beta != 0 && out.numel() > 0) kernels_of(out).copy(array(out), array(start));
  matmul_into(out, cast(a, work), cast(b, work), alpha, beta);
  return cast(out, t);
}

Tensor linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Device device = common_device(op, {&x, &weight, &bias});
  DType t = promote(x.dtype(), weight.dtype());
  if (bias.defined()) t = promote(t, bias.dtype());
  DType work = product_dtype(number_dtype(op, t), device);
  if (weight.dim() != 2 || x.dim() < 1 || x.size(-1) != weight.size(1))
    throw ShapeError(
        fmt::format("{}: input and weight do not fit; got {}; expected [..., in] and [out, in]", op, pair(x, weight)));
  const int64_t in = weight.size(1), out_size = weight.size(0);
  if (bias.defined() && !(bias.shape() == Shape{out_size}))
    throw ShapeError(
        fmt::format("{}: bias has the wrong shape; got {}; expected [{}]", op, bias.shape().str(), out_size));
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  const int64_t rows = shape.numel();
  shape.push_back(out_size);
  Tensor out = empty(shape, {work, device});
  if (out.numel() == 0) return cast(out, t);
  const Tensor flat = reshape(cast(x, work), {rows, in}), start = contiguous_in(bias, work);
  matmul_into(reshape(out, {rows, out_size}), flat, permute(cast(weight, work), {1, 0}), 1, 0, start);
  return cast(out, t);
}

}  // namespace ink::raw
