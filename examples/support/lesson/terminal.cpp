#include "examples/support/lesson/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace ink::lesson {

Terminal Terminal::standard_output() {
  Terminal t;
  const char* kind = std::getenv("TERM");
  t.interactive_ = isatty(STDOUT_FILENO) && kind && std::string(kind) != "dumb";
  const char* no_colour = std::getenv("NO_COLOR");  // no-color.org: any non-empty value
  t.colour_ = t.interactive_ && !(no_colour && *no_colour);
  winsize size{};
  if (t.interactive_ && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    t.width_ = std::clamp(int(size.ws_col), 40, 100);
  }
  return t;
}

std::string Terminal::paint(Style style, const std::string& text) const {
  static const char* codes[] = {"0", "1", "2", "32", "31", "33", "34"};
  if (!colour_ || style == Style::plain) return text;
  return fmt::format("\033[{}m{}\033[0m", codes[int(style)], text);
}

std::string Terminal::half_block(uint32_t upper, uint32_t lower) {
  auto rgb = [](uint32_t c) { return fmt::format("{};{};{}", c >> 16 & 255, c >> 8 & 255, c & 255); };
  return fmt::format("\033[38;2;{};48;2;{}m▀\033[0m", rgb(upper), rgb(lower));
}

int columns(const std::string& text) {
  return int(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, int width) {
  return text + std::string(size_t(std::max(0, width - columns(text))), ' ');
}

std::string wrapped(const std::string& text, int width, const std::string& indent) {
  std::string out, line, word;
  auto end_line = [&] {
    out += line.empty() ? "" : indent + line;
    out += '\n';
    line.clear();
  };
  auto end_word = [&] {
    if (word.empty()) return;
    if (!line.empty() && columns(indent) + columns(line) + 1 + columns(word) > width) end_line();
    line += (line.empty() ? "" : " ") + word;
    word.clear();
  };
  for (char c : text) {
    if (c != ' ' && c != '\n') word += c;
    if (c == ' ' && word.empty() && line.empty()) line += ' ';  // leading blanks are the author's indentation
    if (c == ' ') end_word();
    if (c == '\n') end_word(), end_line();
  }
  end_word();
  if (!line.empty()) end_line();
  return out;
}

}  // namespace ink::lesson
