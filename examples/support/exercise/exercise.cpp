// Runs the checks of an exercise and reports: the first case that fails with its inputs, what came out and what should.
#include "examples/support/exercise/exercise.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "tensor/allocator.h"

namespace ink::exercise {
namespace {

struct Failure {
  std::string got, expected;
};

// What became of one answer.
struct Outcome {
  enum class State { passed, unwritten, failed } state;
  Check check;
  Failure failure;
};

constexpr int64_t kShown = 48;  // elements of a tensor that a report prints

// Lines after the first stand under the first.
std::string indented(const std::string& text, size_t by) {
  std::string out;
  for (char c : text) {
    out += c;
    if (c == '\n') out.append(by, ' ');
  }
  return out;
}

std::string row(const std::string& label, const std::string& text) {
  return fmt::format("  {:<10}{}\n", label, indented(text, 12));
}

// Nested brackets: on one line if it is short or a single column, else a line a row.
std::string nested(const double* values, const Shape& shape, int dim, bool one_line) {
  if (dim == shape.size()) return fmt::format("{:.6g}", *values);
  int64_t stride = 1;
  for (int d = dim + 1; d < shape.size(); ++d) stride *= shape[d];
  const std::string between = dim + 1 == shape.size() || one_line ? ", " : ",\n" + std::string(size_t(dim) + 1, ' ');
  std::string text = "[";
  for (int64_t i = 0; i < shape[dim]; ++i)
    text += (i ? between : "") + nested(values + i * stride, shape, dim + 1, one_line);
  return text + "]";
}

// The case that runs, for a signal's handler: it may not allocate.
std::string running;

void ended_by(int signal) {
  auto say = [](std::string_view text) {
    [[maybe_unused]] auto written = write(STDOUT_FILENO, text.data(), text.size());
  };
  say(signal == SIGINT ? "stopped (an endless loop?) in this case:\n"
                       : "crashed (an index out of range, an empty container?) in this case:\n");
  say(running);
  _exit(1);
}

Outcome attempt(const Checks& checks) {
  Outcome outcome{Outcome::State::passed, {}, {}};
  auto failed = [&](std::string got, std::string expected) {
    outcome.state = Outcome::State::failed;
    outcome.failure = {std::move(got), std::move(expected)};
  };
  try {
    manual_seed(0);
    checks(outcome.check);
  } catch (const NotWritten&) { outcome.state = Outcome::State::unwritten; } catch (const Failure& f) {
    failed(f.got, f.expected);
  } catch (const std::exception& e) { failed(fmt::format("an exception: {}", e.what()), "a result"); }
  return outcome;
}

std::string described(const Outcome& o, const char* label) {
  std::string text = row(label, o.check.property());
  for (const Input& input : o.check.inputs())
    text += row("input", fmt::format("{} = {}", input.name, indented(input.value, input.name.size() + 3)));
  return text;
}

std::string holding(const Outcome& o) {
  std::string text;
  for (const std::string& p : o.check.properties())
    if (o.state == Outcome::State::passed || p != o.check.property()) text += (text.empty() ? "" : "; ") + p;
  return text;
}

int report(const std::string& name, const Outcome& o) {
  std::string text;
  switch (o.state) {
    case Outcome::State::passed:
      text = fmt::format("{}: solved ({} comparison{})\n", name, o.check.comparisons(),
                         o.check.comparisons() == 1 ? "" : "s") +
             row("holds", holding(o));
      break;
    case Outcome::State::unwritten:
      text = fmt::format("{}: not written yet\n", name) + described(o, "first");
      break;
    case Outcome::State::failed:
      text = fmt::format("{}: not solved yet\n", name) + described(o, "breaks") + row("got", o.failure.got) +
             row("expected", o.failure.expected);
      if (std::string before = holding(o); !before.empty()) text += row("holds", before);
  }
  std::fputs(text.c_str(), stdout);
  return o.state == Outcome::State::passed ? 0 : 1;
}

int self_test(const std::string& name, const Answers<Checks>& answers) {
  int wrong = 0;
  auto expect = [&](bool good, const std::string& what, const Outcome& o) {
    std::printf("%s %s\n", good ? "ok   " : "WRONG", what.c_str());
    if (!good) report(name, o), ++wrong;
  };
  Outcome solution = attempt(answers.solution), yours = attempt(answers.yours);
  expect(solution.state == Outcome::State::passed, "the solution passes", solution);
  expect(yours.state == Outcome::State::unwritten, "the empty body is not written yet", yours);
  expect(answers.wrong.size() >= 2, "there are two wrong answers or more", yours);
  for (const auto& w : answers.wrong) {
    Outcome o = attempt(w.function);
    bool right = o.state == Outcome::State::failed && o.check.property() == w.breaks;
    expect(right && !o.check.inputs().empty(), fmt::format("'{}' breaks '{}'", w.what, w.breaks), o);
  }
  return wrong ? 1 : 0;
}

}  // namespace

Tensor matrix(std::initializer_list<std::initializer_list<double>> rows) { return tensor(rows, f64); }

std::string show(const Tensor& x) {
  if (!x.defined()) return "an undefined tensor";
  if (x.numel() <= kShown) {
    const std::vector<double> values = x.detach().to_vector<double>();
    const bool one_line = x.numel() <= 8 || (x.dim() == 2 && x.size(1) == 1);
    return nested(values.data(), x.shape(), 0, one_line);
  }
  return fmt::format("{} {} ({} elements)", name_of(x.dtype()), x.shape().str(), x.numel());
}

std::string show(const Samples& x) {
  if (int64_t(x.size()) > kShown) return fmt::format("{} samples", x.size());
  return fmt::format("[{:.6g}]", fmt::join(x, ", "));
}

std::string show(double x) { return fmt::format("{:.9g}", x); }

void Check::on(const std::string& property, std::vector<Input> inputs) {
  if (std::find(properties_.begin(), properties_.end(), property) == properties_.end()) properties_.push_back(property);
  property_ = property;
  inputs_ = std::move(inputs);
  running = described({Outcome::State::failed, *this, {}}, "property");
}

void Check::close(const Tensor& got, const Tensor& expected, const std::string& what) {
  if (!got.defined()) throw NotWritten{};
  close(got, expected, verify::tolerance(got.dtype(), 64), what);
}

void Check::close(const Tensor& got, const Tensor& expected, const verify::Tolerance& tolerance,
                  const std::string& what) {
  if (!got.defined()) throw NotWritten{};
  ++comparisons_;
  const bool reference = expected.dtype() == f64 && is_floating(got.dtype());
  verify::Comparison c = verify::close(reference ? got.to(f64) : got, expected, tolerance);
  if (c) return;
  // "close: 2 of 6 elements differ, the first at [4]; got 7.5; expected 5; max abs ...": the middle of it.
  const size_t begin = c.message.find(' ') + 1, end = std::min(c.message.find("; max abs"), c.message.size());
  const std::string where = c.message.substr(begin, end - begin);
  const size_t margin = what.size() + 3;
  const bool same_kind = c.bad > 0, shown = got.numel() <= kShown && expected.numel() <= kShown;
  if (same_kind && shown && got.numel() == 1)
    fail(what + " = " + show(got.item()), what + " = " + show(expected.item()));
  if (same_kind && shown)
    fail(fmt::format("{} = {}\n{}", what, indented(show(got), margin), where),
         fmt::format("{} = {}", what, indented(show(expected), margin)));
  fail(fmt::format("{}: {}", what, where), fmt::format("{} = {}", what, indented(show(expected), margin)));
}

void Check::close(const Samples& got, const Samples& expected, const std::string& what) {
  ++comparisons_;
  if (got.size() != expected.size())
    fail(fmt::format("{} of {} samples: {}", what, got.size(), show(got)),
         fmt::format("{} of {}: {}", what, expected.size(), show(expected)));
  close(from_data(got, {int64_t(got.size())}), from_data(expected, {int64_t(expected.size())}), what);
}

void Check::close(double got, double expected, const std::string& what) {
  close(full({}, got, f64), full({}, expected, f64), what);
}

void Check::holds(bool condition, const std::string& got, const std::string& expected) {
  ++comparisons_;
  if (!condition) fail(got, expected);
}
void Check::holds(const verify::Result& result, const std::string& expected) {
  holds(result.ok, result.message, expected);
}
void Check::holds(const GradcheckResult& result, const std::string& expected) {
  holds(result.ok, result.message, expected);
}

void Check::fail(const std::string& got, const std::string& expected) const { throw Failure{got, expected}; }

int64_t peak_bytes(const std::function<void()>& f) {
  const int64_t before = memory_stats().live;
  cpu_allocator().reset_peak();
  f();
  return memory_stats().peak - before;
}

int run(int argc, char** argv, const Answers<Checks>& answers) {
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGINT}) std::signal(signal, ended_by);
  std::string name = argv[0];
  if (size_t at = name.rfind("exercise_"); at != std::string::npos) name = name.substr(at + 9);
  if (argc == 2 && std::string_view(argv[1]) == "--self-test") return self_test(name, answers);
  return report(name, attempt(answers.yours));
}

}  // namespace ink::exercise
