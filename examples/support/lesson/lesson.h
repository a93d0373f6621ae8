// What a lesson program is written with: sections with their formula, tensors shown, claims checked, figures drawn. The
// same calls feed the console, the page, metrics.json and the trace.
#pragma once
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examples/support/lesson/args.h"
#include "examples/support/lesson/claim.h"
#include "examples/support/lesson/progress.h"
#include "examples/support/lesson/report.h"
#include "examples/support/lesson/shot.h"
#include "examples/support/lesson/terminal.h"
#include "examples/support/plot/heatmap.h"
#include "examples/support/plot/plot.h"
#include "nn/data/text.h"
#include "tensor/tensor.h"

namespace ink::lesson {

struct Info {
  std::string note;  // the study note it mirrors: "04"
  std::string name;  // of its folder in the output: "04_flash_attention"
  std::string title;
  std::string about = {};      // one or two sentences
  std::string full_time = {};  // how long the full run takes on two cores: "4 min"
};

// The length of a run: full, --quick (30 s on two cores) or --tiny (slow devices and sanitizers).
enum class Mode { full, quick, tiny };
struct Sizes {
  int64_t full, quick, tiny;
  int64_t least = 1, multiple = 1, most = 1 << 30;  // what an option of the command line may set it to
};

// Runs too short for a claim skip it: `training` is skipped with --tiny, `full_run` with --quick too.
enum class Needs { nothing, training, full_run };

// One per program, first thing in main: `Lesson lesson(argc, argv, {...}); ... return lesson.finish();`
// An exception that nothing caught ends the program with one line and exit code 1; wrong input with exit code 2.
class Lesson {
 public:
  Lesson(int argc, const char* const* argv, Info info);
  ~Lesson();
  Lesson(const Lesson&) = delete;
  Lesson& operator=(const Lesson&) = delete;

  // ---- options of this lesson, each also a command line option; ask before the first section. Each says what it
  // takes: sizes, numbers of a kind, texts, paths of a kind. Wrong input is a UsageError.
  int64_t option(const std::string& name, const Sizes& sizes, const std::string& help = "size of the run");
  double option(const std::string& name, double fallback, const std::string& help, Number kind = Number::any);
  std::string option(const std::string& name, const std::string& fallback, const std::string& help);
  std::string option(const std::string& name, const std::string& fallback, const std::string& help, Path kind);
  // What `make()` makes of an option's value (a text read, a prompt encoded), before the first section: an Error there
  // is wrong input, and names the option. All options must have been asked for.
  auto checked(const std::string& option, auto make) {
    begin();
    try {
      return make();
    } catch (const Error& e) { refuse(option, e.what()); }
  }

  // ---- what is said and shown
  // The formula is TeX without its dollars, R"(o_i = \sum_j a_{ij} v_j)": typeset on the page, in Unicode on the
  // terminal. `code` names functions, "nn/layers/linear.cpp:forward": the page shows them, the terminal says their file
  // and line.
  void section(const std::string& title, const std::string& formula = {}, const std::string& source = {},
               const std::vector<std::string>& code = {});
  void say(const std::string& text);      // a paragraph
  void listing(const std::string& text);  // lines kept as they are
  void show(const std::string& name, const Tensor& tensor);

  // ---- steps. The state of an algorithm at this moment: `lesson.frame("tile 3", {{"m", m}, {"l", l}, {"o", o}}, "keys
  // 6 and 7")`. Frames of a section become one player of the page, named like the section; `player` starts another one,
  // or one by its own name. --step stops at each frame, --trace writes it; without those and with --no-page it costs
  // nothing. Of a long loop the first frames are kept.
  void player(const std::string& name);
  void frame(const std::string& title, const std::vector<Shot>& shots, const std::string& text = {});
  bool wants_frames() const;  // false if nobody would see one: skip what is computed for frames alone

  // ---- claims; true if it holds (or is skipped). A failed claim fails the program. Never claim a time.
  bool expect(const std::string& name, double value, const Bound& bound, Needs needs = Needs::nothing);
  bool expect(const std::string& name, std::same_as<bool> auto holds, Needs needs = Needs::nothing) {
    return expect(name, holds ? 1.0 : 0.0, Holds{}, needs);
  }
  // ---- numbers that pages refer to: the same in every run, or measured (times, rates, bytes)
  void value(const std::string& name, double number, const std::string& unit = {});
  void value(const std::string& name, const std::string& text);
  void measured(const std::string& name, double number, const std::string& unit = {});

  // ---- figures, by a name that becomes the file's
  void plot(const std::string& name, const std::vector<Series>& series, const PlotOptions& options = {});
  void bars(const std::string& name, const std::vector<std::string>& labels, const std::vector<Series>& series,
            const PlotOptions& options = {});
  void heatmap(const std::string& name, const Tensor& matrix, const ImageOptions& options = {});  // [rows, columns]
  void images(const std::string& name, const Tensor& pictures, const ImageOptions& options = {},  // [n, height, width]
              const std::vector<std::string>& labels = {});
  void figure(const std::string& name, const std::string& svg, const std::string& caption = {});

  Progress progress(const std::string& label, int64_t total) const { return {label, total, terminal_}; }

  // ---- the run
  Device device() const { return device_; }
  DType dtype() const { return dtype_; }
  Options options() const { return {dtype_, device_}; }  // `randn({2, 3}, lesson.options())`
  uint64_t seed() const { return seed_; }
  Mode mode() const { return mode_; }
  // The path of a data file by its name or the start of it ("opticks"): in --data PATH (a folder, or the file itself)
  // if it is given, else in INK_DATA and the source tree. IoError lists where it looked.
  std::string data(const std::string& name) const;
  // A text read from there, before the first section. Wrong input: it is missing, not UTF-8, or has fewer characters.
  CharText text(const std::string& name, int64_t least);
  std::string folder() const;  // where this run writes: OUT/NAME

  // Writes metrics.json, the page and the figures; returns the program's exit code.
  int finish();
  // Reports an exception that ended the run; returns the exit code.
  int fail(const char* what, bool wrong_input);

 private:
  void begin();  // once, at the first word: the options are complete, folders are tried, the header is printed
  [[noreturn]] static void refuse(const std::string& option, const std::string& why);
  void add(Item item);
  void named(Named value);
  void end_player();
  void write_trace(const Json& event) const;
  void wait(const char* what);
  double seconds() const;

  Info info_;
  Args args_;
  Report report_;
  Terminal terminal_;
  struct Trace;
  std::unique_ptr<Trace> trace_;
  std::string out_, data_, trace_path_;
  Device device_;
  std::optional<DefaultDevice> home_;  // tensors of the lesson are made on its device
  DType dtype_ = DType::f32;
  uint64_t seed_ = 0;
  Mode mode_ = Mode::full;
  bool step_ = false, page_ = true, begun_ = false, skip_frames_ = false;
  std::string player_;       // of the next frame; empty: named like the section
  int64_t player_size_ = 0;  // of the frames that this player holds
  int64_t player_frames_ = 0, frames_dropped_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The file `name` in one of the folders, or the only file there that starts with `name`; a folder may also be the file
// itself. IoError if none or several fit.
std::string find_data(const std::string& name, const std::vector<std::string>& places);

}  // namespace ink::lesson
