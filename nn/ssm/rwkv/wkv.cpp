// wkv in log space: exponents first, then two linear recurrences.
#include "nn/ssm/rwkv/wkv.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {
namespace {

void check_wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, const WkvSums& s) {
  const bool dims = k.dim() == 3 && v.shape() == k.shape();
  if (!dims || !(w.shape() == Shape{k.size(2)}) || !(u.shape() == w.shape()))
    throw ShapeError(fmt::format(
        "wkv: shapes do not fit; got k {}, v {}, w {}, u {}; expected k, v [batch, time, channels], w, u [channels]",
        k.shape().str(), v.shape().str(), w.shape().str(), u.shape().str()));
  const Shape expected{k.size(0), k.size(2)};
  const int given = s.numerator.defined() + s.denominator.defined() + s.exponent.defined();
  const auto fits = [&](const Tensor& x) { return !x.defined() || x.shape() == expected; };
  if ((given != 0 && given != 3) || !fits(s.numerator) || !fits(s.denominator) || !fits(s.exponent))
    throw ShapeError(fmt::format("wkv: wrong state; expected none, or three tensors {}", expected.str()));
}

// o_t = max(w + o_{t-1}, k_t) for all t at once: in units that fade by w per step it is a running maximum. Any o_t
// gives the same wkv, so its gradient is 0; it only has to be near the largest exponent.
Tensor exponents(const Tensor& k, const Tensor& w, const Tensor& before) {
  const Tensor faded = unsqueeze(arange(1, k.size(1) + 1, 1, {f64, k.device()}), -1) * w.detach().to(f64);
  const Tensor all = cat({unsqueeze(before, 1).to(f64), k.detach().to(f64) - faded}, 1);
  const Tensor largest = std::get<0>(cummax(all, 1));
  return (largest.narrow(1, 1, k.size(1)) + faded).to(k.dtype());
}

// Its value at the step before.
Tensor delayed(const Tensor& first, const Tensor& x) {
  return cat({unsqueeze(first, 1), x.narrow(1, 0, x.size(1) - 1)}, 1);
}

Tensor log_space_wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, WkvSums& s,
                     ScanAlgorithm algorithm) {
  const Tensor o = exponents(k, w, s.exponent), o_before = delayed(s.exponent, o);
  const Tensor fade = exp(w + (o_before - o)), add = exp(k - o);                                         // at most 1
  const Tensor p = linear_recurrence(fade, add * v, 1, {.start = s.numerator, .algorithm = algorithm});  // (9.78)
  const Tensor q = linear_recurrence(fade, add, 1, {.start = s.denominator, .algorithm = algorithm});
  const Tensor top = maximum(o_before, (u + k).detach());
  const Tensor past = exp(o_before - top), now = exp(u + k - top);
  const Tensor y = (past * delayed(s.numerator, p) + now * v) / (past * delayed(s.denominator, q) + now);  // (9.79)
  const auto last = [](const Tensor& x) { return select(x, 1, x.size(1) - 1).clone(); };
  s = {last(p), last(q), last(o)};
  return y;
}

}  // namespace

Tensor wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, WkvSums& sums, ScanAlgorithm algorithm) {
  check_wkv(k, v, w, u, sums);
  const Tensor key = widened(k), value = widened(v);
  if (sums.exponent.defined()) {
    sums = {widened(sums.numerator), widened(sums.denominator), widened(sums.exponent)};
  } else {
    const Shape shape{k.size(0), k.size(2)};
    sums = {zeros(shape, key.options()), zeros(shape, key.options()), full(shape, -1e38, key.options())};
  }
  if (k.size(1) == 0) return v;
  const Tensor y = log_space_wkv(key, value, widened(w), widened(u), sums, algorithm);
  return is_half(v.dtype()) ? y.to(v.dtype()) : y;
}

}  // namespace ink
