#include "examples/kernels/ladder_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "examples/support/lesson/terminal.h"
#include "examples/support/page/docs.h"
#include "examples/support/page/file.h"
#include "tensor/error.h"

namespace fs = std::filesystem;

namespace ink::lesson {
namespace {

// The part of a page between two markers.
struct Part {
  size_t begin, end;
};
Part part_of(const std::string& page, const std::string& kind, const std::string& name) {
  const std::string open = fmt::format("<!--{} {}-->", kind, name), close = fmt::format("<!--/{}-->", kind);
  size_t begin = page.find(open), end = page.find(close, begin);
  if (begin == std::string::npos || end == std::string::npos)
    throw ValueError(fmt::format("the page has no table; expected {} ... {}", open, close));
  return {begin + open.size(), end};
}
std::string text_of(const std::string& page, Part p) { return page.substr(p.begin, p.end - p.begin); }

Table parse_table(const std::string& text) {
  Table t;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("|") || line.starts_with("|--") || line.starts_with("| -")) continue;
    std::vector<std::string> cells;
    for (size_t from = 1, bar; (bar = line.find('|', from)) != std::string::npos; from = bar + 1) {
      const size_t first = line.find_first_not_of(' ', from), last = line.find_last_not_of(' ', bar - 1);
      cells.push_back(first < bar ? line.substr(first, last - first + 1) : "");
    }
    t.push_back(cells);
  }
  return t;
}

std::vector<std::string> steps_of(const Table& t) {
  std::vector<std::string> names;
  for (const auto& row : t) names.push_back(row.empty() ? "" : row[0]);
  return names;
}

// All that must be the same: every column of the counts but the last.
Table fixed_part(Table t) {
  for (auto& row : t)
    if (!row.empty()) row.pop_back();
  return t;
}

}  // namespace

std::string str(const Table& table) {
  std::vector<int> width(table.at(0).size(), 0);
  for (const auto& row : table)
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], columns(row[i]));
  std::string out;
  for (size_t r = 0; r < table.size(); ++r) {
    out += "|";
    for (size_t i = 0; i < table[r].size(); ++i) {
      const std::string pad(size_t(width[i] - columns(table[r][i])), ' ');
      out += i == 0 ? fmt::format(" {}{} |", table[r][i], pad) : fmt::format(" {}{} |", pad, table[r][i]);
    }
    out += "\n";
    if (r > 0) continue;
    out += "|";
    for (size_t i = 0; i < width.size(); ++i)
      out += fmt::format("{}{}|", std::string(size_t(width[i] + 1), '-'), i == 0 ? '-' : ':');
    out += "\n";
  }
  return out;
}

void fill_ladder_page(const std::string& file, const LadderRun& run) {
  std::string page = read_file(file);
  const Part counts = part_of(page, "run", run.name);
  if (run.simulated) page.replace(counts.begin, counts.end - counts.begin, "\n" + str(run.counted));
  const Part times = part_of(page, "gpu", run.name);
  if (!run.simulated || steps_of(parse_table(text_of(page, times))) != steps_of(run.timed))
    page.replace(times.begin, times.end - times.begin, "\n" + str(run.timed));
  std::vector<std::string> ignored;
  write_file(file, run.simulated ? fill_page(page, run.metrics, ignored) : page);
  for (const PageFigure& f : page_figures(page)) {
    const std::string drawn = run.folder + "/" + fs::path(f.path).filename().string();
    if (fs::is_regular_file(drawn))
      write_file((fs::path(file).parent_path() / "figures" / f.path).string(), read_file(drawn));
  }
}

std::vector<std::string> differences_of(const std::string& file, const LadderRun& run) {
  const std::string page = read_file(file), folder = fs::path(file).parent_path().string();
  std::vector<std::string> found = broken_code_links(page, folder);
  if (steps_of(parse_table(text_of(page, part_of(page, "gpu", run.name)))) != steps_of(run.timed))
    found.push_back("the steps of the table of times are not those of the program");
  if (!run.simulated) return found;
  const Table there = fixed_part(parse_table(text_of(page, part_of(page, "run", run.name)))),
              here = fixed_part(run.counted);
  for (size_t r = 0; r < std::max(there.size(), here.size()); ++r)
    if (r >= there.size() || r >= here.size() || there[r] != here[r])
      found.push_back(fmt::format("row {} of the table of counts differs from the run's", r));
  fill_page(page, run.metrics, found);
  for (const PageFigure& f : page_figures(page)) {
    const std::string drawn = run.folder + "/" + fs::path(f.path).filename().string(),
                      kept = folder + "/figures/" + f.path;
    if (!fs::is_regular_file(drawn) || !fs::is_regular_file(kept) || read_file(drawn) != read_file(kept))
      found.push_back(fmt::format("figure {} differs from the run's", f.path));
  }
  return found;
}

}  // namespace ink::lesson
