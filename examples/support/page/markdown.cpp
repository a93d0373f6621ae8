#include "examples/support/page/markdown.h"
#include "examples/support/page/file.h"
#include "examples/support/page/tex.h"

#include <fmt/format.h>
#ifdef INK_MD4C
#include <md4c.h>
#endif

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <regex>

#include "examples/support/plot/svg.h"

namespace ink::lesson {

namespace {

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \n"), last = text.find_last_not_of(" \n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// <!--code path:name--> and the like, alone on their line.
std::optional<Block> directive(const std::string& line) {
  static const std::regex pattern("^\\s*<!--\\s*(code|player|section|card)\\s+(.*\\S)\\s*-->\\s*$");
  std::smatch m;
  if (!std::regex_match(line, m, pattern)) return {};
  const std::string word = m[1];
  const Block::Kind kind = word == "code"      ? Block::Kind::code
                           : word == "player"  ? Block::Kind::player
                           : word == "section" ? Block::Kind::section
                                               : Block::Kind::card;
  return Block{kind, m[2]};
}

std::optional<Block> figure_line(const std::string& line) {
  static const std::regex pattern("^!\\[(.*)\\]\\(([^)]*)\\)\\s*(<!--.*-->)?\\s*$");
  std::smatch m;
  if (!std::regex_match(line, m, pattern)) return {};
  return Block{Block::Kind::figure, m[1], 0, m[2]};
}

}  // namespace

std::vector<Block> blocks_of(const std::string& markdown) {
  std::vector<Block> out;
  std::string prose, table;
  const auto flush = [&] {
    if (!trimmed(table).empty()) out.push_back({Block::Kind::table, table});
    if (!trimmed(prose).empty()) out.push_back({Block::Kind::prose, prose});
    table.clear(), prose.clear();
  };
  const std::vector<std::string> lines = lines_of(markdown);
  const auto until = [&](size_t& i,
                         const char* end) {  // the lines behind lines[i], up to the one that starts with `end`
    std::string text;
    for (++i; i < lines.size() && !lines[i].starts_with(end); ++i) text += lines[i] + "\n";
    return text;
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    const size_t level = std::min(line.find_first_not_of('#'), line.size());
    if (line.starts_with("```")) {
      const std::string language = line.substr(3);
      flush();
      out.push_back({Block::Kind::fence, until(i, "```"), 0, language});
    } else if (line.starts_with("<!--claims-->")) {
      flush();
      if (line.find("<!--/claims-->") == std::string::npos) until(i, "<!--/claims-->");
      out.push_back({Block::Kind::claims, ""});
    } else if (line.starts_with("$$")) {
      flush();
      std::string tex = line.substr(2);
      while (tex.find("$$") == std::string::npos && i + 1 < lines.size()) tex += "\n" + lines[++i];
      out.push_back({Block::Kind::equation, trimmed(tex.substr(0, tex.find("$$")))});
    } else if (auto block = directive(line)) {
      flush();
      out.push_back(*block);
    } else if (auto figure = figure_line(line)) {
      flush();
      out.push_back(*figure);
    } else if (level >= 1 && level <= 4 && level < line.size() && line[level] == ' ') {
      flush();
      out.push_back({Block::Kind::heading, trimmed(line.substr(level)), int(level)});
    } else if (line.starts_with("|")) {
      if (table.empty()) flush();
      table += line + "\n";
    } else {
      if (!table.empty()) flush();
      prose += line + "\n";
      // A blank line ends a paragraph, unless a list goes on behind it.
      const bool list = prose.starts_with("* ") || prose.starts_with("1. ");
      const std::string next = i + 1 < lines.size() ? lines[i + 1] : "";
      if (line.empty() && !(list && (next.starts_with("* ") || next.starts_with(" ") || next.empty()))) flush();
    }
  }
  flush();
  return out;
}

std::vector<std::string> tags_of(const std::string& tex, std::string* text) {
  static const std::regex pattern("\\s*\\\\tag\\{([^}]*)\\}");
  std::vector<std::string> out;
  for (std::sregex_iterator it(tex.begin(), tex.end(), pattern), end; it != end; ++it) out.push_back((*it)[1]);
  if (text) *text = out.size() == 1 ? std::regex_replace(tex, pattern, "") : tex;
  return out;
}

std::string tex_html(const std::string& tex, bool display) {
  return fmt::format("<span class=\"tex\"{}>{}</span>", display ? " data-display" : "", escaped(tex));
}

namespace {

// Formulas are taken out before Markdown is read, so that no star or bar in them means anything there; a sign of the
// private use area stands for each.
struct WithoutFormulas {
  std::string text;
  std::vector<std::string> formulas = {};

  explicit WithoutFormulas(const std::string& s) {
    for (size_t i = 0; i < s.size();) {
      if (s[i] == '`') {
        const size_t run = s.find_first_not_of('`', i),
                     end = run == std::string::npos ? run : s.find(s.substr(i, run - i), run);
        const size_t behind = end == std::string::npos ? std::min(run, s.size()) : end + run - i;
        text += s.substr(i, behind - i);
        i = behind;
      } else if (s.compare(i, 4, "<!--") == 0) {
        const size_t end = s.find("-->", i);
        i = end == std::string::npos ? s.size() : end + 3;
      } else if (s[i] == '$' && (i == 0 || (s[i - 1] != '\\' && !std::isalnum(uint8_t(s[i - 1])))) &&
                 closing(s, i) != std::string::npos) {
        const size_t end = closing(s, i);
        text += "\uE000" + std::to_string(formulas.size()) + "\uE001";
        formulas.push_back(s.substr(i + 1, end - i - 1));
        i = end + 1;
      } else {
        text += s[i++];
      }
    }
  }

  // The $ that ends the formula begun at i, after GitHub's rules: no blank inside at either end, no digit behind,
  // within the paragraph.
  static size_t closing(const std::string& s, size_t i) {
    if (i + 1 >= s.size() || s[i + 1] == ' ' || s[i + 1] == '$') return std::string::npos;
    for (size_t end = i + 1; end < s.size() && s.compare(end, 2, "\n\n") != 0; ++end) {
      if (s[end] == '\\') {
        ++end;
      } else if (s[end] == '$') {
        const bool digit = end + 1 < s.size() && std::isdigit(uint8_t(s[end + 1]));
        return s[end - 1] == ' ' || digit ? std::string::npos : end;
      }
    }
    return std::string::npos;
  }

  std::string restored(const std::string& html) const {
    std::string out;
    for (size_t i = 0; i < html.size();) {
      const size_t open = html.find("\uE000", i), close = html.find("\uE001", open);
      if (open == std::string::npos || close == std::string::npos) return out + html.substr(i);
      const std::string number = html.substr(open + 3, close - open - 3);
      out += html.substr(i, open - i);
      if (number[0] == 'L')  // in an attribute: as text
        out += escaped(plain_formula(formulas[size_t(std::stoul(number.substr(1)))]));
      else
        out += tex_html(formulas[size_t(std::stoul(number))]);
      i = close + 3;
    }
    return out;
  }
};

#ifdef INK_MD4C
// The calls of md4c, written down as HTML.
class HtmlWriter {
 public:
  HtmlWriter(const LinkTarget& target) : target_(target) {}
  std::string out;

  static int enter_block(MD_BLOCKTYPE type, void* detail, void* self) {
    return static_cast<HtmlWriter*>(self)->block(type, detail, true);
  }
  static int leave_block(MD_BLOCKTYPE type, void* detail, void* self) {
    return static_cast<HtmlWriter*>(self)->block(type, detail, false);
  }
  static int enter_span(MD_SPANTYPE type, void* detail, void* self) {
    return static_cast<HtmlWriter*>(self)->span(type, detail, true);
  }
  static int leave_span(MD_SPANTYPE type, void* detail, void* self) {
    return static_cast<HtmlWriter*>(self)->span(type, detail, false);
  }
  static int text_found(MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* self) {
    return static_cast<HtmlWriter*>(self)->text(type, std::string(text, size));
  }

 private:
  void tag(const std::string& name, bool open) { out += fmt::format("<{}{}>", open ? "" : "/", name); }

  static std::string tag_of(MD_BLOCKTYPE type) {
    static const std::map<int, const char*> tags{{MD_BLOCK_QUOTE, "blockquote"},
                                                 {MD_BLOCK_UL, "ul"},
                                                 {MD_BLOCK_OL, "ol"},
                                                 {MD_BLOCK_LI, "li"},
                                                 {MD_BLOCK_P, "p"},
                                                 {MD_BLOCK_TABLE, "table"},
                                                 {MD_BLOCK_THEAD, "thead"},
                                                 {MD_BLOCK_TBODY, "tbody"},
                                                 {MD_BLOCK_TR, "tr"},
                                                 {MD_BLOCK_TH, "th"},
                                                 {MD_BLOCK_TD, "td"}};
    auto found = tags.find(type);
    return found == tags.end() ? "" : found->second;
  }

  int block(MD_BLOCKTYPE type, void* detail, bool open) {
    if (type == MD_BLOCK_TABLE && open) labels_.clear(), out += "<div class=\"table\">";
    if (type == MD_BLOCK_TR) column_ = 0;
    if (type == MD_BLOCK_TH && open) starts_.push_back(out.size() + 4);
    if (type == MD_BLOCK_TH && !open) labels_.push_back(without_tags(out.substr(starts_.back()))), starts_.pop_back();
    if (type == MD_BLOCK_HR && open)
      out += "<hr>";
    else if (type == MD_BLOCK_H)
      tag(fmt::format("h{}", static_cast<MD_BLOCK_H_DETAIL*>(detail)->level), open);
    else if (type == MD_BLOCK_CODE)
      out += open ? "<pre><code>" : "</code></pre>";
    else if (type == MD_BLOCK_TD &&
             open)  // narrow screens show a table as a list: each cell knows the head of its column
      out += fmt::format("<td data-label=\"{}\">", column_ < labels_.size() ? labels_[column_] : ""), ++column_;
    else if (!tag_of(type).empty())
      tag(tag_of(type), open);
    if (type == MD_BLOCK_TABLE && !open) out += "</div>";
    return 0;
  }
  static std::string without_tags(const std::string& html) {
    static const std::regex pattern("<[^>]*>");
    std::string label = std::regex_replace(html, pattern, "");
    for (size_t at = 0; (at = label.find("\uE000", at)) != std::string::npos; at += 4) label.insert(at + 3, "L");
    return label;
  }

  int span(MD_SPANTYPE type, void* detail, bool open) {
    switch (type) {
      case MD_SPAN_EM:
        tag("em", open);
        break;
      case MD_SPAN_STRONG:
        tag("strong", open);
        break;
      case MD_SPAN_CODE:
        tag("code", open);
        break;
      case MD_SPAN_DEL:
        tag("del", open);
        break;
      case MD_SPAN_A:
        if (open) {
          auto* a = static_cast<MD_SPAN_A_DETAIL*>(detail);
          addresses_.push_back(std::string(a->href.text, a->href.size));
          starts_.push_back(out.size());
        } else {
          const std::string inner = out.substr(starts_.back());
          const bool code = inner.starts_with("<code>") && inner.ends_with("</code>");
          const std::string name = code ? inner.substr(6, inner.size() - 13) : "";
          const std::string to = target_ ? target_(addresses_.back(), name) : addresses_.back();
          out.resize(starts_.back());
          out += fmt::format("<a href=\"{}\">{}</a>", escaped(to), inner);
          starts_.pop_back(), addresses_.pop_back();
        }
        break;
      default:
        break;
    }
    return 0;
  }

  int text(MD_TEXTTYPE type, const std::string& text) {
    if (type == MD_TEXT_BR)
      out += "<br>\n";
    else if (type == MD_TEXT_SOFTBR)
      out += "\n";
    else if (type == MD_TEXT_HTML || type == MD_TEXT_ENTITY)
      out += text;
    else
      out += escaped(text);
    return 0;
  }

  const LinkTarget& target_;
  std::vector<std::string> addresses_ = {};
  std::vector<size_t> starts_ = {};
  std::vector<std::string> labels_ = {};  // heads of the table's columns
  size_t column_ = 0;
};

std::string rendered(const std::string& text, const LinkTarget& target) {
  HtmlWriter writer(target);
  MD_PARSER parser{};
  parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_NOINDENTEDCODEBLOCKS | MD_FLAG_PERMISSIVEURLAUTOLINKS;
  parser.enter_block = HtmlWriter::enter_block, parser.leave_block = HtmlWriter::leave_block;
  parser.enter_span = HtmlWriter::enter_span, parser.leave_span = HtmlWriter::leave_span;
  parser.text = HtmlWriter::text_found;
  md_parse(text.data(), MD_SIZE(text.size()), &parser, &writer);
  return writer.out;
}
#else
std::string rendered(const std::string& text, const LinkTarget&) {
  return "<pre class=\"plain\">" + escaped(trimmed(text)) + "</pre>";
}
#endif

}  // namespace

bool has_markdown() {
#ifdef INK_MD4C
  return true;
#else
  return false;
#endif
}

std::string text_html(const std::string& text) {
  const WithoutFormulas parts(text);
  return parts.restored(escaped(parts.text));
}

std::string markdown_html(const std::string& markdown, const LinkTarget& target) {
  const WithoutFormulas parts(markdown);
  return parts.restored(rendered(parts.text, target)) + "\n";
}

std::string inline_html(const std::string& markdown, const LinkTarget& target) {
  std::string html = trimmed(markdown_html(markdown, target));
  if (html.starts_with("<p>") && html.ends_with("</p>")) html = html.substr(3, html.size() - 7);
  return html;
}

}  // namespace ink::lesson
