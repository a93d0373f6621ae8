// The other kernels of attention: f16 and bf16 on tensor cores, and, where those cannot take them, by way of f32; a
// query at a time.
#pragma once
#include "tensor/cuda/device/vector.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {

// By tensor cores (attention_mma.cu, attention_mma_backward.cu); false if the device or the shape is not for them.
bool attention_mma(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v);
bool attention_mma_backward(const AttentionArgs& a, const AttentionBackwardArrays& x);
// The forward pass of f32 and f64 for AttentionArgs::batch_invariant.
void listed_attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v);

// An array in f32 for the time of a call, contiguous.
class Floats {
 public:
  explicit Floats(int64_t count) : memory_(count), count_(count) {}
  Floats(const void* from, DType dtype, const Shape& shape, const Shape& strides) : Floats(shape.numel()) {
    Shape own = shape;
    int64_t stride = 1;
    for (int d = shape.size(); d-- > 0; stride *= shape[d]) own[d] = stride;
    copy({data(), DType::f32, shape, own}, {const_cast<void*>(from), dtype, shape, strides});
  }
  float* data() const { return memory_.data(); }
  void to(void* out, DType dtype) const { copy({out, dtype, {count_}, {1}}, {data(), DType::f32, {count_}, {1}}); }

 private:
  Scratch<float> memory_;
  int64_t count_;
};

struct AsFloats {  // the operands, and what AttentionArgs says of them
  Floats q, k, v;
  AttentionArgs args;

  AsFloats(const AttentionArgs& a, const void* q, const void* k, const void* v)
      : q(q, a.dtype, {a.batch, a.heads, a.nq, a.d}, strides(a.q_strides)),
        k(k, a.dtype, {a.batch, a.kv_heads, a.nk, a.d}, strides(a.k_strides)),
        v(v, a.dtype, {a.batch, a.kv_heads, a.nk, a.dv}, strides(a.v_strides)),
        args(a) {
    args.dtype = DType::f32;
    contiguous(args.q_strides, a.heads, a.nq, a.d);
    contiguous(args.k_strides, a.kv_heads, a.nk, a.d);
    contiguous(args.v_strides, a.kv_heads, a.nk, a.dv);
  }

 private:
  static Shape strides(const int64_t (&s)[3]) { return {s[0], s[1], s[2], 1}; }
  static void contiguous(int64_t (&s)[3], int64_t heads, int64_t n, int64_t width) {
    s[0] = heads * n * width, s[1] = n * width, s[2] = width;
  }
};

}  // namespace ink::cuda
