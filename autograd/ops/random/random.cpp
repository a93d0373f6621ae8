// Random tensors. The numbers themselves have no gradient; dropout has one.
#include <fmt/format.h>

#include <limits>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/random/dropout.h"
#include "autograd/ops/view/inplace.h"
#include "tensor/raw/random.h"

namespace ink {

using B = const Backward&;

Tensor rand(const Shape& shape, const Options& options, Generator* generator) {
  Tensor x = raw::empty(shape, options);
  raw::uniform_into("rand", x, 0, 1, generator);
  return x;
}
Tensor randn(const Shape& shape, const Options& options, Generator* generator) {
  Tensor x = raw::empty(shape, options);
  raw::normal_into("randn", x, 0, 1, generator);
  return x;
}
Tensor rand_like(const Tensor& x) { return rand(x.shape(), x.options()); }
Tensor randn_like(const Tensor& x) { return randn(x.shape(), x.options()); }
Tensor randint(int64_t low, int64_t high, const Shape& shape, const Options& options, Generator* generator) {
  if (low >= high) throw ValueError(fmt::format("randint: an empty range; got [{}, {})", low, high));
  return raw::cast(raw::integers(shape, options.device, low, high, generator), options.dtype);
}
Tensor randperm(int64_t n, Generator* generator) {  // the order of n random keys; 62 bits make equal ones unlikely
  if (n < 0) throw ValueError(fmt::format("randperm: negative size; got {}", n));
  return argsort(raw::integers({n}, default_device(), 0, int64_t(1) << 62, generator), 0);
}

Tensor& Tensor::uniform_(double low, double high) {
  if (records_write("uniform_", *this)) {
    Tensor drawn = raw::empty(shape(), options());
    raw::uniform_into("uniform_", drawn, low, high, nullptr);
    adopt("uniform_", *this, drawn);
  } else {
    raw::uniform_into("uniform_", *this, low, high, nullptr);
  }
  return *this;
}
Tensor& Tensor::normal_(double mean, double std) {
  if (records_write("normal_", *this)) {
    Tensor drawn = raw::empty(shape(), options());
    raw::normal_into("normal_", drawn, mean, std, nullptr);
    adopt("normal_", *this, drawn);
  } else {
    raw::normal_into("normal_", *this, mean, std, nullptr);
  }
  return *this;
}

Tensor bernoulli(const Tensor& p, Generator* generator) {
  NoGrad guard;
  raw::check_domain("bernoulli", p.dtype(), kFloat);
  if (!all(logical_and(p >= 0, p <= 1)).item<bool>())
    throw ValueError("bernoulli: a probability lies outside [0, 1] or is NaN");
  DType t = compute_type(p.dtype());
  return to(lt(rand(p.shape(), {t, p.device()}, generator), to(p, t)), p.dtype());
}

Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, Generator* generator) {
  NoGrad guard;
  raw::check_domain("multinomial", weights.dtype(), kReal);
  if (weights.dim() == 0 || count < 0 || (weights.size(-1) == 0 && count > 0))
    throw ShapeError(fmt::format("multinomial: needs weights [..., classes] and a count >= 0; got {} and {}",
                                 weights.shape().str(), count));
  Tensor w = contiguous(to(weights, f64)), positive = w > 0;
  if (!all(logical_and(w >= 0, isfinite(w))).item<bool>())
    throw ValueError("multinomial: a weight is negative or not finite");
  int64_t needed = replacement ? (count > 0 ? 1 : 0) : count;
  if (!all(count_nonzero(positive, -1) >= needed).item<bool>())
    throw ValueError(fmt::format(
        "multinomial: a row has too few classes of positive weight; expected at least {}; hint: replacement = true "
        "allows a class to be drawn again",
        needed));
  if (!replacement) {
    // A race: exponential arrival times of rate w; the first `count` to arrive are the sample (Efraimidis & Spirakis
    // 2006).
    Tensor arrival = -log1p(-rand(w.shape(), w.options(), generator)) / w;
    return std::get<1>(
        topk(where(positive, arrival, full_like(w, std::numeric_limits<double>::infinity())), count, -1, false));
  }
  // The inverse of the distribution function. Rounding may carry a draw to the very top: the last possible class takes
  // it.
  Shape shape = w.shape();
  shape[w.dim() - 1] = count;
  Tensor sums = cumsum(w, -1), total = slice(sums, -1, w.size(-1) - 1, w.size(-1));
  Tensor drawn = searchsorted(sums, rand(shape, w.options(), generator) * total, true);
  return minimum(drawn, searchsorted(sums, total));
}

// ---- dropout

// Linear in x with a mask that only depends on the key: the gradient is the same dropout of g.
Tensor dropout_by_key(const Tensor& x, RandomKey key, double p) {
  struct Context {
    RandomKey key;
    double p;
  };
  static constexpr Op op{.name = "dropout",
                         .rules = {{[](B b) {
                           const auto& [key, p] = b.context<Context>();
                           return dropout_by_key(b.grad(), key, p);
                         }}},
                         .flops = flops_per_input<1>};
  return call(
      op, Context{key, p}, [&](const Tensor& x) { return raw::dropout(x, key, p); }, x);
}

Tensor dropout(const Tensor& x, double p, bool training, Generator* generator) {
  if (!(p >= 0 && p <= 1)) throw ValueError(fmt::format("dropout: p must lie in [0, 1]; got {}", p));
  raw::check_domain("dropout", x.dtype(), kFloat);
  if (!training || p == 0) return x;
  if (p == 1) return masked_fill(x, full({}, true, {boolean, x.device()}), 0);
  return dropout_by_key(x, raw::next_key(generator, x.numel()), p);
}

}  // namespace ink
