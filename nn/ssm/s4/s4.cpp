// The S4 layer.
#include "nn/ssm/s4/s4.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"
#include "nn/ssm/s4/lti_layer.h"
#include "nn/ssm/s4/roots.h"

namespace ink {
namespace {

constexpr double kLeastDecay = 1e-4;  // of the kinds whose skew part has no decay of its own, as in s4's code
constexpr double kS4Window = 2;       // of LegT and FouT, as in s4's code: the span of [-1, 1]

void check_s4(const S4Options& o) {
  check_lti_sizes("S4", o.dim, o.state, o.step_min, o.step_max);
  if (o.length < 1) throw ValueError(fmt::format("S4: got length {}; expected at least 1", o.length));
  if (o.state % 2)
    throw ValueError(
        fmt::format("S4: states come in conjugate pairs; got state = {}; expected an even number", o.state));
  if (o.form == SsmForm::scan)
    throw ValueError(
        "S4: there is no scan over a state whose matrix is not diagonal; expected convolution or recurrent; "
        "hint: S4D has one");
}

Tensor same_for_all(const Tensor& x, int64_t dim) {  // complex numbers as pairs; a first dim of channels
  const Tensor parts = is_complex(x.dtype()) ? view_as_real(x) : x;
  Shape times = Shape::filled(parts.dim() + 1, 1);
  times[0] = dim;
  return repeat(parts.to({f32, default_device()}).unsqueeze(0), times);
}

}  // namespace

S4::S4(const S4Options& o) : options(o) {
  check_s4(o);
  const Dplr start = hippo_dplr(o.init, o.state, kS4Window);
  log_step = starting_log_steps(o.dim, o.step_min, o.step_max);
  log_decay = same_for_all(log(clamp(-real(start.lambda), kLeastDecay)), o.dim);
  frequency = same_for_all(imag(start.lambda), o.dim);
  P = same_for_all(start.P, o.dim);
  B = same_for_all(start.B, o.dim);
  // C is a complex normal of unit variance, and C-tilde follows
  const Tensor natural = view_as_complex(init::normal({o.dim, o.state / 2, 2}, std::sqrt(0.5)));
  D = init::normal({o.dim}, 1);
  prepared_length = zeros({o.length}, u8);
  NoGrad guard;
  C = zeros({o.dim, o.state / 2, 2});
  const Tensor whole = truncated(cat({natural, conj(natural)}, -1).to(c128), transition(1), o.length);
  C = view_as_real(narrow(whole, -1, 0, o.state / 2).contiguous()).to(D.options());
}

void S4::fields(Fields& f) {
  f("log_step", log_step)("log_decay", log_decay)("frequency", frequency)("P", P)("B", B)("C", C)("D", D);
  f("prepared_length", prepared_length);
}
std::vector<Tensor> S4::timing() const { return {log_step, log_decay, frequency, P, B}; }

Dplr S4::system() const {
  return {.lambda = complex_of(-exp(widened(log_decay)), widened(frequency)),
          .P = pairs_as_complex(P),
          .B = pairs_as_complex(B),
          .C = pairs_as_complex(C)};
}
Tensor S4::steps() const { return exp(widened(log_step)); }

// (2 / Delta - A)^{-1} (2 / Delta + A)
Tensor S4::transition(double rate) const {
  const Tensor A = dense(system()).A.to(c128);
  const Tensor scaled = eye(A.size(-1), A.options()) * (2 / rate / steps().to(f64)).unsqueeze(-1).unsqueeze(-1);
  return solve(scaled - A, scaled + A);
}

// In f64: 1 - A_bar^length is nearly singular where a mode hardly decays over the length.
Tensor S4::output() const {
  const Tensor tilde = dense(system()).C, whole = untruncated(tilde.to(c128), transition(1), length());
  return narrow(whole, -1, 0, options.state / 2).to(tilde.dtype());
}

Tensor S4::kernel(int64_t n) const {
  check_length("S4", n);
  check_rate("S4", rate);
  if (n > length())
    throw ValueError(fmt::format("S4: C-tilde is made for a length of {}; got {}; hint: extend({})", length(), n, n));
  Dplr s = system();
  if (rate != 1) {  // C stays what it is, and C-tilde is that of the other step size
    const Tensor C = output().to(c128);
    s.C =
        narrow(truncated(cat({C, conj(C)}, -1), transition(rate), length()), -1, 0, options.state / 2).to(s.B.dtype());
  }
  return narrow(dplr_kernel(s, steps() * rate, length()), -1, 0, n);
}

void S4::extend(int64_t wanted) {
  NoGrad guard;
  while (length() < wanted) {
    const int64_t n = checked_product("S4::extend", 2, length());
    const Tensor whole = doubled(dense(system()).C.to(c128), transition(1), length());
    C = view_as_real(narrow(whole, -1, 0, options.state / 2).contiguous()).to(C.options());
    prepared_length = zeros({n}, prepared_length.options());
  }
  options.length = length();
}

Tensor S4::poles() const {
  NoGrad guard;
  const Dplr s = system();
  std::vector<Tensor> all;
  for (int64_t h = 0; h < options.dim; ++h) {
    const Tensor lambda = s.lambda[h], low_rank = s.P[h];
    all.push_back(low_rank_eigenvalues(cat({lambda, conj(lambda)}, -1), cat({low_rank, conj(low_rank)}, -1)));
  }
  return stack(all, 0);
}

// u [batch, time, dim], real; step by step from the state, which goes on.
Tensor S4::run(const Tensor& u, State& state) const {
  check_rate("S4", rate);
  const Prepared p = state.prepared.get({log_step, log_decay, frequency, P, B, C}, {rate}, [&] {
    return Prepared{DplrStep(system(), steps() * rate), 2 * output()};
  });
  std::vector<Tensor> y;
  for (int64_t t = 0; t < u.size(1); ++t) {
    state.x = p.step(state.x, select(u, 1, t));
    y.push_back(real(sum(p.C * state.x, {-1})));
  }
  return stack(y, 1);
}

Tensor S4::forward(const Tensor& x) const {
  check_lti_input("S4", x, options.dim);
  return with_skip(x, D, [&](const Tensor& u) {
    if (options.form == SsmForm::convolution)
      return transpose(causal_convolution(transpose(u, 1, 2), kernel(u.size(1))), 1, 2);
    State fresh;
    fresh.x = zeros({x.size(0), options.dim, options.state / 2}, {complex_of(steps().dtype()), x.device()});
    return run(u, fresh);
  });
}

Tensor S4::step(const Tensor& x, State& state) const {
  check_lti_input("S4::step", x, options.dim);
  return with_skip(x, D, [&](const Tensor& u) {
    const Shape shape{x.size(0), options.dim, options.state / 2};
    const Options kind{complex_of(steps().dtype()), x.device()};
    check_lti_state("S4::step", state.x, shape, kind);
    if (!state.x.defined()) state.x = zeros(shape, kind);
    state.time += x.size(1);
    return run(u, state);
  });
}

}  // namespace ink
