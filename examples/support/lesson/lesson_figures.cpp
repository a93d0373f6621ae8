#include <fmt/format.h>

#include <cstdio>

#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

namespace {

std::vector<Image> images_of(const char* op, const Tensor& pictures, const std::vector<std::string>& labels) {
  if (pictures.dim() != 3 || pictures.numel() == 0) {
    throw ShapeError(
        fmt::format("{}: got shape {}; expected [n, height, width] with elements", op, pictures.shape().str()));
  }
  int64_t n = pictures.size(0), height = pictures.size(1), width = pictures.size(2);
  std::vector<float> all = pictures.to_vector<float>();
  std::vector<Image> out;
  for (int64_t i = 0; i < n; ++i) {
    auto begin = all.begin() + long(i * height * width);
    out.push_back({.height = height,
                   .width = width,
                   .values = {begin, begin + long(height * width)},
                   .label = i < int64_t(labels.size()) ? labels[size_t(i)] : ""});
  }
  return out;
}

}  // namespace

void Lesson::figure(const std::string& name, const std::string& svg, const std::string& caption) {
  add(Figure{.name = name, .svg = svg, .caption = caption});
  const auto& added = std::get<Figure>(report_.sections.back().items.back());  // its name may have got a number
  std::string line = fmt::format("  figure  {}/{}.svg\n", folder(), file_name(added.name));
  std::fputs(terminal_.paint(Style::dim, line).c_str(), stdout);
}

void Lesson::plot(const std::string& name, const std::vector<Series>& series, const PlotOptions& options) {
  figure(name, plot_svg(series, options), options.caption);
}

void Lesson::bars(const std::string& name, const std::vector<std::string>& labels, const std::vector<Series>& series,
                  const PlotOptions& options) {
  figure(name, bars_svg(labels, series, options), options.caption);
}

void Lesson::heatmap(const std::string& name, const Tensor& matrix, const ImageOptions& options) {
  if (matrix.dim() != 2)
    throw ShapeError(fmt::format("heatmap: got shape {}; expected [rows, columns]", matrix.shape().str()));
  Image image{.height = matrix.size(0), .width = matrix.size(1), .values = matrix.to_vector<float>()};
  figure(name, heatmap_svg(image, options), options.caption);
}

void Lesson::images(const std::string& name, const Tensor& pictures, const ImageOptions& options,
                    const std::vector<std::string>& labels) {
  figure(name, image_grid_svg(images_of("images", pictures, labels), options), options.caption);
}

}  // namespace ink::lesson
