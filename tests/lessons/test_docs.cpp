#include "examples/support/page/docs.h"

#include <filesystem>

#include "examples/support/page/file.h"
#include "tensor/error.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::lesson;
using ink::test::TemporaryFolder;

namespace {

Json metrics(double accuracy, const std::string& mode = "quick") {
  Json values = Json::object(), claims = Json::array();
  values.set("accuracy", Json::object().set("value", accuracy).set("deterministic", true));
  values.set("rate", Json::object().set("value", 123.0).set("deterministic", false));
  claims.push(Json::object().set("name", "accuracy").set("expected", "≥ 97").set("got", accuracy).set("state", "held"));
  Json m = Json::object();
  m.set("settings", Json::object().set("mode", mode)).set("values", values).set("claims", claims);
  return m.set("seconds", 2.5);
}

std::string filled(const std::string& page, const Json& m, size_t differences) {
  std::vector<std::string> found;
  std::string out = fill_page(page, m, found);
  CHECK(found.size() == differences);
  return out;
}

}  // namespace

TEST_CASE("values stand between their markers, with the decimals asked for", "[docs]") {
  CHECK(filled("a <!--v:accuracy|1-->0<!--/v--> b", metrics(98.06), 1) == "a <!--v:accuracy|1-->98.1<!--/v--> b");
  CHECK(filled("<!--v:accuracy|1-->98.1<!--/v-->", metrics(98.06), 0) == "<!--v:accuracy|1-->98.1<!--/v-->");
  CHECK(filled("<!--v:rate-->7<!--/v--> <!--v:seconds|1-->9<!--/v-->", metrics(1), 0) ==
        "<!--v:rate-->123<!--/v--> <!--v:seconds|1-->2.5<!--/v-->");
}

TEST_CASE("a tolerance allows for machines that round differently", "[docs]") {
  filled("<!--v:accuracy|1|0.5-->98.1<!--/v-->", metrics(97.7), 0);
  filled("<!--v:accuracy|1|0.5-->98.1<!--/v-->", metrics(97.5), 1);
}

TEST_CASE("values of the full run wait for a full run", "[docs]") {
  CHECK(filled("<!--v:full:accuracy-->1<!--/v-->", metrics(98), 0) == "<!--v:full:accuracy-->1<!--/v-->");
  CHECK(filled("<!--v:full:accuracy-->1<!--/v--> <!--v:accuracy-->2<!--/v-->", metrics(98, "full"), 1) ==
        "<!--v:full:accuracy-->98<!--/v--> <!--v:accuracy-->2<!--/v-->");
}

TEST_CASE("the table of claims is compared by names and bounds", "[docs]") {
  std::string page = filled("x<!--claims--><!--/claims-->y", metrics(98.06), 1);
  CHECK_THAT(page, contains("| accuracy | ≥ 97 | 98.1 |"));
  CHECK(filled(page, metrics(97.2), 0) != page);
  std::string other = page;
  other.replace(other.find("97 |"), 2, "96");
  filled(other, metrics(98.06), 1);
}

TEST_CASE("wrong markers are refused", "[docs]") {
  std::vector<std::string> found;
  CHECK_THROWS_WITH(fill_page("<!--v:accuracy-->1", metrics(1), found), contains("<!--/v-->"));
  CHECK_THROWS_WITH(fill_page("<!--v:speed-->1<!--/v-->", metrics(1), found),
                    contains("'speed' is not in the metrics"));
}

TEST_CASE("links to code must name something in that file", "[docs]") {
  TemporaryFolder folder;
  write_file(folder / "code.h", "int van_herk(int k);");
  CHECK(broken_code_links("[`van_herk(k)`](code.h)", folder / "").empty());
  CHECK_THAT(broken_code_links("[`doubling`](code.h)", folder / "").at(0), contains("does not occur"));
  CHECK_THAT(broken_code_links("[`doubling`](other.h)", folder / "").at(0), contains("leads nowhere"));
}

TEST_CASE("pages and figures are written, and checked", "[docs]") {
  TemporaryFolder folder;
  write_file(folder / "out/99_demo/metrics.json", metrics(98.06).str());
  write_file(folder / "out/99_demo/loss.svg", "<svg/>");
  write_file(folder / "notes/99_demo.md", "<!--v:accuracy|1-->0<!--/v-->\n![loss](figures/99_demo/loss.svg)\n");
  CHECK(update_docs(folder / "notes", folder / "out", true).size() == 2);
  CHECK(update_docs(folder / "notes", folder / "out", false).empty());
  CHECK(update_docs(folder / "notes", folder / "out", true).empty());
  CHECK_THAT(read_file(folder / "notes/99_demo.md"), contains("98.1"));
  write_file(folder / "out/99_demo/loss.svg", "<svg> </svg>");
  CHECK_THAT(update_docs(folder / "notes", folder / "out", true).at(0), contains("figure 99_demo/loss.svg differs"));
  write_file(folder / "notes/99_demo.md", "![loss](figures/99_demo/loss.svg) <!--varies-->\n");
  CHECK(update_docs(folder / "notes", folder / "out", true).empty());
  write_file(folder / "out/99_demo/metrics.json", metrics(98.06, "full").str());
  CHECK_THAT(update_docs(folder / "notes", folder / "out", true).at(0), contains("was a full one; expected --quick"));
  write_file(folder / "notes/98_other.md", "text");
  CHECK_THAT(update_docs(folder / "notes", folder / "out", true).at(0),
             contains("98_other.md: the lesson was not run"));
}
