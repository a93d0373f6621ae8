#include "examples/support/page/file.h"

#include <fmt/format.h>

#include <filesystem>

#include "tensor/io.h"

namespace ink::lesson {

void write_file(const std::string& path, const std::string& content) {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) throw IoError(fmt::format("write_file: cannot make the folder of '{}': {}", path, error.message()));
  write_file_atomically(path, content);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace ink::lesson
