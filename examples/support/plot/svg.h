// A small SVG writer. Coordinates are written with at most two decimals, so the same drawing is the same text.
#pragma once
#include <string>
#include <vector>

namespace ink::lesson {

// What all figures share: the space around them, and the colours of titles and of labels.
constexpr double kMargin = 16;
constexpr const char *kInk = "#1c1c22", *kDim = "#6b6b73";

struct Point {
  double x, y;
};

// What a shape looks like; empty colours are not drawn.
struct Paint {
  std::string fill, stroke;
  double width = 1, opacity = 1, radius = 0;
  std::string dash = {};  // "4 3"
  std::string clip = {};  // the id given to Svg::clip
};

struct Font {
  double size = 12;
  std::string colour = "#3c3c43";
  char anchor = 's';  // s start, m middle, e end
  bool bold = false;
  bool halo = false;  // an edge in the ground's colour, for text over lines
  double rotate = 0;  // degrees around the anchor point
};

// A drawing of width x height pixels on its own light ground, so that it reads on light and dark pages alike.
class Svg {
 public:
  Svg(double width, double height, const std::string& description);

  Svg& rect(double x, double y, double width, double height, const Paint& paint);
  Svg& circle(Point centre, double radius, const Paint& paint);
  Svg& line(Point from, Point to, const Paint& paint);
  Svg& polyline(const std::vector<Point>& points, const Paint& paint);
  Svg& polygon(const std::vector<Point>& points, const Paint& paint);
  Svg& text(Point at, const std::string& text, const Font& font = {});
  Svg& arrow(Point from, Point to, const Paint& paint);                                 // a line with a head at its end
  Svg& image(double x, double y, double width, double height, const std::string& png);  // the bytes of a PNG file
  Svg& clip(const std::string& id, double x, double y, double width, double height);

  double width() const { return width_; }
  double height() const { return height_; }
  std::string str() const;

 private:
  std::string head_, body_;
  double width_, height_;
};

// An upper bound for the width of a text in the fonts a viewer may have (a wide face: DejaVu Sans).
double text_width(const std::string& text, double size);
// & < > " as entities, for SVG and HTML.
std::string escaped(const std::string& text);
std::string base64(const std::string& bytes);  // RFC 4648, for data: addresses

}  // namespace ink::lesson
