// What a run recorded, as parts of a page: claims, tensors, values, listings, figures, players. All are read from its
// run.json.
#pragma once
#include <string>
#include <vector>

#include "examples/support/page/json.h"

namespace ink::lesson {

// "1.2e-07" as 1.2 · 10⁻⁷, "<= 3" untouched: numbers for people; safe HTML.
std::string pretty(const std::string& text);
std::string pretty(const Json& number);

// "4 of 4 claims hold", "1 of 1 claim holds"
std::string claims_that_hold(int held, int all);

// Folded behind one line, "4 of 4 claims hold"; nothing if there are none.
std::string claims_html(const std::vector<Json>& claims, bool open = false);
std::string tensor_html(const Json& item);
std::string values_html(const std::vector<Json>& values);
// The frames of one player; the script of the page makes it move.
std::string player_html(const std::string& name, const std::vector<Json>& frames);
// The source of a function with file and line; long ones are folded. Its tagged lines point at equations. A name that
// is not found is a message on the page.
std::string code_html(const std::string& reference);
std::string listing_html(const std::string& text, bool cpp);
std::string figure_html(const Json& figure, const std::string& title);

}  // namespace ink::lesson
