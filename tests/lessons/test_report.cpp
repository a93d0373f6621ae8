#include "examples/support/lesson/report.h"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "examples/support/page/file.h"
#include "examples/support/page/site.h"
#include "tensor/error.h"
#include "tests/catch.h"

using ink::read_file;
using namespace ink::lesson;
namespace fs = std::filesystem;

namespace {

struct Folder {  // a folder of its own that disappears with the test
  fs::path path = fs::temp_directory_path() / ("ink_report_" + std::to_string(std::rand()) + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

Report example() {
  Report r{.name = "01_demo", .note = "01", .title = "A <demo>", .about = "Shows & tells."};
  r.settings.set("device", "cpu").set("seed", 7);
  r.sections.push_back({.title = "1. Sum", .formula = "s_t = s_{t-1} + x^2", .source = "Euler 1748"});
  r.add(Text{"plain < text"});
  r.add(Text{"a\n  b", true});
  r.add(Shown{.name = "x",
              .dtype = "f32",
              .shape = {2, 2},
              .min = -1,
              .max = 3,
              .mean = 1.5,
              .rows = 2,
              .columns = 2,
              .cells = {-1, 1, 3, 3},
              .exact_cells = true});
  r.add(check_claim("small", 1e-7, Below{1e-6}));
  r.add(check_claim("large", 2, Above{3}));
  r.add(check_claim("learnt", 0.1, AtLeast{0.97}, true));
  r.add(Named{.name = "accuracy", .value = 0.975});
  r.add(Named{.name = "rate", .value = 1234.5, .deterministic = false});
  r.add(Figure{.name = "loss curve", .svg = "<svg/>\n", .caption = "It falls."});
  r.seconds = 1.5;
  return r;
}

}  // namespace

TEST_CASE("bounds hold where they should, and never for NaN", "[claim]") {
  CHECK(Bound(Below{1}).holds(0.5));
  CHECK_FALSE(Bound(Below{1}).holds(1));
  CHECK(Bound(AtMost{1}).holds(1));
  CHECK_FALSE(Bound(Above{1}).holds(1));
  CHECK(Bound(AtLeast{1}).holds(1));
  CHECK(Bound(Within{1, 2}).holds(2));
  CHECK_FALSE(Bound(Within{1, 2}).holds(2.1));
  CHECK(Bound(Equals{7}).holds(7));
  for (Bound b :
       {Bound(Below{1}), Bound(Above{1}), Bound(AtMost{1}), Bound(AtLeast{1}), Bound(Within{1, 2}), Bound(Equals{1})}) {
    CHECK_FALSE(b.holds(NAN));
  }
  CHECK(Bound(Within{1.5, 2}).str() == "in [1.5, 2]");
  CHECK(Bound(AtMost{1e-6}).str() == "≤ 1e-06");
  CHECK(Bound(Below{10 * 1e-6 * (1 - 1e-16)}).str() == "< 1e-05");  // rounded for people
  CHECK(Bound(Holds{}).str() == "holds");
  CHECK(check_claim("x", 0, Holds{}).state == State::failed);
  CHECK(check_claim("x", NAN, Below{1}).state == State::failed);
  CHECK(check_claim("x", NAN, Below{1}, true).state == State::skipped);
}

TEST_CASE("metrics keep order, exact numbers and states", "[report]") {
  Report r = example();
  CHECK_FALSE(r.ok());
  CHECK(r.count(State::held) == 1);
  Json m = Json::parse(r.metrics().str(2));
  CHECK(m.keys().front() == "name");
  CHECK(m["claims"].items()[0].str() ==
        R"({"name": "small", "expected": "< 1e-06", "got": 1e-07, "state": "held", "section": "1. Sum"})");
  CHECK(m["claims"].items()[2]["state"].text() == "skipped");
  CHECK(m["values"]["accuracy"]["value"].number() == 0.975);
  CHECK(m["values"]["rate"]["deterministic"].kind() == Json::Kind::boolean);
  CHECK_FALSE(m["values"]["rate"]["deterministic"].boolean());
  CHECK(m["figures"].items()[0]["file"].text() == "loss-curve.svg");
  CHECK(m["failed"].number() == 1);
  CHECK(m["error"].kind() == Json::Kind::null);
  CHECK(m.str(2) == r.metrics().str(2));
}

TEST_CASE("a report of only skipped and held claims is ok; one that stopped early is not", "[report]") {
  Report r{.name = "x", .note = "", .title = "t", .about = ""};
  r.add(check_claim("a", 1, Equals{1}));
  r.add(check_claim("b", 1, Equals{2}, true));
  CHECK(r.ok());
  r.error = "matmul: sizes differ";
  CHECK_FALSE(r.ok());
  CHECK(r.metrics()["error"].text() == "matmul: sizes differ");
}

TEST_CASE("two figures of one name get files of their own", "[report]") {
  Report r;
  for (const char* name : {"loss", "loss", "loss tail", "loss"}) r.add(Figure{.name = name, .svg = ""});
  auto figures = r.metrics()["figures"];
  CHECK(figures.items()[0]["file"].text() == "loss.svg");
  CHECK(figures.items()[1]["file"].text() == "loss-2.svg");
  CHECK(figures.items()[2]["file"].text() == "loss-tail.svg");
  CHECK(figures.items()[3]["file"].text() == "loss-3.svg");
  CHECK(file_name("../../etc/passwd") == "etc-passwd");
  CHECK(file_name("σ") == "figure");
}

TEST_CASE("the page of a run without a note shows sections, formulas, claims and figures, and escapes text", "[page]") {
  std::string page = page_html("", example().run(), example().metrics());
  CHECK_THAT(page, contains("<h1>A &lt;demo&gt;</h1>"));
  CHECK_THAT(page, contains("Shows &amp; tells."));
  CHECK_THAT(page, contains("<p>plain &lt; text</p>\n<pre class=\"listing\"><code>a\n  b</code></pre>"));
  CHECK_THAT(page, contains("<span class=\"tex\" data-display>s_t = s_{t-1} + x^2</span>"));
  CHECK_THAT(page, contains("<li class=\"failed\">"));
  CHECK_THAT(page, contains("1 of 2 claims hold, 1 not checked in this run"));
  CHECK_THAT(page, contains("<img src=\"loss-curve.svg\""));
  CHECK_THAT(page, contains("It falls.</figcaption>"));
  CHECK_THAT(page, contains("data:image/png;base64,iVBORw0KGgo"));  // the PNG signature
}

TEST_CASE("JSON: what is written is read back", "[json]") {
  Json j = Json::object();
  j.set("text", "a \"quote\"\n\ttab \x01 é").set("list", Json::array().push(1).push(0.1).push(true).push(Json()));
  j.set("nan", NAN).set("big", 1e300).set("empty", Json::object()).set("int", int64_t(1) << 53);
  CHECK(Json::parse(j.str()).str() == j.str());
  CHECK(Json::parse(j.str(2)).str(2) == j.str(2));
  CHECK(j["nan"].number() != j["nan"].number());
  CHECK(Json::parse(j.str())["nan"].text() == "nan");
  CHECK(Json::parse("\"\\u00e9\\u2264\"").text() == "é≤");
  CHECK(j["missing"]["deeper"].kind() == Json::Kind::null);
}

TEST_CASE("JSON: damaged text is refused with the position", "[json]") {
  for (const char* bad : {"", "{", "[1,", "{\"a\" 1}", "{\"a\": 1", "\"open", "tru", "1 2", "nan", "[1e999]",
                          "\"\\u12\"", "{1: 2}", "\"\\"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(Json::parse(bad), ink::IoError);
  }
  CHECK_THROWS_WITH(Json::parse("[1, x]"), contains("at byte 4 of 6"));
  CHECK_THROWS_WITH(Json::parse(std::string(100000, '[')), contains("nested too deeply"));
}

TEST_CASE("files are replaced whole, and failures name the file", "[file]") {
  Folder folder;
  write_file(folder / "a/b/c.txt", "one");
  write_file(folder / "a/b/c.txt", std::string("two\0three", 9));
  CHECK(read_file(folder / "a/b/c.txt") == std::string("two\0three", 9));
  CHECK(std::distance(fs::directory_iterator(folder / "a/b"), {}) == 1);  // no temporary file is left
  CHECK_THROWS_WITH(read_file(folder / "none"), contains("none': No such file"));
  CHECK_THROWS_AS(read_file(folder / "a"), ink::IoError);
  CHECK_THROWS_WITH(write_file(folder / "a/b/c.txt/d", "x"), contains("cannot make the folder"));
  CHECK_THROWS_WITH(write_file(folder / "a/b", "x"), contains("cannot write"));  // a folder stands there
  CHECK(std::distance(fs::directory_iterator(folder / "a"), {}) == 1);
}

TEST_CASE("a report writes metrics, page and figures; the gallery links them", "[gallery]") {
  Folder folder;
  example().write(folder / "01_demo");
  CHECK(read_file(folder / "01_demo/loss-curve.svg") == "<svg/>\n");
  CHECK(read_file(folder / "01_demo/metrics.json") == example().metrics().str(2) + "\n");
  Report good{.name = "02_good", .note = "02", .title = "Good", .about = ""};
  good.add(check_claim("one", 1, Equals{1}));
  good.write(folder / "02_good");
  fs::create_directories(folder / "not_a_lesson");
  write_file(folder / "03_broken/metrics.json", "{\"title\": ");
  write_file(folder / "04_other/metrics.json", "[]");

  write_file(folder / "path.md",
             "# Lessons\n\nWhat to read.\n\n## First\n\nIt is good.\n\n* [Good](notes/02_good.md)\n");
  SiteCount count = write_site(folder / "notes", folder / "path.md", folder.path.string());
  CHECK(count.lessons == 4);
  CHECK(count.failed == 3);
  std::string page = read_file(folder / "index.html");
  CHECK_THAT(page, contains("<a href=\"01_demo/index.html\">A &lt;demo&gt;</a>"));
  CHECK_THAT(page, contains("<img src=\"01_demo/loss-curve.svg\""));
  CHECK_THAT(page, contains("1 of 2 claims hold, 1 not checked in this run"));
  CHECK_THAT(page, contains("10<sup>−7</sup> <span class=\"bound\">&lt; 10<sup>−6</sup>"));  // numbers for people
  CHECK_THAT(page, contains("</span> First</h2>\n<p>It is good.</p>"));
  CHECK(page.find("02_good") < page.find("01_demo"));  // the path comes first, then the others
  CHECK_THAT(page, contains("json: a value was expected"));
  CHECK_THAT(page, contains("4 lessons, 2 of 3 claims hold"));
  CHECK(page.find("not_a_lesson") == std::string::npos);
  CHECK_THROWS_WITH(write_site(folder / "notes", folder / "path.md", folder / "missing"),
                    contains("cannot read the folder"));
  CHECK(fs::is_regular_file(folder / "page/page.css"));
}
