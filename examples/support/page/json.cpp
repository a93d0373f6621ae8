#include "examples/support/page/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "examples/support/page/number.h"
#include "tensor/error.h"

namespace ink::lesson {

Json& Json::push(Json value) {
  items_.push_back(std::move(value));
  return *this;
}

Json& Json::set(const std::string& key, Json value) {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i] != key) continue;
    items_[i] = std::move(value);
    return *this;
  }
  keys_.push_back(key);
  return push(std::move(value));
}

const Json& Json::operator[](const std::string& key) const {
  static const Json none;
  for (size_t i = 0; i < keys_.size(); ++i)
    if (keys_[i] == key) return items_[i];
  return none;
}

std::string Json::shown() const {
  if (kind_ == Kind::string) return text_;
  if (kind_ == Kind::number) return brief(number_);
  if (kind_ == Kind::boolean) return boolean() ? "yes" : "no";
  return str();
}

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (uint8_t(c) < 0x20)
      out += fmt::format("\\u{:04x}", int(c));
    else
      out += c;
  }
  return out + "\"";
}

}  // namespace

std::string Json::str(int indent, int level) const {
  if (kind_ == Kind::null) return "null";
  if (kind_ == Kind::boolean) return boolean() ? "true" : "false";
  if (kind_ == Kind::string) return quoted(text_);
  if (kind_ == Kind::number) return std::isfinite(number_) ? exact(number_) : quoted(exact(number_));
  bool is_object = kind_ == Kind::object;
  std::string out = is_object ? "{" : "[";
  std::string line = indent > 0 ? "\n" + std::string(size_t(indent * (level + 1)), ' ') : "";
  for (size_t i = 0; i < items_.size(); ++i) {
    out += (i > 0 ? indent > 0 ? "," : ", " : "") + line;
    if (is_object) out += quoted(keys_[i]) + ": ";
    out += items_[i].str(indent, level + 1);
  }
  if (indent > 0 && !items_.empty()) out += "\n" + std::string(size_t(indent * level), ' ');
  return out + (is_object ? "}" : "]");
}

namespace {

class Parser {
 public:
  explicit Parser(const std::string& text) : s_(text) {}

  Json document() {
    Json value = any(0);
    space();
    if (at_ != s_.size()) fail("text after the end of the value");
    return value;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw IoError(fmt::format("json: {}; at byte {} of {}", what, at_, s_.size()));
  }
  void space() {
    while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\n' || s_[at_] == '\t' || s_[at_] == '\r')) ++at_;
  }
  bool accept(char c) {
    space();
    if (at_ == s_.size() || s_[at_] != c) return false;
    return ++at_, true;
  }
  void expect(char c, const char* what) {
    if (!accept(c)) fail(what);
  }
  bool word(const char* w) {
    std::string text = w;
    if (s_.compare(at_, text.size(), text) != 0) return false;
    return at_ += text.size(), true;
  }

  Json any(int depth) {
    if (depth > 64) fail("nested too deeply");
    if (accept('{')) return object(depth);
    if (accept('[')) return array(depth);
    if (accept('"')) return Json(string());
    if (word("null")) return Json();
    if (word("true")) return Json(true);
    if (word("false")) return Json(false);
    double value = 0;
    auto [end, error] = std::from_chars(s_.data() + at_, s_.data() + s_.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) fail("a value was expected");
    at_ = size_t(end - s_.data());
    return Json(value);
  }
  Json object(int depth) {
    Json out = Json::object();
    if (accept('}')) return out;
    do {
      expect('"', "a key was expected");
      std::string key = string();
      expect(':', "':' was expected");
      out.set(key, any(depth + 1));
    } while (accept(','));
    expect('}', "',' or '}' was expected");
    return out;
  }
  Json array(int depth) {
    Json out = Json::array();
    if (accept(']')) return out;
    do out.push(any(depth + 1));
    while (accept(','));
    expect(']', "',' or ']' was expected");
    return out;
  }
  std::string string() {
    std::string out;
    for (; at_ < s_.size(); ++at_) {
      char c = s_[at_];
      if (c == '"') return ++at_, out;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (++at_ == s_.size()) break;
      switch (s_[at_]) {
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case 'r':
          out += '\r';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'u':
          append_code_point(out);
          break;
        default:
          out += s_[at_];
      }
    }
    fail("a string without its closing quote");
  }
  void append_code_point(std::string& out) {  // the basic plane, as UTF-8
    uint32_t v = 0;
    auto [end, error] = std::from_chars(s_.data() + at_ + 1, s_.data() + std::min(s_.size(), at_ + 5), v, 16);
    if (error != std::errc{} || end != s_.data() + at_ + 5) fail("\\u needs four hexadecimal digits");
    at_ += 4;
    if (v < 0x80)
      out += char(v);
    else if (v < 0x800)
      out += char(0xc0 | v >> 6), out += char(0x80 | (v & 63));
    else
      out += char(0xe0 | v >> 12), out += char(0x80 | (v >> 6 & 63)), out += char(0x80 | (v & 63));
  }

  const std::string& s_;
  size_t at_ = 0;
};

}  // namespace

Json Json::parse(const std::string& text) { return Parser(text).document(); }

}  // namespace ink::lesson
