#include "examples/support/plot/heatmap.h"

#include <fmt/format.h>

#include <algorithm>

#include "examples/support/page/number.h"
#include "examples/support/plot/axis.h"
#include "examples/support/plot/frame.h"
#include "examples/support/plot/png.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"

namespace ink::lesson {

namespace {

const Font kTitle{.size = 15, .colour = kInk, .bold = true};

void check(const char* op, const Image& m) {
  if (m.height > 0 && m.width > 0 && int64_t(m.values.size()) == m.height * m.width) return;
  throw ValueError(fmt::format("{}: got {} values for {} rows and {} columns", op, m.values.size(), m.height, m.width));
}

struct Scale {
  double low, high;
  ColourMap map;
  uint32_t operator()(double v) const { return colour_at(map, high > low ? (v - low) / (high - low) : 0.5); }
};

Scale scale_of(const std::vector<Image>& images, const ImageOptions& o) {
  Range r;
  for (const Image& m : images)
    for (float v : m.values) r.add(double(v));
  if (r.low > r.high) r.low = 0, r.high = 1;
  if (o.map == ColourMap::diverging) r.high = std::max(std::abs(r.low), std::abs(r.high)), r.low = -r.high;
  return {std::isnan(o.low) ? r.low : o.low, std::isnan(o.high) ? r.high : o.high, o.map};
}

// Every value becomes a block of `zoom` pixels, because not every viewer keeps the edges of enlarged pixels sharp.
std::string png_of_image(const Image& m, const Scale& scale, int64_t zoom) {
  std::vector<uint32_t> pixels;
  pixels.reserve(size_t(m.height * m.width * zoom * zoom));
  for (int64_t y = 0; y < m.height * zoom; ++y)
    for (int64_t x = 0; x < m.width * zoom; ++x)
      pixels.push_back(scale(double(m.values[size_t(y / zoom * m.width + x / zoom)])));
  return png_of(pixels, m.width * zoom, m.height * zoom);
}

int64_t zoom_for(double shown, int64_t cells) { return std::max<int64_t>(1, std::lround(shown / double(cells))); }

void colour_bar(Svg& svg, double x, double top, double height, const Scale& scale) {
  constexpr int kSteps = 64;
  for (int i = 0; i < kSteps; ++i) {
    double h = height / kSteps;  // half a pixel of overlap hides seams
    svg.rect(x, top + i * h, 12, h + (i + 1 < kSteps ? 0.5 : 0),
             {.fill = hex(colour_at(scale.map, 1 - (i + 0.5) / kSteps)), .stroke = {}});
  }
  Axis axis(scale.low, scale.high, false, top + height, top, std::max(2, int(height / 40)), false);
  for (const Tick& t : axis.ticks()) {
    double at = axis.pixel(t.value);
    svg.line({x + 12, at}, {x + 15, at}, {.fill = {}, .stroke = "#8e8e96"});
    svg.text({x + 19, at + 4}, t.label, {.size = 11});
  }
}

}  // namespace

std::string heatmap_svg(const Image& m, const ImageOptions& o) {
  check("heatmap", m);
  Scale scale = scale_of({m}, o);
  auto label = [](const std::vector<std::string>& given, int64_t i) {
    return i < int64_t(given.size()) ? given[size_t(i)] : given.empty() ? fmt::format("{}", i) : std::string();
  };
  double row_labels = 0, column_labels = 0;
  for (int64_t i = 0; i < m.height; ++i) row_labels = std::max(row_labels, text_width(label(o.rows, i), 11));
  for (int64_t j = 0; j < m.width; ++j) column_labels = std::max(column_labels, text_width(label(o.columns, j), 11));

  double left = kMargin + (o.y.empty() ? 0 : 20) + row_labels + 6, bar = 70;
  double top = kMargin + (o.title.empty() ? 0 : 28);
  double cell = std::min({(o.width - left - bar) / double(m.width), 480.0 / double(m.height), 44.0});
  double w = cell * double(m.width), h = cell * double(m.height);
  Svg svg(std::max(left + w + bar, 2 * kMargin + text_width(o.title, 16)), top + h + 24 + (o.x.empty() ? 4 : 24),
          o.title.empty() ? "heat map" : o.title);
  if (!o.title.empty()) svg.text({kMargin, kMargin + 12}, o.title, kTitle);

  if (m.height * m.width <= 1024) {
    double digits = 0;
    for (float v : m.values) digits = std::max(digits, text_width(brief(double(v), 2), 11));
    bool numbers = digits + 4 <= cell;
    for (int64_t i = 0; i < m.height; ++i) {
      for (int64_t j = 0; j < m.width; ++j) {
        double v = double(m.values[size_t(i * m.width + j)]), x = left + double(j) * cell, y = top + double(i) * cell;
        uint32_t colour = scale(v);
        svg.rect(x, y, cell, cell,
                 {.fill = hex(colour), .stroke = cell >= 12 ? "#fdfdfc" : hex(colour), .width = 0.75});
        if (!numbers) continue;
        svg.text({x + cell / 2, y + cell / 2 + 4}, brief(v, 2),
                 {.size = 11, .colour = is_dark(colour) ? "#ffffff" : kInk, .anchor = 'm'});
      }
    }
  } else {
    svg.image(left, top, w, h, png_of_image(m, scale, zoom_for(w, m.width)));
  }

  auto every = [&](double room) { return room <= cell ? 1 : int64_t(std::lround(nice_step(room / cell, 1))); };
  for (int64_t i = 0, step = every(15); i < m.height; i += step)
    svg.text({left - 6, top + (double(i) + 0.5) * cell + 4}, label(o.rows, i), {.size = 11, .anchor = 'e'});
  for (int64_t j = 0, step = every(column_labels + 4); j < m.width; j += step)
    svg.text({left + (double(j) + 0.5) * cell, top + h + 15}, label(o.columns, j), {.size = 11, .anchor = 'm'});
  if (!o.x.empty()) svg.text({left + w / 2, top + h + 36}, o.x, {.size = 12, .colour = kDim, .anchor = 'm'});
  if (!o.y.empty()) {
    svg.text({kMargin + 10, top + h / 2}, o.y, {.size = 12, .colour = kDim, .anchor = 'm', .rotate = -90});
  }
  colour_bar(svg, left + w + 14, top, h, scale);
  return svg.str();
}

std::string image_grid_svg(const std::vector<Image>& images, const ImageOptions& o) {
  if (images.empty()) throw ValueError("image_grid: got no pictures");
  int64_t rows_in = 0, columns_in = 0;
  bool labels = false;
  for (const Image& m : images) {
    check("image_grid", m);
    rows_in = std::max(rows_in, m.height), columns_in = std::max(columns_in, m.width);
    labels = labels || !m.label.empty();
  }
  int64_t n = int64_t(images.size());
  int64_t per_row = o.per_row > 0 ? o.per_row : std::min<int64_t>(n, n <= 10 ? n : n <= 64 ? 8 : 16);
  int64_t lines = (n + per_row - 1) / per_row;
  constexpr double kGap = 6;
  double cell = std::min((o.width - 2 * kMargin - kGap * double(per_row - 1)) / double(per_row), 96.0);
  double height = cell * double(rows_in) / double(columns_in), line = height + kGap + (labels ? 16 : 0);
  double top = kMargin + (o.title.empty() ? 0 : 28);
  double width = 2 * kMargin + double(per_row) * (cell + kGap) - kGap;
  Svg svg(std::max(width, 2 * kMargin + text_width(o.title, 16)), top + double(lines) * line + kMargin - kGap,
          o.title.empty() ? "pictures" : o.title);
  if (!o.title.empty()) svg.text({kMargin, kMargin + 12}, o.title, kTitle);
  Scale scale = scale_of(images, o);
  for (int64_t i = 0; i < n; ++i) {
    const Image& m = images[size_t(i)];
    double x = kMargin + double(i % per_row) * (cell + kGap), y = top + double(i / per_row) * line;
    svg.image(x, y, cell, height, png_of_image(m, scale, zoom_for(cell, m.width)));
    if (!m.label.empty()) svg.text({x + cell / 2, y + height + 13}, m.label, {.size = 11, .anchor = 'm'});
  }
  return svg.str();
}

}  // namespace ink::lesson
