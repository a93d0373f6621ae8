// The functions of the CUDA backend, one per slot of Kernels (what they do is told there).
#pragma once
#include "tensor/kernels.h"

namespace ink::cuda {

void unary(int op, const void* functor, const Array& out, const Array& a);
void binary(int op, const void* functor, const Array& out, const Array& a, const Array& b);
void where(const Array& out, const Array& condition, const Array& a, const Array& b);
void copy(const Array& out, const Array& a);
void fill(const Array& out, const Scalar& value);
void arange(const Array& out, const Scalar& start, const Scalar& step);
void reduce(int op, const Array& out, const Array& in);
void arg_reduce(bool max, const Array& values, const Array& indices, const Array& in, Lines lines);
void var_mean(const Array& var, const Array& mean, const Array& in, Lines lines, double correction);
void scan(ScanOp op, DType dtype, void* out, int64_t* indices, const void* in, Lines lines, bool reverse);
int64_t check_index(const IndexCheck& check, int64_t* out, const int64_t* in, int64_t count);
void gather(const Array& out, const Array& in, const Array& index, int dim);
void scatter(const Array& out, const Array& src, const Array& index, int dim, bool add);
void index_select(void* out, const void* in, const int64_t* index, int64_t k, Lines lines, int64_t item_bytes);
void index_add(DType dtype, void* out, const void* src, const int64_t* index, int64_t k, Lines lines);
int64_t nonzero(const bool* mask, int64_t n, int64_t* out);
void sort(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, bool descending);
void topk(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, int64_t k, bool largest);
void softmax(const SoftmaxArgs&, void* y, const void* x);
void softmax_backward(const SoftmaxArgs&, void* dx, const void* dy, const void* y);
void norm(const NormArgs&, void* y, void* mean, void* rstd, const void* x, const void* weight, const void* bias);
void norm_backward(const NormArgs&, void* dx, void* dweight, void* dbias, const void* dy, const void* x, const void* mean,
                   const void* rstd, const void* weight);
void cross_entropy(const CrossEntropyArgs&, void* loss, void* lse, const void* logits, const int64_t* target);
void cross_entropy_backward(const CrossEntropyArgs&, void* dlogits, const void* dloss, const void* logits, const void* lse,
                            const int64_t* target);
void gemm(const GemmArgs&);
void conv2d(const ConvArgs&, void* y, const void* x, const void* weight, const void* bias);
void conv2d_backward_input(const ConvArgs&, void* dx, const void* dy, const void* weight);
void conv2d_backward_weight(const ConvArgs&, void* dweight, const void* dy, const void* x);
void max_pool2d(const PoolArgs&, void* y, int64_t* indices, const void* x);
void avg_pool2d(const PoolArgs&, void* y, const void* x);
void avg_pool2d_backward(const PoolArgs&, void* dx, const void* dy);
void window_max(DType dtype, void* y, int64_t* indices, const void* x, Lines lines, int64_t window);
void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale);
void uniform(const Array& out, RandomKey key, double low, double high);
void normal(const Array& out, RandomKey key, double mean, double std);
void random_bits(const Array& out, RandomKey key, int64_t low, int64_t high);
void dropout(DType dtype, void* y, const void* x, int64_t n, RandomKey key, double p);
void adam(const AdamArgs* params, int64_t count);

}  // namespace ink::cuda
