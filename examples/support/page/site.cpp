#include "examples/support/page/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "examples/support/page/file.h"
#include "examples/support/page/items.h"
#include "examples/support/page/markdown.h"
#include "examples/support/page/number.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"

namespace fs = std::filesystem;

namespace ink::lesson {

namespace {

// Where distributions keep KaTeX; INK_KATEX names another folder.
std::string katex_folder() {
  const char* named = std::getenv("INK_KATEX");
  for (const std::string& place :
       {std::string(named ? named : ""), std::string("/usr/share/javascript/katex"), std::string("/usr/share/katex")})
    if (!place.empty() && fs::is_regular_file(place + "/katex.min.js")) return place;
  return "";
}

void copy_if_other(const fs::path& from, const fs::path& to) {
  if (fs::is_regular_file(to) && fs::file_size(to) == fs::file_size(from) &&
      read_file(to.string()) == read_file(from.string()))
    return;
  write_file(to.string(), read_file(from.string()));
}

// Names of the notes that a list entry of the path links to, "[..](notes/NAME.md)".
std::vector<std::string> linked_notes(const std::string& markdown) {
  std::vector<std::string> out;
  for (size_t at = markdown.find("](notes/"); at != std::string::npos; at = markdown.find("](notes/", at + 1)) {
    const size_t end = markdown.find(".md)", at);
    if (end != std::string::npos) out.push_back(markdown.substr(at + 8, end - at - 8));
  }
  return out;
}

}  // namespace

std::vector<std::string> missing_packages() {
  std::vector<std::string> out;
  if (!has_markdown()) out.push_back("libmd4c-dev");
  if (katex_folder().empty()) out.push_back("libjs-katex");
  return out;
}

void write_assets(const std::string& out) {
  const std::string folder = out + "/page/", own = std::string(kSourceRoot) + "/examples/support/page/";
  for (const char* name : {"page.css", "page.js", "player.js"}) copy_if_other(own + name, folder + name);
  const std::string katex = katex_folder();
  if (katex.empty()) return;
  for (const char* name : {"katex.min.js", "katex.min.css"})
    copy_if_other(katex + "/" + name, folder + "katex/" + name);
  for (const auto& font : fs::directory_iterator(katex + "/fonts"))
    if (font.path().extension() == ".woff2")
      copy_if_other(font.path(), folder + "katex/fonts/" + font.path().filename().string());
}

std::string neighbours_html(const std::string& folder) {
  const fs::path out = fs::path(folder).parent_path();
  const std::string path = std::string(kSourceRoot) + "/docs/lessons.md", own = fs::path(folder).filename().string();
  std::vector<std::string> names;
  if (fs::is_regular_file(path)) names = linked_notes(read_file(path));
  std::erase_if(names, [&](const std::string& name) {
    return name != own && !fs::is_regular_file(out / name / "metrics.json");
  });
  const auto at = std::find(names.begin(), names.end(), own);
  if (at == names.end()) return "";
  const auto link = [&](const std::string& name, const char* pattern) {
    const Json m = Json::parse(read_file((out / name / "metrics.json").string()));
    return fmt::format(fmt::runtime(pattern), escaped(name), escaped(m["title"].text()));
  };
  std::string html;
  if (at != names.begin()) html += link(*(at - 1), "<a class=\"previous\" href=\"../{}/index.html\">← {}</a>\n");
  if (at + 1 != names.end()) html += link(*(at + 1), "<a class=\"next\" href=\"../{}/index.html\">{} →</a>\n");
  return html;
}

std::string html_head(const std::string& title, const std::string& up) {
  std::string files = fmt::format("<link rel=\"stylesheet\" href=\"{0}page/page.css\">\n", up);
  if (!katex_folder().empty())
    files += fmt::format(
        "<link rel=\"stylesheet\" href=\"{0}page/katex/katex.min.css\">\n<script defer "
        "src=\"{0}page/katex/katex.min.js\"></script>\n",
        up);
  for (const char* script : {"player.js", "page.js"})
    files += fmt::format("<script defer src=\"{}page/{}\"></script>\n", up, script);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n{}</head>\n<body>\n",
      escaped(title), files);
}

std::string link_target(const std::string& address, const std::string& name) {
  if (address.find("://") != std::string::npos || address.starts_with("#")) return address;
  const std::string file = address.substr(0, address.find('#')), anchor = address.substr(file.size());
  const fs::path path = (fs::path(kNotes) / file).lexically_normal();
  if (path.extension() == ".md" && path.parent_path() == fs::path(kNotes))
    return "../" + path.stem().string() + "/index.html" + anchor;
  const std::string from_root = path.lexically_relative(kSourceRoot).string();
  if (path.extension() == ".md" || !fs::is_regular_file(path)) return "file://" + path.string();
  int64_t line = 1;
  try {
    if (!name.empty()) line = find_source(from_root + ":" + name.substr(0, name.find('('))).name_line;
  } catch (const Error&) {  // something that is used there and declared elsewhere: its first mention
    const std::string text = read_file(path.string());
    const size_t at = text.find(name.substr(0, name.find('(')));
    if (at != std::string::npos) line = 1 + std::count(text.begin(), text.begin() + long(at), '\n');
  }
  return editor_link(from_root, line);
}

namespace {

// The figure of <!--card NAME--> in the note, else the first one; null if none was drawn.
Json picture_of(const std::string& note, const Json& m) {
  std::string wanted;
  for (const Block& b : blocks_of(note))
    if (b.kind == Block::Kind::card) wanted = b.text;
  for (const Json& f : m["figures"].items())
    if (wanted.empty() || f["name"].text() == wanted || f["file"].text() == wanted) return f;
  return {};
}

std::string card_html(const std::string& name, const Json& m, const std::string& note) {
  const std::string link = escaped(name) + "/index.html", error = m["error"].text();
  const Json picture = picture_of(note, m);
  std::string out = "<section class=\"card\">\n";
  if (picture.kind() != Json::Kind::null)
    out += fmt::format(
        "<a class=\"picture{}\" href=\"{}\" tabindex=\"-1\"><img src=\"{}/{}\" alt=\"\" loading=\"lazy\"></a>\n",
        picture["picture"].boolean() ? " colours" : "", link, escaped(name), escaped(picture["file"].text()));
  out += fmt::format("<div class=\"words\"><h3><a href=\"{}\">{}</a></h3>\n<p>{}</p>\n", link,
                     escaped(m["title"].text()), escaped(m["about"].text()));
  if (!error.empty()) out += fmt::format("<p class=\"error\">stopped early: {}</p>\n", escaped(error));
  out += fmt::format("<p class=\"meta\">{} run, {}</p>\n", escaped(m["settings"]["mode"].shown()),
                     duration(m["seconds"].number()));
  out += claims_html(m["claims"].items());
  return out + "</div></section>\n";
}

std::string damaged_card(const std::string& name, const std::string& why) {
  return fmt::format(
      "<section class=\"card\"><div class=\"words\">\n<h3>{}</h3>\n<p class=\"error\">{}</p>\n</div></section>\n",
      escaped(name), escaped(why));
}

// The path's prose with its list entries, "* [title](notes/NAME.md)", replaced by cards: a stage of the path for each
// heading.
std::string path_html(const std::string& path, std::map<std::string, std::string>& cards) {
  std::string out, said, shown;
  int stages = 0;
  const auto end_stage = [&] {
    if (stages == 0) out += "<div class=\"lead\">" + said + "</div>\n";
    if (stages > 0 && !shown.empty())
      out += "<section class=\"path\"><div class=\"why\">" + said + "</div><div class=\"cards\">\n" + shown +
             "</div></section>\n";
    said.clear(), shown.clear();
  };
  for (const Block& b : blocks_of(path)) {
    if (b.kind == Block::Kind::heading && b.level > 1) {
      end_stage();
      said = fmt::format("<h2><span class=\"stage-number\">{}</span> {}</h2>\n", ++stages, inline_html(b.text));
    }
    if (b.kind != Block::Kind::prose) continue;
    const std::vector<std::string> names = linked_notes(b.text);
    if (names.empty()) said += markdown_html(b.text);
    for (const std::string& name : names) {
      shown += cards[name];
      cards.erase(name);
    }
  }
  end_stage();
  return out;
}

}  // namespace

SiteCount write_site(const std::string& notes, const std::string& path, const std::string& out) {
  std::error_code error;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(out, error))
    if (fs::exists(entry.path() / "metrics.json")) names.insert(entry.path().filename().string());
  if (error) throw IoError(fmt::format("gallery: cannot read the folder '{}': {}", out, error.message()));

  SiteCount count{.missing = missing_packages()};
  int held = 0, claims = 0;
  std::map<std::string, std::string> cards;
  for (const std::string& name : names) {
    const std::string folder = out + "/" + name, note = notes + "/" + name + ".md";
    ++count.lessons;
    try {
      const Json m = Json::parse(read_file(folder + "/metrics.json"));
      if (m["title"].kind() != Json::Kind::string) throw IoError("metrics.json: no title; was it written by a lesson?");
      if (fs::is_regular_file(folder + "/run.json")) write_page(notes, folder);
      cards[name] = card_html(name, m, fs::is_regular_file(note) ? read_file(note) : "");
      held += int(m["held"].number());
      claims += int(m["held"].number() + m["failed"].number());
      count.failed += m["failed"].number() > 0 || !m["error"].text().empty();
    } catch (const Error& e) {
      cards[name] = damaged_card(name, e.what());
      ++count.failed;
    }
  }
  write_assets(out);
  std::string page =
      html_head("Inkstone: the lessons", "") + "<main class=\"gallery\">\n<h1>Inkstone: the lessons</h1>\n";
  page += fmt::format("<p class=\"meta\">{} lessons, {}</p>\n", count.lessons, claims_that_hold(held, claims));
  if (fs::is_regular_file(path)) page += path_html(read_file(path), cards);
  std::string others;
  for (const auto& [name, card] : cards) others += card;
  if (!others.empty())
    page +=
        fmt::format("{}<div class=\"cards\">\n{}</div>\n", fs::is_regular_file(path) ? "<h2>More</h2>\n" : "", others);
  write_file(out + "/index.html", page + "</main>\n</body>\n</html>\n");
  return count;
}

}  // namespace ink::lesson
