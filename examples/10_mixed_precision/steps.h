// Players of lesson 10 about scales: a histogram of gradients as the scale grows, and the scaler's state machine.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"

namespace ink::lesson {

// Counts of values in bins of eight octaves, from 2^low to 2^high.
inline std::vector<double> in_bins(const ValueCounts& c, int low, int high) {
  std::vector<double> bins;
  for (int e = low; e < high; e += 8) {
    double n = 0;
    for (int i = e; i < e + 8; ++i) n += double(c.with_exponent(i));
    bins.push_back(n);
  }
  return bins;
}

// Gradients of all layers in the first step, as bars by octave, with f16's window.
inline void histogram(Lesson& lesson, const std::vector<Tensor>& gradients) {
  std::vector<Series> layers;
  double high = 0;
  for (size_t i = 0; i < gradients.size(); i += 4) {
    const ValueCounts c = count_values(gradients[i], formats::f16);
    Series s{.name = fmt::format("layer {}", i + 1)};
    for (int e = -60; e <= 4; ++e) {
      s.x.push_back(e), s.y.push_back(100 * double(c.with_exponent(e)) / double(c.values));
      high = std::max(high, s.y.back());
    }
    layers.push_back(std::move(s));
  }
  for (auto [at, name] : {std::pair(-25.0, "f16 ends: 2^-25"), std::pair(-14.0, "subnormal below 2^-14")})
    layers.push_back({.name = name, .x = {at, at}, .y = {0, high * 1.05}, .mark = Mark::dashed});
  lesson.plot("gradients", layers,
              {.x = "exponent: floor(log2 |gradient|)",
               .y = "share of the layer's gradients, %",
               .caption = "The digits net in its first step. Every layer of sigmoids takes two octaves; below the left "
                          "line f16 has only 0."});
}

// One frame a scale: where the gradients lie, and what f16 keeps of them.
inline void scale_slider(Lesson& lesson, const Tensor& gradients) {
  if (!lesson.wants_frames()) return;
  lesson.player("the scale as a slider");
  const int low = -48, high = 24;
  std::vector<std::string> names;
  std::vector<Place> window;
  for (int e = low; e < high; e += 8) {
    names.push_back(fmt::format("2^{} ..", e));
    if (e >= -24 && e < 16) window.push_back({0, int64_t(names.size()) - 1});
  }
  for (int log_scale = 0; log_scale <= 28; log_scale += 2) {
    const ValueCounts c = count_values(gradients, formats::f16, std::exp2(log_scale));
    lesson.frame(fmt::format("S = 2^{}", log_scale),
                 {{"from", names},
                  {"gradients", in_bins(c, low, high), window},
                  {"become 0, %", 100 * double(c.flushed) / double(c.values)},
                  {"subnormal, %", 100 * double(c.subnormal) / double(c.values)},
                  {"become infinite, %", 100 * double(c.overflowed) / double(c.values)}},
                 c.overflowed > 0 ? "Too far: some are beyond 65504, and one infinity spoils the whole step."
                 : c.flushed > c.values / 100
                     ? "Marked is what f16 holds. What lies left of it is lost."
                     : "All of them are inside: the factor costs nothing, it is a power of two.");
  }
}

inline const char* name_of_kind(ScaleEvent::Kind kind) {
  constexpr const char* names[] = {"skipped", "backed off", "grown", "bad loss"};
  return names[int(kind)];
}

// The scaler on a parameter whose gradients are given, a step a frame. Returns the scales.
inline std::vector<double> scaler_step_by_step(Lesson& lesson, const Options& numbers) {
  lesson.player("the scaler, step by step");
  Tensor w = ones({1}, numbers).requires_grad_();
  SGD optimizer({w}, {.lr = 0.25});
  GradScaler scaler({.scale = 8, .growth_interval = 3});
  scaler.name({{"w", w}});
  std::vector<double> scales;
  const std::string steps = "oooooxoooxxo";
  for (size_t i = 0; i < steps.size(); ++i) {
    const double scale = scaler.scale();
    w.set_grad(full({1}, steps[i] == 'o' ? 0.5 * scale : double(INFINITY), numbers));
    const double scaled = w.grad().item();
    const bool taken = scaler.step(optimizer);
    const size_t before = scaler.log().size();
    scaler.update();
    scales.push_back(scaler.scale());
    const bool event = scaler.log().size() > before;
    lesson.frame(fmt::format("step {}", i + 1),
                 {{"S before", scale},
                  {"scaled gradient", std::isfinite(scaled) ? fmt::format("{:g}", scaled) : std::string("infinite")},
                  {"step taken", taken ? "yes" : "no"},
                  {"good steps in a row", double(scaler.good_steps())},
                  {"S after", scaler.scale()},
                  {"w", w.detach()}},
                 event ? scaler.log().back().str()
                       : fmt::format("Finite: divided by {:g}, the optimizer sees 0.5.", scale));
  }
  return scales;
}

}  // namespace ink::lesson
