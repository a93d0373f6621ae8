#include "examples/support/page/docs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "examples/support/page/file.h"
#include "examples/support/page/number.h"
#include "tensor/error.h"

namespace fs = std::filesystem;

namespace ink::lesson {

namespace {

struct Marker {
  std::string name;
  int decimals = -1;     // -1: in brief
  double tolerance = 0;  // how far two machines may be apart
  bool full = false;     // of a full run
};

Marker parse_marker(const std::string& text) {
  Marker m;
  size_t bar = text.find('|'), next = bar == std::string::npos ? bar : text.find('|', bar + 1);
  m.name = text.substr(0, bar);
  if (bar != std::string::npos) m.decimals = std::atoi(text.c_str() + bar + 1);
  if (next != std::string::npos) m.tolerance = std::atof(text.c_str() + next + 1);
  m.full = m.name.starts_with("full:");
  if (m.full) m.name = m.name.substr(5);
  return m;
}

std::string value_text(const Json& value, int decimals) {
  if (value.kind() != Json::Kind::number || decimals < 0) return value.shown();
  return fmt::format("{:.{}f}", value.number(), decimals);
}

// The value a marker stands for, as the page should show it; `old` if this run does not say.
std::string value_of(const Marker& m, const std::string& old, const Json& metrics,
                     std::vector<std::string>& differences) {
  if (m.full != (metrics["settings"]["mode"].text() == "full")) return old;
  const bool time = m.name == "seconds";
  const Json& entry = metrics["values"][m.name];
  Json value = time ? metrics["seconds"] : entry["value"];
  if (value.kind() == Json::Kind::null)  // a claim by its name: what it got
    for (const Json& claim : metrics["claims"].items())
      if (claim["name"].text() == m.name) value = claim["got"];
  if (value.kind() == Json::Kind::null) throw ValueError(fmt::format("value '{}' is not in the metrics", m.name));
  std::string text = value_text(value, m.decimals);
  bool measured = time || !entry["deterministic"].boolean();
  bool near = m.tolerance > 0 && std::abs(std::atof(old.c_str()) - value.number()) <= m.tolerance;
  if (text != old && !near && !measured)
    differences.push_back(fmt::format("value '{}': the page says {}, the run {}", m.name, old, text));
  return text;
}

// Names and bounds are compared, what was got is not: it may differ in its last digits.
bool is_statement(const std::string& bound) { return bound == "holds" || bound == "= 1"; }
std::string claims_as_markdown(const Json& metrics) {
  std::string out = "\n| claim | expected | got |\n| --- | --- | --- |\n";
  for (const Json& c : metrics["claims"].items()) {
    std::string state = c["state"].text(), bound = c["expected"].text();
    std::string got = state == "skipped"    ? "checked in a full run"
                      : is_statement(bound) ? c["got"].number() == 1 ? "yes" : "no"
                                            : brief(c["got"].number(), 3);
    out += fmt::format("| {} | {} | {} |\n", c["name"].text(), is_statement(bound) ? "holds" : bound, got);
  }
  return out;
}
std::string without_last_column(const std::string& table) {
  std::string out;
  for (size_t at = 0; at < table.size();) {
    size_t end = std::min(table.find('\n', at), table.size());
    std::string line = table.substr(at, end - at);
    if (line.size() > 2) line.resize(line.rfind('|', line.size() - 2) + 1);
    out += line + "\n";
    at = end + 1;
  }
  return out;
}

size_t end_of(const std::string& page, const char* mark, size_t from) {
  size_t end = page.find(mark, from);
  if (end == std::string::npos)
    throw ValueError(
        fmt::format("docs: a marker does not end; got '{}'; expected {} behind it", page.substr(from, 40), mark));
  return end;
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry& e : fs::directory_iterator(folder, error))
    if (e.path().extension() == ".md") files.push_back(e.path());
  if (error) throw IoError(fmt::format("docs: cannot read folder '{}': {}", folder, error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string fill_page(const std::string& page, const Json& metrics, std::vector<std::string>& differences) {
  static constexpr char kValue[] = "<!--v:", kClaims[] = "<!--claims-->";
  std::string out;
  for (size_t at = 0; at < page.size();) {
    size_t value = page.find(kValue, at), claims = page.find(kClaims, at), next = std::min(value, claims);
    if (next == std::string::npos) return out + page.substr(at);
    if (next == value) {
      size_t head = end_of(page, "-->", next), body = head + 3, end = end_of(page, "<!--/v-->", body);
      Marker m = parse_marker(page.substr(next + 6, head - next - 6));
      out += page.substr(at, body - at) + value_of(m, page.substr(body, end - body), metrics, differences);
      at = end;
    } else {
      size_t body = next + sizeof kClaims - 1, end = end_of(page, "<!--/claims-->", body);
      std::string old = page.substr(body, end - body), table = claims_as_markdown(metrics);
      bool fits = metrics["settings"]["mode"].text() != "full";
      if (fits && without_last_column(old) != without_last_column(table))
        differences.push_back("the table of claims differs from the run's claims");
      out += page.substr(at, body - at) + (fits ? table : old);
      at = end;
    }
  }
  return out;
}

std::vector<PageFigure> page_figures(const std::string& page) {
  static const std::string mark = "](figures/";
  std::vector<PageFigure> figures;
  for (size_t at = page.find(mark); at != std::string::npos; at = page.find(mark, at + 1)) {
    size_t begin = at + mark.size(), end = end_of(page, ")", begin), line = std::min(page.find('\n', end), page.size());
    figures.push_back(
        {page.substr(begin, end - begin), page.substr(end, line - end).find("<!--varies-->") != std::string::npos});
  }
  return figures;
}

std::vector<std::string> broken_code_links(const std::string& page, const std::string& folder) {
  std::vector<std::string> broken;
  for (size_t at = page.find("[`"); at != std::string::npos; at = page.find("[`", at + 1)) {
    size_t close = page.find("`](", at);
    if (close == std::string::npos || page.substr(at, close - at).find('\n') != std::string::npos) continue;
    std::string name = page.substr(at + 2, close - at - 2),
                path = page.substr(close + 3, end_of(page, ")", close) - close - 3);
    name = name.substr(0, name.find('('));
    path = folder + "/" + path.substr(0, path.find('#'));
    if (!fs::is_regular_file(path))
      broken.push_back(fmt::format("the link of `{}` leads nowhere: {}", name, path));
    else if (read_file(path).find(name) == std::string::npos)
      broken.push_back(fmt::format("`{}` does not occur in {}", name, path));
  }
  return broken;
}

namespace {

// One page against its run, or from it; what does not fit.
std::vector<std::string> update_page(const fs::path& file, const std::string& out, bool check) {
  const std::string page = read_file(file), folder = file.parent_path(),
                    metrics = out + "/" + file.stem().string() + "/metrics.json";
  std::vector<std::string> problems = broken_code_links(page, folder), differences;
  if (!fs::is_regular_file(metrics)) return problems.push_back("the lesson was not run"), problems;
  const Json run = Json::parse(read_file(metrics));
  const std::string mode = run["settings"]["mode"].text();
  if (check ? mode != "quick" : mode == "tiny")
    return problems.push_back(fmt::format("the lesson's last run was a {} one; expected --quick", mode)), problems;
  std::string filled = fill_page(page, run, differences);
  if (!check && filled != page) write_file(file, filled);
  for (const PageFigure& f : page_figures(page)) {
    std::string drawn = out + "/" + f.path, kept = folder + "/figures/" + f.path;
    if (!fs::is_regular_file(drawn)) {
      problems.push_back(fmt::format("figure {} was not drawn", drawn));
    } else if (!check) {
      write_file(kept, read_file(drawn));
    } else if (!fs::is_regular_file(kept) || (!f.varies && read_file(kept) != read_file(drawn))) {
      differences.push_back(fmt::format("figure {} differs from the run's", f.path));
    }
  }
  if (check) problems.insert(problems.end(), differences.begin(), differences.end());
  return problems;
}

}  // namespace

std::vector<std::string> update_docs(const std::string& pages, const std::string& out, bool check) {
  std::vector<std::string> problems;
  for (const fs::path& file : files_in(pages)) {
    std::vector<std::string> found;
    try {
      found = update_page(file, out, check);
    } catch (const ValueError& e) { found = {e.what()}; }
    for (const std::string& p : found) problems.push_back(file.filename().string() + ": " + p);
  }
  return problems;
}

}  // namespace ink::lesson
