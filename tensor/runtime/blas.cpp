// OpenBLAS, opened after its kernels were named to it, at one thread.
#include "tensor/runtime/blas.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include "tensor/backend/cpu_level.h"
#include "tensor/error.h"
#include "tensor/fork.h"

namespace ink::blas {
namespace {

// OpenBLAS goes by the CPU's model number: of a model newer than itself it may know nothing and take kernels of 2004,
// five times slower. What the CPU can do says enough: the name of the first core with AVX-512, or with AVX2. Null:
// OpenBLAS chooses.
const char* core_for_this_cpu() { return cpu_runs_v4() ? "SkylakeX" : cpu_runs_v3() ? "Haswell" : nullptr; }

// OpenBLAS reads these in its constructor, that is, inside dlopen. An inherited core type can halve every product, so
// for the opening we decide what it sees.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }
  Environment(const Environment&) = delete;

 private:
  void set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

struct Library {
  void* blas = nullptr;
  void* lapack = nullptr;  // only if OpenBLAS was built without it
  std::string path, reason;

  void* find(const std::string& name) const {
    void* p = blas ? dlsym(blas, name.c_str()) : nullptr;
    return p || !lapack ? p : dlsym(lapack, name.c_str());
  }
  std::string text(const char* name) const {
    auto* f = reinterpret_cast<char* (*)()>(find(name));
    return f ? f() : "";
  }
};

Library open() {
  Library lib;
  {
    const char* wanted = std::getenv("INK_BLAS_CORETYPE");
    Environment core("OPENBLAS_CORETYPE", wanted && *wanted ? wanted : core_for_this_cpu());
    Environment cache("OPENBLAS_L2_SIZE", nullptr);
    Environment quiet("OPENBLAS_VERBOSE", nullptr);    // no message about a core it does not know
    Environment threads("OPENBLAS_NUM_THREADS", "1");  // no thread pool beside ours (pthread build)
    Environment openmp("OMP_NUM_THREADS", "1");        // the same for the OpenMP build
    for (const char* name :
         {"libopenblas.so.0", "libopenblas.so", "$ORIGIN/libopenblas.so.0", "$ORIGIN/libopenblas.so"}) {
      lib.blas = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (lib.blas) break;
      if (const char* why = dlerror(); lib.reason.empty() && why) lib.reason = why;
    }
  }
  if (!lib.blas) return lib;
  if (auto* set = reinterpret_cast<void (*)(int)>(dlsym(lib.blas, "openblas_set_num_threads"))) set(1);
  link_map* map = nullptr;
  if (dlinfo(lib.blas, RTLD_DI_LINKMAP, &map) == 0 && map) lib.path = map->l_name;
  if (!dlsym(lib.blas, "dgesv_")) lib.lapack = dlopen("liblapack.so.3", RTLD_NOW | RTLD_LOCAL);
  return lib;
}

ForkMutex& opening_blas() {
  static auto& mutex = *new ForkMutex(ForkOrder::cache);
  return mutex;
}
[[maybe_unused]] const ForkMutex& opening_blas_early = opening_blas();

const Library& opened() {
  static constinit std::atomic<const Library*> lib{nullptr};  // process state: never destroyed
  if (const Library* l = lib.load(std::memory_order_acquire)) return *l;
  std::lock_guard lock(opening_blas());
  if (!lib.load()) lib = new Library(open());
  return *lib;
}

}  // namespace

void* symbol(const char* name) {
  const Library& lib = opened();
  if (!lib.blas)
    throw NotSupported(
        fmt::format("{}: OpenBLAS was not found ({}); expected libopenblas.so.0; install it "
                    "(apt install libopenblas0-pthread)",
                    name, lib.reason));
  if (void* p = lib.find(std::string(name) + "_")) return p;
  throw NotSupported(
      fmt::format("{}: no such function in {}; expected an OpenBLAS with LAPACK; install it "
                  "(apt install libopenblas0-pthread)",
                  name, lib.path));
}

bool available() { return opened().blas != nullptr; }
std::string library() { return opened().path; }
std::string core_name() { return opened().text("openblas_get_corename"); }

std::string version() {  // the configuration begins "OpenBLAS 0.3.21 DYNAMIC_ARCH ..."
  std::string text = opened().text("openblas_get_config");
  size_t end = text.find(' ', text.find(' ') + 1);
  return text.substr(0, end);
}

}  // namespace ink::blas
