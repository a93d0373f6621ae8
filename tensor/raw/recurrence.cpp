// Recurrences of the graph-free layer: operands brought to one dtype and laid out, then one kernel.
#include "tensor/raw/recurrence.h"

#include "tensor/raw/operand.h"

namespace ink::raw {
namespace {

RecurrenceArgs describe(const Tensor& a, const Tensor& full, int dim, bool reverse) {
  const bool constant = a.size(dim) == 1 && full.size(dim) > 1;
  return {.dtype = full.dtype(), .lines = lines_of(full.shape(), dim), .reverse = reverse, .constant = constant};
}

SelectiveScanArgs describe(const SelectiveScanTensors& in) {
  return {.dtype = in.x.dtype(),
          .batch = in.x.size(0),
          .n = in.x.size(1),
          .channels = in.x.size(2),
          .states = in.a.size(1)};
}
SelectiveScanTensors laid_out(const SelectiveScanTensors& in, DType t) {
  return {contiguous_in(in.x, t), contiguous_in(in.delta, t), contiguous_in(in.a, t),
          contiguous_in(in.b, t), contiguous_in(in.c, t),     contiguous_in(in.start, t)};
}
SelectiveScanInputs pointers(const SelectiveScanTensors& in) {
  return {in.x.raw_data(), in.delta.raw_data(), in.a.raw_data(),
          in.b.raw_data(), in.c.raw_data(),     data_or_null(in.start)};
}

}  // namespace

Tensor recurrence(const char* op, const Tensor& a, const Tensor& b, const Tensor& start, int dim, bool reverse) {
  check_domain(op, b.dtype(), kField);
  common_device(op, {&a, &b, &start});
  const DType t = compute_type(b.dtype());
  Tensor factors = contiguous_in(a, t), added = contiguous_in(b, t), first = contiguous_in(start, t),
         h = empty(b.shape(), added.options());
  if (h.numel() > 0)
    kernels_of(h).recurrence(describe(factors, h, dim, reverse), h.raw_data(), factors.raw_data(), added.raw_data(),
                             data_or_null(first));
  return cast(h, b.dtype());
}

std::array<Tensor, 2> recurrence_backward(const Tensor& dh, const Tensor& a, const Tensor& h, const Tensor& start,
                                          int dim, bool reverse) {
  const DType t = compute_type(h.dtype());
  Tensor factors = contiguous_in(a, t), g = contiguous_in(dh, t), state = contiguous_in(h, t),
         first = contiguous_in(start, t);
  Tensor da = empty(h.shape(), state.options()), db = empty(h.shape(), state.options());
  if (h.numel() > 0)
    kernels_of(h).recurrence_backward(describe(factors, state, dim, reverse), da.raw_data(), db.raw_data(),
                                      g.raw_data(), factors.raw_data(), state.raw_data(), data_or_null(first));
  return {cast(da, h.dtype()), cast(db, h.dtype())};
}

std::array<Tensor, 3> selective_scan(const char* op, const SelectiveScanTensors& tensors, bool keep_states) {
  common_device(op, {&tensors.x, &tensors.delta, &tensors.a, &tensors.b, &tensors.c, &tensors.start});
  const DType result = tensors.x.dtype(), t = compute_type(result);
  const SelectiveScanTensors in = laid_out(tensors, t);
  const SelectiveScanArgs s = describe(in);
  Tensor y = empty(in.x.shape(), in.x.options()), last = empty({s.batch, s.channels, s.states}, in.x.options()), kept;
  if (keep_states) kept = empty({s.batch, (s.n + kScanChunk - 1) / kScanChunk, s.states, s.channels}, in.x.options());
  if (s.batch * s.channels * s.states == 0)
    fill(y, 0);
  else
    kernels_of(y).selective_scan(s, y.raw_data(), last.raw_data(), data_or_null(kept), pointers(in));
  return {cast(y, result), cast(last, result), kept};
}

SelectiveScanTensors selective_scan_backward(const Tensor& dy, const Tensor& dlast, const SelectiveScanTensors& tensors,
                                             const Tensor& kept) {
  const DType result = tensors.x.dtype(), t = kept.dtype();
  const SelectiveScanTensors in = laid_out(tensors, t);
  const SelectiveScanArgs s = describe(in);
  Tensor g = contiguous_in(dy, t), g_last = contiguous_in(dlast, t);
  const bool any = s.batch * s.channels * s.states > 0;  // then the kernel writes all
  const auto make = [any](const Shape& shape, const Options& o) { return any ? empty(shape, o) : zeros(shape, o); };
  const auto like = [&](const Tensor& x) { return make(x.shape(), x.options()); };
  SelectiveScanTensors d{like(in.x), like(in.delta), like(in.a),
                         like(in.b), like(in.c),     make({s.batch, s.channels, s.states}, in.x.options())};
  if (any)
    kernels_of(g).selective_scan_backward(
        s, {d.x.raw_data(), d.delta.raw_data(), d.a.raw_data(), d.b.raw_data(), d.c.raw_data(), d.start.raw_data()},
        g.raw_data(), data_or_null(g_last), pointers(in), kept.raw_data());
  for (Tensor* x : {&d.x, &d.delta, &d.a, &d.b, &d.c, &d.start}) *x = cast(*x, result);
  return d;
}

}  // namespace ink::raw
