#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {

const Kernels table = {
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

    // indices
    .check_index = check_index,
    .gather = gather,
    .scatter = scatter,
    .index_select = index_select,
    .index_add = index_add,
    .nonzero = nonzero,
    .sort = sort,
    .topk = topk,

    // rows
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .norm = norm,
    .norm_backward = norm_backward,
    .cross_entropy = cross_entropy,
    .cross_entropy_backward = cross_entropy_backward,

    // products
    .half_products = false,
    .gemm = gemm,
    .conv2d = conv2d,
    .conv2d_backward_input = conv2d_backward_input,
    .conv2d_backward_weight = conv2d_backward_weight,
    .max_pool2d = max_pool2d,
    .avg_pool2d = avg_pool2d,
    .avg_pool2d_backward = avg_pool2d_backward,
    .window_max = window_max,
    .fft = fft,

    // random
    .uniform = uniform,
    .normal = normal,
    .random_bits = random_bits,
    .dropout = dropout,

    // optimizers
    .adam = adam,
};

}  // namespace ink::INK_CPU_LEVEL
