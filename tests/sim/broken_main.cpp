// ink_broken_kernel NAME runs one of the kernels of broken.cu and prints what is said about it.
#include <cstdio>
#include <cstring>

#include "tensor/error.h"
#include "tests/sim/broken.h"

int main(int argc, char** argv) {
  for (const Broken& b : broken_kernels()) {
    if (argc < 2) std::printf("%s\n", b.name);
    if (argc < 2 || std::strcmp(b.name, argv[1]) != 0) continue;
    try {
      b.run();
      std::printf("nothing was found\n");
    } catch (const ink::Error& e) { std::printf("%s\n", e.what()); }
  }
}
