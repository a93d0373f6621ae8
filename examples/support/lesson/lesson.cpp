#include "examples/support/lesson/lesson.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "examples/support/lesson/show.h"
#include "examples/support/page/file.h"
#include "examples/support/page/number.h"
#include "examples/support/page/source.h"
#include "examples/support/page/tex.h"
#include "tensor/allocator.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

namespace ink::lesson {

namespace {

Lesson* running = nullptr;  // the lesson of this program, for the handler below
std::terminate_handler previous_handler = nullptr;

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

// Leaves the program without unwinding: a debugger that stops here still sees the frames that threw.
[[noreturn]] void end_program(int code) {
  std::fflush(stdout);
  std::fflush(stderr);
  std::_Exit(code);
}

[[noreturn]] void on_uncaught() {
  if (std::exception_ptr e = std::current_exception(); e && running) {
    try {
      std::rethrow_exception(e);
    } catch (const UsageError& error) {
      end_program(running->fail(error.what(), true));
    } catch (const std::exception& error) { end_program(running->fail(error.what(), false)); } catch (...) {
    }
  }
  if (previous_handler) previous_handler();
  std::_Exit(1);
}

const char* name_of_mode(Mode m) { return m == Mode::full ? "full" : m == Mode::quick ? "quick" : "tiny"; }

DType parse_dtype(const std::string& name) {
  for (int i = 0; i < kNumDTypes; ++i)
    if (name == name_of(DType(i))) return DType(i);
  throw UsageError("--dtype: unknown element type; got '" + name + "'");
}

}  // namespace

struct Lesson::Trace {
  explicit Trace(const std::string& path) : file(std::fopen(path.c_str(), "w")) {
    if (!file) throw UsageError(fmt::format("--trace: cannot write '{}': {}", path, std::strerror(errno)));
  }
  ~Trace() { std::fclose(file); }
  void write(const Json& event) {
    // Complete up to the last event, also when the program dies.
    if (std::fputs((event.str() + "\n").c_str(), file) < 0 || std::fflush(file) != 0)
      throw IoError(fmt::format("--trace: an event could not be written: {}", std::strerror(errno)));
  }
  std::FILE* file;
};

void Lesson::write_trace(const Json& event) const { trace_->write(event); }

Lesson::Lesson(int argc, const char* const* argv, Info info)
    : info_(std::move(info)),
      args_(argc, argv, info_.title + "\n\n" + info_.about),
      terminal_(Terminal::standard_output()) {
  running = this;
  if (auto old = std::set_terminate(on_uncaught); old != on_uncaught) previous_handler = old;
  bool quick = args_.flag("quick", "a short run: 30 s on two cores");
  bool tiny = args_.flag("tiny", "a minimal run that skips claims about accuracy");
  mode_ = tiny ? Mode::tiny : quick ? Mode::quick : Mode::full;
  try {
    device_ =
        Device::parse(args_.text("device", default_device().str(), "where to compute: cpu, cuda, cuda:1", "DEVICE"));
  } catch (const ValueError& e) { throw UsageError(std::string("--device: ") + e.what()); }
  home_.emplace(device_);
  dtype_ = parse_dtype(args_.choice("dtype", {"f32", "f64", "f16", "bf16"}, "f32", "element type of the computation"));
  seed_ = uint64_t(args_.integer("seed", 0, "of the random numbers", 0));
  step_ = args_.flag("step", "wait for Enter after each section and at each step of an algorithm");
  page_ = !args_.flag("no-page", "write numbers and figures only: no page, no steps");
  out_ = args_.path("out", "out", "folder for pages, figures and metrics", Path::folder, "DIR");
  data_ = args_.path("data", "", "a data folder, or a file in place of the shipped one", Path::existing);
  trace_path_ = args_.path("trace", "", "write every event as a JSON line", Path::output, "FILE");
  auto threads = args_.integer("threads", 0, "CPU threads; 0 takes all", 0, 4096);
  if (threads > 0) set_num_threads(int(threads));

  report_.name = info_.name, report_.note = info_.note, report_.title = info_.title, report_.about = info_.about;
  report_.settings.set("mode", name_of_mode(mode_)).set("device", device_.str());
  report_.settings.set("dtype", name_of(dtype_)).set("seed", double(seed_));
}

Lesson::~Lesson() { running = nullptr; }

namespace {
void must_come_first(bool begun, const std::string& name) {
  if (begun)
    throw ValueError("lesson: option '" + name + "' asked after the first section; ask for all of them before");
}
}  // namespace

int64_t Lesson::option(const std::string& name, const Sizes& sizes, const std::string& help) {
  must_come_first(begun_, name);
  int64_t size = mode_ == Mode::full ? sizes.full : mode_ == Mode::quick ? sizes.quick : sizes.tiny;
  size = args_.integer(name, size, help, sizes.least, sizes.most);
  if (size % sizes.multiple != 0) refuse(name, fmt::format("got {}; expected a multiple of {}", size, sizes.multiple));
  report_.settings.set(name, size);
  return size;
}

double Lesson::option(const std::string& name, double fallback, const std::string& help, Number kind) {
  must_come_first(begun_, name);
  double value = args_.real(name, fallback, help, kind);
  report_.settings.set(name, value);
  return value;
}

std::string Lesson::option(const std::string& name, const std::string& fallback, const std::string& help) {
  must_come_first(begun_, name);
  std::string value = args_.text(name, fallback, help);
  report_.settings.set(name, value);
  return value;
}

std::string Lesson::option(const std::string& name, const std::string& fallback, const std::string& help, Path kind) {
  must_come_first(begun_, name);
  std::string value = args_.path(name, fallback, help, kind);
  report_.settings.set(name, value);
  return value;
}

void Lesson::refuse(const std::string& option, const std::string& why) {
  throw UsageError(fmt::format("--{}: {}", option, why));
}

void Lesson::begin() {
  if (begun_) return;
  begun_ = true;
  if (args_.help()) {
    print(args_.help_page());
    end_program(0);
  }
  args_.check();
  try {
    allocator(device_);
  } catch (const DeviceError& e) { throw UsageError(std::string("--device: ") + e.what()); }
  manual_seed(seed_);
  if (!trace_path_.empty()) trace_ = std::make_unique<Trace>(trace_path_);
  try {  // an interrupted run must not leave the verdict of an older one; and what cannot be written is found now
    write_file(folder() + "/metrics.json", "");
    std::filesystem::remove(folder() + "/metrics.json");
  } catch (const std::exception& e) { refuse("out", e.what()); }

  std::string title = info_.note.empty() ? info_.title : info_.note + "  " + info_.title;
  print("\n" + terminal_.paint(Style::bold, title) + "\n");
  if (!info_.about.empty()) print(wrapped(info_.about, terminal_.width(), ""));
  std::string line;
  for (const std::string& key : report_.settings.keys()) {
    line += fmt::format("{} {} · ", key, report_.settings[key].shown());
  }
  line += fmt::format("{} thread{}", num_threads(), num_threads() == 1 ? "" : "s");
  print(terminal_.paint(Style::dim, wrapped(line, terminal_.width(), "")));
  if (mode_ == Mode::full && !info_.full_time.empty()) {
    print(terminal_.paint(Style::dim, fmt::format("The full run takes about {} on two cores; --quick is short.\n",
                                                  info_.full_time)));
  }
}

void Lesson::wait(const char* what) {
  if (!step_ || report_.sections.empty() || !isatty(STDIN_FILENO)) return;
  print(terminal_.paint(Style::dim, fmt::format("  Enter {}, q ends ", what)));
  std::fflush(stdout);
  const int first = std::getchar();
  for (int c = first; c != '\n' && c != EOF;) c = std::getchar();
  if (first == 's') skip_frames_ = true;
  if (first == 'q') end_program(0);
}

void Lesson::section(const std::string& title, const std::string& formula, const std::string& source,
                     const std::vector<std::string>& code) {
  begin();
  end_player();
  wait("for the next section");
  skip_frames_ = false;
  report_.sections.push_back({.title = title, .formula = formula, .source = source, .code = code});
  if (trace_) trace_->write(to_json(report_.sections.back()));
  std::string rule;
  for (int i = columns(title) + 4; i < terminal_.width(); ++i) rule += "─";
  print("\n" + terminal_.paint(Style::dim, "── ") + terminal_.paint(Style::bold, title) + " " +
        terminal_.paint(Style::dim, rule) + "\n");
  if (!formula.empty()) print("\n" + wrapped(plain_formula(formula), terminal_.width(), "      "));
  if (!source.empty()) print(terminal_.paint(Style::dim, wrapped(source, terminal_.width(), "      ")));
  for (const std::string& name : code) print(terminal_.paint(Style::dim, "      " + source_line(name) + "\n"));
  print("\n");
  std::fflush(stdout);
}

void Lesson::add(Item item) {
  begin();
  if (trace_) trace_->write(to_json(item));
  report_.add(std::move(item));
  std::fflush(stdout);
}

void Lesson::say(const std::string& text) {
  add(Text{text});
  print(wrapped(plain_text(text), terminal_.width(), "  "));
}

void Lesson::listing(const std::string& text) {
  add(Text{text, true});
  print("    ");
  for (size_t i = 0; i < text.size(); ++i) print(text[i] == '\n' && i + 1 < text.size() ? "\n    " : text.substr(i, 1));
  if (!text.ends_with('\n')) print("\n");
}

void Lesson::show(const std::string& name, const Tensor& tensor) {
  Shown shown = summarise(name, tensor);
  begin();
  print(shown_text(shown, terminal_));
  add(std::move(shown));
}

bool Lesson::expect(const std::string& name, double value, const Bound& bound, Needs needs) {
  bool skip = (needs == Needs::training && mode_ == Mode::tiny) || (needs == Needs::full_run && mode_ != Mode::full);
  Claim c = check_claim(name, value, bound, skip);
  static const char* marks[] = {"✓", "✗", "–"};
  static const Style styles[] = {Style::green, Style::red, Style::dim};
  begin();
  std::string expected = c.state == State::skipped
                             ? fmt::format("({}; not checked in a {} run)", bound.str(), name_of_mode(mode_))
                             : fmt::format("(expected {})", bound.str());
  const bool statement = bound.kind == Bound::Kind::truth;
  if (statement && c.state != State::skipped) expected = c.state == State::held ? "holds" : "does not hold";
  print(fmt::format("  {} {}  {}{}\n", terminal_.paint(styles[int(c.state)], marks[int(c.state)]), plain_text(name),
                    statement ? "" : brief(value) + "  ",
                    terminal_.paint(c.state == State::failed ? Style::red : Style::dim, expected)));
  add(c);
  return c.state != State::failed;
}

void Lesson::named(Named value) {
  begin();
  std::string unit = value.unit.empty() ? "" : " " + value.unit;
  print(fmt::format("  {}  {}{}\n", terminal_.paint(Style::blue, plain_text(value.name)), value.value.shown(), unit));
  add(std::move(value));
}

void Lesson::value(const std::string& name, double number, const std::string& unit) { named({name, number, unit}); }
void Lesson::value(const std::string& name, const std::string& text) { named({name, text}); }
void Lesson::measured(const std::string& name, double number, const std::string& unit) {
  named({name, number, unit, false});
}

std::string Lesson::folder() const { return out_ + "/" + info_.name; }
double Lesson::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::string Lesson::data(const std::string& name) const {
  std::vector<std::string> places;
  if (!data_.empty()) {  // never another file than the one that was asked for
    places.push_back(data_);
  } else {
    if (const char* folder = std::getenv("INK_DATA"); folder && *folder) places.push_back(folder);
    places.push_back(INK_DATA_DIR);
  }
  return find_data(name, places);
}

int Lesson::finish() {
  begin();
  end_player();
  wait("to finish");
  report_.seconds = seconds();
  report_.write(folder(), page_);
  int failed = report_.count(State::failed), skipped = report_.count(State::skipped);
  std::string verdict =
      fmt::format("{} claim{} held", report_.count(State::held), report_.count(State::held) == 1 ? "" : "s");
  if (failed) verdict += fmt::format(", {} failed", failed);
  if (skipped) verdict += fmt::format(", {} skipped", skipped);
  print("\n" + terminal_.paint(failed ? Style::red : Style::green, verdict) + "  in " + duration(report_.seconds) +
        "\n");
  for (const Claim* c : report_.claims()) {
    if (c->state != State::failed) continue;
    print(terminal_.paint(Style::red,
                          fmt::format("  ✗ {}: {}, expected {}\n", c->name, brief(c->value), c->bound.str())));
  }
  print(terminal_.paint(Style::dim, fmt::format("{}/{}\n", folder(), page_ ? "index.html" : "metrics.json")));
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    std::fputs(fmt::format("{}: standard output could not be written\n", info_.name).c_str(), stderr);
    return 1;
  }
  return report_.ok() ? 0 : 1;
}

int Lesson::fail(const char* what, bool wrong_input) {
  std::fflush(stdout);
  std::fputs(fmt::format("{}: {}\n", info_.name, what).c_str(), stderr);
  if (wrong_input) return 2;
  report_.error = what;
  report_.seconds = seconds();
  try {
    report_.write(folder(), page_);  // so that the gallery shows the failure
  } catch (const std::exception& e) { std::fputs(fmt::format("{}: {}\n", info_.name, e.what()).c_str(), stderr); }
  return 1;
}

}  // namespace ink::lesson
