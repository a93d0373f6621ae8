// Frequencies of rotary positions, stretched or not, and the rotation of halves.
#include "nn/attention/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {
namespace {

std::vector<double> plain_frequencies(int64_t dim, double base) {
  std::vector<double> f;
  for (int64_t i = 0; i < dim / 2; ++i) f.push_back(std::pow(base, -2.0 * double(i) / double(dim)));
  return f;
}

// Pairs that turn less than `low` times within the context are interpolated, those that turn more than `high` times
// stay, and between the two a share of both.
std::vector<double> by_wavelength(std::vector<double> f, const RopeOptions& o) {
  for (double& frequency : f) {
    const double turns = double(o.original_context) * frequency / (2 * std::numbers::pi);
    const double stay = std::clamp((turns - o.low_frequency) / (o.high_frequency - o.low_frequency), 0.0, 1.0);
    frequency = stay * frequency + (1 - stay) * frequency / o.factor;
  }
  return f;
}

// The same with a ramp over the index of the pair, between the two indices where the turns are slow_turns and
// fast_turns.
std::vector<double> by_index(std::vector<double> f, const RopeOptions& o) {
  auto index_of = [&](double turns) {
    return double(o.dim) * std::log(double(o.original_context) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(o.base));
  };
  const double first = std::max(std::floor(index_of(o.fast_turns)), 0.0);
  double last = std::min(std::ceil(index_of(o.slow_turns)), double(o.dim - 1));
  if (first == last) last += 0.001;  // one pair is both: no division by 0
  for (size_t i = 0; i < f.size(); ++i) {
    const double stay = 1 - std::clamp((double(i) - first) / (last - first), 0.0, 1.0);
    f[i] = stay * f[i] + (1 - stay) * f[i] / o.factor;
  }
  return f;
}

}  // namespace

Rope::Rope(const RopeOptions& o) : options_(o) {
  if (o.dim < 2 || o.dim % 2)
    throw ValueError(fmt::format("Rope: pairs are turned; got dim {}; expected an even one", o.dim));
  if (!(std::isfinite(o.base) && o.base > 1))
    throw ValueError(fmt::format("Rope: got base {}; expected a number above 1", o.base));
  if (!(std::isfinite(o.factor) && o.factor >= 1))
    throw ValueError(fmt::format("Rope: got factor {}; expected a number of at least 1", o.factor));
  const bool needs_context =
      o.scaling == RopeScaling::dynamic || o.scaling == RopeScaling::yarn || o.scaling == RopeScaling::llama3;
  if (needs_context && o.original_context < 1)
    throw ValueError(fmt::format("Rope: got original_context {}; expected the length trained for", o.original_context));
  if (o.scaling == RopeScaling::llama3 && !(o.low_frequency > 0 && o.low_frequency < o.high_frequency))
    throw ValueError(fmt::format("Rope: got low_frequency {} and high_frequency {}; expected 0 < low < high",
                                 o.low_frequency, o.high_frequency));
  if (o.scaling == RopeScaling::yarn) {
    if (!(o.slow_turns > 0 && o.slow_turns <= o.fast_turns))
      throw ValueError(fmt::format("Rope: got slow_turns {} and fast_turns {}; expected 0 < slow <= fast", o.slow_turns,
                                   o.fast_turns));
    if (!(std::isfinite(o.attention_factor) && o.attention_factor >= 0))
      throw ValueError(
          fmt::format("Rope: got attention_factor {}; expected a number of at least 0", o.attention_factor));
    scale_ = o.attention_factor > 0 ? o.attention_factor : o.factor > 1 ? 0.1 * std::log(o.factor) + 1 : 1;
  }
}

bool Rope::fixed_up_to(int64_t length) const {
  return options_.scaling != RopeScaling::dynamic || length <= options_.original_context;
}

std::vector<double> Rope::frequencies(int64_t length) const {
  const RopeOptions& o = options_;
  std::vector<double> f = plain_frequencies(o.dim, o.base);
  switch (o.scaling) {
    case RopeScaling::none:
      break;
    case RopeScaling::linear:
      for (double& frequency : f) frequency /= o.factor;
      break;
    case RopeScaling::dynamic:
      if (length > o.original_context && o.dim > 2) {
        const double longer = o.factor * double(length) / double(o.original_context) - (o.factor - 1);
        f = plain_frequencies(o.dim, o.base * std::pow(longer, double(o.dim) / double(o.dim - 2)));
      }
      break;
    case RopeScaling::yarn:
      return by_index(std::move(f), o);
    case RopeScaling::llama3:
      return by_wavelength(std::move(f), o);
  }
  return f;
}

Tensor Rope::rotate(const Tensor& x, const Tensor& positions, int64_t length) const {
  const int64_t dim = options_.dim;
  if (x.dim() < 2 || x.size(-1) < dim || positions.dim() < 1 || positions.size(-1) != x.size(-2))
    throw ShapeError(
        fmt::format("Rope: wrong input; got x {} and positions {}; expected [..., time, width] with a width "
                    "of at least {}, and a position a token",
                    x.shape().str(), positions.shape().str(), dim));
  Tensor c, s;
  {
    NoGrad guard;
    const std::vector<double> list = frequencies(length);
    Tensor f = from_data(list, {dim / 2}).to(x.device());
    Tensor angle = unsqueeze(positions.to(f64), -1) * f;  // [.., time, dim / 2]
    c = (cos(angle) * scale_).to(x.dtype()), s = (sin(angle) * scale_).to(x.dtype());
  }
  Tensor first = narrow(x, -1, 0, dim / 2), second = narrow(x, -1, dim / 2, dim / 2);
  Tensor turned = cat({first * c - second * s, second * c + first * s}, -1);
  return x.size(-1) == dim ? turned : cat({turned, narrow(x, -1, dim, x.size(-1) - dim)}, -1);
}

}  // namespace ink
