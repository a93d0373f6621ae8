// The layer of a rational transfer function.
#include "nn/ssm/s4/rtf.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"
#include "nn/ssm/poles.h"
#include "nn/ssm/s4/lti_layer.h"
#include "nn/ssm/s4/roots.h"

namespace ink {
namespace {

void check_rtf(const RtfOptions& o) {
  check_lti_sizes("RTF", o.dim, o.state, 1, 1);
  if (o.state >= o.length)
    throw ValueError(fmt::format(
        "RTF: a polynomial of degree {} has no room in {} roots of unity; expected state < length", o.state, o.length));
  if (o.form == SsmForm::scan)
    throw ValueError(
        "RTF: there is no scan over a state whose matrix is not diagonal; expected convolution or recurrent");
}

}  // namespace

RTF::RTF(const RtfOptions& o) : options(o) {
  check_rtf(o);
  a = zeros({o.dim, o.state}), b = zeros({o.dim, o.state});
  if (o.constrained) slack = ones({o.dim});
  D = init::normal({o.dim}, 1);
  prepared_length = zeros({o.length}, u8);
}

void RTF::fields(Fields& f) {
  f("a", a)("b", b);
  if (options.constrained) f("slack", slack);
  f("D", D)("prepared_length", prepared_length);
}

Tensor RTF::denominator() const {
  const Tensor free = widened(a);
  return options.constrained ? free / (sum(abs(free), {-1}, true) + abs(widened(slack)).unsqueeze(-1) + 1e-6) : free;
}

Tensor RTF::kernel(int64_t n) const {
  check_length("RTF", n);
  if (n > length())
    throw ValueError(fmt::format("RTF: b is made for a length of {}; got {}; hint: extend({})", length(), n, n));
  const Tensor below = denominator(), one = ones({options.dim, 1}, below.options());
  const Tensor quotient = rfft(widened(b), length()) / rfft(cat({one, below}, -1), length());
  return narrow(irfft(quotient, length()), -1, 0, n);  // (9.45)
}

Tensor RTF::companion() const {
  const Tensor first = -denominator();
  const int64_t d = options.state;
  const Tensor shift = eye(d, first.options()).slice(0, 0, d - 1).unsqueeze(0);  // [1, d - 1, d]
  return cat({first.unsqueeze(1), expand(shift, {options.dim, d - 1, d})}, 1);   // (9.46)
}
Tensor RTF::output() const {
  return untruncated(widened(b).to(f64), companion().to(f64), length()).to(denominator().dtype());
}

Tensor RTF::poles() const {
  NoGrad guard;
  return polynomial_roots(denominator());
}

void RTF::extend(int64_t wanted) {
  NoGrad guard;
  while (length() < wanted) {
    const int64_t n = checked_product("RTF::extend", 2, length());
    b = doubled(widened(b).to(f64), companion().to(f64), length()).to(b.options());
    prepared_length = zeros({n}, prepared_length.options());
  }
  options.length = length();
}

// u [batch, time, dim], real; step by step from the state, which goes on.
Tensor RTF::run(const Tensor& u, State& state) const {
  std::vector<Tensor> from{a, b};
  if (options.constrained) from.push_back(slack);
  const Tensor C = state.output.get(from, {}, [&] { return output(); }), fall = denominator();
  std::vector<Tensor> y;
  for (int64_t t = 0; t < u.size(1); ++t) {
    const Tensor newest = select(u, 1, t) - sum(fall * state.x, {-1});
    state.x = cat({newest.unsqueeze(-1), narrow(state.x, -1, 0, options.state - 1)}, -1);
    y.push_back(sum(C * state.x, {-1}));
  }
  return stack(y, 1);
}

Tensor RTF::forward(const Tensor& x) const {
  check_lti_input("RTF", x, options.dim);
  return with_skip(x, D, [&](const Tensor& u) {
    if (options.form == SsmForm::convolution)
      return transpose(causal_convolution(transpose(u, 1, 2), kernel(u.size(1))), 1, 2);
    State fresh;
    fresh.x = zeros({x.size(0), options.dim, options.state}, u.options());
    return run(u, fresh);
  });
}

Tensor RTF::step(const Tensor& x, State& state) const {
  check_lti_input("RTF::step", x, options.dim);
  return with_skip(x, D, [&](const Tensor& u) {
    const Shape shape{x.size(0), options.dim, options.state};
    check_lti_state("RTF::step", state.x, shape, u.options());
    if (!state.x.defined()) {
      warn_if_unstable("RTF", poles());
      state.x = zeros(shape, u.options());
    }
    state.time += x.size(1);
    return run(u, state);
  });
}

}  // namespace ink
