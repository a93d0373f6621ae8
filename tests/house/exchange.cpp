// The other side of exchange.py. `exchange copy FROM TO ...` loads each FROM and saves it as TO, by the ends of their
// names; `exchange print FILE PRECISION` prints every tensor of an .npz.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tensor/io.h"

using namespace ink;

static NamedTensors load(const std::string& path) {
  if (path.ends_with(".npy")) return {{"x", load_npy(path)}};
  return path.ends_with(".npz") ? load_npz(path) : load_safetensors(path);
}

static void save(const std::string& path, const NamedTensors& tensors) {
  if (path.ends_with(".npy")) return save_npy(path, tensors.at(0).second);
  if (path.ends_with(".npz")) return save_npz(path, tensors);
  save_safetensors(path, tensors, {{"writer", "inkstone"}});
}

int main(int argc, char** argv) try {
  std::string task = argc > 1 ? argv[1] : "";
  if (task == "copy")
    for (int i = 2; i + 1 < argc; i += 2) save(argv[i + 1], load(argv[i]));
  else if (task == "print" && argc == 4)
    for (const auto& [name, x] : load(argv[2]))
      std::printf("%s\n%s\n", name.c_str(), x.str(std::atoi(argv[3])).c_str());
  else
    return 2;
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
