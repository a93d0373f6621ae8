#include "examples/support/plot/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "examples/support/page/number.h"

namespace ink::lesson {

namespace {

std::string n(double v) { return fixed(v, 2); }

std::string style(const Paint& p) {
  std::string s = fmt::format(" fill=\"{}\"", p.fill.empty() ? "none" : p.fill);
  if (!p.stroke.empty()) {
    s += fmt::format(" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"", p.stroke,
                     n(p.width));
  }
  if (!p.dash.empty()) s += fmt::format(" stroke-dasharray=\"{}\"", p.dash);
  if (p.opacity != 1) s += fmt::format(" opacity=\"{}\"", n(p.opacity));
  if (!p.clip.empty()) s += fmt::format(" clip-path=\"url(#{})\"", p.clip);
  return s;
}

std::string list(const std::vector<Point>& points) {
  std::string s;
  for (const Point& p : points) s += fmt::format("{}{},{}", s.empty() ? "" : " ", n(p.x), n(p.y));
  return s;
}

}  // namespace

Svg::Svg(double width, double height, const std::string& description) : width_(width), height_(height) {
  head_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "font-family=\"Inter, 'Helvetica Neue', Arial, sans-serif\">\n<title>{2}</title>\n",
      n(width), n(height), escaped(description));
  rect(0, 0, width, height, {.fill = "#fdfdfc", .stroke = {}, .radius = 6});
}

Svg& Svg::rect(double x, double y, double width, double height, const Paint& paint) {
  body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}{}/>\n", n(x), n(y), n(width), n(height),
                       paint.radius > 0 ? fmt::format(" rx=\"{}\"", n(paint.radius)) : "", style(paint));
  return *this;
}

Svg& Svg::circle(Point c, double radius, const Paint& paint) {
  body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>\n", n(c.x), n(c.y), n(radius), style(paint));
  return *this;
}

Svg& Svg::line(Point a, Point b, const Paint& paint) {
  body_ +=
      fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}/>\n", n(a.x), n(a.y), n(b.x), n(b.y), style(paint));
  return *this;
}

Svg& Svg::polyline(const std::vector<Point>& points, const Paint& paint) {
  body_ += fmt::format("<polyline points=\"{}\"{}/>\n", list(points), style(paint));
  return *this;
}

Svg& Svg::polygon(const std::vector<Point>& points, const Paint& paint) {
  body_ += fmt::format("<polygon points=\"{}\"{}/>\n", list(points), style(paint));
  return *this;
}

Svg& Svg::arrow(Point from, Point to, const Paint& paint) {
  double length = std::hypot(to.x - from.x, to.y - from.y);
  if (length == 0) return *this;
  double head = std::min(7.0, length), ux = (to.x - from.x) / length, uy = (to.y - from.y) / length;
  Point base{to.x - head * ux, to.y - head * uy};
  double half = 0.45 * head;
  line(from, base, paint);
  return polygon({to, {base.x - half * uy, base.y + half * ux}, {base.x + half * uy, base.y - half * ux}},
                 {.fill = paint.stroke, .stroke = {}, .opacity = paint.opacity});
}

Svg& Svg::text(Point at, const std::string& text, const Font& font) {
  std::string extra;
  if (font.anchor != 's') extra += fmt::format(" text-anchor=\"{}\"", font.anchor == 'm' ? "middle" : "end");
  if (font.bold) extra += " font-weight=\"600\"";
  if (font.halo) extra += " stroke=\"#fdfdfc\" stroke-width=\"3\" paint-order=\"stroke\"";
  if (font.rotate != 0) extra += fmt::format(" transform=\"rotate({} {} {})\"", n(font.rotate), n(at.x), n(at.y));
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n", n(at.x), n(at.y),
                       n(font.size), font.colour, extra, escaped(text));
  return *this;
}

Svg& Svg::image(double x, double y, double width, double height, const std::string& png) {
  body_ += fmt::format(
      "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" "
      "style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>\n",
      n(x), n(y), n(width), n(height), base64(png));
  return *this;
}

Svg& Svg::clip(const std::string& id, double x, double y, double width, double height) {
  body_ += fmt::format("<clipPath id=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
                       escaped(id), n(x), n(y), n(width), n(height));
  return *this;
}

std::string Svg::str() const { return head_ + body_ + "</svg>\n"; }

double text_width(const std::string& text, double size) {
  double ems = 0;
  for (char c : text) {
    if ((uint8_t(c) & 0xc0) == 0x80) continue;  // the rest of a code point
    if (std::string("iljtfrI.,:;'|!()[] ").find(c) != std::string::npos)
      ems += 0.40;
    else if (c == 'm' || c == 'w' || c == 'M' || c == 'W' || c == '@' || c == '%')
      ems += 0.98;
    else if (c >= 'A' && c <= 'Z')
      ems += 0.74;
    else
      ems += 0.64;
  }
  return ems * size;
}

std::string base64(const std::string& bytes) {
  static const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t left = uint32_t(bytes.size() - i), v = 0;
    for (uint32_t k = 0; k < 3; ++k) v = v << 8 | (k < left ? uint8_t(bytes[i + k]) : 0);
    for (uint32_t k = 0; k < 4; ++k) out += k <= left ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace ink::lesson
