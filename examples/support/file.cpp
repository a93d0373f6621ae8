#include "examples/support/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace ink::lesson {

std::string read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) throw IoError(fmt::format("read_file: cannot open '{}': {}", path, std::strerror(errno)));
  std::string content;
  char buffer[1 << 16];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, file)) content.append(buffer, n);
  bool failed = std::ferror(file);
  std::fclose(file);
  if (failed) throw IoError(fmt::format("read_file: cannot read '{}'; is it a folder?", path));
  return content;
}

void write_file(const std::string& path, const std::string& content) {
  auto fail = [&](const char* what, int error) {
    throw IoError(fmt::format("write_file: cannot {} '{}': {}", what, path, std::strerror(error)));
  };
  std::error_code error;
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) fail("make the folder of", error.value());

  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) fail("create", errno);
  bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  int cause = errno;
  if (std::fclose(file) != 0 && written) written = false, cause = errno;
  if (written && std::rename(temporary.c_str(), path.c_str()) == 0) return;
  if (written) cause = errno;
  std::remove(temporary.c_str());
  fail("write", cause);
}

}  // namespace ink::lesson
