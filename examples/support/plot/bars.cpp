#include <fmt/format.h>

#include <algorithm>

#include "examples/support/page/number.h"
#include "examples/support/plot/colours.h"
#include "examples/support/plot/frame.h"
#include "examples/support/plot/plot.h"
#include "tensor/error.h"

namespace ink::lesson {

std::string bars_svg(const std::vector<std::string>& labels, const std::vector<Series>& series, const PlotOptions& o) {
  Range ys{.positive_only = o.log || o.log_y};
  std::vector<LegendEntry> legend;
  for (const Series& s : series) {
    if (s.y.size() != labels.size()) {
      throw ValueError(fmt::format("bars '{}': series '{}' does not fit the labels; got {} values and {} labels",
                                   o.title, s.name, s.y.size(), labels.size()));
    }
    ys.add(s.y);
    legend.push_back({LegendEntry::Key::box, s.name, series_colour(int(legend.size()))});
  }
  if (ys.low > ys.high) throw ValueError(fmt::format("bars '{}': nothing to draw", o.title));
  if (ys.positive_only)
    ys.low /= 2;  // a logarithmic bar starts below the least value, so that it can be seen
  else
    ys.add(0);
  for (const Reference& r : o.references) {
    ys.add(r.y);
    legend.push_back({LegendEntry::Key::dashed, r.name, "#55555e"});
  }

  // Labels lie flat where they fit, else they lean.
  double widest = 0;
  for (const std::string& l : labels) widest = std::max(widest, text_width(l, 12));
  double slot_guess = (o.width - 90) / double(std::max<size_t>(1, labels.size()));
  bool lean = widest + 6 > slot_guess;
  Frame frame(o, legend, ys,
              {.bottom = (lean ? 24 + 0.6 * widest : 32) + (o.x.empty() ? 0 : 18),
               .left = lean ? 0.8 * (text_width(labels[0], 12) + 10) - slot_guess / 2 + 16 : 0});

  double slot = (frame.right - frame.left) / double(std::max<size_t>(1, labels.size()));
  double bar = std::min(0.8 * slot / double(series.size()), 56.0);
  double base = frame.y.pixel(ys.positive_only ? frame.y.low() : 0);
  for (const Reference& r : o.references) {
    double at = frame.y.pixel(r.y);
    frame.svg.line({frame.left, at}, {frame.right, at}, {.fill = {}, .stroke = "#55555e", .width = 1.5, .dash = "5 4"});
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    double centre = frame.left + (double(i) + 0.5) * slot, x = centre - bar * double(series.size()) / 2;
    for (size_t k = 0; k < series.size(); ++k, x += bar) {
      double value = series[k].y[i], at = frame.y.pixel(value);
      if (!std::isfinite(at)) continue;
      frame.svg.rect(x + 0.5, std::min(at, base), bar - 1, std::abs(base - at),
                     {.fill = legend[k].colour, .stroke = {}, .radius = 1.5});
      std::string label = brief(value, 3);
      if (text_width(label, 11) > bar + 4) continue;  // it would run into its neighbour
      bool down = value < 0 && !ys.positive_only;
      frame.svg.text({x + bar / 2, down ? at + 13 : at - 4}, label, {.size = 11, .anchor = 'm', .halo = true});
    }
    Font font{.size = 12, .anchor = lean ? 'e' : 'm', .rotate = lean ? -35.0 : 0};
    frame.svg.text({centre + (lean ? 5 : 0), frame.bottom + (lean ? 14 : 18)}, labels[i], font);
  }
  frame.svg.line({frame.left, base}, {frame.right, base}, {.fill = {}, .stroke = "#8e8e96"});
  return frame.svg.str();
}

}  // namespace ink::lesson
