// Markdown, cut into the parts that a page lays out, and rendered: md4c reads it, KaTeX in the browser typesets
// formulas.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace ink::lesson {

// A part of a note. Directives are comments that stand alone on a line.
struct Block {
  enum class Kind {
    heading,   // text; level
    prose,     // paragraphs and lists
    equation,  // $$ ... $$: TeX
    table,     // as Markdown
    fence,     // ``` ... ```: code
    figure,    // ![text](target)
    code,      // <!--code nn/layers/linear.cpp:forward-->: text names a function whose source is shown
    player,    // <!--player NAME-->: the frames of that name
    section,   // <!--section 4-->: what the lesson's section of that number or title claimed and showed belongs here
    claims,    // <!--claims--> ... <!--/claims-->: the table of all claims
    card,      // <!--card loss-->: the figure that stands for this note in the gallery
  };
  Kind kind;
  std::string text;
  int level = 0;
  std::string target = {};
};
std::vector<Block> blocks_of(const std::string& markdown);

// Equation numbers in TeX: \tag{6.3}; `text` is the formula without its tag if it has exactly one.
std::vector<std::string> tags_of(const std::string& tex, std::string* text = nullptr);

// What a link on the page leads to: gets its address and, of [`name`](address), the name.
using LinkTarget = std::function<std::string(const std::string& address, const std::string& name)>;

// Prose and tables as HTML; $...$ becomes <span class="tex">. Comments are left out.
std::string markdown_html(const std::string& markdown, const LinkTarget& target = {});
std::string inline_html(const std::string& markdown, const LinkTarget& target = {});  // one line, without <p>
// Plain text as safe HTML, its $...$ as formulas: captions, claims, names.
std::string text_html(const std::string& text);
std::string tex_html(const std::string& tex, bool display = false);
bool has_markdown();  // built with md4c; without it the text stands on the page as it was written

}  // namespace ink::lesson
