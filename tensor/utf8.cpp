// UTF-8, checked; and text from outside made fit to be shown.
#include "tensor/utf8.h"

#include <fmt/format.h>

namespace ink {

CodePoint decode_utf8(std::string_view text, int64_t at) {
  auto byte = [&](int64_t i) { return i < int64_t(text.size()) ? uint8_t(text[size_t(i)]) : uint8_t(0); };
  uint8_t first = byte(at);
  if (first < 0x80) return {first, 1};
  int bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {};  // a continuation byte, an overlong form, or above U+10FFFF
  char32_t value = first & (0x7f >> bytes);
  for (int i = 1; i < bytes; ++i) {
    uint8_t next = byte(at + i);
    if ((next & 0xc0) != 0x80) return {};
    value = value << 6 | (next & 0x3f);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < smallest[bytes] || value > 0x10ffff || surrogate) return {};
  return {value, bytes};
}

void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += char(c);
    return;
  }
  int bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  text += char((0xf00 >> bytes & 0xff) | c >> 6 * (bytes - 1));
  for (int i = bytes - 2; i >= 0; --i) text += char(0x80 | (c >> 6 * i & 0x3f));
}

int64_t invalid_utf8_at(std::string_view text) {
  for (int64_t at = 0; at < int64_t(text.size());) {
    int bytes = decode_utf8(text, at).bytes;
    if (bytes == 0) return at;
    at += bytes;
  }
  return -1;
}

std::string shown(std::string_view text) {
  constexpr int64_t most = 200;
  std::string out;
  const int64_t n = int64_t(text.size());
  for (int64_t at = 0; at < n;) {
    const CodePoint c = decode_utf8(text, at);
    const bool escaped = c.value < 0x20 || (c.value >= 0x7f && c.value < 0xa0) || c.bytes == 0;
    const int bytes = c.bytes == 0 ? 1 : c.bytes;
    if (at + bytes > most) return out + fmt::format("... ({} bytes)", n);
    for (int i = 0; i < bytes; ++i, ++at)
      if (escaped)
        out += fmt::format("\\x{:02x}", uint8_t(text[size_t(at)]));
      else
        out += text[size_t(at)];
  }
  return out;
}

std::string shown(const std::vector<std::string>& names) {
  std::string text = names.empty() ? " none" : "";
  for (size_t i = 0; i < names.size() && i < 20; ++i) text += " " + shown(std::string_view(names[i]));
  return names.size() <= 20 ? text : text + fmt::format(" and {} more", names.size() - 20);
}

}  // namespace ink
