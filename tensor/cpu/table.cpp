#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {

const Kernels table = {
    .unary = nullptr,
    .binary = nullptr,
    .where = nullptr,
    .copy = nullptr,
    .fill = nullptr,
    .arange = nullptr,
    .reduce = nullptr,
    .arg_reduce = nullptr,
    .var_mean = nullptr,
    .scan = nullptr,

    // indices
    .gather = nullptr,
    .scatter = nullptr,
    .index_select = nullptr,
    .index_add = nullptr,
    .nonzero = nullptr,
    .sort = nullptr,
    .topk = nullptr,

    // rows
    .softmax = nullptr,
    .softmax_backward = nullptr,
    .norm = nullptr,
    .norm_backward = nullptr,
    .cross_entropy = nullptr,
    .cross_entropy_backward = nullptr,

    // products
    .gemm = nullptr,
    .conv2d = nullptr,
    .conv2d_backward_input = nullptr,
    .conv2d_backward_weight = nullptr,
    .max_pool2d = nullptr,
    .avg_pool2d = nullptr,
    .avg_pool2d_backward = nullptr,
    .window_max = nullptr,
    .fft = nullptr,

    // random
    .uniform = nullptr,
    .normal = nullptr,
    .random_bits = nullptr,
    .dropout = nullptr,

    // optimizers
    .adam = nullptr,
};

}  // namespace ink::INK_CPU_LEVEL
