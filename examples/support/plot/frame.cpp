#include "examples/support/plot/frame.h"

#include <algorithm>

namespace ink::lesson {

namespace {

constexpr double kRow = 20, kText = 12;
const char *kGrid = "#e4e4e8", *kFaint = "#f0f0f2", *kAxisColour = "#8e8e96";

double key_width(const LegendEntry& e) {
  return e.key == LegendEntry::Key::box ? 12 : e.key == LegendEntry::Key::points ? 8 : 22;
}
double entry_width(const LegendEntry& e) { return key_width(e) + 6 + text_width(e.name, kText) + 14; }

// Rows of entries that fit into the width.
std::vector<std::vector<LegendEntry>> rows_of(const std::vector<LegendEntry>& legend, double width) {
  std::vector<std::vector<LegendEntry>> rows;
  double used = 0;
  for (const LegendEntry& e : legend) {
    if (e.name.empty()) continue;
    if (rows.empty() || used + entry_width(e) > width) rows.emplace_back(), used = 0;
    rows.back().push_back(e);
    used += entry_width(e);
  }
  return rows;
}

void draw_key(Svg& svg, double x, double y, const LegendEntry& e) {
  using Key = LegendEntry::Key;
  if (e.key == Key::box) svg.rect(x, y - 6, 12, 12, {.fill = e.colour, .stroke = {}, .radius = 2});
  if (e.key == Key::points) svg.circle({x + 4, y}, 4, {.fill = e.colour, .stroke = {}});
  if (e.key == Key::line) svg.line({x, y}, {x + key_width(e), y}, {.fill = {}, .stroke = e.colour, .width = 2.25});
  if (e.key == Key::dashed) {
    svg.line({x, y}, {x + key_width(e), y}, {.fill = {}, .stroke = e.colour, .width = 1.75, .dash = "5 4"});
  }
}

double top_of(const PlotOptions& o, const std::vector<LegendEntry>& legend) {
  double rows = double(rows_of(legend, o.width - 2 * kMargin).size());
  return kMargin + (o.title.empty() ? 0 : 24) + kRow * rows + (o.y.empty() ? 8 : 28);
}

Axis y_axis(const PlotOptions& o, const Range& r, double top, double bottom) {
  bool fixed = !std::isnan(o.y_low) && !std::isnan(o.y_high);
  double low = std::isnan(o.y_low) ? r.low : o.y_low, high = std::isnan(o.y_high) ? r.high : o.y_high;
  return Axis(low, high, o.log || o.log_y, bottom, top, std::max(2, int((bottom - top) / 45)), !fixed);
}

double left_of(const Axis& y) {
  double widest = 0;
  for (const Tick& t : y.ticks()) widest = std::max(widest, text_width(t.label, kText));
  return kMargin + widest + 6;
}

}  // namespace

Frame::Frame(const PlotOptions& o, const std::vector<LegendEntry>& legend, const Range& range, const Margins& margins)
    : svg(o.width, o.height, o.title.empty() ? o.y : o.title),
      right(o.width - kMargin - 8),
      top(top_of(o, legend)),
      bottom(o.height - margins.bottom),
      y(y_axis(o, range, top, bottom)) {
  left = std::max(left_of(y), margins.left);
  double line = kMargin;
  if (!o.title.empty()) svg.text({kMargin, line + 12}, o.title, {.size = 15, .colour = kInk, .bold = true}), line += 24;
  for (const auto& row : rows_of(legend, o.width - 2 * kMargin)) {
    double x = kMargin;
    for (const LegendEntry& e : row) {
      draw_key(svg, x, line + 8, e);
      svg.text({x + key_width(e) + 6, line + 12}, e.name, {.size = kText});
      x += entry_width(e);
    }
    line += kRow;
  }
  if (!o.y.empty()) svg.text({kMargin, line + 13}, o.y, {.size = kText, .colour = kDim});
  for (const Tick& t : y.ticks()) {
    double at = y.pixel(t.value);
    svg.line({left, at}, {right, at}, {.fill = {}, .stroke = t.label.empty() ? kFaint : kGrid});
    if (!t.label.empty()) svg.text({left - 6, at + 4}, t.label, {.size = kText, .anchor = 'e'});
  }
  if (!o.x.empty()) {
    svg.text({(left + right) / 2, o.height - 14}, o.x, {.size = kText, .colour = kDim, .anchor = 'm'});
  }
}

void Frame::draw_x(const Axis& x, bool grid) {
  double taken = -INFINITY;  // the right end of the last label
  for (const Tick& t : x.ticks()) {
    double at = x.pixel(t.value), half = text_width(t.label, kText) / 2;
    if (grid && !t.label.empty()) svg.line({at, top}, {at, bottom}, {.fill = {}, .stroke = kGrid});
    svg.line({at, bottom}, {at, bottom + (t.label.empty() ? 3 : 5)}, {.fill = {}, .stroke = kAxisColour});
    if (t.label.empty() || at - half < taken + 6) continue;
    double shifted = std::min(at, svg.width() - 4 - half);
    svg.text({shifted, bottom + 18}, t.label, {.size = kText, .anchor = 'm'});
    taken = shifted + half;
  }
  svg.line({left, bottom}, {right, bottom}, {.fill = {}, .stroke = kAxisColour});
}

}  // namespace ink::lesson
