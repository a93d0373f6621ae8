// The pages that `./ink site` writes: one a note, of its prose in docs/notes and of what its lesson's run recorded, and
// the gallery.
#pragma once
#include <string>
#include <vector>

#include "examples/support/page/json.h"
#include "examples/support/page/source.h"

namespace ink::lesson {

// Writes FOLDER/index.html from FOLDER/run.json and, if there is one, NOTES/NAME.md; puts what pages share into
// FOLDER/../page.
void write_page(const std::string& notes, const std::string& folder);
// The page by itself: `note` is the Markdown, or empty; `metrics` fill its marked values. Needs nothing but the files
// beside it.
std::string page_html(const std::string& note, const Json& run, const Json& metrics,
                      const std::string& neighbours = {});

struct SiteCount {
  int lessons = 0, failed = 0;  // failed: a claim failed, the run stopped early, or its metrics cannot be read
  std::vector<std::string> missing = {};  // packages without which pages are plainer
};
// Writes the page of every run in OUT and OUT/index.html, the gallery: cards in the order of `path`, a Markdown page
// whose list entries link to notes/NAME.md. IoError if the folder is missing.
SiteCount write_site(const std::string& notes, const std::string& path, const std::string& out);

std::string neighbours_html(
    const std::string& folder);  // links to the lessons before and behind on the path, of those that were run
// Head of a page, up to and with <body>; `up` leads from it to the output's folder: "" or "../".
std::string html_head(const std::string& title, const std::string& up);
void write_assets(const std::string& out);    // style, scripts, KaTeX: OUT/page
std::vector<std::string> missing_packages();  // of those that pages are made with
std::string link_target(const std::string& address,
                        const std::string& name);  // of a link in docs/notes, for a page in OUT/NAME

}  // namespace ink::lesson
