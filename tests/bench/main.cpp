// ink_bench: times ops and training steps, beside PyTorch where one can be imported. Writes out/bench/bench.{json,md}.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "inkstone/ink.h"
#include "tensor/cuda.h"
#include "tensor/parallel.h"
#include "tensor/runtime/blas.h"
#include "tests/bench/bench.h"

namespace {

struct Args {
  std::string filter, peer, out = "out/bench", what = "all", device = "cpu";
  double seconds = 0.3;
  int threads = 0, slices = 3;
};

const char* help =
    "ink_bench [options]\n"
    "  --peer PYTHON     also time PyTorch, run by that interpreter (needs an importable torch)\n"
    "  --filter TEXT     only cases whose name contains TEXT\n"
    "  --what WHICH      ops, attention, steps, ssm, diffusion, decoding, memory or all (default)\n"
    "  --device DEVICE   cpu (default) or cuda: cases of a size that fills a GPU\n"
    "  --seconds S       time per case and slice (default 0.3)\n"
    "  --slices N        slices per case, ours and the peer's in turn (default 3)\n"
    "  --threads N       default: INK_NUM_THREADS, else all CPUs\n"
    "  --out DIR         default out/bench\n";

Args parse(int argc, char** argv) {
  Args a;
  for (int i = 1; i < argc; ++i) {
    std::string key = argv[i];
    if (key == "--help") {
      fmt::print("{}", help);
      std::exit(0);
    }
    if (i + 1 == argc) {
      fmt::print(stderr, "ink_bench: {} is unknown or lacks a value\n{}", key, help);
      std::exit(2);
    }
    std::string value = argv[++i];
    if (key == "--peer")
      a.peer = value;
    else if (key == "--filter")
      a.filter = value;
    else if (key == "--what")
      a.what = value;
    else if (key == "--device")
      a.device = value;
    else if (key == "--seconds")
      a.seconds = std::atof(value.c_str());
    else if (key == "--slices")
      a.slices = std::atoi(value.c_str());
    else if (key == "--threads")
      a.threads = std::atoi(value.c_str());
    else if (key == "--out")
      a.out = value;
    else {
      fmt::print(stderr, "ink_bench: unknown option {}\n{}", key, help);
      std::exit(2);
    }
  }
  return a;
}

int64_t status_kib(const char* field) {
  std::ifstream f("/proc/self/status");
  for (std::string line; std::getline(f, line);)
    if (line.rfind(field, 0) == 0) return std::atoll(line.c_str() + std::strlen(field) + 1);
  return 0;
}

// Peak resident memory of a few GPT steps over what was resident before the first, in MiB.
double gpt_memory() {
  auto cases = bench::step_cases();
  for (auto& c : cases)
    if (c.name.find("train step GPT") == 0) {
      auto body = c.prepare();
      int64_t before = status_kib("VmRSS:");
      std::ofstream("/proc/self/clear_refs") << "5";
      for (int i = 0; i < 3; ++i) body();
      return double(status_kib("VmHWM:") - before) / 1024;
    }
  return 0;
}

// The median over slices of medians, and the smallest best.
bench::Timing merge(std::vector<bench::Timing> slices) {
  if (slices.empty() || slices[0].runs == 0) return {};
  std::sort(slices.begin(), slices.end(), [](auto& a, auto& b) { return a.median < b.median; });
  bench::Timing t = slices[slices.size() / 2];
  for (auto& s : slices) t.best = std::min(t.best, s.best);
  return t;
}

std::string us(double seconds) { return seconds > 0 ? fmt::format("{:.2f}", seconds * 1e6) : "-"; }

}  // namespace

int main(int argc, char** argv) {
  Args args = parse(argc, argv);
  if (args.threads > 0) ink::set_num_threads(args.threads);
  if (args.what == "grow") {
    fmt::print("{}\n", gpt_memory());
    return 0;
  }
  const ink::Device device = ink::Device::parse(args.device);
  ink::DefaultDevice home(device);
  const bench::Body wait = device.is_cuda() ? bench::Body([device] { ink::cuda_synchronize(device); }) : bench::Body();
  std::string script = std::string(INK_SOURCE_DIR) + "/tests/bench/peer.py";
  std::unique_ptr<bench::Peer> fair, plain;
  if (!args.peer.empty()) {
    fair = std::make_unique<bench::Peer>(args.peer, script, ink::num_threads(), true, args.device);
    plain = std::make_unique<bench::Peer>(args.peer, script, ink::num_threads(), false, args.device);
    if (!fair->running()) fmt::print(stderr, "ink_bench: no torch to import with {}; measuring alone\n", args.peer);
  }
  bool peers = fair && fair->running();
  double load[1] = {0};
  getloadavg(load, 1);
  std::string head = fmt::format("{} threads; BLAS core {}; load before {:.2f}{}", ink::num_threads(),
                                 ink::blas::core_name(), load[0], peers ? "; peer " + fair->version() : "");
  if (device.is_cuda()) head = ink::cuda_status() + "; " + head;
  fmt::print("{}\n", head);
  std::string md = head +
                   "\n\n| case | ours us | rate | peer us | peer / ours | wanted | peer, default settings us "
                   "|\n|---|---|---|---|---|---|---|\n";
  std::string json = fmt::format("{{\"head\": \"{}\", \"cases\": [", head);
  std::vector<bench::Case> cases;
  if (device.is_cuda())
    cases = bench::cuda_cases();
  else if (args.what == "ops" || args.what == "all")
    cases = bench::op_cases();
  if (device.is_cpu() && (args.what == "attention" || args.what == "all"))
    for (auto& c : bench::attention_cases()) cases.push_back(c);
  if (device.is_cpu() && (args.what == "steps" || args.what == "all"))
    for (auto& c : bench::step_cases()) cases.push_back(c);
  if (device.is_cpu() && (args.what == "ssm" || args.what == "all"))
    for (const auto& family : {bench::scan_cases(), bench::ssm_cases(), bench::s4_cases()})
      cases.insert(cases.end(), family.begin(), family.end());
  if (device.is_cpu() && (args.what == "diffusion" || args.what == "all"))
    for (auto& c : bench::diffusion_cases()) cases.push_back(c);
  if (device.is_cpu() && (args.what == "decoding" || args.what == "all"))
    for (const auto& family : {bench::decoding_cases(), bench::batch_invariant_cases()})
      cases.insert(cases.end(), family.begin(), family.end());
  if (device.is_cpu() && args.what == "all")  // against rows of the others
    for (auto& c : bench::precision_cases()) cases.push_back(c);
  bool first = true;
  double copy_rate = 0;  // of the device, from the first case
  for (auto& c : cases) {
    if (c.name.find(args.filter) == std::string::npos) continue;
    bench::Body body = c.prepare(), other;
    for (auto& o : cases)
      if (o.name == c.against) other = o.prepare();
    double seconds = c.name.find("train") == 0 ? 3 * args.seconds : args.seconds;
    std::vector<bench::Timing> ours, theirs, defaults;
    for (int s = 0; s < args.slices; ++s) {
      ours.push_back(bench::measure(body, seconds, wait));
      if (other)
        theirs.push_back(bench::measure(other, seconds, wait));
      else if (peers)
        theirs.push_back(fair->measure(c.name, seconds));
    }
    if (peers && !other) defaults.push_back(plain->measure(c.name, seconds / 2));
    bench::Timing a = merge(ours), b = merge(theirs), d = merge(defaults);
    double ratio = b.runs ? b.median / a.median : 0;
    std::string rate = c.flop > 0   ? fmt::format("{:.0f} GFLOP/s", c.flop / a.median / 1e9)
                       : c.byte > 0 ? fmt::format("{:.1f} GB/s", c.byte / a.median / 1e9)
                                    : "";
    if (device.is_cuda() && c.byte > 0) {
      if (copy_rate == 0) copy_rate = c.byte / a.median;
      rate += fmt::format(", {:.0f} % of copy", 100 * c.byte / a.median / copy_rate);
    }
    std::string wanted = c.wanted > 0 ? fmt::format("{:.3g}", c.wanted) : "";
    const std::string label = other ? c.name + ", against " + c.against : c.name;
    fmt::print("{:<44} {:>12} us  {:>14}  peer {:>12}  ratio {:>6.2f} {}\n", label, us(a.median), rate, us(b.median),
               ratio, ratio > 0 && c.wanted > 0 && ratio < c.wanted ? "(wanted " + wanted + ")" : "");
    std::fflush(stdout);
    md += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", label, us(a.median), rate, us(b.median),
                      ratio > 0 ? fmt::format("{:.2f}", ratio) : "-", wanted, us(d.median));
    json += fmt::format(
        "{}\n{{\"name\": \"{}\", \"best\": {:.9g}, \"median\": {:.9g}, \"peer\": {:.9g}, \"peer_default\": {:.9g}}}",
        first ? "" : ",", c.name, a.best, a.median, b.median, d.median);
    first = false;
  }
  if (device.is_cpu() && (args.what == "memory" || (args.what == "all" && args.filter.empty()))) {
    // In fresh processes: what earlier cases left in the allocators would hide the growth.
    double mine = 0, theirs = 0;
    if (std::FILE* f = popen(fmt::format("'{}' --what grow", argv[0]).c_str(), "r")) {
      if (std::fscanf(f, "%lf", &mine) != 1) mine = 0;
      pclose(f);
    }
    if (peers) theirs = bench::Peer(args.peer, script, ink::num_threads(), true).measure("memory", 1).best / 1024;
    std::string line = fmt::format(
        "GPT step, peak resident memory over that before the first step: ours {:.0f} MiB, peer {:.0f} MiB\n", mine,
        theirs);
    fmt::print("{}", line);
    md += "\n" + line;
  }
  json += "\n]}\n";
  if (std::system(("mkdir -p '" + args.out + "'").c_str()) != 0) return 1;
  ink::write_file_atomically(args.out + "/bench.md", md);
  ink::write_file_atomically(args.out + "/bench.json", json);
  fmt::print("written: {}/bench.md and bench.json\n", args.out);
}
