#include "examples/support/page/number.h"

#include <fmt/format.h>

#include <cmath>

namespace ink::lesson {

namespace {

std::string without_trailing_zeros(std::string text) {
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

}  // namespace

std::string exact(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{}", int64_t(value));
  return fmt::format("{}", value);
}

std::string brief(double value, int digits) {
  if (!std::isfinite(value)) return exact(value);
  if (std::abs(value) >= 9999.5 && std::abs(value) < 1e12) return grouped(std::llround(value));
  if (value == std::floor(value) && std::abs(value) < 1e4) return fmt::format("{}", int64_t(value));
  return fmt::format("{:.{}g}", value, digits);
}

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return exact(value);
  return without_trailing_zeros(fmt::format("{:.{}f}", value, decimals));
}

std::string grouped(int64_t value) {
  const std::string digits = fmt::format("{}", value);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    bool behind_digit = i > (value < 0 ? 1 : 0);
    if (behind_digit && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string superscript(int value) {
  static const char* digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out;
  for (char c : fmt::format("{}", value)) out += c == '-' ? "⁻" : digits[c - '0'];
  return out;
}

std::string duration(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  auto s = int64_t(std::lround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

}  // namespace ink::lesson
