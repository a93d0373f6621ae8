// UTF-8 (RFC 3629), strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// Foreign text (a name in a file or a state) as a message quotes it: control characters, and bytes that are no UTF-8,
// as \xNN; what is longer than 200 bytes is cut there, and its length said.
std::string shown(std::string_view text);
// Several such, each after a space: the first 20 and how many follow; " none" without any.
std::string shown(const std::vector<std::string>& names);

}  // namespace ink
