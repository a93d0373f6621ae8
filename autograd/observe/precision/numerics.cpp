// Counting with the eyes of a format.
#include "autograd/observe/precision/numerics.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "tensor/raw/raw.h"

namespace ink {

double ValueCounts::lost() const {
  const int64_t some = values - zeros - not_finite;
  return some > 0 ? double(flushed + overflowed) / double(some) : 0;
}

void ValueCounts::add(const ValueCounts& o) {
  values += o.values, zeros += o.zeros, flushed += o.flushed, subnormal += o.subnormal;
  overflowed += o.overflowed, not_finite += o.not_finite;
  for (size_t i = 0; i < exponents.size(); ++i) exponents[i] += o.exponents[i];
}

ValueCounts count_values(const Tensor& x, const FloatFormat& format, double scale) {
  if (!x.defined() || !is_floating(x.dtype())) throw DTypeError("count_values: expected a floating point tensor");
  const Tensor host = raw::contiguous(raw::cast(raw::to_device(x.detach(), Device::cpu()), f64));
  ValueCounts c;
  c.values = host.numel();
  for (double v : host.span<double>()) {
    const double y = v * scale;
    if (y == 0) {
      ++c.zeros;
      continue;
    }
    if (!std::isfinite(y)) {
      ++c.not_finite;
      continue;
    }
    const double r = std::abs(format.round(y));
    if (r == 0)
      ++c.flushed;
    else if (!std::isfinite(r))
      ++c.overflowed;
    else if (r < format.smallest_normal())
      ++c.subnormal;
    ++c.exponents[size_t(std::clamp(std::ilogb(y), ValueCounts::kLowest, ValueCounts::kHighest) -
                         ValueCounts::kLowest)];
  }
  return c;
}

Numerics::Numerics(const FloatFormat& format) : format_(format), trace_(look, this) {}

NumericsRow& Numerics::row(const std::string& name, bool recorded) {
  for (NumericsRow& r : rows_)
    if (r.recorded == recorded && r.name == name) return r;
  return rows_.emplace_back(NumericsRow{name, recorded, 0, {}});
}
const NumericsRow* Numerics::find(const std::string& name) const {
  auto it = std::find_if(rows_.begin(), rows_.end(), [&](const NumericsRow& r) { return r.name == name; });
  return it == rows_.end() ? nullptr : &*it;
}

void Numerics::watch(const std::string& name, const Tensor& x, double scale) {
  NumericsRow& r = row(name, grad_enabled());
  ++r.calls;
  r.counts.add(count_values(x, format_, scale));
}

void Numerics::look(void* self, const char* op, std::span<const Tensor* const> inputs,
                    std::span<const Tensor> outputs) {
  Numerics& n = *static_cast<Numerics*>(self);
  const bool conversion = std::string_view(op) == "to" && inputs.size() == 1;
  for (const Tensor& out : outputs) {
    if (!out.defined() || !is_floating(out.dtype())) continue;
    if (!inputs.empty() && inputs[0]->defined() && out.shares_storage(*inputs[0])) continue;
    NumericsRow& r = n.row(op, grad_enabled());
    ++r.calls;
    r.counts.add(count_values(conversion && is_floating(inputs[0]->dtype()) ? *inputs[0] : out, n.format_));
  }
}

std::string Numerics::table() const {
  std::string s =
      fmt::format("{:<28} {:>6} {:>10} {:>9} {:>9} {:>10} {:>10} {:>8}\n", std::string("in ") + format_.name, "calls",
                  "values", "to zero", "subnormal", "overflowed", "not finite", "lost");
  for (const NumericsRow& r : rows_) {
    const ValueCounts& c = r.counts;
    s += fmt::format("{:<28} {:>6} {:>10} {:>9} {:>9} {:>10} {:>10} {:>7.2f}%\n",
                     r.name + (r.recorded ? "" : " (backward)"), r.calls, c.values, c.flushed, c.subnormal,
                     c.overflowed, c.not_finite, 100 * c.lost());
  }
  return s;
}

}  // namespace ink
