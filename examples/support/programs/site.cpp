// ink_site [--out DIR]: writes the pages of the lessons that were run, and the gallery DIR/index.html. Exit code 1 if a
// lesson failed.
#include <fmt/core.h>

#include "examples/support/lesson/args.h"
#include "examples/support/page/site.h"

int main(int argc, char** argv) {
  using namespace ink::lesson;
  try {
    Args args(
        argc, argv,
        "Writes one page a note, of its prose and of what the lesson's run recorded, and the gallery that links them.");
    std::string out = args.path("out", "out", "the folder with the lessons' results", Path::folder, "DIR");
    if (args.help()) {
      fmt::print("{}", args.help_page());
      return 0;
    }
    args.check();
    SiteCount count = write_site(kNotes, std::string(kSourceRoot) + "/docs/lessons.md", out);
    fmt::print("{}/index.html  ({} lessons{})\n", out, count.lessons,
               count.failed ? fmt::format(", {} failed", count.failed) : "");
    for (const std::string& package : count.missing)
      fmt::print("pages are plainer than they could be: package {} is missing\n", package);
    return count.failed ? 1 : 0;
  } catch (const UsageError& e) {
    fmt::print(stderr, "ink_site: {}\n", e.what());
    return 2;
  } catch (const ink::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
