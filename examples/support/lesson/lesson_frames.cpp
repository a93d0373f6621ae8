// Steps of an algorithm: frames of the page's players, stops of --step, lines of --trace.
#include <fmt/format.h>

#include <cstdio>

#include "examples/support/lesson/lesson.h"
#include "examples/support/lesson/show.h"
#include "examples/support/page/tex.h"

namespace ink::lesson {

namespace {

// A page stays small enough to be opened at once: so many frames a player, so many cells in them.
constexpr int64_t kMostFrames = 300, kMostCells = 60000;

std::string frame_text(const Moment& f, const Terminal& terminal) {
  std::string out =
      "  " + terminal.paint(Style::yellow, "▸ ") + terminal.paint(Style::bold, plain_text(f.title)) + "\n";
  if (!f.text.empty()) out += wrapped(plain_text(f.text), terminal.width(), "    ");
  for (const Shot& s : f.shots) {
    if (s.tensor.defined() && s.tensor.dim() > 0)
      out += shown_text(summarise(s.name, s.tensor), terminal);
    else
      out += "  " + terminal.paint(Style::blue, plain_text(s.name)) + "  " + plain_text(s.text()) + "\n";
  }
  return out;
}

// "4. Causal: a recurrent net" -> "Causal: a recurrent net"
std::string without_number(const std::string& title) {
  size_t at = title.find_first_not_of("0123456789");
  return at > 0 && at != std::string::npos && title.compare(at, 2, ". ") == 0 ? title.substr(at + 2) : title;
}

}  // namespace

bool Lesson::wants_frames() const { return page_ || step_ || !trace_path_.empty(); }

void Lesson::player(const std::string& name) {
  begin();
  end_player();
  player_ = name;
}

void Lesson::end_player() {
  if (frames_dropped_ > 0)
    say(fmt::format("The player \"{}\" holds the first {} of {} frames.", player_, player_frames_,
                    player_frames_ + frames_dropped_));
  if (player_frames_ > 0)
    std::fputs(terminal_
                   .paint(Style::dim, fmt::format("  steps  {}: {} frames{}\n", plain_text(player_), player_frames_,
                                                  step_ ? "" : ", on the page and with --step"))
                   .c_str(),
               stdout);
  player_.clear();
  player_size_ = player_frames_ = frames_dropped_ = 0;
}

void Lesson::frame(const std::string& title, const std::vector<Shot>& shots, const std::string& text) {
  if (!wants_frames()) return;
  begin();
  if (player_.empty()) player_ = report_.sections.empty() ? info_.title : without_number(report_.sections.back().title);
  Moment f{.player = player_, .title = title, .text = text, .shots = shots};
  for (Shot& s : f.shots) s.take();
  const bool stops = step_ && !skip_frames_;
  if (stops) std::fputs(frame_text(f, terminal_).c_str(), stdout);
  for (Shot& s : f.shots) s.tensor = {}, s.numbers.clear();  // the cells are kept, not the memory they came from
  if (player_frames_ < kMostFrames && player_size_ + f.size() <= kMostCells) {
    ++player_frames_, player_size_ += f.size();
    add(std::move(f));
  } else {
    ++frames_dropped_;
    if (trace_) write_trace(to_json(f));
  }
  if (stops) wait("for the next step, s for the next section");
}

}  // namespace ink::lesson
