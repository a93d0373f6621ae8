#include "examples/support/page/items.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "examples/support/lesson/report.h"
#include "examples/support/page/markdown.h"
#include "examples/support/page/number.h"
#include "examples/support/page/source.h"
#include "examples/support/plot/colours.h"
#include "examples/support/plot/png.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"

namespace ink::lesson {

std::string pretty(const std::string& text) {
  static const std::regex power("(-?[0-9.]+)e([-+]?)0*([0-9]+)");
  std::string out, rest = text;
  for (std::smatch m; std::regex_search(rest, m, power); rest = m.suffix()) {
    const std::string digits = m[1], exponent = (m[2] == "-" ? "−" : "") + m[3].str();
    out += escaped(m.prefix()) + (digits == "1" ? "" : digits + "&thinsp;·&thinsp;") + "10<sup>" + exponent + "</sup>";
  }
  return out + escaped(rest);
}
std::string pretty(const Json& number) {
  return pretty(number.kind() == Json::Kind::number ? brief(number.number(), 3) : number.shown());
}

std::string claims_that_hold(int held, int all) {
  return fmt::format("{} of {} {}", held, all, all == 1 ? "claim holds" : "claims hold");
}

std::string claims_html(const std::vector<Json>& claims, bool open) {
  if (claims.empty()) return "";
  std::string rows;
  int held = 0, failed = 0, skipped = 0;
  for (const Json& c : claims) {
    const std::string state = c["state"].text(), bound = c["expected"].text();
    held += state == "held", failed += state == "failed", skipped += state == "skipped";
    const char* mark = state == "held" ? "✓" : state == "failed" ? "✗" : "–";
    std::string said = bound == "holds" ? (state == "failed" ? "does not hold" : "holds")
                       : state == "skipped"
                           ? pretty(bound)
                           : fmt::format("{} <span class=\"bound\">{}</span>", pretty(c["got"]), pretty(bound));
    if (state == "skipped") said += " <span class=\"bound\">in a longer run</span>";
    rows += fmt::format(
        "<li class=\"{}\"><span class=\"mark\" aria-label=\"{}\">{}</span><span>{}</span><span "
        "class=\"got\">{}</span></li>\n",
        state, state, mark, text_html(c["name"].text()), said);
  }
  std::string summary = claims_that_hold(held, held + failed);
  if (held + failed == 0) summary = fmt::format("{} claims", skipped);
  if (skipped) summary += fmt::format(", {} not checked in this run", skipped);
  return fmt::format("<details class=\"claims\"{}><summary class=\"{}\">{}</summary><ul>\n{}</ul></details>\n",
                     open || failed ? " open" : "", failed ? "failed" : "held", summary, rows);
}

namespace {

std::vector<float> cells_of(const Json& item) {
  std::vector<float> cells;
  for (const Json& v : item["cells"].items()) cells.push_back(v.kind() == Json::Kind::number ? float(v.number()) : NAN);
  return cells;
}

std::string sizes_text(const Json& shape) {
  std::vector<int64_t> sizes;
  for (const Json& n : shape.items()) sizes.push_back(int64_t(n.number()));
  return shape_text(sizes);
}

std::string heat_png(const std::vector<float>& cells, int64_t rows, int64_t columns) {
  const CellRange range = range_of(cells);
  std::vector<uint32_t> pixels;
  for (float v : cells)
    pixels.push_back(colour_at(range.signs ? ColourMap::diverging : ColourMap::heat, range.share(double(v))));
  const double side = std::clamp(240.0 / double(std::max(columns, rows)), 4.0, 20.0);
  return fmt::format("<img alt=\"heat map\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">",
                     std::lround(side * double(columns)), std::lround(side * double(rows)),
                     base64(png_of(pixels, columns, rows)));
}

std::string for_script(const Json& json) {  // inside of <script>, "</" would end it
  std::string text = json.str();
  for (size_t at = text.find("</"); at != std::string::npos; at = text.find("</", at + 3)) text.insert(at + 1, "\\");
  return text;
}

}  // namespace

std::string tensor_html(const Json& t) {
  const std::vector<float> cells = cells_of(t);
  const auto rows = int64_t(t["rows"].number()), columns = int64_t(t["columns"].number());
  std::string out = "<div class=\"tensor\">", numbers;
  if (!cells.empty()) out += heat_png(cells, rows, columns);
  if (!cells.empty() && t["exact"].boolean() && rows <= 8 && columns <= 8) {
    for (int64_t i = 0; i < rows; ++i) {
      numbers += "<tr>";
      for (int64_t j = 0; j < columns; ++j)
        numbers += fmt::format("<td>{}</td>", brief(double(cells[size_t(i * columns + j)])));
      numbers += "</tr>";
    }
    numbers = "<div class=\"table\"><table>" + numbers + "</table></div>";
  }
  out += fmt::format("<div><b>{}</b> {} {}", text_html(t["name"].text()), escaped(t["dtype"].text()),
                     sizes_text(t["shape"]));
  if (!cells.empty())
    out += fmt::format("<br>{} to {}, mean {}", pretty(t["min"]), pretty(t["max"]), pretty(t["mean"]));
  return out + numbers + "</div></div>\n";
}

std::string values_html(const std::vector<Json>& values) {
  if (values.empty()) return "";
  std::string rows;
  for (const Json& v : values)
    rows += fmt::format("<tr><td>{}</td><td class=\"number\">{} {}</td></tr>\n", text_html(v["name"].text()),
                        pretty(v["value"]), escaped(v["unit"].text()));
  return "<div class=\"table\"><table class=\"values\">" + rows + "</table></div>\n";
}

std::string player_html(const std::string& name, const std::vector<Json>& frames) {
  Json list = Json::array();
  for (const Json& f : frames) {
    Json frame = Json::object();
    for (const char* key : {"title", "text", "values"}) frame.set(key, f[key]);
    list.push(frame);
  }
  return fmt::format(
      "<figure class=\"player\" aria-label=\"{0}: {1} steps\"><figcaption>{2}</figcaption>\n<script "
      "type=\"application/json\">{3}</script>\n"
      "</figure>\n",
      escaped(name), frames.size(), text_html(name), for_script(list));
}

std::string code_html(const std::string& reference) {
  constexpr int64_t kShown = 26;  // lines of a longer function before it is unfolded
  Snippet s;
  try {
    s = find_source(reference);
  } catch (const Error& e) { return fmt::format("<p class=\"error\">{}</p>\n", escaped(e.what())); }
  std::vector<std::string> lines(s.lines.size()), equations(s.lines.size());
  for (size_t i = 0; i < lines.size(); ++i) equations[i] = equation_of(s.lines[i], &lines[i]);
  const std::vector<std::string> html = highlighted(lines);
  const bool tagged = std::any_of(equations.begin(), equations.end(), [](const std::string& e) { return !e.empty(); });
  std::string body;
  for (size_t i = 0; i < lines.size(); ++i) {
    const int64_t number = s.line + int64_t(i);
    const std::string tie = equations[i].empty() ? "" : fmt::format(" data-eq=\"{}\" tabindex=\"0\"", equations[i]);
    const std::string shown = equations[i].empty() ? "" : fmt::format("({})", equations[i]);
    body += fmt::format(
        "<span class=\"line\"{}><span class=\"gutter\">{}"
        "<a href=\"{}\" tabindex=\"-1\" aria-label=\"line {}\">{}</a></span><span>{}</span></span>",
        tie, tagged ? "<i class=\"eq\">" + shown + "</i>" : "", escaped(editor_link(s.path, number)), number, number,
        html[i]);
  }
  const bool folds = int64_t(lines.size()) > kShown + 4;
  std::string fold =
      folds ? fmt::format("<button type=\"button\" class=\"unfold\">all {} lines</button>", lines.size()) : "";
  return fmt::format(
      "<figure class=\"code{}\"><figcaption><a class=\"name\" href=\"{}\" title=\"open in the editor\">{}</a> <a "
      "class=\"file\" href=\"file://{}/{}\" "
      "title=\"open the file\">{}:{}</a></figcaption><pre><code>{}</code></pre>{}</figure>\n",
      folds ? " folded" : "", escaped(editor_link(s.path, s.name_line)), escaped(s.name), escaped(kSourceRoot),
      escaped(s.path), escaped(s.path), s.name_line, body, fold);
}

std::string listing_html(const std::string& text, bool cpp) {
  std::string body = escaped(text);
  if (cpp) {
    std::vector<std::string> lines(1);
    for (char c : text) c == '\n' ? lines.emplace_back() : lines.back() += c;
    body.clear();
    for (const std::string& line : highlighted(lines)) body += line + "\n";
  }
  while (body.ends_with('\n')) body.pop_back();
  return fmt::format("<pre class=\"listing{}\"><code>{}</code></pre>\n", cpp ? " cpp" : "", body);
}

std::string figure_html(const Json& figure, const std::string& title) {
  const std::string caption = figure["caption"].text();
  return fmt::format(
      "<figure class=\"drawing{0}\"><a href=\"{1}\"><img src=\"{1}\" alt=\"{2}\" loading=\"lazy\"></a>"
      "<figcaption><b>{3}</b>{4}</figcaption></figure>\n",
      figure["picture"].boolean() ? " picture" : "", escaped(figure["file"].text()), escaped(title), text_html(title),
      caption.empty() ? "" : " " + text_html(caption));
}

}  // namespace ink::lesson
