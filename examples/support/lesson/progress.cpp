#include "examples/support/lesson/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "examples/support/page/number.h"

namespace ink::lesson {

namespace {

std::string bar(double share, int cells) {
  static const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int filled = int(share * cells * 8 + 0.5);
  std::string out;
  for (int i = 0; i < filled / 8; ++i) out += "█";
  return padded(out + eighths[filled % 8], cells);
}

std::string cut(const std::string& text, int width) {
  if (columns(text) <= width) return text;
  std::string out;
  int count = 0;
  for (char c : text) {
    if ((uint8_t(c) & 0xc0) != 0x80 && ++count >= width) break;
    out += c;
  }
  return out + "…";
}

}  // namespace

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          const std::string& note, int width) {
  double share = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 1;
  double rate = seconds > 0 ? double(done) / seconds : 0;
  std::string line = fmt::format("{}  {} {:3.0f} %  {}/{}", label, bar(share, 20), 100 * share, done, total);
  if (rate > 0)
    line += rate >= 1 ? fmt::format("  {}/s", brief(rate, 3)) : fmt::format("  {} each", duration(1 / rate));
  if (rate > 0 && done < total) line += fmt::format("  {} left", duration(double(total - done) / rate));
  if (done >= total) line += "  in " + duration(seconds);
  if (!note.empty()) line += "  " + note;
  return cut(line, width);
}

Progress::Progress(std::string label, int64_t total, Terminal terminal)
    : label_(std::move(label)), total_(total), terminal_(terminal), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (open_) {
    draw(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
    std::fputs("\n", stdout);
  }
  std::fflush(stdout);
}

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (terminal_.interactive()) {
    if (done < total_ && now - drawn_at_ < 0.1) return;
    draw(now);
    drawn_at_ = now;
    open_ = true;
    return;
  }
  int quarters = total_ > 0 ? int(4 * std::min(done, total_) / total_) : 4;
  if (quarters > printed_quarters_) {  // four lines in all, however long the loop
    printed_quarters_ = quarters;
    std::fputs(("  " + progress_line(label_, done_, total_, now, note_, 98) + "\n").c_str(), stdout);
    std::fflush(stdout);
  }
}

void Progress::draw(double seconds) {
  std::string line = progress_line(label_, done_, total_, seconds, note_, terminal_.width() - 3);
  std::fputs(("\r  " + line + "\033[K").c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace ink::lesson
