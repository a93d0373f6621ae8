// Keeps the pages of the kernel ladder true to the programs. A page is written by hand; three things in it are not:
//
//   <!--run NAME--> ... <!--/run-->    what the steps of examples/kernels/NAME.cu count in the simulator
//   <!--gpu NAME--> ... <!--/gpu-->    what they take on a GPU, or "not measured"
//   ![caption](figures/NAME/x.svg)     the figure of that run
//
// besides the values and claims that every page may hold (examples/support/page/docs.h).
#pragma once
#include <string>
#include <vector>

#include "examples/support/page/json.h"

namespace ink::lesson {

using Table = std::vector<std::vector<std::string>>;  // rows of cells; the first row is the head
std::string str(const Table& table);                  // in Markdown, aligned; the first column to the left

struct LadderRun {
  std::string name;
  Json metrics;
  Table counted, timed;  // of the steps
  std::string folder;    // where the figures are
  bool simulated;        // `counted` holds (else `timed` does)
};

// Writes what the run found into the page, and its figures beside it. The other kind of table is left as it is, but
// made anew if its steps are others.
void fill_ladder_page(const std::string& file, const LadderRun& run);

// What the page says and the run does not. Times and errors (a table's last column) may differ, the steps may not.
std::vector<std::string> differences_of(const std::string& file, const LadderRun& run);

}  // namespace ink::lesson
