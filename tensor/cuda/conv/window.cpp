// The sizes of windows in the 32 bits that device code counts in.
#include "tensor/cuda/conv/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/error.h"

namespace ink::cuda {

Window window_of(const char* op, const WindowArgs& a) {
  constexpr int64_t kMost = int64_t(1) << 30;
  const int64_t padded_h = a.h + 2 * a.pad_h, padded_w = a.w + 2 * a.pad_w;
  const int64_t reach_h = a.kh * a.dilation_h + a.oh * a.stride_h, reach_w = a.kw * a.dilation_w + a.ow * a.stride_w;
  if (std::max({padded_h, padded_w, reach_h, reach_w, a.plane(), a.out_plane(), a.taps()}) > kMost)
    throw NotSupported(
        fmt::format("{}: the planes are too large for this device; got {} x {} and {} x {} pixels; "
                    "expected at most 2^30 with padding",
                    op, a.h, a.w, a.oh, a.ow));
  return {.h = int(a.h),
          .w = int(a.w),
          .oh = int(a.oh),
          .ow = int(a.ow),
          .kh = int(a.kh),
          .kw = int(a.kw),
          .stride_h = int(a.stride_h),
          .stride_w = int(a.stride_w),
          .pad_h = int(a.pad_h),
          .pad_w = int(a.pad_w),
          .dilation_h = int(a.dilation_h),
          .dilation_w = int(a.dilation_w)};
}

}  // namespace ink::cuda
