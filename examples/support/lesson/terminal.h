// What the console can show: width, colours (never into a file, and never against NO_COLOR), UTF-8 aware padding.
#pragma once
#include <cstdint>
#include <string>

namespace ink::lesson {

enum class Style { plain, bold, dim, green, red, yellow, blue };

class Terminal {
 public:
  static Terminal standard_output();  // what stdout is connected to
  static Terminal plain() { return {}; }

  bool interactive() const { return interactive_; }  // a person looks at it: bars may be redrawn
  bool colour() const { return colour_; }
  int width() const { return width_; }  // columns, between 40 and 100
  std::string paint(Style style, const std::string& text) const;
  // Two colours (0xRRGGBB) as the halves of one cell; needs colour().
  static std::string half_block(uint32_t upper, uint32_t lower);

 private:
  bool interactive_ = false, colour_ = false;
  int width_ = 80;
};

int columns(const std::string& text);  // code points of UTF-8 text: the cells it fills (no wide scripts here)
std::string padded(const std::string& text, int width);
// Breaks at spaces so that lines fit into `width`, each with `indent` in front; line breaks in the text are kept.
std::string wrapped(const std::string& text, int width, const std::string& indent);

}  // namespace ink::lesson
