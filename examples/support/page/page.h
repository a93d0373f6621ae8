// A report as an HTML page that needs nothing but the SVG files beside it.
#pragma once
#include <string>

#include "examples/support/lesson/report.h"

namespace ink::lesson {

std::string page_html(const Report& report);
// Head and style of every page, up to and with <body>.
std::string html_head(const std::string& title);
// Plain formula text with x_t, x_{t-1}, e^{-x} set as sub- and superscripts; safe HTML.
std::string formula_html(const std::string& formula);

}  // namespace ink::lesson
