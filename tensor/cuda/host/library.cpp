// Libraries of the CUDA Toolkit, opened when they are first needed.
#include "tensor/cuda/host/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <vector>

#include "tensor/error.h"

namespace ink::cuda {

Library::Library(const char* name, std::initializer_list<int> versions) {
  std::vector<std::string> files;
  for (int v : versions) files.push_back(fmt::format("{}.so.{}", name, v));
  files.push_back(fmt::format("{}.so", name));
  std::vector<std::string> folders{""};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* home = std::getenv(variable); home && *home) folders.push_back(fmt::format("{}/lib64/", home));
  folders.push_back("/usr/local/cuda/lib64/");
  std::string why;
  for (const std::string& folder : folders)
    for (const std::string& file : files) {
      path_ = folder + file;
      handle_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_) return;
      if (const char* text = dlerror(); why.empty() && text) why = text;
    }
  throw NotSupported(
      fmt::format("{}: the library of the CUDA toolkit was not found ({}); expected {}; install the toolkit's "
                  "libraries, or set CUDA_HOME or LD_LIBRARY_PATH to where they are",
                  name, why, files[0]));
}

void* Library::symbol(const char* name) const {
  if (void* p = dlsym(handle_, name)) return p;
  throw NotSupported(fmt::format("{}: no such function in {}; expected the library of CUDA 12 or later", name, path_));
}

}  // namespace ink::cuda
