#include "examples/support/plot/plot.h"

#include <zlib.h>

#include "examples/support/plot/axis.h"
#include "examples/support/plot/colours.h"
#include "examples/support/plot/heatmap.h"
#include "examples/support/plot/png.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink::lesson;

namespace {

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

std::string labels(const Axis& axis) {
  std::string out;
  for (const Tick& t : axis.ticks())
    if (!t.label.empty()) out += (out.empty() ? "" : " ") + t.label;
  return out;
}

struct Box {
  double left, top, right, bottom;
};

double attribute(const std::string& tag, const std::string& name) {
  size_t at = tag.find(" " + name + "=\"");
  return at == std::string::npos ? 0 : std::stod(tag.substr(at + name.size() + 3));
}

// The boxes of all upright texts of a drawing.
std::vector<Box> text_boxes(const std::string& svg) {
  std::vector<Box> out;
  for (size_t at = svg.find("<text"); at != std::string::npos; at = svg.find("<text", at + 1)) {
    std::string tag = svg.substr(at, svg.find('>', at) - at);
    size_t begin = svg.find('>', at) + 1;
    double size = attribute(tag, "font-size"), x = attribute(tag, "x"), y = attribute(tag, "y");
    // text_width is an upper bound for wide faces; the glyphs themselves stay within 0.9 of it
    double width = 0.9 * text_width(svg.substr(begin, svg.find('<', begin) - begin), size);
    if (tag.find("middle") != std::string::npos) x -= width / 2;
    if (tag.find("\"end\"") != std::string::npos) x -= width;
    if (tag.find("rotate") == std::string::npos) out.push_back({x, y - 0.75 * size, x + width, y + 0.2 * size});
  }
  return out;
}

void check_texts_apart(const std::string& svg, double width, double height) {
  auto boxes = text_boxes(svg);
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box& a = boxes[i];
    CAPTURE(svg, i, a.left, a.right, a.top, a.bottom);
    CHECK((a.left >= 0 && a.right <= width && a.top >= 0 && a.bottom <= height));
    for (size_t j = 0; j < i; ++j) {
      const Box& b = boxes[j];
      CHECK((a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top));
    }
  }
}

}  // namespace

TEST_CASE("axes end at round numbers and label them in few characters", "[plot]") {
  CHECK(nice_step(10, 5) == 2);
  CHECK(nice_step(1, 4) == 0.5);
  CHECK(labels(Axis(0.1, 9.7, false, 0, 100, 5)) == "0 2 4 6 8 10");
  CHECK(labels(Axis(-1, 1, false, 0, 100, 4)) == "-1.0 -0.5 0 0.5 1.0");
  CHECK(labels(Axis(0, 35000, false, 0, 100, 4)) == "0 10k 20k 30k 40k");
  CHECK(labels(Axis(0, 3e-5, false, 0, 100, 3)) == "0 1·10⁻⁵ 2·10⁻⁵ 3·10⁻⁵");
  CHECK(labels(Axis(128, 1024, true, 0, 100, 6, false)) == "128 256 512 1024");
  CHECK(labels(Axis(1e-9, 3e-3, true, 0, 100, 9)) == "10⁻⁹ 10⁻⁸ 10⁻⁷ 10⁻⁶ 10⁻⁵ 10⁻⁴ 10⁻³ 10⁻²");
  CHECK(labels(Axis(0.13, 1, true, 0, 100, 6)) == "0.1 0.2 0.3 0.5 1");
  CHECK(labels(Axis(0, 299, false, 0, 100, 3, false)) == "0 100 200 300");
  CHECK(Axis(0, 10, false, 0, 100).pixel(5) == 50);
  CHECK(Axis(1, 100, true, 0, 100).pixel(10) == 50);
  CHECK(std::isnan(Axis(1, 100, true, 0, 100).pixel(0)));
}

TEST_CASE("axes survive constant, empty and hostile ranges", "[plot]") {
  for (bool log : {false, true}) {
    for (auto [low, high] : {std::pair{5.0, 5.0},
                             {0.0, 0.0},
                             {double(INFINITY), -double(INFINITY)},
                             {-3.0, -1.0},
                             {1e-300, 1e300},
                             {1.0, 1.0 + 1e-12}}) {
      Axis axis(low, high, log, 0, 100);
      CAPTURE(log, low, high);
      CHECK(axis.low() < axis.high());
      CHECK(axis.ticks().size() < 1000);
      CHECK(std::isfinite(axis.pixel(axis.high())));
    }
  }
}

TEST_CASE("a small line chart, byte by byte", "[plot]") {
  std::string svg = plot_svg({{.name = "", .x = {0, 1, 2}, .y = {0, 4, 2}}}, {.width = 120, .height = 100});
  CHECK(
      svg ==
      R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 100" width="120" height="100" role="img" font-family="Inter, 'Helvetica Neue', Arial, sans-serif">
<title></title>
<rect x="0" y="0" width="120" height="100" rx="6" fill="#fdfdfc"/>
<line x1="29.68" y1="68" x2="96" y2="68" fill="none" stroke="#e4e4e8" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="23.68" y="72" font-size="12" fill="#3c3c43" text-anchor="end">0</text>
<line x1="29.68" y1="46" x2="96" y2="46" fill="none" stroke="#e4e4e8" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="23.68" y="50" font-size="12" fill="#3c3c43" text-anchor="end">2</text>
<line x1="29.68" y1="24" x2="96" y2="24" fill="none" stroke="#e4e4e8" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="23.68" y="28" font-size="12" fill="#3c3c43" text-anchor="end">4</text>
<line x1="29.68" y1="68" x2="29.68" y2="73" fill="none" stroke="#8e8e96" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="29.68" y="86" font-size="12" fill="#3c3c43" text-anchor="middle">0</text>
<line x1="62.84" y1="68" x2="62.84" y2="73" fill="none" stroke="#8e8e96" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="62.84" y="86" font-size="12" fill="#3c3c43" text-anchor="middle">1</text>
<line x1="96" y1="68" x2="96" y2="73" fill="none" stroke="#8e8e96" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<text x="96" y="86" font-size="12" fill="#3c3c43" text-anchor="middle">2</text>
<line x1="29.68" y1="68" x2="96" y2="68" fill="none" stroke="#8e8e96" stroke-width="1" stroke-linejoin="round" stroke-linecap="round"/>
<clipPath id="data"><rect x="27.68" y="22" width="70.32" height="48"/></clipPath>
<polyline points="29.68,68 62.84,24 96,46" fill="none" stroke="#2f6db3" stroke-width="2" stroke-linejoin="round" stroke-linecap="round" clip-path="url(#data)"/>
<circle cx="29.68" cy="68" r="3.4" fill="#2f6db3" stroke="#fdfdfc" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round"/>
<circle cx="62.84" cy="24" r="3.4" fill="#2f6db3" stroke="#fdfdfc" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round"/>
<circle cx="96" cy="46" r="3.4" fill="#2f6db3" stroke="#fdfdfc" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round"/>
</svg>
)svg");
}

TEST_CASE("series, bands, references and gaps appear in the chart", "[plot]") {
  Series line{.name = "loss", .y = {3, 2, NAN, 1, 0.5}, .low = {2, 1, 1, 0, 0}, .high = {4, 3, 2, 2, 1}};
  Series cloud{.name = "samples & more", .x = {0, 1, 2}, .y = {1, 2, 1}, .mark = Mark::points};
  std::string svg =
      plot_svg({line, cloud}, {.title = "T", .x = "step", .y = "nats", .references = {{2.5, "baseline"}}});
  CHECK(count(svg, "<polyline") == 2);  // the gap cuts the line in two
  CHECK(count(svg, "<polygon") == 1);
  CHECK(count(svg, "<circle") == 4 + 3 + 1);           // points of the line, of the cloud, and the legend's key
  CHECK(count(svg, "stroke-dasharray=\"5 4\"") == 2);  // the reference and its key
  for (const char* text : {">T<", ">step<", ">nats<", ">loss<", ">samples &amp; more<", ">baseline<"}) {
    CHECK_THAT(svg, contains(text));
  }
  check_texts_apart(svg, 640, 400);
  CHECK(svg == plot_svg({line, cloud}, {.title = "T", .x = "step", .y = "nats", .references = {{2.5, "baseline"}}}));
}

TEST_CASE("texts never overlap and stay inside the picture", "[plot]") {
  std::vector<Series> many;
  for (int i = 0; i < 9; ++i)
    many.push_back({.name = "a method with a long name " + std::to_string(i), .y = {1e-9, 1e6}});
  for (bool log : {false, true}) {
    check_texts_apart(plot_svg(many, {.title = "Many", .x = "x", .y = "y", .log_y = log}), 640, 400);
    check_texts_apart(plot_svg({{.x = {100, 16384}, .y = {-123456, 123456}}}, {.x = "x", .log_x = log, .width = 300}),
                      300, 400);
  }
  check_texts_apart(bars_svg({"a", "b", "c", "d"},
                             {{.name = "k = 3", .y = {1, 2, 3, 4}}, {.name = "k = 64", .y = {5, 6, 7, 1e5}}},
                             {.title = "Bars", .y = "comparisons", .references = {{3, "bound"}}}),
                    640, 400);
}

TEST_CASE("long series keep their spikes and stay small", "[plot]") {
  Series s;
  for (int i = 0; i < 100000; ++i) s.y.push_back(i == 54321 ? 10 : 0);
  PlotOptions options{.y_low = 0, .y_high = 10};
  std::string svg = plot_svg({s}, options);
  CHECK(svg.size() < 60000);
  s.y[54321] = 0;
  CHECK(svg != plot_svg({s}, options));
}

TEST_CASE("equal axes: a circle is round", "[plot]") {
  Series s{.x = {-2, 2, 0, 0}, .y = {0, 0, -2, 2}, .mark = Mark::points};
  std::string svg = plot_svg({s}, {.equal = true});
  std::vector<Point> at;
  for (size_t i = svg.find("<circle"); i != std::string::npos; i = svg.find("<circle", i + 1)) {
    std::string tag = svg.substr(i, svg.find('>', i) - i);
    at.push_back({attribute(tag, "cx"), attribute(tag, "cy")});
  }
  REQUIRE(at.size() == 4);
  CHECK(std::abs((at[1].x - at[0].x) / (at[2].y - at[3].y) - 1) < 0.02);
}

TEST_CASE("charts refuse what they cannot draw", "[plot]") {
  CHECK_THROWS_WITH(plot_svg({{.name = "s", .x = {1}, .y = {1, 2}}}, {}),
                    contains("sizes of series 's' differ; got x 1, y 2"));
  CHECK_THROWS_WITH(plot_svg({}, {.title = "T"}), contains("plot 'T': nothing to draw; got 0 series"));
  CHECK_THROWS_WITH(plot_svg({{.y = {-1, 0}}}, {.log_y = true}), contains("without a finite positive value"));
  CHECK_THROWS_WITH(bars_svg({"a"}, {{.name = "s", .y = {1, 2}}}, {}), contains("got 2 values and 1 labels"));
  CHECK_THROWS_AS(heatmap_svg({.height = 2, .width = 2, .values = {1}}, {}), ink::ValueError);
  CHECK_THROWS_AS(image_grid_svg({}, {}), ink::ValueError);
}

TEST_CASE("bars stand on zero, negative ones hang below", "[plot]") {
  std::string svg = bars_svg({"up", "down"}, {{.y = {2, -1}}}, {.height = 200});
  std::vector<std::string> bars;
  for (size_t i = svg.find("<rect"); i != std::string::npos; i = svg.find("<rect", i + 1)) {
    std::string tag = svg.substr(i, svg.find('>', i) - i);
    if (tag.find(series_colour(0)) != std::string::npos) bars.push_back(tag);
  }
  REQUIRE(bars.size() == 2);
  double zero = attribute(bars[0], "y") + attribute(bars[0], "height");
  CHECK(attribute(bars[1], "y") == Approx(zero).margin(0.02));
  CHECK(attribute(bars[0], "height") == Approx(2 * attribute(bars[1], "height")).margin(0.02));
}

TEST_CASE("heat maps write numbers where there is room, and a picture where there are many cells", "[plot]") {
  Image small{.height = 2, .width = 2, .values = {-1, 0, 0.5f, 1}};
  std::string svg = heatmap_svg(small, {.title = "S", .x = "key", .y = "query", .map = ColourMap::diverging});
  CHECK_THAT(svg, contains(">0.5<"));
  CHECK_THAT(svg, contains(hex(colour_at(ColourMap::diverging, 0.5))));
  CHECK(count(svg, "<image") == 0);
  Image large{.height = 64, .width = 64, .values = std::vector<float>(64 * 64, 1)};
  CHECK(count(heatmap_svg(large, {}), "<image") == 1);
  std::string grid = image_grid_svg({small, small, small}, {});
  CHECK(count(grid, "<image") == 3);
}

TEST_CASE("colour maps: ends, middle, NaN", "[plot]") {
  CHECK(colour_at(ColourMap::gray, 0) == 0x000000);
  CHECK(colour_at(ColourMap::gray, 2) == 0xffffff);
  CHECK(colour_at(ColourMap::gray, 0.5) == 0x808080);
  CHECK(colour_at(ColourMap::diverging, 0.5) == 0xf7f6f4);
  CHECK(colour_at(ColourMap::heat, NAN) == 0xf5a6f0);
  CHECK(hex(0x0a0b0c) == "#0a0b0c");
}

TEST_CASE("PNG: signature, header and pixels read back", "[plot]") {
  std::string png = png_of({0xff0000, 0x00ff00, 0x0000ff, 0x123456}, 2, 2);
  CHECK(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  CHECK(png.substr(12, 4) == "IHDR");
  CHECK(int(png[19]) == 2);
  size_t at = png.find("IDAT");
  uLong size = uLong(uint8_t(png[at - 2])) << 8 | uint8_t(png[at - 1]);
  std::string rows(14, '\0');
  uLongf length = 14;
  REQUIRE(uncompress(reinterpret_cast<Bytef*>(rows.data()), &length, reinterpret_cast<const Bytef*>(&png[at + 4]),
                     size) == Z_OK);
  CHECK(rows == std::string("\0\xff\0\0\0\xff\0\0\0\0\xff\x12\x34\x56", 14));
  CHECK_THROWS_AS(png_of({1, 2, 3}, 2, 2), ink::ValueError);
}

TEST_CASE("base64 and entities", "[plot]") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(escaped("<a & \"b\">") == "&lt;a &amp; &quot;b&quot;&gt;");
}
