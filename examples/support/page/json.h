// JSON values: written in the order they were set, numbers in their shortest exact form; read back for the gallery.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ink::lesson {

class Json {
 public:
  enum class Kind { null, boolean, number, string, array, object };

  Json() = default;
  Json(bool v) : kind_(Kind::boolean), number_(v) {}
  Json(double v) : kind_(Kind::number), number_(v) {}
  Json(int64_t v) : Json(double(v)) {}
  Json(int v) : Json(double(v)) {}
  Json(std::string v) : kind_(Kind::string), text_(std::move(v)) {}
  Json(const char* v) : Json(std::string(v)) {}
  static Json array() { return Json(Kind::array); }
  static Json object() { return Json(Kind::object); }

  Json& push(Json value);                         // appends to an array
  Json& set(const std::string& key, Json value);  // adds to an object, or replaces

  Kind kind() const { return kind_; }
  bool boolean() const { return number_ != 0; }
  double number() const { return number_; }
  const std::string& text() const { return text_; }
  const std::vector<Json>& items() const { return items_; }       // of an array or object
  const std::vector<std::string>& keys() const { return keys_; }  // of an object
  const Json& operator[](const std::string& key) const;           // null if absent
  std::string shown() const;  // for people: text without quotes, numbers in brief, yes and no

  // indent 0 writes one line. JSON has no NaN and no infinity: they are written as the strings "nan", "inf", "-inf".
  std::string str(int indent = 0) const { return str(indent, 0); }
  // IoError names the position; nesting is limited to 64 levels.
  static Json parse(const std::string& text);

 private:
  explicit Json(Kind kind) : kind_(kind) {}
  std::string str(int indent, int level) const;
  Kind kind_ = Kind::null;
  double number_ = 0;
  std::string text_;
  std::vector<std::string> keys_;
  std::vector<Json> items_;
};

}  // namespace ink::lesson
