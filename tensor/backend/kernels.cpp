// Which table of kernels a device has: for the CPU the level that it can run, for CUDA devices the one of their
// library.
#include "tensor/backend/kernels.h"

#include <cstdlib>
#include <string>

#include "tensor/backend/cpu_level.h"
#include "tensor/error.h"
#include "tensor/runtime/cuda_backend.h"

namespace ink {

#if INK_HAS_v4
namespace cpu_v4 {
extern const Kernels table;
}
#endif
#if INK_HAS_v3
namespace cpu_v3 {
extern const Kernels table;
}
#endif
#if INK_HAS_base
namespace cpu_base {
extern const Kernels table;
}
#endif
#if INK_HAS_scalar
namespace cpu_scalar {
extern const Kernels table;
}
#endif

bool cpu_runs_v3() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

bool cpu_runs_v4() {
#if defined(__x86_64__)
  return cpu_runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

namespace {

struct Level {
  const char* name;
  const Kernels* table;
  bool runs;
};

Level choose_level() {
  const Level levels[] = {  // best first
#if INK_HAS_v4
    {"v4", &cpu_v4::table, cpu_runs_v4()},
#endif
#if INK_HAS_v3
    {"v3", &cpu_v3::table, cpu_runs_v3()},
#endif
#if INK_HAS_base
    {"base", &cpu_base::table, true},
#endif
#if INK_HAS_scalar
    {"scalar", &cpu_scalar::table, true},
#endif
  };
  const char* wanted = std::getenv("INK_CPU_LEVEL");
  std::string built;
  for (const Level& level : levels) {
    if (wanted && *wanted ? wanted == std::string(level.name) && level.runs : level.runs) return level;
    built += std::string(built.empty() ? "" : ", ") + level.name + (level.runs ? "" : " (not on this CPU)");
  }
  if (wanted && *wanted)
    throw NotSupported("kernels: INK_CPU_LEVEL is unknown; got " + std::string(wanted) + "; expected one of " + built);
  throw NotSupported("kernels: no level of this build runs on this CPU; got " + built +
                     "; expected base; build with -DINK_CPU_LEVELS=base");
}

const Level& chosen() {
  static const Level level = choose_level();
  return level;
}

}  // namespace

const char* cpu_level() { return chosen().name; }

const Kernels& kernels(Device device) {
  return device.is_cpu() ? *chosen().table : cuda_backend(device).kernels(device.index);
}

}  // namespace ink
