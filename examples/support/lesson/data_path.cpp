#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

std::string find_data(const std::string& name, const std::vector<std::string>& places) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const std::string& place : places) {
    if (fs::is_regular_file(place, error)) return place;
    if (fs::is_regular_file(fs::path(place) / name, error)) return (fs::path(place) / name).string();
    std::vector<std::string> fits;
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (entry.is_regular_file(error) && entry.path().filename().string().starts_with(name)) {
        fits.push_back(entry.path().string());
      }
    }
    std::sort(fits.begin(), fits.end());
    if (fits.size() == 1) return fits[0];
    if (fits.size() > 1)
      throw IoError(fmt::format("data: '{}' fits several files; got {}", name, fmt::join(fits, ", ")));
  }
  throw IoError(
      fmt::format("data: no file '{}'; looked in {}; pass --data PATH or set INK_DATA", name, fmt::join(places, ", ")));
}

CharText Lesson::text(const std::string& name, int64_t least) {
  return checked("data", [&] {
    const std::string path = data(name);
    CharText text = CharText::load(path);
    if (text.ids().numel() < least)
      throw ValueError(
          fmt::format("'{}': the text is too short; got {} characters; expected at least {} for these sizes", path,
                      text.ids().numel(), least));
    return text;
  });
}

}  // namespace ink::lesson
