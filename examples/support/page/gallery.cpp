#include "examples/support/page/gallery.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "examples/support/page/file.h"
#include "examples/support/page/json.h"
#include "examples/support/page/number.h"
#include "examples/support/page/page.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"

namespace ink::lesson {

namespace {

std::string verdict(const Json& m) {
  int held = int(m["held"].number()), failed = int(m["failed"].number()), skipped = int(m["skipped"].number());
  std::string out = fmt::format("<span class=\"{}\">{} of {} claims held</span>", failed ? "failed" : "held", held,
                                held + failed + skipped);
  if (failed) out += fmt::format(", <span class=\"failed\">{} failed</span>", failed);
  if (skipped) out += fmt::format(", <span class=\"skipped\">{} skipped</span>", skipped);
  return out;
}

std::string claims_as_html(const Json& m) {
  std::string out;
  for (const Json& c : m["claims"].items()) {
    std::string state = c["state"].text();
    out += fmt::format("<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number {}\" title=\"{}\">{}</td></tr>\n",
                       escaped(c["name"].text()), escaped(c["expected"].text()), escaped(state), escaped(state),
                       escaped(state == "skipped" ? state : c["got"].shown()));
  }
  return out.empty() ? out : "<table>" + out + "</table>\n";
}

std::string card(const std::string& name, const Json& m) {
  const std::string link = escaped(name) + "/index.html";
  std::string picture;
  if (!m["figures"].items().empty()) {
    const Json& figure = m["figures"].items()[0];
    picture = fmt::format("<a href=\"{}\"><img src=\"{}/{}\" alt=\"{}\"></a>\n", link, escaped(name),
                          escaped(figure["file"].text()), escaped(figure["name"].text()));
  }
  std::string error = m["error"].text();
  if (!error.empty()) error = fmt::format("<p class=\"error\">stopped early: {}</p>\n", escaped(error));
  return fmt::format(
      "<section class=\"card\">\n{}<div>\n<h3><a href=\"{}\">{}</a></h3>\n<p>{}</p>\n{}<p class=\"meta\">{} · {}</p>\n"
      "{}</div>\n</section>\n",
      picture, link, escaped(m["title"].text()), escaped(m["about"].text()), error, verdict(m),
      duration(m["seconds"].number()), claims_as_html(m));
}

std::string damaged_card(const std::string& name, const std::string& why) {
  return fmt::format("<section class=\"card\"><div>\n<h3>{}</h3>\n<p class=\"error\">{}</p>\n</div></section>\n",
                     escaped(name), escaped(why));
}

}  // namespace

GalleryCount write_gallery(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (std::filesystem::exists(entry.path() / "metrics.json")) names.push_back(entry.path().filename().string());
  }
  if (error) throw IoError(fmt::format("gallery: cannot read the folder '{}': {}", folder, error.message()));
  std::sort(names.begin(), names.end());

  GalleryCount count;
  int held = 0, claims = 0;
  std::string cards;
  for (const std::string& name : names) {
    ++count.lessons;
    try {
      Json m = Json::parse(read_file(folder + "/" + name + "/metrics.json"));
      if (m["title"].kind() != Json::Kind::string) throw IoError("metrics.json: no title; was it written by a lesson?");
      cards += card(name, m);
      held += int(m["held"].number());
      claims += int(m["claims"].items().size());
      count.failed += m["failed"].number() > 0 || !m["error"].text().empty();
    } catch (const Error& e) {
      cards += damaged_card(name, e.what());
      ++count.failed;
    }
  }
  std::string page = html_head("Inkstone: the lessons") + "<main class=\"gallery\">\n<h1>Inkstone: the lessons</h1>\n";
  page += fmt::format("<p class=\"meta\">{} lessons, {} of {} claims held</p>\n<div class=\"cards\">\n{}</div>\n",
                      count.lessons, held, claims, cards);
  write_file(folder + "/index.html", page + "</main>\n</body>\n</html>\n");
  return count;
}

}  // namespace ink::lesson
