// What every chart has around its data: title, legend, y axis with grid lines, x axis.
#pragma once
#include <string>
#include <vector>

#include "examples/support/plot/axis.h"
#include "examples/support/plot/plot.h"
#include "examples/support/plot/svg.h"

namespace ink::lesson {

struct LegendEntry {
  enum class Key { line, dashed, points, box } key;
  std::string name, colour;
};

struct Range {  // of the values seen, ignoring what an axis cannot show
  double low = INFINITY, high = -INFINITY;
  bool positive_only = false;
  void add(double value) {
    if (!std::isfinite(value) || (positive_only && value <= 0)) return;
    low = std::fmin(low, value), high = std::fmax(high, value);
  }
  void add(const std::vector<double>& values) {
    for (double v : values) add(v);
  }
};

struct Margins {
  double bottom, left = 0;
};  // at the least

class Frame {
 public:
  Frame(const PlotOptions& options, const std::vector<LegendEntry>& legend, const Range& y, const Margins& margins);
  void draw_x(const Axis& x, bool grid = false);  // tick marks, labels, grid lines on demand

  Svg svg;
  double left, right, top, bottom;  // pixels of the data area
  Axis y;
};

}  // namespace ink::lesson
