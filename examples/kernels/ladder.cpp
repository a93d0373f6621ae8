#include "examples/kernels/ladder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "examples/kernels/ladder_page.h"
#include "examples/support/lesson/args.h"
#include "examples/support/lesson/report.h"
#include "examples/support/lesson/terminal.h"
#include "examples/support/page/number.h"
#include "examples/support/plot/plot.h"
#include "tensor/cuda/host/memory.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/random.h"

namespace ink::lesson {
namespace {

struct HelpShown {};
struct NoDevice {
  std::string why;
};

using Floats = std::unique_ptr<cuda::Scratch<cuda::Watched<float>>>;
constexpr auto kDevice = Device::cuda();

struct Step {
  std::string name;
  sim::Counts counts;
  double error = 0;         // the largest distance from the reference, relative to 1 + its size
  double microseconds = 0;  // on a GPU
};

// The time of one call: launches are queued in bursts of a few milliseconds between two events; the median of seven.
double microseconds_of(FunctionRef<void()> run) {
  cudaEvent_t from, to;
  cuda::check(cudaEventCreate(&from), "event");
  cuda::check(cudaEventCreate(&to), "event");
  auto burst = [&](int calls) {
    cuda::check(cudaEventRecord(from, cuda::stream()), "event");
    for (int i = 0; i < calls; ++i) run();
    cuda::check(cudaEventRecord(to, cuda::stream()), "event");
    cuda::check(cudaEventSynchronize(to), "event");
    float ms = 0;
    cuda::check(cudaEventElapsedTime(&ms, from, to), "event");
    return 1e3 * double(ms) / calls;
  };
  burst(1);
  const int calls = int(std::clamp(5e3 / std::max(burst(1), 1.), 1., 200.));
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) times.push_back(burst(calls));
  std::sort(times.begin(), times.end());
  cudaEventDestroy(from), cudaEventDestroy(to);
  return times[3];
}

// Bytes read and written per second by cudaMemcpy, in GB/s.
double copy_rate() {
  const int64_t bytes = int64_t(256) << 20;
  cuda::Scratch<char> from(bytes), to(bytes);
  auto copy = [&] {
    cuda::check(cudaMemcpyAsync(to.data(), from.data(), size_t(bytes), cudaMemcpyDeviceToDevice, cuda::stream()),
                "copy");
  };
  return 2e-3 * double(bytes) / microseconds_of(copy);
}

double ratio(int64_t a, int64_t b) { return b ? double(a) / double(b) : 0; }
std::string shown(double a, int decimals) { return a ? fmt::format("{:.{}f}", a, decimals) : "-"; }
std::string shown(int64_t a) { return a ? grouped(a) : "-"; }

}  // namespace

struct Ladder::State {
  State(int argc, const char* const* argv, const LadderInfo& info)
      : info(info), args(argc, argv, std::string(info.title) + "\n\n" + info.about) {
    out = args.path("out", "out", "folder for figures and metrics", Path::folder, "DIR");
    check = args.path("check", "", "compare this run with the tables of a page", Path::existing, "PAGE");
    fill = args.path("fill", "", "write this run's tables into a page, its figure beside it", Path::output, "PAGE");
    report.name = info.name, report.title = info.title, report.about = info.about;
    report.settings.set("mode", simulated ? "simulated" : "gpu");
  }

  void begin() {  // the options are known
    if (begun) return;
    begun = true;
    if (args.help()) throw HelpShown{};
    args.check();
    fmt::print("\n{}\n{}", Terminal::standard_output().paint(Style::bold, info.title),
               wrapped(info.about, Terminal::standard_output().width(), ""));
    std::string line = simulated ? "counted in the simulator" : "timed on " + cuda_status();
    for (const std::string& key : report.settings.keys())
      if (key != "mode") line += fmt::format(", {} {}", key, report.settings[key].shown());
    fmt::print("{}\n\n", line);
  }

  void claim(const std::string& name, double value, const Bound& bound, bool skip) {
    report.add(check_claim(name, value, bound, skip));
  }
  Table counted() const;
  Table timed() const;
  int finish();

  const LadderInfo& info;
  const bool simulated = cuda_is_simulated();
  Args args;
  std::string out, check, fill;
  Report report;
  bool begun = false, own_sizes = true;  // no size was changed
  std::vector<Floats> memory;
  std::vector<std::vector<float>> inputs;
  Floats output;
  std::vector<float> above, result;  // what the last two steps left
  std::vector<std::pair<int64_t, double>> expected;
  Work work;
  double tolerance = 0;
  std::vector<Step> steps;
};

int64_t Ladder::size(const char* name, int64_t simulated, int64_t on_gpu, const char* help, int64_t multiple,
                     int64_t most) {
  std::string text = help;
  if (multiple > 1) text += fmt::format(", a multiple of {}", multiple);
  int64_t n = state_.args.integer(name, state_.simulated ? simulated : on_gpu, text, multiple, most);
  if (n % multiple != 0) throw UsageError(fmt::format("--{}: got {}; expected a multiple of {}", name, n, multiple));
  state_.own_sizes = state_.own_sizes && n == (state_.simulated ? simulated : on_gpu);
  state_.report.settings.set(name, n);
  return n;
}

Ladder::Input Ladder::input(int64_t n, double mean) {
  state_.begin();
  manual_seed(state_.inputs.size());
  state_.inputs.push_back(randn({n}, Options(DType::f32, Device{})).to_vector<float>());
  for (float& x : state_.inputs.back()) x += float(mean);
  state_.memory.push_back(std::make_unique<cuda::Scratch<cuda::Watched<float>>>(n));
  cuda::Watched<float>* device = state_.memory.back()->data();
  cuda::copy(device, kDevice, state_.inputs.back().data(), Device{}, n * 4, false);
  return {device, state_.inputs.back().data()};
}

cuda::Watched<float>* Ladder::output(int64_t n) {
  state_.begin();
  state_.result.resize(size_t(n));
  state_.output = std::make_unique<cuda::Scratch<cuda::Watched<float>>>(n);
  return state_.output->data();
}

cuda::Watched<float>* Ladder::scratch(int64_t n) {
  state_.begin();
  state_.memory.push_back(std::make_unique<cuda::Scratch<cuda::Watched<float>>>(n));
  return state_.memory.back()->data();
}

void Ladder::work(const Work& w) { state_.work = w; }
void Ladder::tolerance(double t) { state_.tolerance = t; }
void Ladder::reference(int64_t at, double expected) { state_.expected.emplace_back(at, expected); }

Ladder::Result Ladder::step(const char* name, FunctionRef<void()> run) {
  State& s = state_;
  Step step{.name = name, .counts = {}};
  const int64_t bytes = int64_t(s.result.size()) * 4;
  s.above.swap(s.result);
  s.result.assign(s.above.size(), NAN);
  cuda::copy(s.output->data(), kDevice, s.result.data(), Device{}, bytes, false);
#if INK_CUDA_SIM
  sim::start_counting();
  run();
  step.counts = sim::stop_counting();
#else
  run();
#endif
  cuda_synchronize();
  cuda::copy(s.result.data(), Device{}, s.output->data(), kDevice, bytes, false);

  for (const auto& [at, expected] : s.expected) {
    const double off = std::abs(double(s.result[size_t(at)]) - expected) / (1 + std::abs(expected));
    step.error = off > step.error || off != off ? off : step.error;  // NaN stays
  }
  s.claim(fmt::format("{}: largest error", name), step.error, AtMost{s.tolerance}, false);
  double change = 0;
  for (size_t i = 0; !s.steps.empty() && i < s.result.size(); ++i) {
    const double off = std::abs(double(s.result[i]) - double(s.above[i])) / (1 + std::abs(double(s.above[i])));
    change = off > change || off != off ? off : change;
  }
  if (!s.steps.empty())
    s.claim(fmt::format("{}: as {}", name, s.steps.back().name), change, AtMost{2 * s.tolerance}, false);
  if (!s.simulated) step.microseconds = microseconds_of(run);
  s.steps.push_back(step);
  return {step.counts, step.error};
}

void Ladder::expect(const char* name, double value, const Bound& bound) {
  state_.claim(name, value, bound, !state_.simulated || !state_.own_sizes);
}

Table Ladder::State::counted() const {
  Table t{{"step", "loads", "sectors", "per load", "stores", "sectors", "per store", "asked / moved", "shared",
           "wavefronts", "conflicts", "barriers", "largest error"}};
  for (const Step& s : steps) {
    const sim::Counts& c = s.counts;
    const double used = ratio(c.bytes_asked, 32 * (c.load_sectors + c.store_sectors));
    t.push_back({s.name, shown(c.load_requests), shown(c.load_sectors),
                 shown(ratio(c.load_sectors, c.load_requests), 1), shown(c.store_requests), shown(c.store_sectors),
                 shown(ratio(c.store_sectors, c.store_requests), 1), fmt::format("{:.0f} %", 100 * used),
                 shown(c.shared_requests), shown(c.shared_wavefronts), shown(c.shared_conflicts), shown(c.barriers),
                 brief(s.error, 2)});
  }
  return t;
}

Table Ladder::State::timed() const {
  Table t{{"step", "time in us", "GB/s", "share of a copy", "GFLOP/s"}};
  const double copy = simulated ? 0 : copy_rate();
  for (const Step& s : steps) {
    const double rate = 1e-3 * work.bytes / s.microseconds;
    if (simulated)
      t.push_back({s.name, "not measured", "", "", ""});
    else
      t.push_back({s.name, brief(s.microseconds), brief(rate), fmt::format("{:.0f} %", 100 * rate / copy),
                   work.flops ? brief(1e-3 * work.flops / s.microseconds) : "-"});
  }
  return t;
}

int Ladder::State::finish() {
  const Table times = timed(), table = simulated ? counted() : times;
  fmt::print("{}\n", str(table));
  report.add(Text{str(table), true});
  std::vector<std::string> names;
  Series loads{.name = "sectors loaded"}, stores{.name = "sectors stored"},
      shared{.name = "wavefronts of shared memory"};
  Series time{.name = "time"};
  for (const Step& s : steps) {
    names.push_back(s.name);
    auto value = [&](const char* what, int64_t n) { report.add(Named{s.name + ": " + what, double(n)}); };
    if (simulated) {
      value("loads", s.counts.load_requests), value("load sectors", s.counts.load_sectors);
      value("stores", s.counts.store_requests), value("store sectors", s.counts.store_sectors);
      value("bytes asked", s.counts.bytes_asked), value("shared", s.counts.shared_requests);
      value("wavefronts", s.counts.shared_wavefronts), value("conflicts", s.counts.shared_conflicts);
      value("barriers", s.counts.barriers);
    } else {
      report.add(Named{s.name + ": time", s.microseconds, "us", false});
    }
    loads.y.push_back(double(s.counts.load_sectors)), stores.y.push_back(double(s.counts.store_sectors));
    shared.y.push_back(double(s.counts.shared_wavefronts)), time.y.push_back(s.microseconds);
  }
  const PlotOptions options{.title = fmt::format("{}: memory transactions per step", info.title),
                            .y = "number (logarithmic)",
                            .log_y = true,
                            .width = 60 + 120 * double(steps.size())};
  report.add(simulated
                 ? Figure{"counts", bars_svg(names, {loads, stores, shared}, options)}
                 : Figure{"times", bars_svg(names, {time}, {.title = info.title, .y = "microseconds", .log_y = true})});

  for (const Claim* c : report.claims())
    if (c->state == lesson::State::failed)
      fmt::print("failed: {}: {}, expected {}\n", c->name, brief(c->value), c->bound.str());
  fmt::print("{} checks held, {} failed\n", report.count(lesson::State::held), report.count(lesson::State::failed));
  const std::string folder = out + "/" + info.name;
  report.write(folder);
  const LadderRun run{info.name, report.metrics(), table, times, folder, simulated};
  if (!fill.empty()) fill_ladder_page(fill, run);
  std::vector<std::string> problems;
  if (!check.empty()) problems = differences_of(check, run);
  for (const std::string& p : problems) fmt::print("{}: {}\n", check, p);
  return report.ok() && problems.empty() ? 0 : 1;
}

int run_ladder(int argc, const char* const* argv, const LadderInfo& info, void (*climb)(Ladder&)) {
  try {
    Ladder::State state(argc, argv, info);
    try {
      if (!state.args.help() && !cuda_is_available()) throw NoDevice{cuda_status()};
      Ladder ladder(state);
      climb(ladder);
    } catch (const HelpShown&) {
      fmt::print("{}", state.args.help_page());
      return 0;
    }
    return state.finish();
  } catch (const NoDevice& e) {
    fmt::print(stderr, "{}: there is no CUDA device: {}\n", info.name, e.why);
    return 77;
  } catch (const UsageError& e) {
    fmt::print(stderr, "{}: {}\n", info.name, e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", info.name, e.what());
    return 1;
  }
}

}  // namespace ink::lesson
