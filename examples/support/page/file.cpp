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

}  // namespace ink::lesson
