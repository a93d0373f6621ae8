// A machine that has one small format and no wide accumulator: every multiplication and every addition rounds. For
// experiments on small tensors, 10 to 50 times slower than f32.
//
//   Emulate machine({.numbers = formats::f16});                          // sums stall
//   Emulate machine({.numbers = formats::f16, .sums = formats::f32});    // what f16 tensors and tensor cores do
#pragma once
#include "autograd/observe/trace.h"
#include "tensor/math/float_format.h"

namespace ink {

struct EmulateOptions {
  FloatFormat numbers = formats::f16;  // operands and results
  FloatFormat sums = numbers;          // what a product is rounded to before it is added, and each partial sum
  Overflow overflow = Overflow::infinity;
};

// While it lives, f32 ops of this thread compute so, in the backward pass too: matmul, linear, sum and sum_to
// step by step, from the first element to the last; all others in f32, with their result rounded to `numbers`. What
// accumulates outside of ops is not rounded: gradients of a tensor that is used several times, and fused backward
// kernels, whose results are rounded as soon as a product takes them. What checkpoint() computes again is f32.
class Emulate {
 public:
  explicit Emulate(const EmulateOptions& options);
  Emulate(const Emulate&) = delete;
  Emulate& operator=(const Emulate&) = delete;

 private:
  static void compute(void* self, const char* op, std::span<const Tensor* const> inputs,
                      std::span<const Tensor> outputs);
  EmulateOptions options_;
  Trace trace_;
};

// The sum of the elements of x in order, each partial sum rounded to the format: s <- round(s + x_i).
double sum_in(const Tensor& x, const FloatFormat& format);

}  // namespace ink
