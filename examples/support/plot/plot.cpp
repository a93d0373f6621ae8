#include "examples/support/plot/plot.h"

#include <fmt/format.h>

#include <algorithm>

#include "examples/support/plot/colours.h"
#include "examples/support/plot/frame.h"
#include "tensor/error.h"

namespace ink::lesson {

namespace {

constexpr size_t kShowPoints = 25, kMostPoints = 1500;
const char* kReference = "#55555e";

Series checked(Series s) {
  if (s.x.empty())
    for (size_t i = 0; i < s.y.size(); ++i) s.x.push_back(double(i));
  auto fits = [&](const std::vector<double>& v) { return v.empty() || v.size() == s.y.size(); };
  const size_t arrows = s.mark == Mark::arrows ? s.y.size() : 0;
  if (!fits(s.x) || !fits(s.low) || !fits(s.high) || s.low.size() != s.high.size() || s.u.size() != arrows ||
      s.v.size() != arrows) {
    throw ValueError(fmt::format("plot: sizes of series '{}' differ; got x {}, y {}, low {}, high {}, u {}, v {}",
                                 s.name, s.x.size(), s.y.size(), s.low.size(), s.high.size(), s.u.size(), s.v.size()));
  }
  return s;
}

// The pixels of runs without gaps. Long series keep the lowest and highest point of each bucket, so that no spike is
// lost.
std::vector<std::vector<Point>> runs_of(const Series& s, const std::vector<double>& values, const Axis& x,
                                        const Axis& y) {
  std::vector<std::vector<Point>> runs(1);
  auto add = [&](size_t i) {
    Point p{x.pixel(s.x[i]), y.pixel(values[i])};
    if (std::isfinite(p.x) && std::isfinite(p.y))
      runs.back().push_back(p);
    else if (!runs.back().empty())
      runs.emplace_back();
  };
  size_t n = values.size(), bucket = n > kMostPoints && s.mark != Mark::points ? 2 * n / kMostPoints : 1;
  for (size_t begin = 0; begin < n; begin += bucket) {
    auto first = values.begin() + long(begin), last = values.begin() + long(std::min(n, begin + bucket));
    auto [least, most] = std::minmax_element(first, last);
    size_t a = size_t(least - values.begin()), b = size_t(most - values.begin());
    add(std::min(a, b));
    if (a != b) add(std::max(a, b));
  }
  return runs;
}

std::vector<Point> stairs(const std::vector<Point>& run) {
  std::vector<Point> out;
  for (const Point& p : run) {
    if (!out.empty()) out.push_back({p.x, out.back().y});
    out.push_back(p);
  }
  return out;
}

void draw_band(Svg& svg, const Series& s, const Axis& x, const Axis& y, const std::string& colour) {
  if (s.low.empty()) return;
  std::vector<Point> outline;
  for (size_t i = 0; i < s.low.size(); ++i) outline.push_back({x.pixel(s.x[i]), y.pixel(s.low[i])});
  for (size_t i = s.high.size(); i-- > 0;) outline.push_back({x.pixel(s.x[i]), y.pixel(s.high[i])});
  std::erase_if(outline, [](const Point& p) { return !std::isfinite(p.x) || !std::isfinite(p.y); });
  svg.polygon(outline, {.fill = colour, .stroke = {}, .opacity = 0.16, .clip = "data"});
}

void draw_arrows(Svg& svg, const Series& s, const Axis& x, const Axis& y, const std::string& colour) {
  for (size_t i = 0; i < s.y.size(); ++i) {
    const Point from{x.pixel(s.x[i]), y.pixel(s.y[i])}, to{x.pixel(s.x[i] + s.u[i]), y.pixel(s.y[i] + s.v[i])};
    if (std::isfinite(from.x) && std::isfinite(from.y) && std::isfinite(to.x) && std::isfinite(to.y))
      svg.arrow(from, to, {.fill = {}, .stroke = colour, .width = 1.2, .clip = "data"});
  }
}

void draw_series(Svg& svg, const Series& s, const Axis& x, const Axis& y, const std::string& colour) {
  if (s.mark == Mark::arrows) return draw_arrows(svg, s, x, y, colour);
  bool dots = s.mark == Mark::points || (s.mark == Mark::line && s.y.size() <= kShowPoints);
  int turns = 0;  // a noisy curve is drawn thin, else it is a smear
  for (size_t i = 2; i < s.y.size(); ++i) turns += (s.y[i] - s.y[i - 1]) * (s.y[i - 1] - s.y[i - 2]) < 0;
  bool jagged = turns > 120;
  for (const auto& run : runs_of(s, s.y, x, y)) {
    if (s.mark != Mark::points && run.size() > 1) {
      svg.polyline(s.mark == Mark::steps ? stairs(run) : run, {.fill = {},
                                                               .stroke = colour,
                                                               .width = s.mark == Mark::dashed ? 1.75
                                                                        : jagged               ? 1.0
                                                                                               : 2.0,
                                                               .dash = s.mark == Mark::dashed ? "6 4" : "",
                                                               .clip = "data"});
    }
    if (!dots) continue;
    // Small and translucent in a crowd; ringed in the ground's colour when they sit on a line.
    bool crowd = s.mark == Mark::points && s.y.size() > 150;
    for (const Point& p : run) {
      if (crowd)
        svg.circle(p, 1.8, {.fill = colour, .stroke = {}, .opacity = 0.55, .clip = "data"});
      else
        svg.circle(p, 3.4, {.fill = colour, .stroke = "#fdfdfc", .width = 1.2});
    }
  }
}

// Widens both ranges around their centres until a unit has the same length on both axes; returns the range of y.
Range equalise(Range& xs, Range ys, const Frame& f) {
  double width = f.right - f.left, height = f.bottom - f.top;
  double per_pixel = 1.06 * std::max({(xs.high - xs.low) / width, (ys.high - ys.low) / height, 1e-300});
  double x = (xs.low + xs.high) / 2, y = (ys.low + ys.high) / 2;
  xs.low = x - per_pixel * width / 2, xs.high = x + per_pixel * width / 2;
  ys.low = y - per_pixel * height / 2, ys.high = y + per_pixel * height / 2;
  return ys;
}

}  // namespace

std::string plot_svg(const std::vector<Series>& given, const PlotOptions& o) {
  std::vector<Series> series;
  std::vector<LegendEntry> legend;
  Range xs{.positive_only = o.log || o.log_x}, ys{.positive_only = o.log || o.log_y};
  for (const Series& s : given) {
    series.push_back(checked(s));
    xs.add(series.back().x);
    for (const auto* v : {&s.y, &s.low, &s.high}) ys.add(*v);
    using Key = LegendEntry::Key;
    Key key = s.mark == Mark::points ? Key::points : s.mark == Mark::dashed ? Key::dashed : Key::line;
    legend.push_back({key, s.name, series_colour(int(legend.size()))});
  }
  if (xs.low > xs.high || ys.low > ys.high) {
    throw ValueError(fmt::format("plot '{}': nothing to draw; got {} series without a finite{} value", o.title,
                                 given.size(), xs.positive_only || ys.positive_only ? " positive" : ""));
  }
  for (const Reference& r : o.references) {
    ys.add(r.y);
    legend.push_back({LegendEntry::Key::dashed, r.name, kReference});
  }

  Margins margins{.bottom = o.x.empty() ? 32.0 : 50.0};
  Frame frame(o, legend, ys, margins);
  if (o.equal) {
    Range wide_y = equalise(xs, ys, frame);
    PlotOptions limits = o;
    limits.y_low = wide_y.low, limits.y_high = wide_y.high;
    frame = Frame(limits, legend, wide_y, margins);
  }
  Axis x(xs.low, xs.high, o.log || o.log_x, frame.left, frame.right, int((frame.right - frame.left) / 80), false);
  frame.draw_x(x, o.equal);
  frame.svg.clip("data", frame.left - 2, frame.top - 2, frame.right - frame.left + 4, frame.bottom - frame.top + 4);
  for (const Reference& r : o.references) {
    double at = frame.y.pixel(r.y);
    frame.svg.line({frame.left, at}, {frame.right, at},
                   {.fill = {}, .stroke = kReference, .width = 1.5, .dash = "5 4", .clip = "data"});
  }
  for (size_t i = 0; i < series.size(); ++i) draw_band(frame.svg, series[i], x, frame.y, legend[i].colour);
  for (size_t i = 0; i < series.size(); ++i) draw_series(frame.svg, series[i], x, frame.y, legend[i].colour);
  return frame.svg.str();
}

}  // namespace ink::lesson
