// Ops computed again with a rounding after every step.
#include "autograd/observe/precision/emulate.h"

#include <algorithm>
#include <string_view>

#include "autograd/observe/precision/rounded.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

// f32 elements on the host as f64, where sums and products of such numbers are exact or one rounding away.
Tensor wide_host(const Tensor& x, const FloatFormat& f, Overflow o) {
  return raw::contiguous(rounded(raw::cast(raw::to_device(x.detach(), Device::cpu()), f64), f, o));
}

// c_ij <- round(c_ij + round(a_ip b_pj)), p = 0, 1, ...
void emulate_product(const EmulateOptions& o, const double* a, const double* b, double* c, int64_t m, int64_t n,
                     int64_t k) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double s = 0;
      for (int64_t p = 0; p < k; ++p)
        s = o.sums.round(s + o.sums.round(a[i * k + p] * b[p * n + j], o.overflow), o.overflow);  // (10.4)
      c[i * n + j] = o.numbers.round(s, o.overflow);
    }
}

Shape with_matrix(const Shape& batch, int64_t rows, int64_t cols) {
  Shape s = batch;
  s.push_back(rows);
  s.push_back(cols);
  return s;
}

Tensor emulated_matmul(const EmulateOptions& o, const Tensor& x, const Tensor& y, const Shape& shape) {
  const int64_t m = x.size(-2), k = x.size(-1), n = y.size(-1);
  const Shape batch(shape.begin(), shape.end() - 2);
  const Tensor a = raw::contiguous(raw::expand(wide_host(x, o.numbers, o.overflow), with_matrix(batch, m, k))),
               b = raw::contiguous(raw::expand(wide_host(y, o.numbers, o.overflow), with_matrix(batch, k, n))),
               c = raw::empty(shape, {f64, Device::cpu()});
  for (int64_t e = 0; e < batch.numel(); ++e)
    emulate_product(o, a.data<double>() + e * m * k, b.data<double>() + e * k * n, c.data<double>() + e * m * n, m, n,
                    k);
  return c;
}

Tensor emulated_linear(const EmulateOptions& o, std::span<const Tensor* const> in, const Shape& shape) {
  const Tensor &x = *in[0], &w = *in[1];
  const int64_t rows = x.numel() / std::max<int64_t>(1, x.size(-1)), out = w.size(0);
  const Tensor turned = raw::permute(w, {1, 0});
  Tensor c = emulated_matmul(o, raw::reshape(x, {rows, x.size(-1)}), turned, {rows, out});
  if (in.size() > 2 && in[2]->defined()) {
    const Tensor bias = wide_host(*in[2], o.numbers, o.overflow);
    for (int64_t i = 0; i < c.numel(); ++i)
      c.data<double>()[i] = o.numbers.round(c.data<double>()[i] + bias.data<double>()[i % out], o.overflow);
  }
  return raw::reshape(c, shape);
}

// Which dims of `in` a sum of shape `out` ran over, as a mask: those kept with size 1, or left out. -1 if two answers
// are possible.
int reduced_dims(const Shape& in, const Shape& out) {
  int found = -1;
  for (int mask = 1; mask < 1 << in.size(); ++mask) {
    Shape kept, left;
    for (int d = 0; d < in.size(); ++d) {
      if (!(mask >> d & 1)) left.push_back(in[d]);
      kept.push_back(mask >> d & 1 ? 1 : in[d]);
    }
    if (!(kept == out) && !(left == out)) continue;
    bool same = found >= 0;  // dims of size 1 do not matter
    for (int d = 0; same && d < in.size(); ++d) same = in[d] == 1 || (mask >> d & 1) == (found >> d & 1);
    if (found >= 0 && !same) return -1;
    found = mask;
  }
  return found;
}

Tensor emulated_sum(const EmulateOptions& o, const Tensor& x, const Shape& shape) {
  const int mask = reduced_dims(x.shape(), shape);
  if (mask < 0) return {};
  const Tensor a = wide_host(x, o.numbers, o.overflow), y = raw::full(shape, 0, {f64, Device::cpu()});
  double* sum = y.data<double>();
  for (int64_t i = 0; i < a.numel(); ++i) {
    int64_t at = 0, step = 1, rest = i;  // where element i is added, last dims first
    for (int d = x.dim() - 1; d >= 0; --d) {
      const int64_t place = rest % x.size(d);
      rest /= x.size(d);
      if (mask >> d & 1) continue;
      at += place * step;
      step *= x.size(d);
    }
    sum[at] = o.sums.round(sum[at] + a.data<double>()[i], o.overflow);
  }
  return rounded(y, o.numbers, o.overflow);
}

Tensor emulated(const EmulateOptions& o, std::string_view op, std::span<const Tensor* const> in, const Tensor& out) {
  if (op == "matmul") return emulated_matmul(o, *in[0], *in[1], out.shape());
  if (op == "linear") return emulated_linear(o, in, out.shape());
  if (op == "sum" || op == "sum_to")
    if (Tensor y = emulated_sum(o, *in[0], out.shape()); y.defined()) return y;
  return rounded(out, o.numbers, o.overflow);
}

}  // namespace

Emulate::Emulate(const EmulateOptions& options) : options_(options), trace_(compute, this) {}

void Emulate::compute(void* self, const char* op, std::span<const Tensor* const> inputs,
                      std::span<const Tensor> outputs) {
  const EmulateOptions& o = static_cast<Emulate*>(self)->options_;
  for (const Tensor& out : outputs) {
    if (!out.defined() || out.dtype() != f32 || out.numel() == 0) continue;
    if (!inputs.empty() && inputs[0]->defined() && out.shares_storage(*inputs[0])) continue;  // a view
    const bool same = outputs.size() == 1 && !inputs.empty() && inputs[0]->defined() && inputs[0]->dtype() == f32;
    const Tensor y = same ? emulated(o, op, inputs, out) : rounded(out, o.numbers, o.overflow);
    raw::copy_into(out, raw::to_device(raw::cast(y, f32), out.device()));
  }
}

double sum_in(const Tensor& x, const FloatFormat& format) {
  const Tensor host = wide_host(x, format, Overflow::infinity);
  double s = 0;
  for (double v : host.span<double>()) s = format.round(s + v);  // (10.5)
  return s;
}

}  // namespace ink
