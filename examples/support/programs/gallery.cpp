// ink_gallery [--out DIR]: links the pages that the lessons wrote into DIR/index.html. Exit code 1 if a lesson failed.
#include <fmt/core.h>

#include "examples/support/lesson/args.h"
#include "examples/support/page/gallery.h"

int main(int argc, char** argv) {
  using namespace ink::lesson;
  try {
    Args args(argc, argv, "Links the pages of all lessons that were run into one gallery.");
    std::string out = args.path("out", "out", "the folder with the lessons' results", Path::folder, "DIR");
    if (args.help()) {
      fmt::print("{}", args.help_page());
      return 0;
    }
    args.check();
    GalleryCount count = write_gallery(out);
    fmt::print("{}/index.html  ({} lessons{})\n", out, count.lessons,
               count.failed ? fmt::format(", {} failed", count.failed) : "");
    return count.failed ? 1 : 0;
  } catch (const UsageError& e) {
    fmt::print(stderr, "ink_gallery: {}\n", e.what());
    return 2;
  } catch (const ink::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
