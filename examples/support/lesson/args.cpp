#include "examples/support/lesson/args.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "examples/support/lesson/terminal.h"
#include "examples/support/page/number.h"

namespace ink::lesson {

Args::Args(int argc, const char* const* argv, std::string about) : about_(std::move(about)) {
  program_ = argc > 0 ? argv[0] : "program";
  program_.erase(0, program_.find_last_of('/') + 1);
  for (int i = 1; i < argc; ++i) tokens_.push_back({argv[i]});
  help_ = flag("help", "this page");
  for (Token& t : tokens_)
    if (t.text == "-h") t.used = help_ = true;
}

void Args::declare(const std::string& name, const std::string& placeholder, const std::string& help,
                   const std::string& fallback) {
  names_.push_back("--" + name);
  options_.push_back({"--" + name + (placeholder.empty() ? "" : " " + placeholder),
                      help + (fallback.empty() ? "" : fmt::format(" (default {})", fallback))});
}

bool Args::take(const std::string& name, bool with_value, std::string& value) {
  const std::string option = "--" + name, assigned = option + "=";
  bool found = false;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    Token& token = tokens_[i];
    if (token.used) continue;
    if (token.text == option) {
      token.used = found = true;
      if (!with_value) continue;
      if (i + 1 == tokens_.size() || tokens_[i + 1].text.starts_with("--")) {
        throw UsageError(fmt::format("{}: a value is missing; expected {} VALUE", option, option));
      }
      tokens_[i + 1].used = true;
      value = tokens_[i + 1].text;
    } else if (token.text.starts_with(assigned)) {
      token.used = found = true;
      value = token.text.substr(assigned.size());
      if (!with_value) throw UsageError(fmt::format("{}: takes no value; got '{}'", option, value));
    }
  }
  return found;
}

bool Args::flag(const std::string& name, const std::string& help) {
  declare(name, "", help, "");
  std::string value;
  return take(name, false, value);
}

std::string Args::text(const std::string& name, const std::string& fallback, const std::string& help,
                       const std::string& placeholder) {
  declare(name, placeholder, help, fallback);
  std::string value = fallback;
  take(name, true, value);
  return value;
}

std::string Args::choice(const std::string& name, const std::vector<std::string>& choices, const std::string& fallback,
                         const std::string& help) {
  const std::string all = fmt::format("{}", fmt::join(choices, "|"));
  std::string value = text(name, fallback, help, all);
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    std::string near = nearest(value, choices);
    throw UsageError(fmt::format("--{}: not a choice; got '{}'; expected {}{}", name, value, all,
                                 near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }
  return value;
}

namespace {

template <class T> T parse_number(const std::string& name, const std::string& text, const char* kind) {
  T value{};
  const char *begin = text.data() + (text.starts_with('+') ? 1 : 0), *end = text.data() + text.size();
  auto [stop, error] = std::from_chars(begin, end, value);
  if (error == std::errc::result_out_of_range) {
    throw UsageError(fmt::format("--{}: number out of range; got '{}'", name, text));
  }
  if (error != std::errc{} || stop != end) {
    throw UsageError(fmt::format("--{}: not {}; got '{}'", name, kind, text));
  }
  return value;
}

}  // namespace

int64_t Args::integer(const std::string& name, int64_t fallback, const std::string& help, int64_t low, int64_t high) {
  declare(name, "N", help, exact(double(fallback)));
  std::string given;
  if (!take(name, true, given)) return fallback;
  auto value = parse_number<int64_t>(name, given, "a whole number");
  if (value < low) throw UsageError(fmt::format("--{}: too small; got {}; expected at least {}", name, value, low));
  if (value > high) throw UsageError(fmt::format("--{}: too large; got {}; expected at most {}", name, value, high));
  return value;
}

double Args::real(const std::string& name, double fallback, const std::string& help, Number kind) {
  declare(name, "X", help, exact(fallback));
  std::string given;
  if (!take(name, true, given)) return fallback;
  const double value = parse_number<double>(name, given, "a number");
  if (std::isnan(value)) throw UsageError(fmt::format("--{}: not a number; got '{}'", name, given));
  if (kind == Number::positive && !(value > 0 && std::isfinite(value)))
    throw UsageError(fmt::format("--{}: not a positive number; got {}; expected more than 0", name, given));
  if (kind == Number::share && !(value >= 0 && value < 1))
    throw UsageError(fmt::format("--{}: not a share; got {}; expected 0 or more, and less than 1", name, given));
  return value;
}

namespace {

// Why a path is not of its kind, "" if it is. A folder that is to be made is judged by the nearest one there is.
std::string trouble(const std::string& path, Path kind) {
  namespace fs = std::filesystem;
  auto cannot = [](const char* what, const fs::path& p, int access_mode) {
    if (access(p.c_str(), access_mode) == 0) return std::string();
    return fmt::format("cannot {} '{}': {}", what, p.string(), std::strerror(errno));
  };
  std::error_code error;
  if (kind == Path::existing) return cannot("read", path, R_OK);
  if (kind == Path::output) {
    if (fs::is_directory(path, error)) return fmt::format("'{}' is a folder; expected a file", path);
    if (fs::exists(path, error)) return cannot("write", path, W_OK);
    fs::path folder = fs::path(path).parent_path();
    if (folder.empty()) folder = ".";
    if (!fs::is_directory(folder, error)) return fmt::format("cannot write '{}': there is no such folder", path);
    return cannot("write into", folder, W_OK | X_OK);
  }
  fs::path there = path;
  while (there != "." && !fs::exists(there, error)) there = there.has_relative_path() ? there.parent_path() : ".";
  if (!fs::is_directory(there, error)) return fmt::format("'{}' is no folder", there.string());
  return cannot("write into", there, W_OK | X_OK);
}

}  // namespace

std::string Args::path(const std::string& name, const std::string& fallback, const std::string& help, Path kind,
                       const std::string& placeholder) {
  std::string value = text(name, fallback, help, placeholder);
  std::string wrong = value.empty() || help_ ? "" : trouble(value, kind);
  if (!wrong.empty()) throw UsageError(fmt::format("--{}: {}", name, wrong));
  return value;
}

std::string Args::help_page() const {
  std::string page = wrapped(about_, 80, "") + fmt::format("\nusage: {} [options]\n\n", program_);
  size_t left = 0;
  for (const Option& o : options_) left = std::max(left, o.left.size());
  left = std::min(left, size_t(26));
  for (const Option& o : options_) {
    std::string help = wrapped(o.help, 80, std::string(left + 4, ' '));
    if (o.left.size() > left)
      page += fmt::format("  {}\n{}", o.left, help);
    else
      page += "  " + padded(o.left, int(left) + 2) + (o.help.empty() ? "\n" : help.substr(left + 4));
  }
  return page;
}

void Args::check() const {
  for (const Token& t : tokens_) {
    if (t.used) continue;
    if (!t.text.starts_with("-")) throw UsageError(fmt::format("unexpected argument '{}'; see --help", t.text));
    std::string name = t.text.substr(0, t.text.find('='));
    std::string near = nearest(name, names_);
    throw UsageError(fmt::format("unknown option {}; {}", name,
                                 near.empty() ? "see --help" : fmt::format("did you mean {}?", near)));
  }
}

int edit_distance(const std::string& a, const std::string& b) {
  // Optimal string alignment: d[i][j] is the distance of the first i characters of a and the first j of b.
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = int(i);
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = int(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  int least = std::max(2, int(word.size()) / 3) + 1;
  for (const std::string& c : candidates) {
    int distance = edit_distance(word, c);
    if (distance < least && distance < int(c.size())) least = distance, best = c;
  }
  return best;
}

}  // namespace ink::lesson
