// The page of a note: prose and formulas at the left; code, figures, players and claims at the right, each beside what
// it belongs to.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "examples/support/lesson/report.h"
#include "examples/support/page/docs.h"
#include "examples/support/page/file.h"
#include "examples/support/page/items.h"
#include "examples/support/page/markdown.h"
#include "examples/support/page/number.h"
#include "examples/support/page/site.h"
#include "examples/support/page/tex.h"
#include "examples/support/plot/svg.h"

namespace fs = std::filesystem;

namespace ink::lesson {

namespace {

// "4. Causal: a recurrent net" is meant by "4" and by its title.
bool is_section(const Json& section, const std::string& wanted) {
  const std::string title = section["title"].text();
  return title == wanted || title.starts_with(wanted + ". ");
}

std::string anchor_of(const std::string& heading) {
  std::string out;
  for (char c : heading) {
    if (std::isalnum(uint8_t(c)))
      out += char(std::tolower(uint8_t(c)));
    else if (c == ' ' || c == '-')
      out += '-';
  }
  return out;
}

// A formula of lesson.section: TeX if it has a command, else set as it is, which TeX does as well.
std::string formula_of(const Json& section) {
  const std::string tex = section["formula"].text();
  if (tex.empty()) return "";
  return "<div class=\"equation\">" + tex_html(tex, true) + "</div>\n";
}

class Page {
 public:
  Page(const std::string& note, const Json& run) : run_(run), blocks_(blocks_of(note)) {
    for (const Json& s : run["sections"].items())
      for (const Json& i : s["items"].items()) {
        if (i["event"].text() == "frame") players_[i["player"].text()].push_back(i);
        if (i["event"].text() == "figure") figures_[i["file"].text()] = i;
      }
    for (const Block& b : blocks_) {  // what the note places itself
      if (b.kind == Block::Kind::player) placed_.insert("player " + b.text);
      if (b.kind == Block::Kind::code) placed_.insert("code " + b.text);
      if (b.kind == Block::Kind::equation)
        for (const std::string& tag : tags_of(b.text)) equations_.insert(tag);
      if (b.kind == Block::Kind::figure) placed_.insert("figure " + file_of(b.target));
    }
  }

  std::string html() {
    for (const Block& b : blocks_) add(b);
    end_section();
    end_row();
    std::string out = head();
    if (!contents_.empty()) out += "<nav class=\"contents\" aria-label=\"contents\"><ol>" + contents_ + "</ol></nav>\n";
    return out + body_ + rest();
  }

 private:
  static std::string file_of(const std::string& target) { return fs::path(target).filename().string(); }

  std::string head() const {
    std::string out = "<header>\n";
    out += fmt::format("<h1>{}</h1>\n<p class=\"about\">{}</p>\n", escaped(run_["title"].text()),
                       escaped(run_["about"].text()));
    std::vector<Json> claims = all("claim");
    int held = 0, failed = 0;
    for (const Json& c : claims) held += c["state"].text() == "held", failed += c["state"].text() == "failed";
    std::string meta = fmt::format("{} run on {}, {}, seed {}, in {}", run_["settings"]["mode"].shown(),
                                   run_["settings"]["device"].shown(), run_["settings"]["dtype"].shown(),
                                   run_["settings"]["seed"].shown(), duration(run_["seconds"].number()));
    if (!claims.empty())
      meta += fmt::format(" · <span class=\"{}\">{}</span>", failed ? "failed" : "held",
                          claims_that_hold(held, held + failed));
    out += "<p class=\"meta\">" + meta + "</p>\n";
    if (const std::string error = run_["error"].text(); !error.empty())
      out += fmt::format("<p class=\"error\">stopped early: {}</p>\n", escaped(error));
    return out + "</header>\n";
  }

  std::vector<Json> all(const std::string& event) const {
    std::vector<Json> out;
    for (const Json& s : run_["sections"].items())
      for (const Json& i : s["items"].items())
        if (i["event"].text() == event) out.push_back(i);
    return out;
  }

  // ---- rows: prose at the left, what it speaks of at the right. Prose behind a figure waits: the next figure starts a
  // row with it; at the end of the section it goes beside the last figure as far as that is taller than what has been
  // said.
  void prose(const std::string& html, double height) {
    if (right_.empty() || left_height_ <= kHeading)  // nothing is said yet but a heading
      left_ += html, left_height_ += height;
    else
      waiting_.push_back({html, height});
  }
  void beside(const std::string& html, double height) {
    if (!waiting_.empty()) {
      std::vector<Said> next;
      next.swap(waiting_);
      end_row();
      for (const Said& s : next) prose(s.html, s.height);
    }
    right_ += html, right_height_ += height;
  }
  void across(const std::string& html) {  // over both columns, behind the prose that leads to it
    std::vector<Said> before;
    before.swap(waiting_);
    end_row();
    for (const Said& s : before) prose(s.html, s.height);
    end_row();
    body_ += "<div class=\"row across\">" + html + "</div>\n";
  }
  void end_row() {
    std::vector<Said> rest;
    for (const Said& s : waiting_) {
      if (!rest.empty() || left_height_ + s.height > right_height_ + 40)
        rest.push_back(s);
      else
        left_ += s.html, left_height_ += s.height;
    }
    waiting_.clear();
    if (!right_.empty() || !left_.empty()) {
      body_ += "<div class=\"row\"><div class=\"said\">" + left_ + "</div>";
      if (!right_.empty()) body_ += "<div class=\"seen\"><div class=\"stay\">" + right_ + "</div></div>";
      body_ += "</div>\n";
    }
    left_.clear(), right_.clear();
    left_height_ = right_height_ = 0;
    if (rest.empty()) return;
    for (const Said& s : rest) prose(s.html, s.height);
    end_row();
  }

  void add(const Block& b) {
    switch (b.kind) {
      case Block::Kind::heading:
        return heading(b);
      case Block::Kind::prose:
        return prose(markdown_html(with_references(b.text), link_target), 28.0 * double(b.text.size()) / 68 + 20);
      case Block::Kind::equation:
        return equation(b.text);
      case Block::Kind::table:
        return table(b.text);
      case Block::Kind::fence:
        return b.target == "cpp" ? beside(listing_html(b.text, true), 0) : prose(listing_html(b.text, false), 80);
      case Block::Kind::figure:
        return figure(b);
      case Block::Kind::code:
        return beside(code_html(b.text), 0);
      case Block::Kind::player:
        return player(b.text);
      case Block::Kind::section:
        sections_.push_back(b.text);
        return number_on_terminal(b.text);
      case Block::Kind::claims:
        return beside(claims_html(all("claim"), true), 0);
      case Block::Kind::card:
        return;
    }
  }

  void heading(const Block& b) {
    end_section();
    end_row();
    if (b.level == 1) return;  // the title comes from the run
    const std::string title = inline_html(b.text, link_target);
    if (b.level == 2) contents_ += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", anchor_of(b.text), title);
    left_ += fmt::format("<h{0} id=\"{1}\"><a href=\"#{1}\">{2}</a></h{0}>\n", b.level, anchor_of(b.text), title);
    left_height_ += kHeading;
  }

  // Under the heading: the number by which the run's output, `--step` and its own titles call this section.
  void number_on_terminal(const std::string& wanted) {
    for (const Json& s : run_["sections"].items()) {
      const std::string title = s["title"].text();
      if (const size_t dot = title.find('.'); is_section(s, wanted) && dot != std::string::npos && dot < 3)
        left_ += fmt::format("<p class=\"source\">section {} of the run</p>\n", title.substr(0, dot));
    }
  }

  // "(6.3)" in prose leads to that equation.
  std::string with_references(const std::string& markdown) const {
    static const std::regex number("\\((\\d+\\.\\d+[a-z]?)\\)");
    std::string out, rest = markdown;
    for (std::smatch m; std::regex_search(rest, m, number); rest = m.suffix())
      out += m.prefix().str() + (equations_.contains(m[1]) ? fmt::format("([{0}](#eq-{0}))", m[1].str()) : m.str());
    return out + rest;
  }

  void equation(const std::string& tex) {
    std::string text, tags, numbers;
    const std::vector<std::string> found = tags_of(tex, &text);
    for (const std::string& t : found) tags += (tags.empty() ? "" : " ") + t;
    if (found.size() == 1) numbers = fmt::format("<span class=\"number\">({})</span>", escaped(found[0]));
    const std::string tie =
        found.empty() ? ""
                      : fmt::format(" id=\"eq-{}\" data-eq=\"{}\" tabindex=\"0\"", escaped(found[0]), escaped(tags));
    prose(fmt::format("<div class=\"equation\"{}>{}{}</div>\n", tie, tex_html(text, true), numbers), 70);
  }

  void table(const std::string& markdown) {
    const std::string first = markdown.substr(0, markdown.find('\n'));
    if (std::count(first.begin(), first.end(), '|') > 3)
      across(markdown_html(markdown, link_target));
    else
      prose(markdown_html(markdown, link_target), 34.0 * double(std::count(markdown.begin(), markdown.end(), '\n')));
  }

  void figure(const Block& b) {
    const std::string file = file_of(b.target);
    auto drawn = figures_.find(file);
    if (drawn != figures_.end()) beside(figure_html(drawn->second, b.text), 430);  // else it was not drawn in this run
  }

  void player(const std::string& name) {
    auto frames = players_.find(name);
    if (frames == players_.end()) return;
    beside(player_html(name, frames->second), 420);
  }

  // At the end of a section of the note: what the lesson's sections tied to it showed and claimed.
  void end_section() {
    for (const std::string& wanted : sections_)
      for (const Json& s : run_["sections"].items())
        if (is_section(s, wanted)) {
          told_.insert(s["title"].text());
          evidence(s);
        }
    sections_.clear();
  }

  void evidence(const Json& section) {
    std::vector<Json> claims;
    std::set<std::string> shown;
    for (const Json& code : section["code"].items())
      if (!placed_.contains("code " + code.text())) beside(code_html(code.text()), 0);
    for (const Json& i : section["items"].items()) {
      const std::string event = i["event"].text();
      if (event == "claim") claims.push_back(i);
      if (event == "tensor") beside(tensor_html(i), 120);
      if (event == "figure" && !placed_.contains("figure " + i["file"].text()))
        beside(figure_html(i, i["name"].text()), 430);
      if (event == "frame" && !placed_.contains("player " + i["player"].text()) &&
          shown.insert(i["player"].text()).second)
        player(i["player"].text());
    }
    right_ += claims_html(claims), right_height_ += 40;
  }

  // ---- behind the note: the run as the terminal told it, folded; open where no note tells it
  std::string rest() const {
    std::string out;
    for (const Json& s : run_["sections"].items()) out += section_html(s);
    if (out.empty()) return "";
    return fmt::format("<details class=\"run\"{}><summary>The run, as the terminal shows it</summary>\n{}</details>\n",
                       blocks_.empty() ? " open" : "", out);
  }

  std::string section_html(const Json& s) const {
    const std::string title = s["title"].text();
    const bool told = told_.contains(title);
    std::string out, left, right;
    std::set<std::string> shown;
    std::vector<Json> claims, values;
    if (!title.empty()) left += fmt::format("<h3>{}</h3>\n", escaped(title));
    left += formula_of(s);
    if (!s["source"].text().empty()) left += fmt::format("<p class=\"source\">{}</p>\n", escaped(s["source"].text()));
    for (const Json& i : s["items"].items()) {
      const std::string event = i["event"].text(), key = i["player"].text();
      if (event == "text")
        left += i["listing"].boolean() ? listing_html(i["text"].text(), false)
                                       : "<p>" + text_html(i["text"].text()) + "</p>\n";
      if (event == "claim") claims.push_back(i);
      if (event == "value") values.push_back(i);
      if (event == "tensor" && !told) right += tensor_html(i);
      if (event == "figure" && !told && !placed_.contains("figure " + i["file"].text()))
        right += figure_html(i, i["name"].text());
      if (event == "frame" && !told && !placed_.contains("player " + key) && shown.insert(key).second)
        right += player_html(key, players_.at(key));
    }
    if (!told)
      for (const Json& code : s["code"].items()) right += code_html(code.text());
    right += values_html(values);
    right += claims_html(claims);
    return "<div class=\"row\"><div class=\"said\">" + left + "</div><div class=\"seen\"><div class=\"stay\">" + right +
           "</div></div></div>\n";
  }

  const Json& run_;
  std::vector<Block> blocks_;
  std::map<std::string, std::vector<Json>> players_;
  std::map<std::string, Json> figures_;
  std::set<std::string> placed_, told_, equations_;
  std::vector<std::string> sections_;  // of the lesson that belong to the section of the note being laid out
  std::string body_, left_, right_, contents_;
  static constexpr double kHeading = 70;
  double left_height_ = 0, right_height_ = 0;  // about, in pixels
  struct Said {
    std::string html;
    double height;
  };
  std::vector<Said> waiting_ = {};  // prose behind what stands at the right
};

}  // namespace

std::string page_html(const std::string& note, const Json& run, const Json& metrics, const std::string& neighbours) {
  std::vector<std::string> ignored;
  std::string text = note, foot;
  try {
    text = fill_page(note, metrics, ignored);
  } catch (const Error&) {  // a value that this run did not record; `./ink docs` says which
  }
  for (const std::string& package : missing_packages())
    foot += fmt::format(
        "<p class=\"error\">This page is plainer than it could be: the package {} was not there when it was "
        "written.</p>\n",
        package);
  const std::string top = "<nav class=\"top\"><a href=\"../index.html\">Inkstone</a>" + neighbours + "</nav>\n",
                    bottom =
                        neighbours.empty() ? "" : "<nav class=\"top bottom\"><span></span>" + neighbours + "</nav>\n";
  return html_head(run["title"].text(), "../") + top + "<main>\n" + Page(text, run).html() + foot + bottom +
         "</main>\n</body>\n</html>\n";
}

void write_page(const std::string& notes, const std::string& folder) {
  const std::string note = notes + "/" + fs::path(folder).filename().string() + ".md";
  const Json run = Json::parse(read_file(folder + "/run.json")),
             metrics = Json::parse(read_file(folder + "/metrics.json"));
  write_assets(fs::path(folder).parent_path().string());
  write_file(folder + "/index.html",
             page_html(fs::is_regular_file(note) ? read_file(note) : "", run, metrics, neighbours_html(folder)));
}

}  // namespace ink::lesson
