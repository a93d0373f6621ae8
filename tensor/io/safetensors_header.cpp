#include "tensor/io/safetensors_header.h"

#include <fmt/format.h>

#include <unordered_set>

#include "tensor/utf8.h"

namespace ink::io {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const Source& source) : text_(text), source_(source) {}

  SafetensorsHeader header() {
    SafetensorsHeader h;
    if (peek() != '{') fail("the header does not start with '{'");
    object([&](const std::string& name) {
      if (name == "__metadata__")
        object([&](const std::string& key) { h.metadata.emplace_back(key, string()); });
      else
        h.entries.push_back(entry(name));
    });
    skip_space();
    if (at_ < text_.size()) fail("the header has text after its end");
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
          fail(fmt::format("tensor '{}': data_offsets; got {} numbers; expected 2", name, offsets.size()));
        e.begin = offsets[0], e.end = offsets[1];
        has_offsets = true;
      } else {
        fail(fmt::format("tensor '{}': unknown key; got '{}'; expected dtype, shape, data_offsets", name, key));
      }
    });
    if (e.dtype.empty() || !has_shape || !has_offsets)
      fail(fmt::format("tensor '{}': incomplete; expected dtype, shape and data_offsets", name));
    return e;
  }

  // Calls member(key) with the parser standing at each member's value.
  template <class F>
  void object(F member) {
    expect('{');
    std::unordered_set<std::string> keys;
    if (accept('}')) return;
    do {
      std::string key = string();
      if (!keys.insert(key).second) fail(fmt::format("a name stands twice; got '{}'", key));
      expect(':');
      member(key);
    } while (accept(','));
    expect('}');
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> list;
    expect('[');
    if (accept(']')) return list;
    do list.push_back(number());
    while (accept(','));
    expect(']');
    return list;
  }
  int64_t number() {
    skip_space();
    size_t start = at_;
    int64_t n = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(n, int64_t(10), &n) || __builtin_add_overflow(n, int64_t(text_[at_] - '0'), &n))
        fail("a number is too large; expected at most 63 bits");
    bool leading_zero = at_ - start > 1 && text_[start] == '0';
    if (at_ == start || leading_zero) fail("expected a whole number, 0 or more");
    return n;
  }
  std::string string() {
    expect('"');
    std::string s;
    while (true) {
      if (at_ >= text_.size()) fail("a string does not end");
      char c = text_[at_];
      if (c == '"') break;
      if (uint8_t(c) < 0x20) fail("a control character in a string");
      ++at_;
      if (c == '\\')
        escape(s);
      else
        s += c;
    }
    ++at_;
    return s;
  }
  void escape(std::string& s) {
    char c = at_ < text_.size() ? text_[at_++] : '\0';
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    if (size_t i = from.find(c); i != from.npos) {
      s += to[i];
    } else if (c == 'u') {
      char32_t u = hex4();
      if (u >= 0xd800 && u < 0xdc00 && text_.substr(at_, 2) == "\\u") {  // the first half of a pair above U+FFFF
        at_ += 2;
        char32_t low = hex4();
        if (low < 0xdc00 || low > 0xdfff) fail("half a surrogate pair in a string");
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
      }
      if (u >= 0xd800 && u < 0xe000) fail("half a surrogate pair in a string");
      append_utf8(s, u);
    } else {
      fail("an unknown escape in a string");
    }
  }
  char32_t hex4() {
    char32_t u = 0;
    for (int i = 0; i < 4; ++i) {
      char c = at_ < text_.size() ? text_[at_++] : '\0';
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
      if (digit < 0) fail("\\u needs four hexadecimal digits");
      u = u << 4 | char32_t(digit);
    }
    return u;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  char peek() { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    skip_space();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("the header is not what the format says; expected '{}'", c));
  }
  [[noreturn]] void fail(const std::string& what) const {
    source_.fail(fmt::format("{}; at byte {} of the header", what, at_));
  }

  std::string_view text_;
  const Source& source_;
  size_t at_ = 0;
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
