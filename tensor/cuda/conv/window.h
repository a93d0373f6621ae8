// The window of input pixels that an output pixel looks at, in convolution and pooling.
#pragma once
#include "tensor/backend/kernels.h"
#include "tensor/cuda/cuda.h"

namespace ink::cuda {

struct Window {  // WindowArgs in 32 bits
  int h, w, oh, ow, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  // Where output row p looks by tap r, and the same for columns.
  __device__ __forceinline__ int row(int p, int r) const { return p * stride_h - pad_h + r * dilation_h; }
  __device__ __forceinline__ int col(int q, int s) const { return q * stride_w - pad_w + s * dilation_w; }
  __device__ __forceinline__ bool inside(int y, int x) const {
    return unsigned(y) < unsigned(h) && unsigned(x) < unsigned(w);
  }
  // The adjoint: the output row that looks at row y by tap r, -1 if none does.
  __device__ __forceinline__ int output_row(int y, int r) const {
    return output(y + pad_h - r * dilation_h, stride_h, oh);
  }
  __device__ __forceinline__ int output_col(int x, int s) const {
    return output(x + pad_w - s * dilation_w, stride_w, ow);
  }

 private:
  __device__ __forceinline__ static int output(int at, int stride, int size) {
    const int p = at / stride;
    return at >= 0 && p * stride == at && p < size ? p : -1;
  }
};

// For op's kernels; NotSupported for planes whose pixels, padded, are too many for 32-bit places.
Window window_of(const char* op, const WindowArgs& a);

}  // namespace ink::cuda
