// Keeps the pages in docs/notes true to what the lessons measured. A page is written by hand; three things in it are
// not:
//
//   <!--v:NAME-->98<!--/v-->            a value of the lesson's metrics.json, in brief
//   <!--v:NAME|1-->98.1<!--/v-->        with one decimal
//   <!--v:NAME|1|0.6-->98.1<!--/v-->    which may differ by 0.6 between machines (rounding, training)
//   <!--claims--> ... <!--/claims-->    the table of the claims
//   ![caption](figures/LESSON/x.svg)    a figure of that run; <!--varies--> on the line if machines draw it differently
//
// NAME `seconds` is the time of the run. Values are those of a --quick run; `full:NAME` is filled from a full one.
#pragma once
#include <string>
#include <vector>

#include "examples/support/page/json.h"

namespace ink::lesson {

// The page with values and claims filled in. What a reader would find wrong is added to `differences`: a value that
// differs by more than its tolerance (values that are measured anew, times say, never do), claims that changed.
// ValueError for a marker that does not end and for a value that the metrics do not have.
std::string fill_page(const std::string& page, const Json& metrics, std::vector<std::string>& differences);

// The targets of the page's figures below figures/, and whether they may differ.
struct PageFigure {
  std::string path;  // "01_sliding_window_max/streams.svg"
  bool varies;
};
std::vector<PageFigure> page_figures(const std::string& page);

// Links of the form [`name`](path): each file must exist and contain the name, so that a table of formulas and
// functions cannot go stale. Paths are relative to `folder`.
std::vector<std::string> broken_code_links(const std::string& page, const std::string& folder);

// Of the notes in `notes` and the sources below `root`: directives whose function is not found, equation numbers given
// twice, tagged lines whose equation no note has.
std::vector<std::string> broken_ties(const std::string& notes, const std::string& root);

// Goes through the pages in `pages`, each with the run of its name in `out`. Writes pages and figures, or with `check`
// leaves them and returns every difference, one line each.
std::vector<std::string> update_docs(const std::string& pages, const std::string& out, bool check);

}  // namespace ink::lesson
