// Texts: their lines, and writing whole files with their folders; read_file is the library's.
#pragma once
#include <string>
#include <vector>

#include "tensor/io.h"

namespace ink::lesson {

// Writes a temporary file beside `path` and renames it, so that a reader sees the old file or the new one, never half
// of one. Makes missing folders. IoError names the file and the cause.
void write_file(const std::string& path, const std::string& content);
std::vector<std::string> lines_of(const std::string& text);  // without their ends; a last empty one does not count

}  // namespace ink::lesson
