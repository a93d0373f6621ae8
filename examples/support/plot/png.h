// Pixels as a PNG file in memory (PNG specification, third edition; zlib for the compression).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ink::lesson {

// pixels: 0xRRGGBB, row by row, width * height of them. ValueError if the count does not fit.
std::string png_of(const std::vector<uint32_t>& pixels, int64_t width, int64_t height);

}  // namespace ink::lesson
