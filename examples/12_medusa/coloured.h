// A text in the colours of the steps that wrote it.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/12_medusa/steps.h"
#include "nn/decoding/generate.h"

namespace ink::lesson {

inline uint32_t gain_colour(int64_t gained) {
  static const uint32_t colours[] = {0xf1efe9, 0xd7e8f5, 0xa9d3b4, 0xf2cf6b, 0xf0a05a};
  return colours[size_t(std::clamp<int64_t>(gained, 1, 5) - 1)];
}

// Monospaced, 44 characters a line; each step's characters stand on the colour of their number, parted by a thin line.
inline std::string coloured_text(const CharText& text, const std::vector<std::vector<int64_t>>& prompts,
                                 const std::vector<Generated>& rows, int64_t lines) {
  struct Cell {
    std::string character;
    int64_t gained;  // 0: of the prompt
    bool first;      // of its step
  };
  const int64_t per_line = 44;
  std::vector<Cell> cells;
  for (size_t i = 0; i < prompts.size(); ++i) {
    while (i && int64_t(cells.size()) % per_line) cells.push_back({"", 0, false});
    for (int64_t id : prompts[i]) cells.push_back({shown(text, id), 0, false});
    const std::vector<int64_t>& tokens = rows[i].tokens;
    size_t at = 0;
    const auto put = [&](int64_t gained) {
      for (int64_t j = 0; j < gained && at < tokens.size(); ++j)
        cells.push_back({shown(text, tokens[at++]), gained, j == 0});
    };
    put(1);  // the first one comes from the prompt's pass
    for (int64_t gained : rows[i].gained) put(gained);
  }
  const double w = (640 - 2 * kMargin) / double(per_line), h = 23, top = 44;
  const int64_t shown_cells = std::min<int64_t>(int64_t(cells.size()), lines * per_line);
  const double height = top + h * double((shown_cells + per_line - 1) / per_line) + kMargin;
  Svg svg(640, height, "a text coloured by the steps that wrote it");
  for (int64_t g = 1; g <= 5; ++g) {
    const double x = kMargin + 110 * double(g - 1);
    svg.rect(x, 12, 18, 18, {.fill = hex(gain_colour(g)), .stroke = "#8a8a90", .width = 0.6});
    svg.text({x + 24, 25}, g == 1 ? "1 a pass" : std::to_string(g), {.size = 13});
  }
  for (int64_t i = 0; i < shown_cells; ++i) {
    const Cell& c = cells[size_t(i)];
    const double x = kMargin + w * double(i % per_line), y = top + h * double(i / per_line);
    if (c.gained) svg.rect(x, y, w, h - 3, {.fill = hex(gain_colour(c.gained)), .stroke = ""});
    if (c.first) svg.line({x, y}, {x, y + h - 3}, {.fill = "", .stroke = "#55555c", .width = 0.8});
    const bool sign = c.character == "␣";
    svg.text({x + w / 2, y + 15}, sign ? "" : c.character,
             {.size = 14, .colour = c.gained ? kInk : kDim, .anchor = 'm', .bold = c.gained == 0});
  }
  return svg.str();
}

}  // namespace ink::lesson
