// UTF-8 (RFC 3629), strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ink {

struct CodePoint {
  char32_t value = 0;
  int bytes = 0;  // 0 if no valid code point starts here
};
// The code point that starts at byte `at` of text; at < text.size().
CodePoint decode_utf8(std::string_view text, int64_t at);
void append_utf8(std::string& text, char32_t code_point);
// The offset of the first byte that is not part of valid UTF-8; -1 if all of it is valid.
int64_t invalid_utf8_at(std::string_view text);

}  // namespace ink
