// The rules of the house, read from the tree: which folder may include which, what public headers may hold, what the
// pages in docs/ claim about the code, and that no inline code of one CPU level can be linked into another.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace fs = std::filesystem;
using std::string;

namespace {

const fs::path root = INK_SOURCE_DIR;

string read(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::vector<string> lines(const string& text) {
  std::vector<string> all;
  std::istringstream in(text);
  for (string line; std::getline(in, line);) all.push_back(line);
  return all;
}

std::vector<string> found(const string& text, const char* pattern) {
  std::vector<string> all;
  std::regex r(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), r), end; it != end; ++it) all.push_back((*it)[1]);
  return all;
}

// Files below `folder` with one of the endings, as paths from the root.
std::vector<string> files(const string& folder, std::initializer_list<const char*> endings) {
  std::vector<string> all;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    string path = fs::relative(entry.path(), root).string();
    for (const char* ending : endings)
      if (entry.is_regular_file() && path.ends_with(ending)) all.push_back(path);
  }
  std::sort(all.begin(), all.end());
  return all;
}

const std::vector<string> order{"tensor", "autograd", "nn", "optim", "examples"};
int place(const string& path) {
  for (size_t i = 0; i < order.size(); ++i)
    if (path.starts_with(order[i] + "/")) return int(i);
  return -1;
}

// Folders whose headers are the library's own business: what cmake/headers.cmake leaves out.
bool is_private(const string& path) {
  static const std::regex hidden = [] {
    std::smatch m;
    string install = read(root / "cmake/headers.cmake");
    REQUIRE(std::regex_search(install, m, std::regex("EXCLUDE REGEX \"(\\^tensor/[^\"]*)\"")));
    return std::regex(m[1].str());
  }();
  return std::regex_search(path, hidden);
}

std::vector<string> public_headers() {
  std::vector<string> all;
  for (const char* folder : {"include", "tensor", "autograd", "nn", "optim"})
    for (const string& f : files(folder, {".h"}))
      if (!is_private(f)) all.push_back(f);
  return all;
}

string folder_of(const string& path) { return path.substr(0, path.rfind('/')); }

// The folders of sources, from the root: those that git knows, without builds and outputs.
std::set<string> folders() {
  std::set<string> all;
  for (const char* top : {"tensor", "autograd", "nn", "optim", "examples", "include", "tests", "gdb", "cmake"})
    for (const string& f : files(top, {".h", ".cpp", ".cu", ".py", ".cmake", ".inc", ".npz", ".gz"}))
      all.insert(folder_of(f));
  return all;
}

}  // namespace

TEST_CASE("includes run one way: tensor <- autograd <- nn <- optim <- examples", "[house]") {
  int read_files = 0;
  for (const string& folder : order)
    for (const string& file : files(folder, {".h", ".cpp", ".cu"})) {
      ++read_files;
      for (const string& target : found(read(root / file), "#include [\"<]([^\">]+)[\">]")) {
        INFO(file << " includes " << target);
        CHECK(place(target) <= place(file));
        if (folder != "examples") CHECK_FALSE(target.starts_with("tests/"));
        if (folder != "examples" && target.find("inkstone/testing.h") == string::npos)
          CHECK_FALSE(target.find("inkstone/") != string::npos);
        if (target.find("inkstone/testing.h") != string::npos) CHECK(place(file) >= place("nn/"));
      }
    }
  CHECK(read_files > 150);
  for (const string& target : found(read(root / "include/inkstone/testing.h"), "#include \"([^\"]+)\""))
    CHECK(place(target) <= place("nn/"));
}

// Below tensor/, from what knows least to what knows most. Each may include those before it, and the headers of tensor/
// itself.
TEST_CASE("includes run one way inside tensor/, and private folders are entered by tensor/ alone", "[house]") {
  const std::map<string, std::set<string>> allowed{
      {"tensor/math", {"tensor/math"}},
      {"tensor/backend", {"tensor/math", "tensor/backend", "tensor/runtime"}},
      {"tensor/runtime", {"tensor/math", "tensor/backend", "tensor/runtime"}},
      {"tensor/cpu", {"tensor/math", "tensor/backend", "tensor/runtime", "tensor/cpu"}},
      {"tensor/raw", {"tensor/math", "tensor/backend", "tensor/runtime", "tensor/raw"}},
      {"tensor/io", {"tensor/math", "tensor/raw", "tensor/io"}},
  };
  auto part = [](const string& path) {  // tensor/cpu/conv/pool.cpp -> tensor/cpu; tensor/shape.h -> tensor
    size_t second = path.find('/', path.find('/') + 1);
    return second == string::npos ? folder_of(path) : path.substr(0, second);
  };
  for (const string& folder : order)
    for (const string& file : files(folder, {".h", ".cpp", ".cu"}))
      for (const string& target : found(read(root / file), "#include [\"<]([^\">]+)[\">]")) {
        INFO(file << " includes " << target);
        auto rule = allowed.find(part(file));
        if (rule != allowed.end() && place(target) == 0 && part(target) != "tensor")
          CHECK(rule->second.count(part(target)) == 1);
        if (part(file) == "tensor/math") CHECK((place(target) < 0 || part(target) == "tensor/math"));
        // Kernels by themselves are built on the backend's tools, and the doctor asks the opened libraries for their
        // names.
        const bool insider = file.starts_with("examples/kernels/") || file == "examples/support/programs/machine.cpp";
        if (place(file) > 0 && !insider) CHECK_FALSE(is_private(target));
      }
}

TEST_CASE("every source of the library opens with what it is for", "[house]") {
  for (const char* folder : {"tensor", "autograd", "nn", "optim"})
    for (const string& file : files(folder, {".h", ".cpp", ".cu"})) {
      INFO(file);
      CHECK(read(root / file).starts_with("// "));
    }
}

TEST_CASE("docs/map.md names every folder, and no folder is too full to be read", "[house]") {
  const string page = read(root / "docs/map.md");
  for (const string& folder : folders()) {
    INFO(folder);
    const string above = fs::path(folder).parent_path().string();  // of these the folders in it are named as one
    const bool as_one = above == "examples/exercises" || above == "tests/golden/language_models";
    CHECK(page.find("`" + (as_one ? above : folder) + "/`") != string::npos);
    int sources = 0;
    for (const auto& entry : fs::directory_iterator(root / folder)) {
      const string ending = entry.path().extension().string();
      sources += ending == ".cpp" || ending == ".cu";
    }
    CHECK(sources <= 25);
  }
  for (const string& folder : found(page, "`((?:tensor|autograd|nn|optim|examples|tests)/[\\w/]*)/`")) {
    INFO("the map names " << folder);
    CHECK(fs::is_directory(root / folder));
  }
}

TEST_CASE("public headers are thin, define no macros but tensor/math/hd.h's, and need nothing that is not installed",
          "[house]") {
  const std::set<string> heavy{"algorithm",     "chrono",       "condition_variable",
                               "filesystem",    "format",       "fstream",
                               "functional",    "future",       "iomanip",
                               "iostream",      "map",          "mutex",
                               "random",        "ranges",       "regex",
                               "set",           "sstream",      "thread",
                               "unordered_map", "unordered_set"};
  std::vector<string> headers = public_headers();
  std::set<string> installed(headers.begin(), headers.end());
  CHECK(headers.size() > 50);
  for (const string& header : headers) {
    string text = read(root / header);
    INFO(header);
    CHECK(text.find("#pragma once") != string::npos);
    if (header != "tensor/math/hd.h") CHECK(found(text, "#define (\\w+)").empty());
    for (const string& name : found(text, "#include <([^>]+)>")) {
      INFO("includes <" << name << ">");
      CHECK_FALSE(name.starts_with("fmt"));
      CHECK(heavy.count(name) == 0);
    }
    for (const string& name : found(text, "#include \"([^\"]+)\"")) {
      INFO("includes " << name);
      CHECK(installed.count(name) == 1);
    }
  }
}

// What the headers in include/inkstone/ leave out, and why: it is the library's own.
TEST_CASE("the headers in include/inkstone/ lead to every public header of autograd, nn and optim, each by one way",
          "[house]") {
  const std::map<string, string> left_out{
      {"autograd/graph/call.h", "the door that ops of the library go through; users' ops are a Function<T>"},
      {"autograd/graph/node.h", "what the graph consists of"},
      {"autograd/graph/recompute.h", "how checkpoint and reversible layers run twice"},
      {"autograd/observe/cost.h", "what rows of ops name"},
      {"autograd/ops/attention/attention_formula.h", "shared by the rules of attention"},
      {"autograd/ops/conv/window.h", "shared by convolution and pooling"},
      {"autograd/ops/elementwise/derivative.h", "shared by the rules of elementwise ops"},
      {"autograd/ops/halves.h", "shared by compositions"},
      {"autograd/ops/index/places.h", "shared by index and index_put"},
      {"autograd/ops/linalg/adjoint.h", "shared by the rules of matrices"},
      {"autograd/ops/list_op.h", "how list ops are called"},
      {"autograd/ops/random/dropout.h", "shared by dropout and attention"},
      {"autograd/ops/recurrence/recurrence_forms.h", "the forms of one op"},
      {"autograd/ops/reduce/reduced.h", "shared by the rules of reductions"},
      {"autograd/ops/view/inplace.h", "shared by ops that write in place"},
  };
  const auto included = [](const string& header) { return found(read(root / header), "#include \"([^\"]+)\""); };
  const auto reached_from = [&](const string& first) {
    std::set<string> reached;
    std::vector<string> open{first};
    while (!open.empty()) {
      const string header = open.back();
      open.pop_back();
      if (!reached.insert(header).second) continue;
      for (const string& next : included(header)) open.push_back(next);
    }
    return reached;
  };
  std::set<string> reached;
  std::map<string, string> named_by;
  for (const string& umbrella : files("include/inkstone", {".h"})) {
    reached.merge(reached_from(umbrella));
    // testing.h leads to what testing.h itself declares with; the others are lists, and each header is in one of them.
    if (umbrella == "include/inkstone/testing.h") continue;
    for (const string& header : included(umbrella)) {
      INFO(header << " is named by " << umbrella << " and by " << named_by[header]);
      CHECK(named_by[header].empty());
      named_by[header] = umbrella;
    }
  }
  for (const string& header : public_headers()) {
    if (place(header) < place("autograd/")) continue;
    INFO(header);
    CHECK(reached.count(header) + left_out.count(header) == 1);
  }
  for (const auto& [header, why] : left_out) CHECK(fs::exists(root / header));
}

TEST_CASE("docs/map.md lists the ops that have a kernel of their own, and they are fewer than 50", "[house]") {
  string header = read(root / "tensor/backend/kernels.h"), page = read(root / "docs/map.md");
  std::set<string> slots, listed;
  for (const string& slot : found(header.substr(header.find("struct Kernels {")), "\\(\\*(\\w+)\\)\\(")) {
    string op = std::regex_replace(slot, std::regex("_backward.*"), "");
    if (op != "unary" && op != "binary" && op != "reduce") slots.insert(op);
  }
  size_t begin = page.find("<!--kernels-->"), end = page.find("<!--/kernels-->");
  REQUIRE(begin < end);
  REQUIRE(end != string::npos);
  for (const string& op : found(page.substr(begin, end - begin), "`(\\w+)`")) listed.insert(op);
  CHECK(slots == listed);
  CHECK(slots.size() > 20);
  CHECK(slots.size() < 50);
}

// A block after <!--snippet FILE--> holds lines of that file, in order (some may be left out), indentation as there.
TEST_CASE("code on the pages is copied from compiled files", "[house]") {
  std::vector<string> pages = files("docs", {".md"});
  pages.push_back("README.md");
  int blocks = 0;
  for (const string& page : pages) {
    std::vector<string> text = lines(read(root / page));
    for (size_t i = 0; i < text.size(); ++i) {
      std::smatch m;
      if (!std::regex_search(text[i], m, std::regex("<!--snippet (\\S+)-->"))) continue;
      INFO(page << ", line " << i + 1 << ": snippet of " << m[1].str());
      REQUIRE(fs::exists(root / m[1].str()));
      std::vector<string> source = lines(read(root / m[1].str()));
      REQUIRE(i + 1 < text.size());
      REQUIRE(text[i + 1].starts_with("```"));
      size_t at = 0;
      for (i += 2; i < text.size() && !text[i].starts_with("```"); ++i) {
        INFO("line: " << text[i]);
        while (at < source.size() && source[at] != text[i]) ++at;
        REQUIRE(at < source.size());
        ++at;
      }
      ++blocks;
    }
  }
  CHECK(blocks >= 9);
}

TEST_CASE("links and file names on the pages lead somewhere", "[house]") {
  std::vector<string> pages = files("docs", {".md"});
  pages.push_back("README.md");
  for (const string& page : pages) {
    string text = read(root / page);
    string prose = std::regex_replace(text, std::regex("```[^`]*```|`[^`\n]*`"), "");
    for (string link : found(prose, "\\]\\(([^)]+)\\)")) {
      if (link.starts_with("http") || link.starts_with("#")) continue;
      link = link.substr(0, link.find('#'));
      INFO(page << " links to " << link);
      bool made = link.starts_with("out/") || link.find("/out/") != string::npos;  // written by a run
      CHECK((made || fs::exists((root / page).parent_path() / link)));
    }
    for (const string& name : found(text,
                                    "\\b((?:tensor|autograd|nn|optim|tests|examples|docs|gdb|cmake)/[\\w/"
                                    "]*\\w+\\.(?:h|cpp|cu|py|md|sh|cmake))\\b")) {
      INFO(page << " names " << name);
      CHECK(fs::exists(root / name));
    }
  }
}

TEST_CASE("the README's table lists every lesson, which is the order of ./ink list and demo", "[house]") {
  std::vector<string> listed = found(read(root / "README.md"), "\\n\\| `([0-9]\\w+)` \\|"), programs;
  for (const auto& entry : fs::directory_iterator(root / "examples"))
    if (fs::exists(entry.path() / "main.cpp")) programs.push_back(entry.path().filename().string());
  std::sort(listed.begin(), listed.end());
  std::sort(programs.begin(), programs.end());
  CHECK(listed == programs);
}

// The linker keeps one copy of an inline function. If a kernel file compiled for AVX-512 exported one, other levels
// (and other CPUs) would run it. So every weak symbol of a level's objects must carry the level's name.
TEST_CASE("kernel objects share no inline code between CPU levels", "[house]") {
  REQUIRE(std::system("nm --version > /dev/null 2>&1") == 0);  // comes with every compiler
  if (!INK_RELEASE) {
    WARN("built without inlining: checked in the presets default and release");
    return;
  }
  // Another build's objects, with other levels: INK_LEVEL_OBJECTS=build/release test_house "kernel objects*"
  const char* other = std::getenv("INK_LEVEL_OBJECTS");
  const fs::path build = other ? other : INK_BINARY_DIR;
  int objects = 0;
  for (const auto& folder : fs::directory_iterator(build / "CMakeFiles")) {
    string name = folder.path().filename().string();
    if (!name.starts_with("ink_cpu_") || !name.ends_with(".dir")) continue;
    string level = name.substr(4, name.size() - 8);  // cpu_v4
    for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
      if (entry.path().extension() != ".o") continue;
      ++objects;
      FILE* nm = popen(("nm --defined-only '" + entry.path().string() + "'").c_str(), "r");
      REQUIRE(nm != nullptr);
      char buffer[8192];
      while (fgets(buffer, sizeof buffer, nm)) {
        std::istringstream line(buffer);
        string address, kind, symbol;
        line >> address >> kind >> symbol;
        if (kind.empty() || string("WVu").find(kind) == string::npos) continue;
        if (symbol.find(level) != string::npos || symbol.starts_with("DW.ref.") || symbol == "__clang_call_terminate")
          continue;  // DW.ref: a pointer to the personality routine; the other: clang's call of std::terminate
        FAIL_CHECK(entry.path().filename().string() << " of " << level << " exports " << symbol);
      }
      pclose(nm);
    }
  }
  CHECK(objects > 20);
}
