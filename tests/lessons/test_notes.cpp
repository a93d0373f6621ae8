// The notes in docs/notes against the sources: every directive finds its function, every tagged line its equation.
#include "examples/support/page/docs.h"
#include "examples/support/page/file.h"
#include "examples/support/page/source.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink::lesson;

TEST_CASE("code that the notes name is there, and tagged lines have their equation", "[notes]") {
  for (const std::string& problem : broken_ties(kNotes, kSourceRoot)) FAIL_CHECK(problem);
}

TEST_CASE("directives, tags and numbers that lead nowhere are found", "[notes]") {
  ink::test::TemporaryFolder folder;
  write_file(folder / "nn/a.cpp", "int f() {\n  return 1;  // (7.2)\n}\n");
  const std::string root = folder / "", notes = folder / "notes";
  write_file(folder / "notes/07_a.md", "<!--code nn/a.cpp:f-->\n$$\nx \\tag{7.2}\n$$\n");
  CHECK(broken_ties(notes, root).empty());
  write_file(folder / "notes/08_b.md", "<!--code nn/a.cpp:g-->\n<!--code nn/b.cpp:f-->\n\n$$x \\tag{7.2}$$\n");
  std::vector<std::string> broken = broken_ties(notes, root);
  REQUIRE(broken.size() == 3);
  CHECK_THAT(broken[0], contains("08_b.md: code: nothing of that name is defined; got 'nn/a.cpp:g'"));
  CHECK_THAT(broken[1], contains("no such file; got 'nn/b.cpp:f'"));
  CHECK_THAT(broken[2], contains("equation (7.2) is in 07_a.md already"));
  write_file(folder / "notes/07_a.md", "No equation.\n");
  write_file(folder / "notes/08_b.md", "$$x \\tag{7.3}$$\n");
  broken = broken_ties(notes, root);
  REQUIRE(broken.size() == 1);
  CHECK_THAT(broken[0], contains("nn/a.cpp: a line is tied to (7.2), which no note has"));
}
