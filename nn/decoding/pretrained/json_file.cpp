// Reading JSON that may be anything.
#include "nn/decoding/pretrained/json_file.h"

#include <fmt/format.h>

#include <cmath>

#include "tensor/io.h"
#include "tensor/utf8.h"
#if INK_JSON
#include <nlohmann/json.hpp>
#endif

namespace ink {

void JsonFile::fail(const std::string& what) const { throw IoError(fmt::format("{}: '{}': {}", op_, path_, what)); }
JsonValue JsonFile::root() const { return JsonValue(this, tree_.get()); }

#if INK_JSON
using nlohmann::json;
static const json& node_of(const void* node) { return *static_cast<const json*>(node); }

JsonFile::JsonFile(std::string op, std::string path, int64_t max_bytes) : op_(std::move(op)), path_(std::move(path)) {
  const std::string text = read_file(path_, max_bytes);
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception& e) { fail(fmt::format("no JSON: {}", shown(e.what()))); }
  if (!root.is_object()) fail("a JSON object was expected");
  tree_ = std::make_shared<const json>(std::move(root));
}

bool JsonValue::is_null() const { return node_of(node_).is_null(); }
bool JsonValue::is_object() const { return node_of(node_).is_object(); }
bool JsonValue::is_array() const { return node_of(node_).is_array(); }
bool JsonValue::is_text() const { return node_of(node_).is_string(); }
bool JsonValue::is_integer() const { return node_of(node_).is_number_integer(); }

void JsonValue::wrong(const char* what, const char* expected) const {
  file_->fail(
      fmt::format("\"{}\" is of another type; got {}; expected {}", what, node_of(node_).type_name(), expected));
}

JsonValue JsonValue::at(const char* key) const {
  static const json none;
  const json& node = node_of(node_);
  if (!node.is_object()) return JsonValue(file_, &none);
  const auto it = node.find(key);
  return JsonValue(file_, it == node.end() ? &none : &*it);
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
  if (!is_object()) wrong("a value", "an object");
  std::vector<std::pair<std::string, JsonValue>> all;
  for (const auto& [key, value] : node_of(node_).items()) all.emplace_back(key, JsonValue(file_, &value));
  return all;
}

std::vector<JsonValue> JsonValue::elements() const {
  if (!is_array()) wrong("a value", "an array");
  std::vector<JsonValue> all;
  for (const json& value : node_of(node_)) all.push_back(JsonValue(file_, &value));
  return all;
}

int64_t JsonValue::as_integer(const char* what, int64_t least) const {
  constexpr int64_t kMost = int64_t(1) << 40;
  if (!is_integer()) wrong(what, "a whole number");
  const json& node = node_of(node_);
  int64_t n = node.is_number_unsigned() && node.get<uint64_t>() > uint64_t(kMost) ? kMost + 1 : node.get<int64_t>();
  if (n < least || n > kMost)
    file_->fail(fmt::format("\"{}\" is out of range; got {}; expected {} to 2^40", what, node.get<double>(), least));
  return n;
}
double JsonValue::as_number(const char* what) const {
  const json& node = node_of(node_);
  if (!node.is_number()) wrong(what, "a number");
  if (!std::isfinite(node.get<double>())) file_->fail(fmt::format("\"{}\" is not finite", what));
  return node.get<double>();
}
bool JsonValue::as_boolean(const char* what) const {
  if (!node_of(node_).is_boolean()) wrong(what, "true or false");
  return node_of(node_).get<bool>();
}
std::string JsonValue::as_text(const char* what) const {
  if (!is_text()) wrong(what, "a text");
  return node_of(node_).get<std::string>();
}
#else
JsonFile::JsonFile(std::string op, std::string path, int64_t) : op_(std::move(op)), path_(std::move(path)) {
  throw NotSupported(op_ + ": this build has no JSON reader; hint: install nlohmann-json3-dev, then build again");
}
bool JsonValue::is_null() const { return true; }
bool JsonValue::is_object() const { return false; }
bool JsonValue::is_array() const { return false; }
bool JsonValue::is_text() const { return false; }
bool JsonValue::is_integer() const { return false; }
void JsonValue::wrong(const char* what, const char*) const { file_->fail(what); }
JsonValue JsonValue::at(const char*) const { return *this; }
std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const { return {}; }
std::vector<JsonValue> JsonValue::elements() const { return {}; }
int64_t JsonValue::as_integer(const char* what, int64_t) const { wrong(what, ""); }
double JsonValue::as_number(const char* what) const { wrong(what, ""); }
bool JsonValue::as_boolean(const char* what) const { wrong(what, ""); }
std::string JsonValue::as_text(const char* what) const { wrong(what, ""); }
#endif

int64_t JsonValue::integer(const char* key, int64_t least, std::optional<int64_t> absent) const {
  const JsonValue value = at(key);
  return value.is_null() && absent ? *absent : value.as_integer(key, least);
}
double JsonValue::number(const char* key, std::optional<double> absent) const {
  const JsonValue value = at(key);
  return value.is_null() && absent ? *absent : value.as_number(key);
}
bool JsonValue::boolean(const char* key, bool absent) const {
  const JsonValue value = at(key);
  return value.is_null() ? absent : value.as_boolean(key);
}
std::string JsonValue::text(const char* key, const std::string& absent) const {
  const JsonValue value = at(key);
  return value.is_null() ? absent : value.as_text(key);
}

}  // namespace ink
