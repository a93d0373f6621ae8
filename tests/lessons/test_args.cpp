#include "examples/support/lesson/args.h"

#include "examples/support/lesson/progress.h"
#include "examples/support/lesson/terminal.h"
#include "examples/support/page/number.h"
#include "tests/catch.h"

using namespace ink::lesson;
using Catch::Matchers::Equals;

namespace {

struct Line {
  std::vector<const char*> argv{"/bin/lesson"};
  Line(std::initializer_list<const char*> words) { argv.insert(argv.end(), words); }
  Args args() const { return Args(int(argv.size()), argv.data(), "A lesson."); }
};

}  // namespace

TEST_CASE("options are read by type, with defaults, in both spellings", "[args]") {
  Args a = Line{"--steps", "20", "--rate=0.5", "--quick", "--device", "cuda", "--shift", "-3", "--rate=1e-3"}.args();
  CHECK(a.integer("steps", 5, "steps") == 20);
  CHECK(a.real("rate", 1, "rate") == 1e-3);  // the last one counts
  CHECK(a.flag("quick", "short"));
  CHECK_FALSE(a.flag("tiny", "shorter"));
  CHECK(a.choice("device", {"cpu", "cuda"}, "cpu", "where") == "cuda");
  CHECK(a.integer("shift", 0, "a negative value") == -3);
  CHECK(a.integer("batch", 32, "batch") == 32);
  CHECK(a.text("out", "out", "folder") == "out");
  CHECK_NOTHROW(a.check());
  CHECK_FALSE(a.help());
}

TEST_CASE("a misspelt option names the nearest one", "[args]") {
  Args a = Line{"--stpes", "3"}.args();
  a.integer("steps", 1, "steps");
  a.integer("seed", 1, "seed");
  CHECK_THROWS_WITH(a.check(), Equals("unknown option --stpes; did you mean --steps?"));
  Args far = Line{"--zebra=1"}.args();
  far.integer("steps", 1, "steps");
  CHECK_THROWS_WITH(far.check(), Equals("unknown option --zebra; see --help"));
  CHECK_THROWS_WITH(Line{"12"}.args().check(), Equals("unexpected argument '12'; see --help"));
}

TEST_CASE("wrong values name the option, what was given and what is expected", "[args]") {
  CHECK_THROWS_WITH(Line({"--steps", "many"}).args().integer("steps", 1, ""),
                    Equals("--steps: not a whole number; got 'many'"));
  CHECK_THROWS_WITH(Line({"--steps", "1.5"}).args().integer("steps", 1, ""), contains("got '1.5'"));
  CHECK_THROWS_WITH(Line({"--steps", "0"}).args().integer("steps", 1, "", 1), contains("expected at least 1"));
  CHECK_THROWS_WITH(Line({"--steps", "99999999999999999999"}).args().integer("steps", 1, ""), contains("out of range"));
  CHECK_THROWS_WITH(Line({"--rate", "fast"}).args().real("rate", 1, ""), Equals("--rate: not a number; got 'fast'"));
  CHECK_THROWS_WITH(Line({"--device", "cdua"}).args().choice("device", {"cpu", "cuda"}, "cpu", ""),
                    Equals("--device: not a choice; got 'cdua'; expected cpu|cuda; did you mean cuda?"));
  CHECK_THROWS_WITH(Line({"--out"}).args().text("out", "", ""), contains("--out: a value is missing"));
  CHECK_THROWS_WITH(Line({"--out", "--quick"}).args().text("out", "", ""), contains("--out: a value is missing"));
  CHECK_THROWS_WITH(Line({"--quick=1"}).args().flag("quick", ""), Equals("--quick: takes no value; got '1'"));
  CHECK_THROWS_AS(Line({"--quick=1"}).args().flag("quick", ""), UsageError);
}

TEST_CASE("the help page lists every option with its default", "[args]") {
  Args a = Line{"--help"}.args();
  a.integer("steps", 200, "how long to train");
  a.flag("quick", "a short run");
  CHECK(a.help());
  CHECK(a.help_page() ==
        "A lesson.\n\nusage: lesson [options]\n\n"
        "  --help     this page\n"
        "  --steps N  how long to train (default 200)\n"
        "  --quick    a short run\n");
  Args silent = Line{}.args();
  silent.flag("quick", "");
  CHECK_THAT(silent.help_page(), contains("  --quick  "));
}

TEST_CASE("edit distance counts a swap of neighbours as one slip", "[args]") {
  CHECK(edit_distance("steps", "stpes") == 1);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(nearest("sed", {"seed", "steps"}) == "seed");
  CHECK(nearest("banana", {"seed", "steps"}).empty());
}

TEST_CASE("numbers as text", "[number]") {
  CHECK(exact(0.1) == "0.1");
  CHECK(exact(97) == "97");
  CHECK(exact(1e-7) == "1e-07");
  CHECK(std::stod(exact(1.0 / 3)) == 1.0 / 3);
  CHECK(exact(-1.0 / 0.0) == "-inf");
  CHECK(brief(0.123456) == "0.1235");
  CHECK(brief(1234) == "1234");
  CHECK(brief(12345.678) == "12,346");
  CHECK(brief(-1.5e-7) == "-1.5e-07");
  CHECK(brief(9999.7) == "10,000");
  CHECK(brief(3e20) == "3e+20");
  CHECK(fixed(1.50, 2) == "1.5");
  CHECK(fixed(-0.001, 2) == "0");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(-123456) == "-123,456");
  CHECK(grouped(999) == "999");
  CHECK(superscript(-12) == "⁻¹²");
  CHECK(duration(0.44) == "0.4 s");
  CHECK(duration(185) == "3 min 05 s");
  CHECK(duration(7800) == "2 h 10 min");
}

TEST_CASE("text is wrapped at spaces and counted in code points", "[terminal]") {
  CHECK(columns("σ²=1") == 4);
  CHECK(padded("é", 3) == "é  ");
  CHECK(wrapped("one two three", 9, "  ") == "  one two\n  three\n");
  CHECK(wrapped("a\n\nb", 9, "") == "a\n\nb\n");
  CHECK(wrapped("unbreakable word", 5, "") == "unbreakable\nword\n");
  CHECK(Terminal::plain().paint(Style::red, "x") == "x");
}

TEST_CASE("a progress line tells share, rate and time left, and fits its width", "[progress]") {
  CHECK(progress_line("training", 50, 100, 5, "loss 0.4", 98) ==
        "training  ██████████            50 %  50/100  10/s  5.0 s left  loss 0.4");
  CHECK_THAT(progress_line("training", 100, 100, 5, "", 98), contains("100 %  100/100  20/s  in 5.0 s"));
  CHECK_THAT(progress_line("slow", 1, 3, 4, "", 98), contains("4.0 s each  8.0 s left"));
  CHECK(columns(progress_line("training", 50, 100, 5, "a long note behind the bar", 40)) == 40);
  CHECK_THAT(progress_line("nothing", 0, 0, 0, "", 98), contains("100 %  0/0"));
}
