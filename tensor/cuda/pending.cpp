#include "tensor/cuda/table.h"
#include "tensor/error.h"

namespace ink::cuda {

void reduce(int, const Array&, const Array&) { throw NotSupported("reduce: not on this device yet"); }
void arg_reduce(bool, const Array&, const Array&, const Array&, Lines) { throw NotSupported("arg_reduce: not on this device yet"); }
void var_mean(const Array&, const Array&, const Array&, Lines, double) { throw NotSupported("var_mean: not on this device yet"); }
void scan(ScanOp, DType, void*, int64_t*, const void*, Lines, bool) { throw NotSupported("scan: not on this device yet"); }
int64_t check_index(const IndexCheck&, int64_t*, const int64_t*, int64_t) { throw NotSupported("check_index: not on this device yet"); }
void gather(const Array&, const Array&, const Array&, int) { throw NotSupported("gather: not on this device yet"); }
void scatter(const Array&, const Array&, const Array&, int, bool) { throw NotSupported("scatter: not on this device yet"); }
void index_select(void*, const void*, const int64_t*, int64_t, Lines, int64_t) { throw NotSupported("index_select: not on this device yet"); }
void index_add(DType, void*, const void*, const int64_t*, int64_t, Lines) { throw NotSupported("index_add: not on this device yet"); }
int64_t nonzero(const bool*, int64_t, int64_t*) { throw NotSupported("nonzero: not on this device yet"); }
void sort(DType, void*, int64_t*, const void*, Lines, bool) { throw NotSupported("sort: not on this device yet"); }
void topk(DType, void*, int64_t*, const void*, Lines, int64_t, bool) { throw NotSupported("topk: not on this device yet"); }
void softmax(const SoftmaxArgs&, void*, const void*) { throw NotSupported("softmax: not on this device yet"); }
void softmax_backward(const SoftmaxArgs&, void*, const void*, const void*) { throw NotSupported("softmax_backward: not on this device yet"); }
void norm(const NormArgs&, void*, void*, void*, const void*, const void*, const void*) { throw NotSupported("norm: not on this device yet"); }
void norm_backward(const NormArgs&, void*, void*, void*, const void*, const void*, const void*, const void*, const void*) { throw NotSupported("norm_backward: not on this device yet"); }
void cross_entropy(const CrossEntropyArgs&, void*, void*, const void*, const int64_t*) { throw NotSupported("cross_entropy: not on this device yet"); }
void cross_entropy_backward(const CrossEntropyArgs&, void*, const void*, const void*, const void*, const int64_t*) { throw NotSupported("cross_entropy_backward: not on this device yet"); }
void gemm(const GemmArgs&) { throw NotSupported("gemm: not on this device yet"); }
void conv2d(const ConvArgs&, void*, const void*, const void*, const void*) { throw NotSupported("conv2d: not on this device yet"); }
void conv2d_backward_input(const ConvArgs&, void*, const void*, const void*) { throw NotSupported("conv2d_backward_input: not on this device yet"); }
void conv2d_backward_weight(const ConvArgs&, void*, const void*, const void*) { throw NotSupported("conv2d_backward_weight: not on this device yet"); }
void max_pool2d(const PoolArgs&, void*, int64_t*, const void*) { throw NotSupported("max_pool2d: not on this device yet"); }
void avg_pool2d(const PoolArgs&, void*, const void*) { throw NotSupported("avg_pool2d: not on this device yet"); }
void avg_pool2d_backward(const PoolArgs&, void*, const void*) { throw NotSupported("avg_pool2d_backward: not on this device yet"); }
void window_max(DType, void*, int64_t*, const void*, Lines, int64_t) { throw NotSupported("window_max: not on this device yet"); }
void fft(DType, void*, const void*, int64_t, int64_t, bool, double) { throw NotSupported("fft: not on this device yet"); }
void uniform(const Array&, RandomKey, double, double) { throw NotSupported("uniform: not on this device yet"); }
void normal(const Array&, RandomKey, double, double) { throw NotSupported("normal: not on this device yet"); }
void random_bits(const Array&, RandomKey, int64_t, int64_t) { throw NotSupported("random_bits: not on this device yet"); }
void dropout(DType, void*, const void*, int64_t, RandomKey, double) { throw NotSupported("dropout: not on this device yet"); }
void adam(const AdamArgs*, int64_t) { throw NotSupported("adam: not on this device yet"); }

}  // namespace ink::cuda
