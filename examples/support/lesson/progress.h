// A progress bar with rate and time left on a terminal; a few plain lines anywhere else.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "examples/support/lesson/terminal.h"

namespace ink::lesson {

// `Progress bar("training", steps); for (...) bar.step(fmt::format("loss {:.3f}", loss));`
class Progress {
 public:
  Progress(std::string label, int64_t total, Terminal terminal = Terminal::standard_output());
  ~Progress();  // ends the line, also when the loop was left early
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // One more of `total` is done. The note stands behind the bar. Draws at most ten times a second.
  void step(const std::string& note = {}) { update(done_ + 1, note); }
  void update(int64_t done, const std::string& note = {});

 private:
  void draw(double seconds);
  std::string label_, note_;
  int64_t total_, done_ = 0;
  Terminal terminal_;
  std::chrono::steady_clock::time_point start_;
  double drawn_at_ = -1;
  int printed_quarters_ = 0;
  bool open_ = false;  // a half-drawn line is on the terminal
};

// One line: "training  ███████▌      58 %  1160/2000  312/s  2.7 s left  loss 0.41"; cut to `width` columns.
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          const std::string& note, int width);

}  // namespace ink::lesson
