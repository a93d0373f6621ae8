// First-order linear recurrences. With h_t = a_t h_{t-1} + b_t and g the gradient of h, the gradient of b is the
// recurrence backwards,
//
//   G_t = g_t + conj(a_{t+1}) G_{t+1},   da_t = G_t conj(h_{t-1}),   db_t = G_t,   dstart = conj(a_0) G_0.
#include "autograd/recurrence.h"

#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/recurrence/recurrence_forms.h"
#include "tensor/raw/recurrence.h"

namespace ink {

using B = const Backward&;

namespace {

struct RecurrenceWay {
  int dim;
  bool reverse;
};

// x of the step before (by = -1) or after (by = 1) in the order of the walk; `end` stands where there is none.
Tensor neighbour(const Tensor& x, RecurrenceWay way, int by, const Tensor& end) {
  const int64_t n = x.size(way.dim);
  if ((by > 0) != way.reverse) return cat({slice(x, way.dim, 1, n), end}, way.dim);
  return cat({end, slice(x, way.dim, 0, n - 1)}, way.dim);
}

Tensor run_recurrence(const Tensor& a, const Tensor& b, const Tensor& start, RecurrenceWay way);

void recurrence_rule(B b, std::span<Tensor> grads) {
  const auto way = b.context<RecurrenceWay>();
  Tensor a = b.in(0), start = b.in(2), h = b.out(), g = b.grad();
  if (!grad_enabled()) {
    auto [da, db] = raw::recurrence_backward(g, a, h, start, way.dim, way.reverse);
    grads[0] = da, grads[1] = db;
  } else {
    const Tensor none = zeros_like(slice(h, way.dim, 0, 1));
    const Tensor after = a.size(way.dim) == 1 ? a : neighbour(a, way, 1, zeros_like(slice(a, way.dim, 0, 1)));
    Tensor G = run_recurrence(conj(after), g, {}, {way.dim, !way.reverse});
    grads[0] = G * conj(neighbour(h, way, -1, start.defined() ? unsqueeze(start, way.dim) : none));
    grads[1] = G;
  }
  if (!b.needs(2)) return;
  const auto first = [&](const Tensor& x) { return select(x, way.dim, way.reverse ? x.size(way.dim) - 1 : 0); };
  grads[2] = conj(first(a)) * first(grads[1]);
}

double recurrence_flops(const Call& c) { return multiply_adds(c.out().dtype(), double(c.out().numel())); }
Tensor run_recurrence(const Tensor& a, const Tensor& b, const Tensor& start, RecurrenceWay way) {
  static constexpr Op op{.name = "linear_recurrence",
                         .backward = recurrence_rule,
                         .saves = kIn0 | kIn2 | kOut0,
                         .cast = Cast::raise,
                         .flops = recurrence_flops};
  return call(
      op, way,
      [&](const Tensor& a, const Tensor& b, const Tensor& start) {
        return raw::recurrence("linear_recurrence", a, b, start, way.dim, way.reverse);
      },
      a, b, start);
}

}  // namespace

Tensor linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, const LinearRecurrenceOptions& o) {
  const Shape full = broadcast_shapes("linear_recurrence", a.shape(), b.shape());
  if (full.empty())
    throw ShapeError("linear_recurrence: it goes along a dim; got two numbers; expected at least one dim");
  const int d = wrap_dim("linear_recurrence", dim, full.size());
  Shape side = full, factors = full;
  side.erase(d);
  DType t = promote(a.dtype(), b.dtype());
  if (o.start.defined()) {
    if (!(o.start.shape() == side))
      throw ShapeError(fmt::format("linear_recurrence: wrong start; got {}; expected {}, the result {} without dim {}",
                                   o.start.shape().str(), side.str(), full.str(), d));
    t = promote(t, o.start.dtype());
  }
  raw::check_domain("linear_recurrence", t, kField);
  if (is_half(t)) {
    LinearRecurrenceOptions wide = o;
    wide.start = widened(o.start);
    return in_f32_if_half([&](const Tensor& a, const Tensor& b) { return linear_recurrence(a, b, dim, wide); },
                          to(a, t), to(b, t));
  }
  const bool constant = a.dim() < full.size() - d || a.size(d - full.size()) == 1;
  if (constant && full[d] > 1) factors[d] = 1;
  Tensor factor = expand(to(a, t), factors), added = expand(to(b, t), full),
         start = o.start.defined() ? to(o.start, t) : o.start;
  if (full[d] == 0) return added;
  if (o.algorithm == ScanAlgorithm::sequential) return run_recurrence(factor, added, start, {d, o.reverse});
  return recurrence_by(o.algorithm, expand(factor, full), added, start, d, o.reverse);
}

}  // namespace ink
