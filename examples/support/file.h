// Whole files in and out.
#pragma once
#include <string>

namespace ink::lesson {

std::string read_file(const std::string& path);  // IoError if it cannot be read

// Writes a temporary file beside `path` and renames it, so that a reader sees the old file or the new one, never half
// of one. Makes missing folders. IoError names the file and the cause.
void write_file(const std::string& path, const std::string& content);

}  // namespace ink::lesson
