// A program to stop in: tests/house/test_gdb.cpp prints its variables through gdb/inkstone.py.
#include <cstring>

#include "autograd/graph/node.h"
#include "autograd/ops.h"
#include "nn/module.h"
#include "tensor/cpu/pack/pack.h"
#include "tensor/raw/raw.h"

using namespace ink;

__attribute__((noinline)) void stop_here() { asm volatile("" ::: "memory"); }
// A frame whose arguments are not what their types say, as in a function that has not set them yet.
__attribute__((noinline)) void stop_among_ruins(const Tensor& tensor, const Shape& shape, const Node& node, DType dtype,
                                                std::span<const Tensor> tensors) {
  asm volatile("" ::"r"(&tensor), "r"(&shape), "r"(&node), "r"(&dtype), "r"(&tensors));
  stop_here();
}

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
  Param param = ones({2});
  const Node& node = *vertex_of(y)->creator;
  INK_CPU_LEVEL::Pack<float, 4> pack(1.5f);
  pack.v[2] = -2;
  INK_CPU_LEVEL::Pack<int64_t, 2> whole(7);
  INK_CPU_LEVEL::Mask<float, 4> mask = pack < INK_CPU_LEVEL::Pack<float, 4>(0.0f);
  const Tensor pair[] = {x, undefined};
  std::span<const Tensor> tensors(pair);
  const int numbers[] = {3, 1, 4};
  std::span<const int, 3> fixed(numbers);
  stop_here();
  alignas(64) char ruins[4096];
  std::memset(ruins, 0x5a, sizeof ruins);
  stop_among_ruins(*reinterpret_cast<Tensor*>(ruins), *reinterpret_cast<Shape*>(ruins), *reinterpret_cast<Node*>(ruins),
                   DType(99), {reinterpret_cast<Tensor*>(ruins), 3});
  softplus(leaf).sum().backward();  // by the copy of the rule that is compiled into this program
  return int(whole[0]) + int(any(mask)) + int(tensors.size() + fixed.size()) +
         int(shape.size() + int(dtype) + device.index + small.bits + brain.bits + node.released) * int(z.re) *
             int(undefined.defined() + empty.numel() + halves.numel() + large.numel());
}
