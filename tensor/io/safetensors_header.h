// The JSON header of a safetensors file, e.g.
//   {"__metadata__": {"step": "12"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/io/file.h"

namespace ink::io {

struct SafetensorsEntry {
  std::string name, dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  // bytes, counted from the end of the header
};
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the text
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Strict: only what the format allows is read, and anything else is an IoError of `source` that names the byte.
SafetensorsHeader parse_safetensors_header(std::string_view json, const Source& source);
// `text` in quotes, escaped for JSON.
std::string json_quoted(std::string_view text);

}  // namespace ink::io
