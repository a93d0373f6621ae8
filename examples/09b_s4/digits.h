// Digits drawn by a program: bitmaps of 5 x 7 dots, turned, stretched, slanted, moved and blurred by noise, on 14 x 14
// pixels that are read one after the other.
#pragma once
#include <cmath>
#include <vector>

#include "include/inkstone/ink.h"

namespace ink::lesson {

inline constexpr int64_t kSide = 14, kPixels = kSide * kSide;

// Rows of five dots, from the top.
inline constexpr const char* kGlyphs[10] = {
    " ### #   ##  ### # ###  ##   # ### ", "  #   ##    #    #    #    #   ### ", " ### #   #    #   #   #   #   #####",
    " ### #   #    #  ##     ##   # ### ", "   #   ##  # # #  # #####   #    # ", "######    ####     #    ##   # ### ",
    "  ##  #   #    #### #   ##   # ### ", "#####    #   #   #   #    #    #   ", " ### #   ##   # ### #   ##   # ### ",
    " ### #   ##   # ####    #   #  ##  "};

struct Drawn {
  Tensor pixels;  // [n, 196, 1], about 0 .. 1
  Tensor labels;  // i64 [n]
};

// How bright glyph `digit` is at (x, y), in dots from its middle; linear between dots, 0 outside.
inline double brightness(int64_t digit, double x, double y) {
  const double column = x + 2, row = y + 3, c = std::floor(column), r = std::floor(row);
  const auto dot = [&](double i, double j) {
    const bool inside = i >= 0 && i < 7 && j >= 0 && j < 5;
    return inside && kGlyphs[digit][int(i) * 5 + int(j)] == '#' ? 1. : 0.;
  };
  const double fc = column - c, fr = row - r;
  return (1 - fr) * ((1 - fc) * dot(r, c) + fc * dot(r, c + 1)) +
         fr * ((1 - fc) * dot(r + 1, c) + fc * dot(r + 1, c + 1));
}

inline Drawn draw_digits(int64_t n, Generator& g) {
  const Options f{f32, Device::cpu()};
  const Tensor labels = randint(0, 10, {n}, {i64, Device::cpu()}, &g), noise = randn({n, kPixels}, f, &g);
  const std::vector<double> u = (rand({n, 6}, f, &g) * 2 - 1).to_vector<double>();  // each in -1 .. 1
  const std::vector<int64_t> digit = labels.to_vector<int64_t>();
  std::vector<float> ink;
  for (size_t i = 0; i < size_t(n); ++i) {
    const double* v = &u[6 * i];
    const double turn = 0.15 * v[0], slant = 0.15 * v[1], wide = 0.62 * (1 + 0.1 * v[2]),
                 high = 0.62 * (1 + 0.1 * v[3]);
    for (int64_t p = 0; p < kPixels; ++p) {
      const double x = double(p % kSide) - 6.5 - v[4], y = double(p / kSide) - 6.5 - v[5];
      const double a = std::cos(turn) * x - std::sin(turn) * y, b = std::sin(turn) * x + std::cos(turn) * y;
      ink.push_back(float(brightness(digit[i], wide * (a + slant * b), high * b)));
    }
  }
  const Device home = default_device();
  const Tensor pixels = from_data(std::span<const float>(ink), {n, kPixels}).to(home) + 0.1 * noise.to(home);
  return {pixels.unsqueeze(-1), labels.to(home)};
}

}  // namespace ink::lesson
