// Charts as SVG text. The same data give the same bytes, so tests and CI compare figures as text.
#pragma once
#include <cmath>
#include <string>
#include <vector>

namespace ink::lesson {

// a line of at most 25 points also shows the points; arrows: a vector field, from each point (x, y) to (x + u, y + v)
enum class Mark { line, points, steps, dashed, arrows };

struct Series {
  std::string name = {};       // the legend's text; none if empty
  std::vector<double> x = {};  // positions; 0, 1, 2, ... if empty
  std::vector<double> y = {};  // NaN leaves a gap
  Mark mark = Mark::line;
  std::vector<double> low = {}, high = {};  // a band around the line, if given
  std::vector<double> u = {}, v = {};       // of arrows
};

struct Reference {  // a dashed horizontal line to compare with: a baseline, a bound
  double y;
  std::string name;
};

struct PlotOptions {
  std::string title = {};
  std::string x = {}, y = {};  // axis titles, with units
  bool log = false;            // both axes logarithmic; or one of
  bool log_x = false, log_y = false;
  bool equal = false;                // one unit is as long on both axes, for points in the plane (linear axes)
  double y_low = NAN, y_high = NAN;  // limits of the y axis; from the data if NaN
  std::vector<Reference> references = {};
  std::string caption = {};  // the sentence under the figure: what to see in it
  double width = 640, height = 400;
};

// Several series in one frame. ValueError if the sizes of a series' vectors differ or nothing can be drawn.
std::string plot_svg(const std::vector<Series>& series, const PlotOptions& options);

// Groups of bars: one group per label, one bar per series in it. ValueError if sizes differ.
std::string bars_svg(const std::vector<std::string>& labels, const std::vector<Series>& series,
                     const PlotOptions& options);

}  // namespace ink::lesson
