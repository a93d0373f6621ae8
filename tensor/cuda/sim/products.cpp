// The libraries of a GPU, played by the CPU's kernels.
#include "tensor/cuda/sim/products.h"

#include <vector>

#include "tensor/cuda/sim/runtime.h"
#include "tensor/runtime/gemm.h"

namespace ink::sim {
namespace {

// A matrix per batch entry as f32, contiguous.
struct Widened {
  std::vector<float> values;
  Array narrow, wide;
  Widened(const void* p, DType t, const Shape& shape, const Shape& strides)
      : values(size_t(shape.numel())),
        narrow{const_cast<void*>(p), t, shape, strides},
        wide{values.data(), DType::f32, shape, {shape[1] * shape[2], shape[2], 1}} {}
};

// 16-bit numbers: factors to f32, product and epilogue in f32, one rounding.
void gemm_half(const Kernels& cpu, GemmArgs g) {
  Widened a(g.a, g.dtype, {g.batch, g.m, g.k}, {g.a_batch, g.a_row, g.a_col});
  Widened b(g.b, g.dtype, {g.batch, g.k, g.n}, {g.b_batch, g.b_row, g.b_col});
  Widened c(g.c, g.dtype, {g.batch, g.m, g.n}, {g.c_batch, g.c_row, 1});
  Widened bias(g.bias, g.dtype, {1, 1, g.n}, {0, 0, 1});
  for (Widened* x : {&a, &b}) cpu.copy(x->wide, x->narrow);
  if (g.beta != 0) cpu.copy(c.wide, c.narrow);
  if (g.bias) cpu.copy(bias.wide, bias.narrow);
  g.dtype = DType::f32;
  g.a = a.values.data(), g.a_row = g.k, g.a_col = 1, g.a_batch = g.m * g.k;
  g.b = b.values.data(), g.b_row = g.n, g.b_col = 1, g.b_batch = g.k * g.n;
  g.c = c.values.data(), g.c_row = g.n, g.c_batch = g.m * g.n;
  g.bias = g.bias ? bias.values.data() : nullptr;
  multiply(cpu, g);
  cpu.copy(c.narrow, c.wide);
}

}  // namespace

void gemm(Stream* stream, const GemmArgs& g) {
  enqueue(stream, [g] {
    const Kernels& cpu = kernels(Device::cpu());
    if (is_half(g.dtype))
      gemm_half(cpu, g);
    else
      multiply(cpu, g);
  });
}

void fft(Stream* stream, DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  enqueue(stream, [=] { kernels(Device::cpu()).fft(dtype, y, x, rows, n, inverse, scale); });
}

}  // namespace ink::sim
