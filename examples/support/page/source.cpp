#include "examples/support/page/source.h"
#include "examples/support/page/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "tensor/error.h"
#include "tensor/io.h"

namespace ink::lesson {

const char* const kSourceRoot = INK_SOURCE_DIR;
const char* const kNotes = INK_SOURCE_DIR "/docs/notes";

namespace {

bool names_go_on(char c) { return std::isalnum(uint8_t(c)) || c == '_'; }

// The text with comments, strings and characters blanked, so that braces and names in it are those of the code.
std::string code_alone(const std::string& text) {
  std::string out = text;
  const auto blank = [&](size_t from, size_t to) {
    for (size_t i = from; i < std::min(to, out.size()); ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (text[i] == '#' && text.find_first_not_of(" \t", text.rfind('\n', i) + 1) == i) {  // a directive; npos + 1 = 0
      end = std::min(text.find('\n', i), text.size());
      while (end < text.size() && text[end - 1] == '\\') end = std::min(text.find('\n', end + 1), text.size());
      blank(i, end);
    } else if (text.compare(i, 2, "//") == 0) {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (text.compare(i, 2, "/*") == 0) {
      end = std::min(text.find("*/", i + 2), text.size() - 2) + 2;
      blank(i, end);
    } else if (text.compare(i, 2, "R\"") == 0 && text.find('(', i) != std::string::npos) {
      const size_t open = text.find('(', i);
      const std::string close = ")" + text.substr(i + 2, open - i - 2) + "\"";
      const size_t found = text.find(close, open);
      end = found == std::string::npos ? text.size() : found + close.size();
      blank(i, end);
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !std::isdigit(uint8_t(text[i - 1]))))) {
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      blank(i, ++end);
    }
    i = end;
  }
  return out;
}

// Behind the bracket that closes the one at `open`; npos if none does.
size_t behind_bracket(const std::string& code, size_t open) {
  const char opening = code[open], closing = opening == '(' ? ')' : opening == '{' ? '}' : ']';
  int depth = 0;
  for (size_t i = open; i < code.size(); ++i) {
    depth += (code[i] == opening) - (code[i] == closing);
    if (depth == 0) return i + 1;
  }
  return std::string::npos;
}

struct Extent {
  size_t begin, end;
  bool definition;
};

// Behind the ';' that ends the statement at `from`, past whole brackets; npos if none does.
size_t behind_statement(const std::string& code, size_t from) {
  for (size_t i = from; i < code.size(); ++i) {
    if (code[i] == ';') return i + 1;
    if (code[i] != '(' && code[i] != '{' && code[i] != '[') continue;
    const size_t behind = behind_bracket(code, i);
    if (behind == std::string::npos) return behind;
    i = behind - 1;
  }
  return std::string::npos;
}

// Behind the body, or the ';', of a function whose parameters end before `at`.
size_t behind_function(const std::string& code, size_t at, bool& body) {
  size_t stop = code.find_first_of("{;:", at);
  while (stop != std::string::npos && code.compare(stop, 2, "::") == 0) stop = code.find_first_of("{;:", stop + 2);
  if (stop != std::string::npos &&
      code[stop] == ':') {  // of a constructor: members and their first values, then the body
    do {
      stop = code.find_first_of("({", stop);
      if (stop != std::string::npos) stop = behind_bracket(code, stop);
      if (stop != std::string::npos) stop = code.find_first_not_of(" \n", stop);
    } while (stop != std::string::npos && code[stop] == ',');
  }
  body = stop != std::string::npos && code[stop] == '{';
  return stop == std::string::npos ? stop : body ? behind_bracket(code, stop) : stop + 1;
}

// What stands before the name in its statement, without template<...> and public:.
std::string head_of(const std::string& code, size_t at, size_t& begin) {
  const size_t last = at == 0 ? std::string::npos : code.find_last_of(";{}", at - 1);
  begin = last == std::string::npos ? 0 : last + 1;
  static const std::regex access("^\\s*(public|private|protected)\\s*:"), parameters("^\\s*template\\s*<");
  std::smatch m;
  std::string head = code.substr(begin, at - begin);
  if (std::regex_search(head, m, access)) begin += size_t(m.length()), head = m.suffix();
  begin += std::min(head.find_first_not_of(" \n"), head.size());
  while (std::regex_search(head, m, parameters)) {
    int depth = 0;
    size_t i = head.find('<');
    for (; i < head.size(); ++i) {
      depth += (head[i] == '<') - (head[i] == '>');
      if (depth == 0) break;
    }
    head = head.substr(std::min(i + 1, head.size()));
  }
  return head;
}

// Whether the name at [at, at + size) is declared there, and from where to where.
bool declared_at(const std::string& code, size_t at, size_t size, Extent& extent) {
  size_t begin = 0;
  const std::string head = head_of(code, at, begin);
  const size_t next = code.find_first_not_of(" \n", at + size), left = head.find_last_not_of(" \n");
  if (next == std::string::npos) return false;
  extent.begin = code.rfind('\n', begin) + 1;  // npos + 1 = 0
  static const std::regex type_word("(^|\\W)(struct|class|union|enum|using)\\s+$"),
      other_word("(^|\\W)(return|else|throw|new|delete|case|goto)\\s+$");
  if (std::regex_search(head, type_word)) {
    extent.end = behind_statement(code, next);
    extent.definition = code[next] != ';';
    return extent.end != std::string::npos;
  }
  const bool plain = head.find_first_of("=(") == std::string::npos && !std::regex_search(head, other_word);
  if (left == std::string::npos) {  // a constructor has no type before it, and neither has a call
    if (code[next] != '(') return false;
    const size_t behind = behind_bracket(code, next);
    extent.end = behind == std::string::npos ? behind : behind_function(code, behind, extent.definition);
    return extent.end != std::string::npos && extent.definition;
  }
  if (!plain || (!names_go_on(head[left]) && std::string(">*&:]").find(head[left]) == std::string::npos)) return false;
  if (code[next] == '(') {
    const size_t behind = behind_bracket(code, next);
    extent.end = behind == std::string::npos ? behind : behind_function(code, behind, extent.definition);
  } else {
    const bool value = code[next] == '[' || code[next] == '{' || (code[next] == '=' && code[next + 1] != '=');
    extent.end = value ? behind_statement(code, next) : std::string::npos;
    extent.definition = true;
  }
  return extent.end != std::string::npos;
}

size_t indentation(const std::string& line) { return std::min(line.find_first_not_of(' '), line.size()); }

// All places in [from, to) where the name is declared.
std::vector<Extent> declarations(const std::string& code, const std::string& name, size_t from, size_t to) {
  std::vector<Extent> all;
  for (size_t at = code.find(name, from); at < to; at = code.find(name, at + 1)) {
    if ((at > 0 && names_go_on(code[at - 1])) ||
        (at + name.size() < code.size() && names_go_on(code[at + name.size()])))
      continue;
    Extent e{};
    if (declared_at(code, at, name.size(), e) && (all.empty() || e.begin >= all.back().end)) all.push_back(e);
  }
  return all;
}

Extent find_extent(const std::string& code, std::string name, const std::string& reference) {
  size_t from = 0, to = code.size(), which = 1;
  if (const size_t hash = name.find('#'); hash != std::string::npos) {
    which = size_t(std::max(1, std::atoi(name.c_str() + hash + 1)));
    name.resize(hash);
  }
  if (declarations(code, name, from, to).empty())
    for (size_t colons = name.find("::"); colons != std::string::npos;
         colons = name.find("::")) {  // inside a type or namespace
      for (const Extent& e : declarations(code, name.substr(0, colons), from, to))
        if (e.definition) {
          from = code.find('{', e.begin) + 1, to = e.end;
          break;
        }
      name = name.substr(colons + 2);
    }
  const std::vector<Extent> all = declarations(code, name, from, to);
  size_t count = 0;
  for (const Extent& e : all)
    if (e.definition && ++count == which) return e;
  if (count > 0 || all.size() < which)
    throw ValueError(fmt::format(
        "code: nothing of that name is defined; got '{}'; expected path:name from the project's root", reference));
  return all[which - 1];
}

}  // namespace

Snippet find_source(const std::string& reference, const std::string& root) {
  const size_t colon = reference.find(':');
  if (colon == std::string::npos) throw ValueError("code: no name; got '" + reference + "'; expected path:name");
  Snippet s{.path = reference.substr(0, colon), .name = reference.substr(colon + 1)};
  const std::string file = root + "/" + s.path;
  if (!std::filesystem::is_regular_file(file))
    throw ValueError("code: no such file; got '" + reference + "'; expected a path from the project's root");
  const std::string text = read_file(file), code = code_alone(text);
  const Extent e = find_extent(code, s.name, reference);
  const std::vector<std::string> all = lines_of(text);
  size_t first = size_t(std::count(text.begin(), text.begin() + long(e.begin), '\n')),
         last = size_t(std::count(text.begin(), text.begin() + long(e.end), '\n'));
  s.name_line = int64_t(first) + 1;
  const auto belongs = [](const std::string& line) {
    const std::string start = line.substr(indentation(line));
    return (start.starts_with("//") && !start.starts_with("// ---")) || start.starts_with("template") ||
           start.starts_with("INK_GLOBAL");
  };
  while (first > 0 && belongs(all[first - 1])) --first;
  s.line = int64_t(first) + 1;
  size_t shared = 1000;
  for (size_t i = first; i <= last && i < all.size(); ++i)
    if (!all[i].empty()) shared = std::min(shared, indentation(all[i]));
  for (size_t i = first; i <= last && i < all.size(); ++i)
    s.lines.push_back(all[i].empty() ? "" : all[i].substr(shared));
  s.name = s.name.substr(0, s.name.find('#'));
  return s;
}

std::string equation_of(const std::string& line, std::string* code) {
  static const std::regex tag("\\s*// \\((\\d+\\.\\d+[a-z]?)\\)\\s*$");
  std::smatch m;
  const bool tagged = std::regex_search(line, m, tag);
  if (code) *code = tagged ? line.substr(0, size_t(m.position())) : line;
  return tagged ? m[1].str() : "";
}

std::string source_line(const std::string& reference) {
  const Snippet s = find_source(reference);
  return fmt::format("{}:{}  {}", s.path, s.name_line, s.name);
}

std::string editor_link(const std::string& path, int64_t line) {
  const char* wanted = std::getenv("INK_EDITOR");
  std::string link = wanted && *wanted ? wanted : "vscode://file{file}:{line}";
  const auto put = [&](const std::string& place, const std::string& what) {
    if (const size_t at = link.find(place); at != std::string::npos) link.replace(at, place.size(), what);
  };
  put("{file}", std::string(kSourceRoot) + "/" + path);
  put("{line}", std::to_string(line));
  return link;
}

}  // namespace ink::lesson
