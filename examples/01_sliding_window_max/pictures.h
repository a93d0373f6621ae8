// Dilation and erosion of pictures by sliding maxima, and the pictures that the lesson tries them on.
#pragma once
#include <cmath>
#include <string>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// Grey-scale dilation by a k x k square: each pixel becomes the maximum of its surroundings. x [n, height, width], k
// odd.
inline Tensor dilate(const Tensor& x, int64_t k) {
  int64_t r = k / 2;
  Tensor rows = sliding_window_max(pad(x, {r, r, r, r}, PadMode::constant, -INFINITY), k, -1);
  return sliding_window_max(rows, k, -2);  // (1.10)
}
inline Tensor erode(const Tensor& x, int64_t k) { return -dilate(-x, k); }

// Eight pictures [8, height, width] of the shipped digits.
inline Tensor read_digits(const Lesson& lesson) {
  const std::string file = lesson.data("digits-images");
  Tensor images = load_idx(file);
  if (images.dim() != 3 || images.size(0) < 8)
    throw ShapeError(file + ": got shape " + images.shape().str() + "; expected at least 8 images");
  return images.slice(0, 0, 8);
}

}  // namespace ink::lesson
