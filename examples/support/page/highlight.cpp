// C++ in colours: a tokenizer that knows as much as a reader's eye needs.
#include <cctype>
#include <set>
#include <string_view>

#include "examples/support/page/source.h"
#include "examples/support/plot/svg.h"

namespace ink::lesson {

namespace {

bool is_keyword(const std::string& word) {
  static const std::set<std::string, std::less<>> words{"alignas",     "auto",      "break",
                                                        "case",        "catch",     "class",
                                                        "concept",     "const",     "const_cast",
                                                        "consteval",   "constexpr", "continue",
                                                        "decltype",    "default",   "delete",
                                                        "do",          "else",      "enum",
                                                        "explicit",    "extern",    "false",
                                                        "for",         "friend",    "goto",
                                                        "if",          "inline",    "mutable",
                                                        "namespace",   "new",       "noexcept",
                                                        "nullptr",     "operator",  "override",
                                                        "private",     "protected", "public",
                                                        "requires",    "return",    "reinterpret_cast",
                                                        "sizeof",      "static",    "static_assert",
                                                        "static_cast", "struct",    "switch",
                                                        "template",    "this",      "thread_local",
                                                        "throw",       "true",      "try",
                                                        "typename",    "union",     "using",
                                                        "virtual",     "volatile",  "while"};
  return words.contains(word);
}
// The basic types, names that start with a capital letter (Tensor, Shape), and those that end with _t.
bool is_type_name(const std::string& word) {
  static const std::set<std::string, std::less<>> words{"bool",  "char",   "double",   "float", "int", "long",
                                                        "short", "signed", "unsigned", "void",  "std"};
  const bool capital = std::isupper(uint8_t(word[0])) && word.size() > 1 && std::islower(uint8_t(word[1]));
  return words.contains(word) || capital || word.ends_with("_t");
}

std::string in_span(const char* kind, std::string_view text) {
  return text.empty() ? "" : "<span class=\"" + std::string(kind) + "\">" + escaped(std::string(text)) + "</span>";
}

// One line; `comment` says whether it starts, and then whether it ends, inside of /* */.
std::string highlighted_line(const std::string& s, bool& comment) {
  std::string out;
  const size_t first = s.find_first_not_of(' ');
  if (!comment && first != std::string::npos && s[first] == '#') return in_span("m", s);
  for (size_t i = 0; i < s.size();) {
    size_t end = i + 1;
    if (comment || s.compare(i, 2, "/*") == 0) {
      const size_t close = s.find("*/", comment ? i : i + 2);
      comment = close == std::string::npos;
      end = comment ? s.size() : close + 2;
      out += in_span("c", std::string_view(s).substr(i, end - i));
    } else if (s.compare(i, 2, "//") == 0) {
      end = s.size();
      out += in_span("c", std::string_view(s).substr(i));
    } else if (s[i] == '"' || s[i] == '\'') {
      while (end < s.size() && s[end] != s[i]) end += s[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, s.size());
      out += in_span("s", std::string_view(s).substr(i, end - i));
    } else if (std::isdigit(uint8_t(s[i]))) {
      while (end < s.size() && (std::isalnum(uint8_t(s[end])) || s[end] == '.' || s[end] == '\'' ||
                                ((s[end] == '-' || s[end] == '+') && s[end - 1] == 'e')))
        ++end;
      out += in_span("n", std::string_view(s).substr(i, end - i));
    } else if (std::isalpha(uint8_t(s[i])) || s[i] == '_') {
      while (end < s.size() && (std::isalnum(uint8_t(s[end])) || s[end] == '_')) ++end;
      const std::string word = s.substr(i, end - i);
      const bool call = end < s.size() && s[end] == '(';
      out += is_keyword(word)              ? in_span("k", word)
             : is_type_name(word) && !call ? in_span("t", word)
             : call                        ? in_span("f", word)
                                           : escaped(word);
    } else {
      while (end < s.size() && (uint8_t(s[end]) & 0xc0) == 0x80) ++end;
      out += escaped(s.substr(i, end - i));
    }
    i = end;
  }
  return out;
}

}  // namespace

std::vector<std::string> highlighted(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  bool comment = false;
  for (const std::string& line : lines) out.push_back(highlighted_line(line, comment));
  return out;
}

}  // namespace ink::lesson
