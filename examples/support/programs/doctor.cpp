// ink doctor: what this machine and this build offer, with advice. Never fails; its output belongs into bug reports.
#include <fmt/format.h>

#include <filesystem>

#include "examples/support/lesson/terminal.h"
#include "examples/support/programs/machine.h"
#include "tensor/backend/cpu_level.h"
#include "tensor/error.h"

using namespace ink;
using namespace ink::lesson;

namespace {

Finding build_finding() {
  Finding f{Finding::Mark::ok, "build",
            fmt::format("Inkstone {}, {}, {} {}", INK_VERSION, INK_COMPILER, INK_BUILD_TYPE, INK_FLAGS), ""};
  if (std::string(INK_BUILD_TYPE) == "Debug")
    f.mark = Finding::Mark::advice, f.advice = "a Debug build trains many times slower: use the default preset";
  return f;
}

Finding level_finding() {
  std::string built = INK_LEVELS, used;
  for (char& c : built)
    if (c == ';' || c == ',') c = ' ';
  try {
    used = cpu_level();
  } catch (const Error& e) {
    return {Finding::Mark::advice, "CPU level", fmt::format("built {}; none chosen: {}", built, e.what()),
            "build with -DINK_CPU_LEVELS=\"base;v3;v4\""};
  }
  Finding f{Finding::Mark::ok, "CPU level", fmt::format("{} (built: {}) on {}", used, built, cpu_model()), ""};
  if (used == "scalar")
    f.mark = Finding::Mark::advice, f.advice = "pack width 1 is for stepping: use the default preset for speed";
  return f;
}

}  // namespace

int main() {
  Terminal terminal = Terminal::standard_output();
  std::vector<Finding> all{build_finding(),        level_finding(),       blas_finding(),
                           core_type_finding(),    threads_finding(),     memory_finding(),
                           cuda_toolkit_finding(), cuda_driver_finding(), cuda_devices_finding()};
  for (Finding& f : data_findings(INK_DATA_DIR)) all.push_back(std::move(f));
  std::error_code error;
  all.push_back(disk_finding(std::filesystem::current_path(error).string()));
  int pieces = 0;
  for (const Finding& f : all) {
    bool good = f.mark == Finding::Mark::ok;
    fmt::print("{}  {}{}\n", terminal.paint(good ? Style::green : Style::yellow, good ? "ok    " : "advice"),
               padded(f.what, 16), f.value);
    if (!good) fmt::print("        {}-> {}\n", padded("", 16), f.advice), ++pieces;
  }
  fmt::print("{}\n",
             pieces == 0 ? "Nothing to advise." : fmt::format("{} piece{} of advice.", pieces, pieces == 1 ? "" : "s"));
}
