#include "examples/support/programs/machine.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tensor/cuda.h"
#include "tensor/parallel.h"
#include "tensor/runtime/blas.h"

namespace ink::lesson {
namespace {

namespace fs = std::filesystem;
using Mark = Finding::Mark;

Finding ok(std::string what, std::string value) { return {Mark::ok, std::move(what), std::move(value), ""}; }
Finding advice(std::string what, std::string value, std::string text) {
  return {Mark::advice, std::move(what), std::move(value), std::move(text)};
}

std::string variable(const char* name) {
  const char* v = std::getenv(name);
  return v ? v : "";
}

// The rest of the first line of `file` that starts with `key`, after its colon.
std::string field(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    size_t at = line.find(':');
    at = at == std::string::npos ? at : line.find_first_not_of(" \t", at + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}

std::string gib(double bytes) { return fmt::format("{:.1f} GiB", bytes / double(1 << 30)); }

}  // namespace

std::string cpu_model() {
  std::string model = field("/proc/cpuinfo", "model name");
  return model.empty() ? "unknown" : model;
}

int64_t memory_bytes(const char* key) {
  std::istringstream text(field("/proc/meminfo", key));
  int64_t kib = 0;
  text >> kib;
  return kib * 1024;
}

std::string first_existing(const std::vector<std::string>& paths) {
  std::error_code error;
  for (const std::string& path : paths) {
    if (!path.ends_with('*')) {
      if (fs::exists(path, error)) return path;
      continue;
    }
    fs::path pattern(path.substr(0, path.size() - 1));
    std::vector<std::string> fits;
    for (const auto& entry : fs::directory_iterator(pattern.parent_path(), error))
      if (entry.path().filename().string().starts_with(pattern.filename().string()))
        fits.push_back(entry.path().string());
    if (!fits.empty()) return *std::max_element(fits.begin(), fits.end());
  }
  return "";
}

Finding blas_finding() {
  if (!blas::available())
    return advice("BLAS", "OpenBLAS was not found",
                  "apt install libopenblas0-pthread; without it matrix products throw");
  return ok("BLAS", fmt::format("{} ({})", blas::version(), blas::library()));
}

Finding core_type_finding() {
  if (!blas::available()) return advice("BLAS core type", "unknown", "install OpenBLAS first");
  std::string core = blas::core_name(), inherited = variable("OPENBLAS_CORETYPE"),
              wanted = variable("INK_BLAS_CORETYPE");
  if (!wanted.empty())
    return advice("BLAS core type", fmt::format("{}, from INK_BLAS_CORETYPE={}", core, wanted),
                  "unset it unless you compare core types: the automatic choice is usually best");
  if (!inherited.empty())
    return ok("BLAS core type",
              fmt::format("{}, chosen by OpenBLAS; the inherited OPENBLAS_CORETYPE={} is ignored", core, inherited));
  return ok("BLAS core type", core + ", chosen for this CPU");
}

Finding threads_finding() {
  cpu_set_t set;
  int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  std::string from = variable("INK_NUM_THREADS");
  std::string value =
      fmt::format("{} of {} CPUs{}", num_threads(), allowed, from.empty() ? "" : ", from INK_NUM_THREADS");
  if (allowed > 0 && num_threads() > allowed)
    return advice("threads", value, "more threads than CPUs slow each other down: lower INK_NUM_THREADS");
  return ok("threads", value);
}

Finding memory_finding() {
  double total = double(memory_bytes("MemTotal")), free = double(memory_bytes("MemAvailable"));
  std::string value = fmt::format("{} free of {}", gib(free), gib(total));
  if (total > 0 && free < 2.0 * (1 << 30))
    return advice("memory", value, "building wants 1 GiB per compiler process: set INK_JOBS=1");
  return ok("memory", value);
}

Finding cuda_toolkit_finding() {
  std::vector<std::string> places;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (std::string v = variable(name); !v.empty()) places.push_back(v + "/bin/nvcc");
  std::istringstream path(variable("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) places.push_back(folder + "/nvcc");
  places.insert(places.end(), {"/usr/local/cuda/bin/nvcc", "/usr/lib/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"});
  std::string found = first_existing(places);
  return ok("CUDA toolkit", found.empty() ? "not found (not needed)" : found);
}

Finding cuda_driver_finding() {
  std::string library = first_existing({"/usr/lib/x86_64-linux-gnu/libcuda.so.1",
                                        "/usr/lib/aarch64-linux-gnu/libcuda.so.1", "/usr/lib64/libcuda.so.1",
                                        "/usr/lib/wsl/lib/libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1"});
  std::string device = first_existing({"/dev/nvidia0", "/dev/dxg"});
  if (library.empty() && device.empty()) return ok("CUDA driver", "not found (not needed)");
  if (library.empty())
    return advice("CUDA driver", device + ", but no libcuda.so.1", "install the driver's user part (libcuda1)");
  if (device.empty())
    return advice("CUDA driver", library + ", but no device file", "in a container, pass the GPU through");
  std::string version = field("/proc/driver/nvidia/version", "NVRM version");
  return ok("CUDA driver", version.empty() ? library : version);
}

Finding cuda_devices_finding() {
  if (cuda_is_available()) return ok("CUDA devices", cuda_status());
  bool driver = !first_existing({"/dev/nvidia0", "/dev/dxg"}).empty();
  std::string value = fmt::format("none: {}", cuda_status());
  return driver ? advice("CUDA devices", value, "build with -DINK_CUDA=ON, and look at the driver's version")
                : ok("CUDA devices", value);
}

Finding disk_finding(const std::string& folder) {
  std::error_code error;
  fs::space_info space = fs::space(folder, error);
  if (error) return advice("disk", folder + ": unknown", "check that the folder exists");
  std::string value = fmt::format("{} free in {}", gib(double(space.available)), folder);
  if (double(space.available) < 2.0 * (1 << 30))
    return advice("disk", value, "the two builds of ./ink test take about 2 GiB");
  return ok("disk", value);
}

std::vector<Finding> data_findings(const std::string& shipped) {
  std::vector<Finding> all;
  std::error_code error;
  std::string missing;
  for (const char* name :
       {"digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz", "opticks.txt.gz", "sunspots.csv"})
    if (!fs::exists(fs::path(shipped) / name, error)) missing += fmt::format(" {}", name);
  all.push_back(missing.empty() ? ok("shipped data", shipped)
                                : advice("shipped data", "missing:" + missing, "git checkout examples/data"));
  std::string fashion = first_existing({"/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"});
  all.push_back(
      ok("Fashion-MNIST", fashion.empty() ? "not found (optional: apt install dataset-fashion-mnist)" : fashion));
  std::string mnist = first_existing({"/usr/share/datasets/mnist/train-images-idx3-ubyte*"});
  all.push_back(ok("MNIST", mnist.empty() ? "not found (optional: pass a folder of IDX files with --data)" : mnist));
  if (std::string folder = variable("INK_DATA"); !folder.empty())
    all.push_back(fs::is_directory(folder, error)
                      ? ok("INK_DATA", folder)
                      : advice("INK_DATA", folder + " is no folder", "set it to a folder, or unset it"));
  return all;
}

}  // namespace ink::lesson
