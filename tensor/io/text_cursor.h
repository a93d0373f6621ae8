// A place in a small text (a file's header) that moves on as its parts are recognised. Errors name the byte.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "tensor/io/file.h"

namespace ink::io {

class TextCursor {
 public:
  // `grammar` is said where a sign that must follow does not.
  TextCursor(std::string_view text, const Source& source, const char* grammar)
      : text_(text), source_(source), grammar_(grammar) {}

  std::string_view rest() const { return text_.substr(at_); }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  char next() { return at_end() ? '\0' : text_[at_++]; }
  void skip(size_t bytes) { at_ += bytes; }
  void skip_space() {
    while (!at_end() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  // After spaces: the text, if it stands here.
  bool accept(std::string_view word) {
    skip_space();
    if (!rest().starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view sign) {
    if (!accept(sign)) fail(std::string(grammar_) + "; expected '" + std::string(sign) + "'");
  }
  // After spaces: the decimal digits that stand here; none if there are none.
  std::optional<int64_t> digits(const char* what) {
    skip_space();
    const size_t start = at_;
    int64_t n = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_)
      if (__builtin_mul_overflow(n, int64_t(10), &n) || __builtin_add_overflow(n, int64_t(peek() - '0'), &n))
        fail(std::string(what) + " is too large; expected at most 63 bits");
    return at_ == start ? std::nullopt : std::optional(n);
  }
  [[noreturn]] void fail(const std::string& what) const {
    source_.fail(what + "; at byte " + std::to_string(at_) + " of the header");
  }

 private:
  std::string_view text_;
  const Source& source_;
  const char* grammar_;
  size_t at_ = 0;
};

}  // namespace ink::io
