// From data to pixels along one axis: range, ticks at round numbers, labels.
#pragma once
#include <string>
#include <vector>

namespace ink::lesson {

struct Tick {
  double value;
  std::string label;
};  // minor ticks have no label

class Axis {
 public:
  // Covers [low, high] of the data, rounded outwards to ticks; pixels run from `from` to `to`. A logarithmic axis
  // ignores low <= 0 (callers pass the least positive value). `most` is about how many labels fit.
  Axis(double low, double high, bool logarithmic, double from, double to, int most = 6, bool round_out = true);

  double pixel(double value) const;  // NaN for values a logarithmic axis cannot show
  double low() const { return low_; }
  double high() const { return high_; }
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void linear_ticks(int most, bool round_out);
  void log_ticks(int most, bool round_out);
  double low_, high_, from_, to_;
  bool log_;
  std::vector<Tick> ticks_;
};

// The step of 1, 2 or 5 times a power of ten that cuts `range` into at most `most` pieces.
double nice_step(double range, int most);

}  // namespace ink::lesson
