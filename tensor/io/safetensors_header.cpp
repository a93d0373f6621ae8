// The JSON header of a safetensors file, read strictly.
#include "tensor/io/safetensors_header.h"

#include <fmt/format.h>

#include <unordered_set>

#include "tensor/io/text_cursor.h"
#include "tensor/utf8.h"

namespace ink::io {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const Source& source) : at_(text, source, "the header is not what the format says") {}

  SafetensorsHeader header() {
    SafetensorsHeader h;
    if (at_.peek() != '{') at_.fail("the header does not start with '{'");
    object([&](const std::string& name) {
      if (name == "__metadata__")
        object([&](const std::string& key) { h.metadata.emplace_back(key, string()); });
      else
        h.entries.push_back(entry(name));
    });
    at_.skip_space();
    if (!at_.at_end()) at_.fail("the header has text after its end");
    return h;
  }

 private:
  // {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, in any order
  SafetensorsEntry entry(const std::string& name) {
    SafetensorsEntry e{name, {}, {}, {}, {}};
    bool has_shape = false, has_offsets = false;
    object([&](const std::string& key) {
      if (key == "dtype") {
        e.dtype = string();
      } else if (key == "shape") {
        e.shape = numbers();
        has_shape = true;
      } else if (key == "data_offsets") {
        std::vector<int64_t> offsets = numbers();
        if (offsets.size() != 2)
          at_.fail(fmt::format("tensor '{}': data_offsets; got {} numbers; expected 2", shown(name), offsets.size()));
        e.begin = offsets[0], e.end = offsets[1];
        has_offsets = true;
      } else {
        at_.fail(fmt::format("tensor '{}': unknown key; got '{}'; expected dtype, shape, data_offsets", shown(name),
                             shown(key)));
      }
    });
    if (e.dtype.empty() || !has_shape || !has_offsets)
      at_.fail(fmt::format("tensor '{}': incomplete; expected dtype, shape and data_offsets", shown(name)));
    return e;
  }

  // Calls member(key) with the parser standing at each member's value.
  template <class F> void object(F member) {
    at_.expect("{");
    std::unordered_set<std::string> keys;
    if (at_.accept("}")) return;
    do {
      std::string key = string();
      if (!keys.insert(key).second) at_.fail(fmt::format("a name stands twice; got '{}'", shown(key)));
      at_.expect(":");
      member(key);
    } while (at_.accept(","));
    at_.expect("}");
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> list;
    at_.expect("[");
    if (at_.accept("]")) return list;
    do list.push_back(number());
    while (at_.accept(","));
    at_.expect("]");
    return list;
  }
  int64_t number() {
    at_.skip_space();
    const std::string_view text = at_.rest();
    const auto n = at_.digits("a number");
    const bool leading_zero = text.size() > at_.rest().size() + 1 && text[0] == '0';
    if (!n || leading_zero) at_.fail("expected a whole number, 0 or more");
    return *n;
  }
  std::string string() {
    at_.expect("\"");
    std::string s;
    while (true) {
      if (at_.at_end()) at_.fail("a string does not end");
      if (uint8_t(at_.peek()) < 0x20) at_.fail("a control character in a string");
      const char c = at_.next();
      if (c == '"') return s;
      if (c == '\\')
        escape(s);
      else
        s += c;
    }
  }
  void escape(std::string& s) {
    char c = at_.next();
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    if (size_t i = from.find(c); i != from.npos) {
      s += to[i];
    } else if (c == 'u') {
      char32_t u = hex4();
      if (u >= 0xd800 && u < 0xdc00 && at_.rest().starts_with("\\u")) {  // the first half of a pair above U+FFFF
        at_.skip(2);
        char32_t low = hex4();
        if (low < 0xdc00 || low > 0xdfff) at_.fail("half a surrogate pair in a string");
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
      }
      if (u >= 0xd800 && u < 0xe000) at_.fail("half a surrogate pair in a string");
      append_utf8(s, u);
    } else {
      at_.fail("an unknown escape in a string");
    }
  }
  char32_t hex4() {
    char32_t u = 0;
    for (int i = 0; i < 4; ++i) {
      char c = at_.next();
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
      if (digit < 0) at_.fail("\\u needs four hexadecimal digits");
      u = u << 4 | char32_t(digit);
    }
    return u;
  }

  TextCursor at_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const Source& source) {
  if (int64_t at = invalid_utf8_at(json); at >= 0)
    source.fail(fmt::format("the header is not UTF-8; at byte {} of the header", at));
  return Parser(json, source).header();
}

std::string json_quoted(std::string_view text) {
  std::string s = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      s += {'\\', c};
    else if (uint8_t(c) < 0x20)
      s += fmt::format("\\u{:04x}", int(c));
    else
      s += c;
  }
  return s + '"';
}

}  // namespace ink::io
