#include "examples/support/plot/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "examples/support/page/number.h"

namespace ink::lesson {

double nice_step(double range, int most) {
  double raw = range / most, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

Axis::Axis(double low, double high, bool logarithmic, double from, double to, int most, bool round_out)
    : low_(low), high_(high), from_(from), to_(to), log_(logarithmic) {
  if (!(std::isfinite(low) && std::isfinite(high)) || low > high) low_ = log_ ? 1 : 0, high_ = log_ ? 10 : 1;
  if (log_ && low_ <= 0) low_ = high_ > 0 ? high_ / 10 : 1, high_ = std::max(high_, low_);
  most = std::max(most, 2);
  if (high_ - low_ <= 1e-9 * std::max(std::abs(low_), std::abs(high_))) {  // one value: some room around it
    double pad = low_ == 0 ? 1 : std::abs(low_) / 2;
    if (log_)
      low_ /= 2, high_ *= 2;
    else
      low_ -= pad, high_ += pad;
  }
  if (log_)
    log_ticks(most, round_out);
  else
    linear_ticks(most, round_out);
}

double Axis::pixel(double value) const {
  if (log_ && value <= 0) return NAN;
  double share =
      log_ ? (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_)) : (value - low_) / (high_ - low_);
  return from_ + share * (to_ - from_);
}

void Axis::linear_ticks(int most, bool round_out) {
  double step = nice_step(high_ - low_, most);
  if (round_out) {
    low_ = std::floor(low_ / step + 1e-9) * step;
    high_ = std::ceil(high_ / step - 1e-9) * step;
  } else {  // 0 ... 299 steps end at 300: a tick that is almost reached is shown
    double next = std::ceil(high_ / step - 1e-9) * step, before = std::floor(low_ / step + 1e-9) * step;
    double near = 0.02 * (high_ - low_);
    if (next - high_ <= near) high_ = next;
    if (low_ - before <= near) low_ = before;
  }
  double largest = std::max(std::abs(low_), std::abs(high_));
  // Labels keep to five characters: 20k, 3M, 0.05, 2·10⁻⁵.
  double unit = largest >= 1e9 ? 1e9 : largest >= 1e6 ? 1e6 : largest >= 1e4 ? 1e3 : 1;
  const char* suffix = unit == 1e9 ? "G" : unit == 1e6 ? "M" : unit == 1e3 ? "k" : "";
  int power = largest < 1e-3 || largest >= 1e12 ? int(std::floor(std::log10(largest))) : 0;
  if (power != 0) unit = std::pow(10.0, power), suffix = "";
  int decimals = std::max(0, int(-std::floor(std::log10(step / unit) + 1e-9)));
  auto first = int64_t(std::ceil(low_ / step - 1e-9)), last = int64_t(std::floor(high_ / step + 1e-9));
  for (int64_t i = first; i <= last; ++i) {
    double value = double(i) * step;
    std::string label = fmt::format("{:.{}f}", value / unit, decimals);
    if (i == 0)
      label = "0";
    else if (power != 0)
      label += "·10" + superscript(power);
    else
      label += suffix;
    ticks_.push_back({value, label});
  }
}

namespace {

std::string log_label(double value, bool plain) {
  double power = std::log10(value);
  bool exact_power = std::abs(power - std::round(power)) < 1e-9;
  if (plain) return fixed(value, 4);
  if (exact_power) return "10" + superscript(int(std::lround(power)));
  int whole = int(std::floor(power));
  return fixed(value / std::pow(10.0, whole), 1) + "·10" + superscript(whole);
}

}  // namespace

void Axis::log_ticks(int most, bool round_out) {
  // Sizes that are powers of two (128, 256, ... tokens) get ticks at powers of two.
  double l2 = std::log2(low_), h2 = std::log2(high_);
  if (l2 == std::floor(l2) && h2 == std::floor(h2) && low_ >= 1 && high_ <= 0x1p20 && h2 - l2 >= 2) {
    int every = int(std::ceil((h2 - l2 + 1) / (most + 2)));
    for (int p = int(l2); p <= int(h2); ++p) {
      bool labelled = (p - int(l2)) % every == 0;
      ticks_.push_back({std::exp2(p), labelled ? fmt::format("{}", int64_t(1) << p) : ""});
    }
    return;
  }
  double decades = std::log10(high_) - std::log10(low_);
  std::vector<int> steps = decades <= 1.2 ? std::vector<int>{1, 2, 3, 5} : std::vector<int>{1, 2, 5};
  if (decades > 2.5) steps = {1};
  auto power_of = [](double v, double slack) { return int(std::floor(std::log10(v) + slack)); };
  if (round_out) {  // outwards to the next step of the decade
    double down = std::pow(10.0, power_of(low_, 1e-9)), up = std::pow(10.0, power_of(high_, 1e-9));
    double new_low = down, new_high = up * 10;
    for (int s : steps)
      if (s * down <= low_ * (1 + 1e-9)) new_low = s * down;
    for (auto s = steps.rbegin(); s != steps.rend(); ++s)
      if (*s * up >= high_ * (1 - 1e-9)) new_high = *s * up;
    low_ = new_low, high_ = new_high;
  }
  bool plain = low_ > 0.00099 && high_ < 99999;
  int first = power_of(low_, 1e-9), last = power_of(high_, 1e-9);
  int every = std::max(1, int(std::ceil((last - first + 1.0) / (most + 1))));
  for (int p = first; p <= last; ++p) {
    for (int s = 1; s <= 9; ++s) {
      double value = s * std::pow(10.0, p);
      if (value < low_ * (1 - 1e-9) || value > high_ * (1 + 1e-9)) continue;
      bool labelled = std::find(steps.begin(), steps.end(), s) != steps.end() && (p - first) % every == 0;
      if (labelled || decades <= 8) ticks_.push_back({value, labelled ? log_label(value, plain) : ""});
    }
  }
}

}  // namespace ink::lesson
