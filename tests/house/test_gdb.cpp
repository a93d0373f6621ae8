// gdb with gdb/inkstone.py: what it prints for the variables of tests/gdb/probe.cpp, and the session of
// docs/step_through.md.
#include <cstdio>
#include <string>
#include <vector>

#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

namespace {

using Commands = std::vector<std::string>;

// What gdb says to these commands. The test is left if there is no gdb, or it may not start programs.
std::string gdb_says(const Commands& commands) {
  if (std::system("gdb --version > /dev/null 2>&1") != 0) skip_program("gdb is not installed");
  ink::test::TemporaryFolder folder;
  std::string script = "source " INK_SOURCE_DIR "/gdb/inkstone.py\n";
  for (const std::string& c : commands) script += c + "\n";
  ink::write_file_atomically(folder / "commands", script);
  std::string line = "gdb --batch -nx -iex 'set debuginfod enabled off' -x ";
  line += (folder / "commands") + " " INK_GDB_PROBE " 2>&1";
  std::string out;
  FILE* gdb = popen(line.c_str(), "r");
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, gdb)) out.append(buffer, n);
  pclose(gdb);
  if (out.find("ptrace") != std::string::npos) skip_program("this machine forbids ptrace");
  return out;
}

// What it prints for variables, one line each.
std::string values_of(const std::vector<std::string>& names) {
  Commands commands{"break stop_here", "run", "up"};
  for (const std::string& name : names)
    commands.insert(commands.end(), {"printf \"" + name + ": \"", "output " + name, "echo \\n"});
  commands.push_back("kill");
  return gdb_says(commands);
}

// The line of a file that has this text, from 1.
std::string line_of(const std::string& file, const std::string& text) {
  const std::string source = ink::read_file(INK_SOURCE_DIR "/" + file);
  const size_t at = source.find(text);
  REQUIRE(at != std::string::npos);
  return std::to_string(1 + std::count(source.begin(), source.begin() + long(at), '\n'));
}

[[maybe_unused]] std::string softplus_rule() {
  return line_of("autograd/ops/elementwise/elementwise.cpp", "{{[](B b) { return b.grad() * sigmoid(b.in(0)); }, kIn0");
}

}  // namespace

TEST_CASE("gdb prints tensors, shapes and nodes as numbers and names", "[gdb]") {
  std::string out = values_of({"shape", "dtype", "device", "small", "brain", "z", "undefined", "empty", "x",
                               "transposed", "halves", "large", "leaf", "y", "node", "param"});
  INFO(out);
  for (const char* line : {
           "\nshape: [2, 3]\n",
           "\ndtype: bf16\n",
           "\ndevice: cuda:1\n",
           "\nsmall: 1.5\n",
           "\nbrain: -2\n",
           "\nz: 1-2i\n",
           "\nundefined: Tensor undefined\n",
           "\nempty: Tensor f32 [0, 3]\n",
           "\nx: Tensor f32 [2, 3] = [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]\n",
           "\ntransposed: Tensor f32 [3, 2] strides [1, 3] = [[0.5, 3.5], [1.5, 4.5], [2.5, 5.5]]\n",
           "\nhalves: Tensor f16 [2] = [0.25, -8]\n",
           "\nlarge: Tensor i64 [100] = [0, 1, 2, 3, ..., 96, 97, 98, 99]\n",
           "\nleaf: Tensor f32 [2, 3] leaf requires_grad = [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]\n",
           "\ny: Tensor f32 [2, 2] by matmul = [[8.75, 22.25], [22.25, 62.75]]\n",
           "Node matmul(f32 [2, 3] leaf, -), saved 1\n",
           "\nparam: Tensor f32 [2] leaf requires_grad = [1, 1]\n",
       }) {
    CHECK_THAT(out, contains(line));
  }
}

TEST_CASE("gdb prints packs lane by lane, and spans element by element", "[gdb]") {
  std::string out = values_of({"pack", "whole", "mask", "fixed", "tensors"});
  INFO(out);
  for (const char* line : {
           "\npack: Pack {1.5, 1.5, -2, 1.5}\n",
           "\nwhole: Pack {7, 7}\n",
           "\nmask: Mask {false, false, true, false}\n",
           "\nfixed: std::span of length 3 = {3, 1, 4}\n",
           "\ntensors: std::span of length 2 = {Tensor f32 [2, 3] = [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]], "
           "Tensor undefined}\n",
       }) {
    CHECK_THAT(out, contains(line));
  }
}

TEST_CASE("a backtrace through arguments that are not set says so, without exceptions", "[gdb]") {
  std::string out = gdb_says({"break stop_here", "run", "continue", "bt", "frame 1", "info args", "kill"});
  INFO(out);
  for (const char* part :
       {"in stop_among_ruins (tensor=Tensor that cannot be read (", "shape=Shape that cannot be read (",
        "node=Node that cannot be read (", "dtype=DType(99)", "in main ()"}) {
    CHECK_THAT(out, contains(part));
  }
  CHECK(out.find("Python Exception") == std::string::npos);
  CHECK(out.find("Traceback") == std::string::npos);
  CHECK(out.find("Error occurred") == std::string::npos);
}

#if INK_GDB_RULE
TEST_CASE("a breakpoint at a rule's line stops in the rule", "[gdb]") {
  const std::string line = "ops/elementwise/elementwise.cpp:" + softplus_rule();
  std::string out = gdb_says({"rule " + line, "run", "bt", "print b", "continue"});
  INFO(out);
  CHECK_THAT(out, contains("\n#0  operator() (__closure="));
  CHECK_THAT(out, contains("elementwise.cpp:" + softplus_rule() + "\n"));
  CHECK_THAT(out, contains("node_ = Node softplus(f32 [2, 3] leaf), saved 1"));
  CHECK_THAT(out, contains("exited"));  // once, and not in the forward call
  CHECK(out.find("Python Exception") == std::string::npos);
}

TEST_CASE("the session in docs/step_through.md runs as it stands there", "[gdb]") {
  const std::string page = ink::read_file(INK_SOURCE_DIR "/docs/step_through.md");
  const std::string first = "(gdb) break stop_here\n";
  size_t at = page.find(first);
  REQUIRE(at != std::string::npos);
  const size_t end = page.find("```", at);
  Commands commands;
  std::vector<std::string> answers;
  while (at < end) {
    const size_t stop = page.find('\n', at);
    std::string line = page.substr(at, stop - at);
    at = stop + 1;
    if (line.starts_with("(gdb) ")) {
      line.erase(0, 6);
      if (size_t n = line.find("LINE"); n != std::string::npos) line.replace(n, 4, softplus_rule());
      commands.push_back(line);
    } else {
      answers.push_back(line);
    }
  }
  REQUIRE(commands.size() > 8);
  REQUIRE(answers.size() > 5);
  std::string out = gdb_says(commands);
  INFO(out);
  size_t from = 0;
  for (const std::string& answer : answers) {
    INFO(answer);
    const size_t found = out.find(answer, from);
    CHECK(found != std::string::npos);
    if (found != std::string::npos) from = found + answer.size();
  }
}
#endif
