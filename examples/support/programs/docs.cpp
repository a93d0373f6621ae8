// ink_docs PAGES OUT [--check]: fills values and figures of the lessons' runs in OUT into the pages, or only compares.
// Exit code 1 if something does not fit.
#include <fmt/core.h>

#include <string>

#include "examples/support/page/docs.h"
#include "tensor/error.h"

int main(int argc, char** argv) {
  std::string pages, out;
  bool check = false, wrong = false;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--check")
      check = true;
    else if (pages.empty() && !word.starts_with("--"))
      pages = word;
    else if (out.empty() && !word.starts_with("--"))
      out = word;
    else
      wrong = true;
  }
  if (wrong || out.empty()) {
    fmt::print(stderr, "usage: ink_docs PAGES OUT [--check]     for example: ink_docs docs/notes out\n");
    return 2;
  }
  try {
    std::vector<std::string> problems = ink::lesson::update_docs(pages, out, check);
    for (const std::string& p : problems) fmt::print(stderr, "{}\n", p);
    if (problems.empty()) fmt::print("{}: {}\n", pages, check ? "pages and runs agree" : "up to date");
    return problems.empty() ? 0 : 1;
  } catch (const ink::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
  }
}
