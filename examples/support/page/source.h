// Functions and types found in source files by name, for pages that show code beside its formula.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ink::lesson {

extern const char* const kSourceRoot;  // of this project on this machine, without a slash at its end
extern const char* const kNotes;       // docs/notes below it

struct Snippet {
  std::string path;  // from the root: "nn/layers/linear.cpp"
  std::string name;
  int64_t line = 0;  // of the first line shown, from 1: the comment above the definition, if there is one
  int64_t name_line = 0;
  std::vector<std::string> lines = {};  // without the indentation that all share
};

// `reference` is path:name, the path from the root. A name is that of a function, a type or a constant; the first
// definition counts, else the first declaration; `name#2` is the second one, `Type::name` the one inside Type.
// ValueError if there is no such file or name.
Snippet find_source(const std::string& reference, const std::string& root = kSourceRoot);

// The equation a line is tied to by `// (6.3)` at its end, "" if none; `code` is the line without it.
std::string equation_of(const std::string& line, std::string* code = nullptr);

std::string source_line(const std::string& reference);  // "nn/layers/linear.cpp:41  forward", for a terminal
// Opens an editor on the line. INK_EDITOR holds another address with {file} and {line},
// "idea://open?file={file}&line={line}".
std::string editor_link(const std::string& path, int64_t line);

// Lines of C++ as HTML: spans of classes c (comment), s (text), n (number), k (keyword), t (type), f (call), m
// (directive). One string a line.
std::vector<std::string> highlighted(const std::vector<std::string>& lines);

}  // namespace ink::lesson
