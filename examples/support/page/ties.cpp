// Which equation of a note belongs to which line of code, and what of it is broken.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "examples/support/page/docs.h"
#include "examples/support/page/markdown.h"
#include "examples/support/page/source.h"
#include "tensor/error.h"
#include "tensor/io.h"

namespace fs = std::filesystem;

namespace ink::lesson {

namespace {

std::vector<fs::path> files_below(const fs::path& folder, std::initializer_list<const char*> endings) {
  std::vector<fs::path> out;
  if (fs::is_directory(folder))
    for (const auto& e : fs::recursive_directory_iterator(folder))
      if (std::any_of(endings.begin(), endings.end(),
                      [&](const char* ending) { return e.path().extension() == ending; }))
        out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<std::string> broken_ties(const std::string& notes, const std::string& root) {
  std::vector<std::string> broken;
  std::map<std::string, std::string> equations;  // number to note
  for (const fs::path& note : files_below(notes, {".md"})) {
    const std::string name = note.filename().string();
    for (const Block& b : blocks_of(read_file(note.string()))) {
      if (b.kind == Block::Kind::code) {
        try {
          find_source(b.text, root);
        } catch (const ValueError& e) { broken.push_back(name + ": " + e.what()); }
      }
      if (b.kind != Block::Kind::equation) continue;
      for (const std::string& tag : tags_of(b.text))
        if (!equations.emplace(tag, name).second)
          broken.push_back(fmt::format("{}: equation ({}) is in {} already", name, tag, equations[tag]));
    }
  }
  for (const char* folder : {"tensor", "autograd", "nn", "optim", "examples"})
    for (const fs::path& file : files_below(root + "/" + folder, {".h", ".cpp", ".cu"})) {
      const std::string text = read_file(file.string());
      for (size_t at = text.find("// ("); at != std::string::npos; at = text.find("// (", at + 1)) {
        const std::string tag = equation_of(text.substr(at, std::min(text.find('\n', at), text.size()) - at));
        if (!tag.empty() && !equations.contains(tag))
          broken.push_back(fmt::format("{}: a line is tied to ({}), which no note has", file.string(), tag));
      }
    }
  return broken;
}

}  // namespace ink::lesson
