// What lesson 09b shows step by step: powers that make a kernel, a recurrence beside a convolution, poles that learn.
#pragma once
#include <fmt/format.h>

#include "examples/09b_s4/roads.h"

namespace ink::lesson {

inline void kernel_tap_by_tap(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("a kernel from powers");
  const Legs s(4, 0.4);
  const int64_t length = 8;
  Tensor x = s.bar.B, K = full({length}, NAN, f64);
  lesson.frame("nothing is known yet", {{"Ā", s.bar.A}, {"x = B̄", x}, {"C", s.C}, {"K", K}},
               "The state right after an impulse is $\\bar B$.");
  for (int64_t t = 0; t < length; ++t) {
    K[t].copy_(dot(s.C, x));
    lesson.frame(fmt::format("tap {}", t), {{"Ā", s.bar.A}, {"x = Āᵗ B̄", x}, {"C", s.C}, {"K", K, {{t}}}},
                 t == 0
                     ? "$K_0 = C \\bar B$: what is read at once."
                     : fmt::format("One more product with $\\bar A$: $K_{} = C \\bar A^{} \\bar B$. {} multiplications "
                                   "so far, $N^2 + N$ a tap.",
                                   t, t, (t + 1) * 4 + t * 16));
    x = matmul(s.bar.A, x);
  }
}

inline void recurrence_beside_convolution(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("recurrence beside convolution");
  const Legs s(4, 0.4);
  const Tensor u = tensor({1, 0, 2, -1, 0, 1}, f64), K = by_powers(s, 6);
  Tensor x = zeros({4}, f64), y = full({6}, NAN, f64), z = full({6}, NAN, f64);
  for (int64_t t = 0; t < 6; ++t) {
    x = matmul(s.bar.A, x) + s.bar.B * u[t];
    y[t].copy_(dot(s.C, x));
    Tensor turned = full({6}, NAN, f64);  // the kernel laid backwards under the input
    for (int64_t j = 0; j <= t; ++j) turned[j].copy_(K[t - j]);
    z[t].copy_(dot(slice(u, 0, 0, t + 1), slice(turned, 0, 0, t + 1)));
    lesson.frame(
        fmt::format("step {}", t),
        {{"u", u, {{t}}}, {"x", x}, {"y = C x", y, {{t}}}, {"K backwards", turned}, {"K * u", z, {{t}}}},
        t == 0 ? "The recurrence takes one number in and keeps four. The convolution keeps no state: it lays the "
                 "kernel backwards under all of the input."
               : "Both give the same number: what four numbers remember of the past is what the kernel weighs it by.");
  }
  lesson.expect("the player's two rows are equal: largest difference", largest(y - z), Below{1e-12});
}

// RTF learns the response of a damped oscillation; where its poles go.
struct Fit {
  std::vector<Series> paths;    // of the poles, in the plane
  std::vector<Series> kernels;  // on their way to the target
  double radius = 0, angle = 0, error = 0;
};
inline Fit fit_oscillation(Lesson& lesson, int64_t state, int64_t steps, double radius, double angle) {
  const int64_t length = 64;
  const Tensor t = arange(0, length, 1, doubles()), target = exp(t * std::log(radius)) * cos(t * angle);
  RTF layer({.dim = 1, .length = length, .state = state});
  layer.to(f64);
  layer.to(lesson.device());
  Adam optimizer({layer.a, layer.b}, {.lr = 1e-2});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .floor = 0.02});
  Fit fit;
  int64_t shown = 0;  // frames stand at steps that grow like squares: most happens at the start
  std::vector<double> re, im;
  lesson.player("poles that learn");
  for (int64_t step = 0; step <= steps; ++step) {
    const Tensor kernel = layer.kernel(length)[0], loss = mean(square(kernel - target));
    if (step >= shown * shown * steps / 256) {
      ++shown;
      const Tensor poles = layer.poles()[0];
      const std::vector<double> r = real(poles).to_vector<double>(), i = imag(poles).to_vector<double>();
      re.insert(re.end(), r.begin(), r.end()), im.insert(im.end(), i.begin(), i.end());
      lesson.frame(fmt::format("step {}", step),
                   {{"a", layer.a[0].detach()},
                    {"b", layer.b[0].detach()},
                    {"poles, real part", r},
                    {"poles, imaginary part", i},
                    {"K, first 8 taps", slice(kernel.detach(), 0, 0, 8)},
                    {"target", slice(target, 0, 0, 8)}},
                   step == 0
                       ? "All coefficients are 0: every pole is at 0, and the kernel is 0. $b$ has a gradient, $a$ "
                         "has none yet."
                       : fmt::format("Root mean square error {:.4f}.", std::sqrt(loss.item())));
      if (shown == 4 || shown == 6 || step == steps)
        fit.kernels.push_back({.name = fmt::format("step {}", step), .y = kernel.detach().to_vector<double>()});
      if (step == steps) break;
    }
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    schedule.step();
  }
  const size_t d = size_t(state), last = re.size() - d;
  size_t best = last;
  for (size_t k = last; k < re.size(); ++k)
    if (std::hypot(re[k], im[k]) > std::hypot(re[best], im[best])) best = k;
  fit.radius = std::hypot(re[best], im[best]), fit.angle = std::abs(std::atan2(im[best], re[best]));
  NoGrad guard;
  fit.error = distance(layer.kernel(length)[0], target);
  fit.kernels.push_back({.name = "target", .y = target.to_vector<double>(), .mark = Mark::points});
  fit.paths = {{.name = "poles on their way", .x = re, .y = im, .mark = Mark::points},
               {.name = "at the end",
                .x = {re.begin() + int64_t(last), re.end()},
                .y = {im.begin() + int64_t(last), im.end()},
                .mark = Mark::points},
               {.name = "the target's",
                .x = {radius * std::cos(angle), radius * std::cos(angle)},
                .y = {radius * std::sin(angle), -radius * std::sin(angle)},
                .mark = Mark::points}};
  return fit;
}

}  // namespace ink::lesson
