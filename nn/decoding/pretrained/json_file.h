// A JSON file that is not trusted, read by nlohmann/json. Errors name the file and the key.
//
//   JsonFile config("load_pretrained", folder + "/config.json");
//   int64_t layers = config.root().integer("num_hidden_layers", 1);
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ink {

class JsonFile;

// A value in a file; it lives as long as the file.
class JsonValue {
 public:
  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_text() const;
  bool is_integer() const;

  // Of an object; null if it has no such key or is no object.
  JsonValue at(const char* key) const;
  std::vector<std::pair<std::string, JsonValue>> members() const;  // of an object; IoError for other values
  std::vector<JsonValue> elements() const;                         // of an array; IoError for other values

  // The value itself. IoError, with `what` as its name, unless it is of that type; a whole number must lie between
  // `least` and 2^40.
  int64_t as_integer(const char* what, int64_t least = 0) const;
  double as_number(const char* what) const;
  bool as_boolean(const char* what) const;
  std::string as_text(const char* what) const;

  // What stands under a key; `absent` if it is not there or null, IoError if it is needed or of another type.
  int64_t integer(const char* key, int64_t least = 0, std::optional<int64_t> absent = {}) const;
  double number(const char* key, std::optional<double> absent = {}) const;
  bool boolean(const char* key, bool absent) const;
  std::string text(const char* key, const std::string& absent = "") const;

 private:
  friend class JsonFile;
  JsonValue(const JsonFile* file, const void* node) : file_(file), node_(node) {}
  [[noreturn]] void wrong(const char* what, const char* expected) const;
  const JsonFile* file_;
  const void* node_;
};

class JsonFile {
 public:
  // `op`: the function that the user called. IoError if there is no such file, if it is longer than max_bytes or no
  // JSON object. NotSupported where this build has no JSON reader.
  JsonFile(std::string op, std::string path, int64_t max_bytes = int64_t(1) << 28);
  JsonFile(const JsonFile&) = delete;

  JsonValue root() const;
  const std::string& path() const { return path_; }
  [[noreturn]] void fail(const std::string& what) const;  // IoError "op: 'path': what"

 private:
  std::string op_, path_;
  std::shared_ptr<const void> tree_;
};

}  // namespace ink
