// A program to stop in: tests/house/test_gdb.cpp prints its variables through gdb/inkstone.py.
#include "autograd/graph/node.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

using namespace ink;

__attribute__((noinline)) void stop_here() { asm volatile("" ::: "memory"); }

int main() {
  Shape shape{2, 3};
  DType dtype = bf16;
  Device device = Device::cuda(1);
  half small(1.5f);
  bfloat16 brain(-2.0f);
  complex<float> z(1, -2);
  Tensor undefined;
  Tensor empty = raw::empty({0, 3}, {});
  Tensor x = raw::empty({2, 3}, {});
  for (int i = 0; i < 6; ++i) x.data<float>()[i] = float(i) + 0.5f;
  Tensor transposed = raw::permute(x, {1, 0});
  Tensor halves = raw::empty({2}, {f16});
  halves.data<half>()[0] = 0.25f, halves.data<half>()[1] = -8.0f;
  Tensor large = raw::empty({100}, {i64});
  for (int i = 0; i < 100; ++i) large.data<int64_t>()[i] = i;
  Tensor leaf = raw::clone(x);
  leaf.requires_grad_();
  Tensor y = matmul(leaf, transposed);
  const Node& node = *vertex_of(y)->creator;
  stop_here();
  return int(shape.size() + int(dtype) + device.index + small.bits + brain.bits + node.released) * int(z.re) *
         int(undefined.defined() + empty.numel() + halves.numel() + large.numel());
}
