// Dormand-Prince with a step size for each sample.
#include "nn/diffusion/samplers/rk45.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

constexpr int kStages = 7;  // the last stage is the first one of the next step
constexpr double kNodes[kStages] = {0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1};
constexpr double kCoefficients[kStages][kStages - 1] = {
    {},
    {1. / 5},
    {3. / 40, 9. / 40},
    {44. / 45, -56. / 15, 32. / 9},
    {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
    {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
    {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84}};
// of order 5 less those of order 4
constexpr double kError[kStages] = {71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40};

Tensor column_of(const std::vector<double>& values, const Tensor& like) {
  Shape shape = Shape::filled(like.dim(), 1);
  shape[0] = like.size(0);
  return to(from_data(std::span<const double>(values), shape), like.device());
}

struct Dopri {
  FunctionRef<Tensor(const Tensor&, const Tensor&)> u;
  std::array<Tensor, kStages> k;

  Tensor slope(const Tensor& x, const std::vector<double>& t, const Tensor& like) const {
    return to(u(x, reshape(column_of(t, like), {-1})), f64);
  }
  // Fills k[1] .. k[6] from k[0], and returns x after the step.
  Tensor advance(const Tensor& x, const std::vector<double>& t, const std::vector<double>& h) {
    const Tensor step = column_of(h, x);
    Tensor moved;
    for (int stage = 1; stage < kStages; ++stage) {
      Tensor sum = kCoefficients[stage][0] * k[0];
      for (int j = 1; j < stage; ++j)
        if (kCoefficients[stage][j] != 0) sum = sum + kCoefficients[stage][j] * k[size_t(j)];
      moved = x + step * sum;
      std::vector<double> at(t);
      for (size_t i = 0; i < t.size(); ++i) at[i] += kNodes[stage] * h[i];
      k[size_t(stage)] = slope(moved, at, x);
    }
    return moved;
  }
  // The root mean square of error / (atol + rtol |x|) of each sample.
  std::vector<double> errors(const Tensor& x, const Tensor& moved, const std::vector<double>& h,
                             const Rk45Options& o) const {
    Tensor sum = kError[0] * k[0];
    for (int j = 2; j < kStages; ++j) sum = sum + kError[j] * k[size_t(j)];
    const Tensor allowed = o.atol + o.rtol * maximum(abs(x), abs(moved));
    return sqrt(mean(reshape(square(column_of(h, x) * sum / allowed), {x.size(0), -1}), {1})).to_vector<double>();
  }
};

// A first step whose Euler update changes x by about a hundredth of its size. Hairer, Norsett & Wanner 1993, II.4.
std::vector<double> first_steps(const Tensor& x, const Tensor& slope, double span, const Rk45Options& o) {
  const Tensor allowed = o.atol + o.rtol * abs(x);
  auto rms = [&](const Tensor& v) {
    return sqrt(mean(reshape(square(v / allowed), {x.size(0), -1}), {1})).to_vector<double>();
  };
  const std::vector<double> size = rms(x), speed = rms(slope);
  std::vector<double> h(size.size());
  for (size_t i = 0; i < h.size(); ++i) {
    const double guess = size[i] > 1e-5 && speed[i] > 1e-5 ? 0.01 * size[i] / speed[i] : 1e-6;
    h[i] = std::copysign(std::fmin(guess, std::abs(span)), span);
  }
  return h;
}

}  // namespace

Rk45Result rk45(FunctionRef<Tensor(const Tensor& x, const Tensor& t)> u, const Tensor& x0, double first, double last,
                const Rk45Options& o) {
  if (!(o.rtol > 0 && o.atol > 0 && std::isfinite(first) && std::isfinite(last)) || x0.dim() < 1)
    throw ValueError(
        fmt::format("rk45: expected tolerances > 0, finite times and x [batch, ..]; got {}, {}, {} .. {} and {}",
                    o.rtol, o.atol, first, last, x0.shape().str()));
  NoGrad guard;
  Tensor x = to(x0, f64);
  const size_t batch = size_t(x.size(0));
  Rk45Result result{x, 0, 0};
  if (first == last || x.numel() == 0) return result;
  Dopri solver{u, {}};
  std::vector<double> t(batch, first);
  solver.k[0] = solver.slope(x, t, x);
  std::vector<double> h = first_steps(x, solver.k[0], last - first, o);
  result.evaluations = 1;
  for (int64_t round = 0;; ++round) {
    if (round == o.max_steps)
      throw ValueError(fmt::format("rk45: {} steps did not reach t = {}; hint: larger tolerances, or another last time",
                                   o.max_steps, last));
    const Tensor moved = solver.advance(x, t, h);
    const std::vector<double> error = solver.errors(x, moved, h, o);
    result.evaluations += kStages - 1;
    std::vector<double> accepted(batch);
    bool done = true;
    for (size_t i = 0; i < batch; ++i) {
      if (!std::isfinite(error[i]) && std::abs(h[i]) < 1e-12 * std::abs(last - first))
        throw ValueError(fmt::format("rk45: the solution is not finite at t = {} of sample {}", t[i], i));
      accepted[i] = error[i] <= 1;
      if (accepted[i] != 0) t[i] = std::abs(last - t[i]) <= std::abs(h[i]) ? last : t[i] + h[i];
      result.rejected += accepted[i] == 0;
      const double grow = std::isfinite(error[i]) ? 0.9 * std::pow(std::fmax(error[i], 1e-10), -0.2) : 0.1;
      h[i] *= std::clamp(grow, 0.1, accepted[i] != 0 ? 5. : 1.);
      if (std::abs(h[i]) > std::abs(last - t[i])) h[i] = last - t[i];  // 0 for a sample that has arrived
      done = done && t[i] == last;
    }
    const Tensor take = column_of(accepted, x) > 0.5;
    x = where(take, moved, x);
    solver.k[0] = where(take, solver.k[kStages - 1], solver.k[0]);
    if (o.trace) (*o.trace)(reshape(column_of(t, x), {-1}), x);
    if (done) break;
  }
  result.x = x;
  return result;
}

Rk45Result sample_rk45(const Process& process, Denoiser denoiser, const Tensor& x, double first, double last,
                       const Rk45Options& options, const Tensor& cond) {
  auto u = [&](const Tensor& at, const Tensor& t) { return predict(process, denoiser, Output::velocity, at, t, cond); };
  return rk45(u, x, first, last, options);
}

}  // namespace ink::diffusion
