// Parallel forms of h_t = a_t h_{t-1} + b_t. A stretch of steps takes the state h before it to a h + b after it: a pair
// (a, b). Two stretches in a row are one,
//
//   (a1, b1) then (a2, b2) = (a2 a1, a2 b1 + b2),
//
// and this product is associative, so the pairs may be joined in any grouping. (1, 0) is neutral. These forms are here
// to be read and compared; the op's own kernel goes step by step. Written in public ops, they are differentiable by
// themselves.
#include "autograd/ops/recurrence/recurrence_forms.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"

namespace ink {
namespace {

struct Stretches {  // side by side along dim 0
  Tensor a, b;
  int64_t count() const { return a.size(0); }
  Stretches slice(int64_t from, int64_t to, int64_t step = 1) const {
    return {ink::slice(a, 0, from, to, step), ink::slice(b, 0, from, to, step)};
  }
};
Stretches join(const Stretches& first, const Stretches& second) {
  return {second.a * first.a, second.a * first.b + second.b};
}

// `count` neutral stretches in front of s, or behind it.
Stretches padded(const Stretches& s, int64_t front, int64_t behind) {
  const auto with = [&](const Tensor& x, double value) {
    const auto some = [&](int64_t count) {
      Shape shape = x.shape();
      shape[0] = count;
      return full(shape, value, x.options());
    };
    return cat({some(front), x, some(behind)}, 0);
  };
  return {with(s.a, 1), with(s.b, 0)};
}

// After the round of width w, stretch t spans the steps t - 2w + 1 .. t.
Tensor hillis_steele(Stretches s) {
  for (int64_t w = 1; w < s.count(); w *= 2) s = join(padded(s.slice(0, s.count() - w), w, 0), s);
  return s.b;
}

// Up: neighbours are joined, and the recurrence over half as many stretches gives h after each pair. Down: h after a
// pair's first step follows from h after the pair before.
Tensor blelloch(const Stretches& s) {
  const int64_t n = s.count();
  if (n == 1) return s.b;
  if (n % 2) return slice(blelloch(padded(s, 0, 1)), 0, 0, n);
  const Stretches even = s.slice(0, n, 2), odd = s.slice(1, n, 2);
  const Tensor after_odd = blelloch(join(even, odd));
  const Tensor before_even = cat({zeros_like(slice(after_odd, 0, 0, 1)), slice(after_odd, 0, 0, n / 2 - 1)}, 0);
  return reshape(stack({even.a * before_even + even.b, after_odd}, 1), s.b.shape());
}

// Each chunk from 0, all at once; then the recurrence over the chunks' ends; then a_0 ... a_t times what the chunks
// before have left.
Tensor chunked(const Stretches& s) {
  const int64_t n = s.count(), size = int64_t(std::ceil(std::sqrt(double(n)))), chunks = (n + size - 1) / size;
  const Stretches whole = padded(s, 0, chunks * size - n);
  Shape by_chunk = whole.b.shape();
  by_chunk[0] = size;
  by_chunk.insert(0, chunks);
  const Tensor a = reshape(whole.a, by_chunk), within = linear_recurrence(a, reshape(whole.b, by_chunk), 1),
               products = cumprod(a, 1);
  const Tensor ends = linear_recurrence(select(products, 1, -1), select(within, 1, -1), 0);
  const Tensor before = cat({zeros_like(slice(ends, 0, 0, 1)), slice(ends, 0, 0, chunks - 1)}, 0);
  return slice(reshape(within + products * unsqueeze(before, 1), whole.b.shape()), 0, 0, n);
}

}  // namespace

Tensor recurrence_by(ScanAlgorithm algorithm, const Tensor& a, const Tensor& b, const Tensor& start, int dim,
                     bool reverse) {
  const auto in_order = [&](const Tensor& x) {
    const Tensor first = transpose(x, 0, dim);
    return reverse ? flip(first, {0}) : first;
  };
  Stretches s{in_order(a), in_order(b)};
  if (start.defined()) {  // the first step begins at `start` instead of 0: b_0 + a_0 start
    const Tensor before = select(transpose(unsqueeze(start, dim), 0, dim), 0, 0);
    s.b = cat({unsqueeze(select(s.b, 0, 0) + select(s.a, 0, 0) * before, 0), slice(s.b, 0, 1, s.count())}, 0);
  }
  const Tensor h = algorithm == ScanAlgorithm::hillis_steele ? hillis_steele(s)
                   : algorithm == ScanAlgorithm::blelloch    ? blelloch(s)
                                                             : chunked(s);
  return transpose(reverse ? flip(h, {0}) : h, 0, dim);
}

}  // namespace ink
