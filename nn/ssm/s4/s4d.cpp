// The diagonal state space layer: initial poles, three forms, the step.
#include "nn/ssm/s4/s4d.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/recurrence.h"
#include "nn/init.h"
#include "nn/ssm/poles.h"
#include "nn/ssm/s4/dplr.h"
#include "nn/ssm/s4/lti_layer.h"

namespace ink {
namespace {

int64_t checked_poles(const S4DOptions& o) {
  check_lti_sizes("S4D", o.dim, o.state, o.step_min, o.step_max);
  if (o.init == S4DInit::real) return o.state;
  if (o.state % 2)
    throw ValueError(fmt::format(
        "S4D: states come in conjugate pairs; got state = {}; expected an even number, or init = real", o.state));
  return o.state / 2;
}

// {decay, frequency, B} of a channel's poles, f64: the pole is -decay + i frequency.
struct StartingPoles {
  Tensor decay, frequency, B;
};
StartingPoles starting_poles(const S4DOptions& o) {
  constexpr double pi = std::numbers::pi;
  const double N = double(o.state);
  const Tensor n = arange(0, checked_poles(o), 1, f64), half = full_like(n, 0.5);
  const auto alone = [](const Tensor& re) { return complex_of(re, zeros_like(re)); };
  switch (o.init) {
    case S4DInit::lin:
      return {half, n * pi, alone(ones_like(n))};
    case S4DInit::inv:
      return {half, N / pi * (N / (2 * n + 1) - 1), alone(ones_like(n))};
    case S4DInit::quad:
      return {half, square(2 * n + 1) / pi, alone(ones_like(n))};
    case S4DInit::real:
      return {n + 1, {}, ones_like(n)};
    case S4DInit::legs: {
      const Dplr legs = hippo_dplr(HippoKind::legs, o.state);
      return {-real(legs.lambda), imag(legs.lambda), legs.B / 2};
    }
  }
  throw ValueError(fmt::format("S4D: no such init; got {}", int(o.init)));
}

}  // namespace

S4D::S4D(const S4DOptions& o) : options(o) {
  const int64_t count = checked_poles(o);
  const StartingPoles start = starting_poles(o);
  const auto each = [&](const Tensor& x) {  // the same for all channels, as parameters
    const Tensor parts = is_complex(x.dtype()) ? view_as_real(x) : x;
    return repeat(parts.to({f32, default_device()}).unsqueeze(0),
                  parts.dim() == 2 ? Shape{o.dim, 1, 1} : Shape{o.dim, 1});
  };
  log_step = starting_log_steps(o.dim, o.step_min, o.step_max);
  log_decay = each(log(start.decay));
  if (start.frequency.defined()) frequency = each(start.frequency);
  B = each(start.B);
  // a complex normal of unit variance; one of unit variance if real
  C = paired() ? init::normal({o.dim, count, 2}, std::sqrt(0.5)) : init::normal({o.dim, count}, 1);
  D = init::normal({o.dim}, 1);
  if (o.discretisation == Discretisation::forward_euler) warn_if_unstable("S4D", discrete().A);
}

void S4D::fields(Fields& f) {
  f("log_step", log_step)("log_decay", log_decay);
  if (paired()) f("frequency", frequency);
  f("B", B)("C", C)("D", D);
}
std::vector<Tensor> S4D::timing() const {
  std::vector<Tensor> slow{log_step, log_decay, B};
  if (paired()) slow.push_back(frequency);
  return slow;
}

Tensor S4D::poles() const {
  const Tensor decay = -exp(widened(log_decay));
  return paired() ? complex_of(decay, widened(frequency)) : decay;  // Re < 0 by construction
}
DiscreteSystem S4D::discrete() const {
  check_rate("S4D", rate);
  const Tensor step = unsqueeze(exp(widened(log_step)), -1) * rate;
  return discretise_diagonal(poles(), paired() ? pairs_as_complex(B) : widened(B), step, options.discretisation);
}
Tensor S4D::output() const { return paired() ? 2 * pairs_as_complex(C) : widened(C); }

Tensor S4D::kernel(int64_t length) const {
  check_length("S4D", length);
  const DiscreteSystem s = discrete();
  return mode_sum(output() * s.B, s.A, length);  // (9.43)
}

// y = K * u, and what is left of the state before: Re C A_bar^{t + 1} x.
Tensor S4D::by_convolution(const Tensor& u, const Prepared& p, State& state, bool resumed) const {
  const DiscreteSystem& s = p.system;
  const int64_t n = u.size(1);
  const Tensor by_channel = transpose(u, 1, 2);  // [batch, dim, time]
  Tensor y = causal_convolution(by_channel, mode_sum(p.C * s.B, s.A, n));
  if (!resumed) return transpose(y, 1, 2);
  y = y + mode_sum(p.C * s.A * state.x, s.A, n);
  // x after the last step: A_bar^n x + sum over t of A_bar^{n-1-t} B_bar u_t
  const Tensor A_powers = powers(s.A, n), gone = flip(A_powers, {-1});
  const Tensor added = matmul(gone, permute(u, {2, 1, 0}).to(s.A.dtype()));  // [dim, poles, batch]
  state.x = select(A_powers, -1, n - 1) * s.A * state.x + s.B * permute(added, {2, 0, 1});
  return transpose(y, 1, 2);
}

// u [batch, time, dim], real. `resumed`: the state counts, and is kept.
Tensor S4D::run(const Tensor& u, const Prepared& p, State& state, bool resumed) const {
  const SsmForm form = resumed && u.size(1) == 1 ? SsmForm::recurrent : options.form;
  if (form == SsmForm::convolution) return by_convolution(u, p, state, resumed);
  const DiscreteSystem& s = p.system;
  const Tensor input = unsqueeze(u, -1) * s.B;  // [batch, time, dim, poles]
  const auto read = [&](const Tensor& x) { return real(sum(p.C * x, {-1})); };
  if (form == SsmForm::scan) {
    const Tensor states = linear_recurrence(s.A.unsqueeze(0).unsqueeze(0), input, 1, {.start = state.x});
    state.x = select(states, 1, u.size(1) - 1);
    return read(states);
  }
  std::vector<Tensor> y;
  for (int64_t t = 0; t < u.size(1); ++t) {
    state.x = s.A * state.x + select(input, 1, t);  // (9.26)
    y.push_back(read(state.x));
  }
  return stack(y, 1);
}

Tensor S4D::forward(const Tensor& x) const {
  check_lti_input("S4D", x, options.dim);
  State fresh;
  return with_skip(x, D, [&](const Tensor& u) {
    const Prepared p{discrete(), output()};
    fresh.x = zeros({x.size(0), options.dim, log_decay.size(1)}, p.system.A.options());
    return run(u, p, fresh, false);
  });
}

Tensor S4D::step(const Tensor& x, State& state) const {
  check_lti_input("S4D::step", x, options.dim);
  return with_skip(x, D, [&](const Tensor& u) {
    std::vector<Tensor> parameters = timing();
    parameters.push_back(C);
    const Prepared p = state.prepared.get(parameters, {rate, double(options.discretisation)}, [&] {
      return Prepared{discrete(), output()};
    });
    const Shape shape{x.size(0), options.dim, log_decay.size(1)};
    check_lti_state("S4D::step", state.x, shape, p.system.A.options());
    if (!state.x.defined()) state.x = zeros(shape, p.system.A.options());
    state.time += x.size(1);
    return run(u, p, state, true);
  });
}

}  // namespace ink
