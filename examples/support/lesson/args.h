// A command line read by asking for each option once, where it is used: the call names it, gives its default and its
// help text, and returns its value. `check()` then refuses whatever nobody asked for.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace ink::lesson {

// Wrong input on the command line; programs print the message and end with exit code 2.
struct UsageError : ValueError {
  using ValueError::ValueError;
};

// What a number must be; each excludes NaN.
enum class Number {
  any,       // infinities too
  positive,  // finite and above 0: a rate
  share,     // 0 <= x < 1: of dropout
};
// What a path must lead to; an empty one means that the option is not used.
enum class Path {
  existing,  // a file or folder that can be read
  output,    // a file that can be written, in a folder that exists; an older one is overwritten
  folder,    // a folder that can be written into, or made
};

class Args {
 public:
  // argv[0] is the program's name on the help page, `about` its first paragraph.
  Args(int argc, const char* const* argv, std::string about);

  // Options read `--name value` or `--name=value`; the last one counts. UsageError for a missing or malformed value.
  bool flag(const std::string& name, const std::string& help);
  int64_t integer(const std::string& name, int64_t fallback, const std::string& help, int64_t low = INT64_MIN,
                  int64_t high = INT64_MAX);
  double real(const std::string& name, double fallback, const std::string& help, Number kind = Number::any);
  std::string text(const std::string& name, const std::string& fallback, const std::string& help,
                   const std::string& placeholder = "TEXT");
  // A path of that kind, looked at now (not with --help): nothing is made or written yet.
  std::string path(const std::string& name, const std::string& fallback, const std::string& help, Path kind,
                   const std::string& placeholder = "PATH");
  std::string choice(const std::string& name, const std::vector<std::string>& choices, const std::string& fallback,
                     const std::string& help);

  bool help() const { return help_; }  // --help or -h was given
  std::string help_page() const;       // every option asked for so far
  void check() const;  // UsageError for an option that does not exist (names the nearest one) and for stray words

 private:
  struct Token {
    std::string text;
    bool used = false;
  };
  struct Option {
    std::string left, help;
  };
  bool take(const std::string& name, bool with_value, std::string& value);
  void declare(const std::string& name, const std::string& placeholder, const std::string& help,
               const std::string& fallback);

  std::string program_, about_;
  std::vector<Token> tokens_;
  std::vector<Option> options_;
  std::vector<std::string> names_;
  bool help_ = false;
};

// The number of insertions, deletions, replacements and swaps of neighbours that turn a into b.
int edit_distance(const std::string& a, const std::string& b);
// The candidate nearest to `word`, "" if none is near enough to be a slip of the finger.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace ink::lesson
