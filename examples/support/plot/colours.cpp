#include "examples/support/plot/colours.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

namespace ink::lesson {

namespace {

const std::vector<uint32_t>& anchors(ColourMap map) {
  static const std::vector<uint32_t> gray{0x000000, 0xffffff};
  static const std::vector<uint32_t> heat{0x1b1442, 0x2d3a7c, 0x2a6a8e, 0x21918c, 0x4db56a, 0xa8d24a, 0xfbe44b};
  static const std::vector<uint32_t> diverging{0x1f4e94, 0x4f87c4, 0xa9cbe6, 0xf7f6f4, 0xf3b79b, 0xd2684f, 0x98202f};
  return map == ColourMap::gray ? gray : map == ColourMap::heat ? heat : diverging;
}

}  // namespace

uint32_t colour_at(ColourMap map, double share) {
  if (std::isnan(share)) return 0xf5a6f0;
  const auto& a = anchors(map);
  double at = std::fmin(std::fmax(share, 0), 1) * double(a.size() - 1);
  size_t i = std::min(size_t(at), a.size() - 2);
  double t = at - double(i);
  uint32_t out = 0;
  for (int shift : {16, 8, 0}) {
    double from = double(a[i] >> shift & 255), to = double(a[i + 1] >> shift & 255);
    out |= uint32_t(std::lround(from + t * (to - from))) << shift;
  }
  return out;
}

std::string hex(uint32_t colour) { return fmt::format("#{:06x}", colour); }

bool is_dark(uint32_t c) {  // Rec. 601 luma
  return 0.299 * double(c >> 16 & 255) + 0.587 * double(c >> 8 & 255) + 0.114 * double(c & 255) < 140;
}

const char* series_colour(int index) {
  static const char* colours[] = {"#2f6db3", "#d1661f", "#2e8b57", "#b8336a",
                                  "#6a51a3", "#8a6d3b", "#1f9aa5", "#6b6b73"};
  return colours[index % 8];
}

}  // namespace ink::lesson
