#include "examples/support/page/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "examples/support/plot/colours.h"
#include "examples/support/page/number.h"
#include "examples/support/plot/png.h"
#include "examples/support/plot/svg.h"

namespace ink::lesson {

namespace {

bool is_word(char c) { return std::isalnum(uint8_t(c)) || c == '_'; }

// The index after a script that starts behind position i: a {group} or one character that is a word of its own.
size_t script_end(const std::string& s, size_t i) {
  if (i + 1 >= s.size()) return i;
  if (s[i + 1] == '{') {
    int depth = 0;
    for (size_t end = i + 1; end < s.size(); ++end) {
      depth += (s[end] == '{') - (s[end] == '}');
      if (depth == 0) return end + 1;
    }
    return i;
  }
  size_t end = i + 2;  // one code point
  while (end < s.size() && (uint8_t(s[end]) & 0xc0) == 0x80) ++end;
  if (s[i] == '_') {  // a name such as row_max is left alone
    bool long_base = i >= 2 && is_word(s[i - 1]) && is_word(s[i - 2]);
    bool long_script = end < s.size() && is_word(s[end]) && s[end] != '_';
    if (i == 0 || long_base || long_script) return i;
  }
  return s[i + 1] == ' ' ? i : end;
}

std::string item_html(const Text& t) {
  if (t.listing) return fmt::format("<pre>{}</pre>\n", escaped(t.text));
  return fmt::format("<p>{}</p>\n", escaped(t.text));
}

std::string heat_image(const Shown& s) {
  CellRange range = range_of(s.cells);
  ColourMap map = range.signs ? ColourMap::diverging : ColourMap::heat;
  std::vector<uint32_t> pixels;
  for (float v : s.cells) pixels.push_back(colour_at(map, range.share(double(v))));
  double side = std::clamp(220.0 / double(std::max(s.columns, s.rows)), 4.0, 18.0);
  return fmt::format("<img alt=\"heat map\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">",
                     std::lround(side * double(s.columns)), std::lround(side * double(s.rows)),
                     base64(png_of(pixels, s.columns, s.rows)));
}

std::string value_table(const Shown& s) {
  std::string out = "<table>";
  for (int64_t i = 0; i < s.rows; ++i) {
    out += "<tr>";
    for (int64_t j = 0; j < s.columns; ++j) {
      out += fmt::format("<td class=\"number\">{}</td>", brief(double(s.cells[size_t(i * s.columns + j)])));
    }
    out += "</tr>";
  }
  return out + "</table>";
}

std::string item_html(const Shown& s) {
  std::string out = "<div class=\"tensor\">";
  if (!s.cells.empty()) out += heat_image(s);
  out += fmt::format("<div><b>{}</b> &nbsp; {} {}<br>", escaped(s.name), s.dtype, shape_text(s.shape));
  if (!s.cells.empty()) out += fmt::format("{} to {}, mean {}", brief(s.min), brief(s.max), brief(s.mean));
  if (s.exact_cells && s.rows <= 8 && s.columns <= 8) out += value_table(s);
  return out + "</div></div>\n";
}

std::string claim_row(const Claim& c) {
  static const char* marks[] = {"✓", "✗", "–"};
  return fmt::format(
      "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"{}\">{} {}</td></tr>\n",
      escaped(c.name), escaped(c.bound.str()), brief(c.value), name_of(c.state), marks[int(c.state)], name_of(c.state));
}

std::string claim_table(const std::vector<const Claim*>& claims) {
  std::string out = "<table><tr><th>claim</th><th>expected</th><th>got</th><th></th></tr>\n";
  for (const Claim* c : claims) out += claim_row(*c);
  return out + "</table>\n";
}

std::string item_html(const Claim& c) { return claim_table({&c}); }

std::string item_html(const Named& n) {
  return fmt::format("<p class=\"tensor\"><b>{}</b> {} {}</p>\n", escaped(n.name), escaped(n.value.shown()),
                     escaped(n.unit));
}

std::string item_html(const Figure& f) {
  std::string caption = f.caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>", escaped(f.caption));
  return fmt::format("<figure><img src=\"{}.svg\" alt=\"{}\">{}</figure>\n", file_name(f.name), escaped(f.name),
                     caption);
}

std::string section_html(const Section& s) {
  std::string out;
  if (!s.title.empty()) out += fmt::format("<h2>{}</h2>\n", escaped(s.title));
  if (!s.formula.empty()) out += fmt::format("<div class=\"formula\">{}</div>\n", formula_html(s.formula));
  if (!s.source.empty()) out += fmt::format("<div class=\"source\">{}</div>\n", escaped(s.source));
  std::vector<const Claim*> claims;  // neighbours share one table
  auto flush = [&] {
    if (!claims.empty()) out += claim_table(claims);
    claims.clear();
  };
  for (const Item& i : s.items) {
    if (auto* c = std::get_if<Claim>(&i)) {
      claims.push_back(c);
      continue;
    }
    flush();
    out += std::visit([](const auto& item) { return item_html(item); }, i);
  }
  flush();
  return out;
}

}  // namespace

std::string formula_html(const std::string& s) {
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    size_t end = s[i] == '_' || s[i] == '^' ? script_end(s, i) : i;
    if (end == i) {
      out += escaped(s.substr(i, 1));
      continue;
    }
    bool group = s[i + 1] == '{';
    std::string inner = group ? formula_html(s.substr(i + 2, end - i - 3)) : escaped(s.substr(i + 1, end - i - 1));
    out += fmt::format("<{0}>{1}</{0}>", s[i] == '_' ? "sub" : "sup", inner);
    i = end - 1;
  }
  return out;
}

std::string page_html(const Report& r) {
  std::string out = html_head(r.title) + "<main>\n<p class=\"meta\"><a href=\"../index.html\">all lessons</a></p>\n";
  out += fmt::format("<h1>{}</h1>\n<p>{}</p>\n", escaped(r.title), escaped(r.about));
  std::string meta = r.note.empty() ? "" : fmt::format("note {} · ", escaped(r.note));
  for (const std::string& key : r.settings.keys()) {
    meta += fmt::format("{} {} · ", escaped(key), escaped(r.settings[key].shown()));
  }
  out += fmt::format("<p class=\"meta\">{}{}</p>\n", meta, duration(r.seconds));
  if (!r.error.empty()) out += fmt::format("<p class=\"error\">stopped early: {}</p>\n", escaped(r.error));
  for (const Section& s : r.sections) out += section_html(s);
  auto claims = r.claims();
  if (!claims.empty()) {
    out += fmt::format("<h2>What this run claims</h2>\n<p>{} held, {} failed, {} skipped.</p>\n", r.count(State::held),
                       r.count(State::failed), r.count(State::skipped));
    out += claim_table(claims);
  }
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace ink::lesson
