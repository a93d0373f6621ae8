#include "tensor/cuda/conv/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/error.h"

namespace ink::cuda {

template <class Args>
static Window window(const char* op, const Args& a) {
  constexpr int64_t kMost = int64_t(1) << 30;
  const int64_t padded_h = a.h + 2 * a.pad_h, padded_w = a.w + 2 * a.pad_w;
  const int64_t reach_h = a.kh * a.dilation_h + a.oh * a.stride_h, reach_w = a.kw * a.dilation_w + a.ow * a.stride_w;
  if (std::max({padded_h, padded_w, reach_h, reach_w, a.h * a.w, a.oh * a.ow, a.kh * a.kw}) > kMost)
    throw NotSupported(fmt::format("{}: the planes are too large for this device; got {} x {} and {} x {} pixels; expected at "
                                   "most 2^30 with padding", op, a.h, a.w, a.oh, a.ow));
  return {int(a.h),        int(a.w),        int(a.oh),    int(a.ow),    int(a.kh),         int(a.kw),
          int(a.stride_h), int(a.stride_w), int(a.pad_h), int(a.pad_w), int(a.dilation_h), int(a.dilation_w)};
}

Window window_of(const char* op, const ConvArgs& a) { return window(op, a); }
Window window_of(const char* op, const PoolArgs& a) { return window(op, a); }

}  // namespace ink::cuda
