#include "examples/support/lesson/lesson.h"

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "autograd/ops.h"
#include "examples/support/lesson/show.h"
#include "examples/support/page/file.h"
#include "tests/catch.h"

using namespace ink;
using namespace ink::lesson;
namespace fs = std::filesystem;

namespace {

struct Folder {  // a folder of its own that disappears with the test
  fs::path path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "ink_lesson_XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

struct Outcome {
  int code;
  std::string out, err;
};

using Body = std::function<void(Lesson&)>;

// A lesson's main; noexcept, so that an exception ends the process as it would in a program of its own.
int lesson_main(const std::vector<std::string>& words, const Body& body) noexcept {
  std::vector<const char*> argv{"lesson"};
  for (const std::string& w : words) argv.push_back(w.c_str());
  Lesson lesson(int(argv.size()), argv.data(),
                {.note = "99", .name = "99_demo", .title = "Demo", .about = "Shows the parts.", .full_time = "4 min"});
  body(lesson);
  return lesson.finish();
}

int exit_code(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Outcome run(const Folder& folder, std::vector<std::string> words, const Body& body) {
  words.push_back("--out=" + (folder / "out"));
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    if (!std::freopen((folder / "stdout").c_str(), "w", stdout) ||
        !std::freopen((folder / "stderr").c_str(), "w", stderr) || !std::freopen("/dev/null", "r", stdin)) {
      _exit(99);
    }
    int code = lesson_main(words, body);
    std::fflush(nullptr);
    _exit(code);
  }
  int code = exit_code(child);
  return {code, read_file(folder / "stdout"), read_file(folder / "stderr")};
}

// The same on a terminal; `typed` is what the person types. Returns all that appeared.
Outcome run_on_terminal(const Folder& folder, std::vector<std::string> words, const std::string& typed, bool no_colour,
                        const Body& body) {
  words.push_back("--out=" + (folder / "out"));
  std::fflush(nullptr);
  int terminal = -1;
  winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    setenv("TERM", "xterm", 1);
    if (no_colour)
      setenv("NO_COLOR", "1", 1);
    else
      unsetenv("NO_COLOR");
    int code = lesson_main(words, body);
    std::fflush(nullptr);
    _exit(code);
  }
  std::string out;
  ssize_t written = write(terminal, typed.data(), typed.size());
  char buffer[4096];
  for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0;) out.append(buffer, size_t(n));
  close(terminal);
  CHECK(written == ssize_t(typed.size()));
  return {exit_code(child), out, ""};
}

void demo(Lesson& lesson) {
  int64_t steps = lesson.option("steps", Sizes{.full = 2000, .quick = 200, .tiny = 3}, "how long to train");
  lesson.section("1. Online softmax", R"(m_k = \max(m_{k-1}, x_k))", "Milakov & Gimelshein 2018, alg. 3");
  lesson.say("The running maximum never falls.");
  lesson.listing("[1 3]\n  [3]");
  lesson.expect("online equals three passes", 3.2e-8, Below{1e-6});
  lesson.expect("all rows agree", true);
  lesson.expect("accuracy", 0.98, AtLeast{0.97}, Needs::training);
  lesson.section("2. Memory");
  lesson.value("steps used", double(steps));
  lesson.measured("rate", 1234.5, "tokens/s");
  lesson.plot("memory", {{.name = "bytes", .y = {1, 2, 4}}}, {.x = "tokens", .caption = "Linear."});
}

Json metrics(const Folder& folder) { return Json::parse(read_file(folder / "out/99_demo/metrics.json")); }

}  // namespace

TEST_CASE("a lesson prints its parts and writes page, figures and metrics", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {"--quick", "--seed", "7"}, demo);
  INFO(o.out << o.err);
  CHECK(o.code == 0);
  CHECK(o.err.empty());
  for (const char* part :
       {"99  Demo\n", "Shows the parts.\n", "mode quick · device cpu · dtype f32 · seed 7", "── 1. Online softmax ──",
        "\n      mₖ = max(mₖ₋₁, xₖ)\n", "\n      Milakov & Gimelshein 2018, alg. 3\n",
        "  The running maximum never falls.\n", "    [1 3]\n      [3]\n",
        "✓ online equals three passes  3.2e-08  (expected < 1e-06)\n", "✓ all rows agree  holds\n", "steps used  200\n",
        "rate  1234 tokens/s\n", "3 claims held"}) {
    CHECK_THAT(o.out, contains(part));
  }
  CHECK(o.out.find('\033') == std::string::npos);
  Json m = metrics(folder);
  CHECK(m["settings"]["steps"].number() == 200);
  CHECK(m["settings"]["mode"].text() == "quick");
  CHECK(m["values"]["steps used"]["deterministic"].boolean());
  CHECK_FALSE(m["values"]["rate"]["deterministic"].boolean());
  CHECK(m["held"].number() == 3);
  CHECK_THAT(read_file(folder / "out/99_demo/index.html"), contains("<img src=\"memory.svg\""));
  CHECK_THAT(read_file(folder / "out/99_demo/memory.svg"), contains("</svg>"));
}

TEST_CASE("the mode sizes a run, an option of the same name overrides it", "[lesson]") {
  Folder folder;
  for (auto [words, steps] : {std::pair<std::vector<std::string>, double>{{}, 2000},
                              {{"--tiny"}, 3},
                              {{"--quick", "--tiny"}, 3},
                              {{"--quick", "--steps=17"}, 17}}) {
    CHECK(run(folder, words, demo).code == 0);
    CHECK(metrics(folder)["settings"]["steps"].number() == steps);
  }
  CHECK_THAT(run(folder, {}, demo).out, contains("The full run takes about 4 min on two cores"));
}

TEST_CASE("short runs skip the claims that need a longer one", "[lesson]") {
  Folder folder;
  auto body = [](Lesson& lesson) {
    lesson.expect("always", 1, Equals{1});
    lesson.expect("trained", 0, AtLeast{1}, Needs::training);
    lesson.expect("full", 0, AtLeast{1}, Needs::full_run);
  };
  Outcome tiny = run(folder, {"--tiny"}, body);
  CHECK(tiny.code == 0);
  CHECK_THAT(tiny.out, contains("– trained  0  (≥ 1; not checked in a tiny run)"));
  CHECK(metrics(folder)["skipped"].number() == 2);
  CHECK(run(folder, {"--quick"}, body).code == 1);
  CHECK(metrics(folder)["skipped"].number() == 1);
  CHECK(run(folder, {}, body).code == 1);
  CHECK(metrics(folder)["failed"].number() == 2);
}

TEST_CASE("a failed claim fails the program and is named at the end", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {}, [](Lesson& lesson) {
    CHECK_FALSE(lesson.expect("difference", 0.5, Below{1e-6}));
    lesson.expect("is not a number", NAN, Below{1});
  });
  CHECK(o.code == 1);
  CHECK_THAT(o.out, contains("0 claims held, 2 failed"));
  CHECK_THAT(o.out, contains("  ✗ difference: 0.5, expected < 1e-06\n"));
  CHECK(metrics(folder)["claims"].items()[1]["got"].text() == "nan");
}

TEST_CASE("wrong input ends with one line and exit code 2, and writes nothing", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {"--stpes", "3"}, demo);
  CHECK(o.code == 2);
  CHECK(o.err == "99_demo: unknown option --stpes; did you mean --steps?\n");
  CHECK(o.out.empty());
  CHECK_FALSE(fs::exists(folder / "out"));
  CHECK(run(folder, {"--steps", "many"}, demo).code == 2);
  CHECK(run(folder, {"--dtype", "int"}, demo).code == 2);
  CHECK_THAT(run(folder, {"--device", "tpu"}, demo).err, contains("99_demo: --device: "));
  CHECK(run(folder, {"--device", "tpu"}, demo).code == 2);
  CHECK(run(folder, {"--threads", "-1"}, demo).code == 2);
  CHECK(run(folder, {"--trace", folder / "none/t.jsonl"}, demo).err ==
        "99_demo: --trace: cannot write '" + (folder / "none/t.jsonl") + "': there is no such folder\n");
}

TEST_CASE("paths, numbers and sizes are looked at before the first section", "[lesson]") {
  Folder folder;
  write_file(folder / "file", "x");
  auto body = [](Lesson& lesson) {
    lesson.option("size", Sizes{.full = 64, .quick = 64, .tiny = 64, .least = 32, .multiple = 16}, "size");
    lesson.option("rate", 1.0, "rate", Number::positive);
    lesson.option("share", 0.5, "share", Number::share);
    lesson.option("state", std::string(), "state", Path::output);
    lesson.section("1. Never seen");
  };
  auto refused = [&](std::vector<std::string> words, const std::string& why) {
    Outcome o = run(folder, words, body);
    INFO(words[0] << " " << words[1] << ": " << o.err);
    CHECK(o.code == 2);
    CHECK(o.out.empty());
    CHECK_THAT(o.err, contains("99_demo: " + words[0] + ": ") && contains(why));
  };
  CHECK(run(folder, {"--size=48", "--rate=1e-9", "--share=0", "--state", folder / "new"}, body).code == 0);
  refused({"--size", "0"}, "got 0; expected at least 32");
  refused({"--size", "40"}, "got 40; expected a multiple of 16");
  for (const char* rate : {"0", "-1", "inf"}) refused({"--rate", rate}, "not a positive number");
  refused({"--rate", "nan"}, "not a number");
  for (const char* share : {"1", "-0.1"}) refused({"--share", share}, "expected 0 or more, and less than 1");
  refused({"--data", folder / "none"}, "No such file");
  refused({"--state", folder / "none/file"}, "there is no such folder");
  refused({"--state", folder.path.string()}, "is a folder; expected a file");
  CHECK(run(folder, {"--help", "--data", folder / "none"}, body).code == 0);
}

TEST_CASE("a folder that cannot be made is found before the first section", "[lesson]") {
  Folder folder;
  write_file(folder / "file", "x");
  write_file(folder / "out", "x");  // where run() lets lessons write
  Outcome o = run(folder, {}, demo);
  CHECK(o.code == 2);
  CHECK(o.out.empty());
  CHECK_THAT(o.err, contains("99_demo: --out: '" + (folder / "out") + "' is no folder"));
  fs::remove(folder / "out");
  write_file(folder / "out/99_demo", "x");  // only the lesson's own folder is in the way
  o = run(folder, {}, demo);
  CHECK(o.code == 2);
  CHECK(o.out.empty());
  CHECK_THAT(o.err, contains("99_demo: --out: "));
}

TEST_CASE("what is made of an option's value is wrong input if it fails", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {}, [](Lesson& lesson) {
    CHECK(lesson.checked("size", [] { return 3; }) == 3);
    lesson.checked("size", [] { throw ShapeError("too large"); });
  });
  CHECK(o.code == 2);
  CHECK_THAT(o.err, contains("99_demo: --size: too large"));
}

TEST_CASE("a trace or a report that cannot be written is an error", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {"--trace", "/dev/full"}, demo);
  CHECK(o.code == 1);
  CHECK(o.err == "99_demo: --trace: an event could not be written: No space left on device\n");
  CHECK(o.out.find("1. ") == std::string::npos);  // not even the first section's title was printed
  o = run(folder, {}, [&](Lesson& lesson) {
    lesson.section("1.");
    fs::remove_all(folder / "out");
    write_file(folder / "out", "a file where the folder was");
  });
  CHECK(o.code == 1);
  CHECK_THAT(o.err, contains("99_demo: ") && contains("folder"));
  fs::remove(folder / "out");
  o = run(folder, {}, [&](Lesson&) { CHECK(std::freopen("/dev/full", "w", stdout)); });
  CHECK(o.code == 1);
  CHECK(o.err == "99_demo: standard output could not be written\n");
}

TEST_CASE("an exception ends with one line and exit code 1, and the metrics say so", "[lesson]") {
  Folder folder;
  CHECK(run(folder, {}, demo).code == 0);
  Outcome o = run(folder, {}, [](Lesson& lesson) {
    lesson.section("1. Wrong");
    throw ShapeError("matmul: sizes differ; got [2, 3] and [2, 3]");
  });
  CHECK(o.code == 1);
  CHECK(o.err == "99_demo: matmul: sizes differ; got [2, 3] and [2, 3]\n");
  CHECK(metrics(folder)["error"].text() == "matmul: sizes differ; got [2, 3] and [2, 3]");
  CHECK_THAT(read_file(folder / "out/99_demo/index.html"), contains("stopped early: matmul"));
  CHECK(run(folder, {}, [](Lesson&) { throw std::runtime_error("other"); }).code == 1);
}

TEST_CASE("a run that dies leaves no verdict of an older run", "[lesson]") {
  Folder folder;
  CHECK(run(folder, {}, demo).code == 0);
  CHECK(run(folder, {}, [](Lesson& lesson) {
          lesson.section("1.");
          _exit(3);
        }).code == 3);
  CHECK_FALSE(fs::exists(folder / "out/99_demo/metrics.json"));
}

TEST_CASE("--help lists standard and own options and exits with 0", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {"--help", "--quick"}, demo);
  CHECK(o.code == 0);
  for (const char* option : {"--device", "--dtype", "--seed", "--quick", "--tiny", "--step ", "--trace", "--out",
                             "--data", "--threads", "--steps N", "how long to train (default 200)"}) {
    CHECK_THAT(o.out, contains(option));
  }
  CHECK_FALSE(fs::exists(folder / "out"));
}

TEST_CASE("options come before the first section", "[lesson]") {
  Folder folder;
  Outcome o = run(folder, {}, [](Lesson& lesson) {
    lesson.section("1.");
    lesson.option("late", 1.0, "");
  });
  CHECK(o.code == 1);
  CHECK_THAT(o.err, contains("option 'late' asked after the first section"));
}

TEST_CASE("a trace holds every event as a JSON line", "[lesson]") {
  Folder folder;
  CHECK(run(folder, {"--trace", folder / "t.jsonl"}, demo).code == 0);
  std::string trace = read_file(folder / "t.jsonl"), events;
  for (size_t at = 0; at < trace.size();) {
    size_t end = trace.find('\n', at);
    events += Json::parse(trace.substr(at, end - at))["event"].text() + " ";
    at = end + 1;
  }
  CHECK(events == "section text text claim claim claim section value value figure ");
}

TEST_CASE("--step waits on a terminal only; colours appear there unless NO_COLOR", "[lesson]") {
  Folder folder;
  CHECK(run(folder, {"--step"}, demo).code == 0);  // stdin is no terminal: no wait
  Outcome o = run_on_terminal(folder, {"--step"}, "\n\n", false, demo);
  CHECK(o.code == 0);
  CHECK_THAT(o.out, contains("Enter for the next section"));
  CHECK_THAT(o.out, contains("\033[32m✓\033[0m"));
  Outcome plain = run_on_terminal(folder, {}, "", true, demo);
  CHECK(plain.code == 0);
  CHECK(plain.out.find('\033') == std::string::npos);
}

namespace {

// Two sections with steps: an algorithm over a tensor, and one over words.
void stepping(Lesson& lesson) {
  lesson.section("1. Sums");
  Tensor s = zeros({2, 2});
  for (int64_t i = 0; i < 3; ++i) {
    s.add_(1);
    lesson.frame("step " + std::to_string(i + 1), {{"S", s, {{1}}}, {"i", i}, {"why", "one is added"}}, "all grow");
  }
  lesson.player("words");
  const std::vector<std::string> deque{"a", "b"};
  lesson.frame("rows", {{"floats", std::vector<float>{1, 2.5f}},
                        {"places", std::vector<size_t>{3}},
                        {"n", size_t(4)},
                        {"none", std::vector<int>{}}});
  lesson.frame("only", {{"deque", deque}, {"big", arange(0, 64 * 50).reshape({64, 50})}});
  lesson.section("2. End");
  lesson.expect("seen", true);
}

std::vector<Json> frames_of(const Json& run) {
  std::vector<Json> out;
  for (const Json& s : run["sections"].items())
    for (const Json& i : s["items"].items())
      if (i["event"].text() == "frame") out.push_back(i);
  return out;
}

int how_often(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("frames keep the state of their moment, by player", "[frames]") {
  Folder folder;
  Outcome o = run(folder, {"--trace", folder / "t.jsonl"}, stepping);
  INFO(o.err);
  CHECK(o.code == 0);
  const std::vector<Json> frames = frames_of(Json::parse(read_file(folder / "out/99_demo/run.json")));
  REQUIRE(frames.size() == 5);
  CHECK(frames[0]["player"].text() == "Sums");
  CHECK(frames[4]["player"].text() == "words");
  CHECK(frames[1]["title"].text() == "step 2");
  CHECK(frames[1]["text"].text() == "all grow");
  const Json& s = frames[0]["values"].items()[0];  // S itself is 3 by now
  CHECK(s.str() ==
        R"({"name": "S", "shape": [2, 2], "rows": 2, "columns": 2, "cells": [1, 1, 1, 1], "marks": [[1, -1]]})");
  CHECK(frames[2]["values"].items()[1].str() == R"({"name": "i", "shape": [], "rows": 1, "columns": 1, "cells": [2]})");
  CHECK(frames[2]["values"].items()[2]["text"].text() == "one is added");
  CHECK(frames[4]["values"].items()[0]["cells"].str() == R"(["a", "b"])");
  CHECK(frames[3]["values"].items()[0]["cells"].str() == "[1, 2.5]");
  CHECK(frames[3]["values"].items()[3].str() ==
        R"({"name": "none", "shape": [0], "rows": 0, "columns": 0, "cells": []})");
  const Json& big = frames[4]["values"].items()[1];
  CHECK(big["cut"].text() == "rows 1 to 24 of 64, columns 1 to 32 of 50");
  CHECK(big["cells"].items().size() == 24 * 32);
  CHECK(big["cells"].items()[32].number() == 50);
  CHECK(how_often(read_file(folder / "t.jsonl"), "\"event\": \"frame\"") == 5);
  CHECK(how_often(read_file(folder / "out/99_demo/index.html"), "<figure class=\"player\"") == 2);
}

TEST_CASE("without a page, steps and a trace no frame is kept", "[frames]") {
  Folder folder;
  CHECK(run(folder, {"--no-page"}, [](Lesson& lesson) {
          CHECK_FALSE(lesson.wants_frames());
          lesson.frame("never", {{"not read", Tensor()}});
        }).code == 0);
  CHECK_FALSE(fs::exists(folder / "out/99_demo/index.html"));
  CHECK(frames_of(Json::parse(read_file(folder / "out/99_demo/run.json"))).empty());
}

TEST_CASE("of a long loop the first frames are kept, and the page says so", "[frames]") {
  Folder folder;
  CHECK(run(folder, {}, [](Lesson& lesson) {
          lesson.section("1. Long");
          for (int i = 0; i < 350; ++i) lesson.frame("again", {{"i", i}});
        }).code == 0);
  const std::string text = read_file(folder / "out/99_demo/run.json");
  CHECK(frames_of(Json::parse(text)).size() == 300);
  CHECK_THAT(text, contains("holds the first 300 of 350 frames"));
}

TEST_CASE("--step stops at each frame; s skips to the next section, q ends", "[frames]") {
  Folder folder;
  Outcome all = run_on_terminal(folder, {"--step"}, "\n\n\n\n\n\n\n", true, stepping);
  CHECK(all.code == 0);
  CHECK(how_often(all.out, "s for the next section") == 5);
  for (const char* part : {"step 3", "all grow", "S  f32 [2, 2]", "i  2", "why  one is added", "[a  b]"})
    CHECK_THAT(all.out, contains(part));
  Outcome skipped = run_on_terminal(folder, {"--step"}, "s\n\n\n", true, stepping);
  CHECK(how_often(skipped.out, "s for the next section") == 1);
  CHECK_THAT(skipped.out, contains("1 claim held"));
  Outcome ended = run_on_terminal(folder, {"--step"}, "\nq\n", true, stepping);
  CHECK(ended.code == 0);
  CHECK_THAT(ended.out, contains("step 2"));
  CHECK(ended.out.find("2. End") == std::string::npos);
}

TEST_CASE("data files: exact name, unique start, or one file given", "[lesson]") {
  Folder folder;
  write_file(folder / "a/opticks.txt.gz", "x");
  write_file(folder / "a/digits-images", "x");
  write_file(folder / "a/digits-labels", "x");
  write_file(folder / "b/sunspots.csv", "x");
  std::vector<std::string> places{folder / "a", folder / "b"};
  CHECK(find_data("opticks", places) == folder / "a/opticks.txt.gz");
  CHECK(find_data("digits-labels", places) == folder / "a/digits-labels");
  CHECK(find_data("sunspots.csv", places) == folder / "b/sunspots.csv");
  CHECK(find_data("opticks", {folder / "b/sunspots.csv"}) == folder / "b/sunspots.csv");
  CHECK_THROWS_WITH(find_data("digits", places), contains("fits several files"));
  CHECK_THROWS_WITH(find_data("cifar", places), contains("data: no file 'cifar'; looked in " + (folder / "a")));
  Outcome o = run(folder, {"--data", folder / "b"}, [](Lesson& lesson) { lesson.listing(lesson.data("sunspots")); });
  CHECK_THAT(o.out, contains(folder / "b/sunspots.csv"));
  // A folder that was asked for is never replaced by the shipped one.
  o = run(folder, {"--data", folder / "b"}, [](Lesson& lesson) { lesson.text("opticks", 1); });
  CHECK(o.code == 2);
  CHECK_THAT(o.err, contains("--data: data: no file 'opticks'; looked in " + (folder / "b")));
  write_file(folder / "empty.txt", "");
  o = run(folder, {"--data", folder / "empty.txt"}, [](Lesson& lesson) { lesson.text("opticks", 5); });
  CHECK(o.code == 2);
  CHECK_THAT(o.err, contains("--data: ") && contains("the text is too short; got 0 characters; expected at least 5"));
  o = run(folder, {}, [](Lesson& lesson) { lesson.listing(lesson.data("opticks")); });
  CHECK_THAT(o.out, contains("examples/data/opticks.txt.gz"));
}
