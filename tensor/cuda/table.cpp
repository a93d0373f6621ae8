// The kernel table of CUDA devices.
#include "tensor/cuda/table.h"

#include "tensor/cuda.h"
#include "tensor/cuda/device.h"

namespace ink::cuda {

static constexpr Kernels table = {
    .unary = unary,
    .binary = binary,
    .where = where,
    .copy = copy,
    .fill = fill,
    .arange = arange,
    .reduce = reduce,
    .arg_reduce = arg_reduce,
    .var_mean = var_mean,
    .scan = scan,
    .check_index = check_index,
    .gather = gather,
    .scatter = scatter,
    .index_select = index_select,
    .index_add = index_add,
    .nonzero = nonzero,
    .sort = sort,
    .topk = topk,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .norm = norm,
    .norm_backward = norm_backward,
    .cross_entropy = cross_entropy,
    .cross_entropy_backward = cross_entropy_backward,
    .half_products = true,
    .gemm = gemm,
    .conv2d = conv2d,
    .conv2d_backward_input = conv2d_backward_input,
    .conv2d_backward_weight = conv2d_backward_weight,
    .max_pool2d = max_pool2d,
    .avg_pool2d = avg_pool2d,
    .avg_pool2d_backward = avg_pool2d_backward,
    .window_max = window_max,
    .fft = fft,
    .uniform = uniform,
    .normal = normal,
    .random_bits = random_bits,
    .dropout = dropout,
    .adam = adam,
};

const Kernels& kernels(int device) {
  use(device);
  return table;
}

}  // namespace ink::cuda
