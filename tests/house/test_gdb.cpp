#include <cstdio>
#include <string>

#include "tests/catch.h"

namespace {

// What gdb prints for the variables of tests/gdb/probe.cpp.
std::string gdb_says(const std::string& names) {
  std::string command = "gdb --batch -nx -iex 'set debuginfod enabled off' -ex 'source " INK_SOURCE_DIR
                        "/gdb/inkstone.py' -ex 'break stop_here' -ex run -ex up";
  for (size_t at = 0; at < names.size();) {
    size_t end = std::min(names.find(' ', at), names.size());
    std::string name = names.substr(at, end - at);
    command += " -ex 'printf \"" + name + ": \"' -ex 'output " + name + "' -ex 'echo \\n'";
    at = end + 1;
  }
  command += " -ex kill " INK_GDB_PROBE " 2>&1";
  std::string out;
  FILE* gdb = popen(command.c_str(), "r");
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, gdb)) out.append(buffer, n);
  pclose(gdb);
  return out;
}

}  // namespace

TEST_CASE("gdb prints tensors, shapes and nodes as numbers and names", "[gdb]") {
  if (std::system("gdb --version > /dev/null 2>&1") != 0) skip_program("gdb is not installed");
  std::string out = gdb_says("shape dtype device small brain z undefined empty x transposed halves large leaf y node");
  INFO(out);
  if (out.find("ptrace") != std::string::npos) skip_program("this machine forbids ptrace");
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
       }) {
    CHECK_THAT(out, contains(line));
  }
}
