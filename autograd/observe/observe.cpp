// What may watch a call: autocast, anomaly detection, profile, trace.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "autograd/observe/autocast.h"
#include "autograd/observe/cost.h"
#include "autograd/observe/precision/tf32.h"
#include "autograd/observe/profile.h"
#include "autograd/observe/trace.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

namespace {
thread_local DType cast_dtype = DType::bf16;
thread_local Profile* profile = nullptr;
thread_local const Trace* trace = nullptr;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool is_cast(const Tensor& x) {
  return mode().observers & kAutocast && x.defined() && is_floating(x.dtype()) && x.dtype() != f64;
}

// The 16-bit forms of weights that the autocast regions of this thread have made, until the outermost ends. Elements
// are shared; each use has a node of its own, so that gradients of several uses add up in f32.
struct CastWeight {
  Tensor weight, low;
  uint32_t version;  // of the weight's storage: a step inside the region makes it anew
};
thread_local std::vector<CastWeight> cast_weights;
thread_local int autocast_depth = 0;

Tensor cast_shared(const Tensor& x, const Tensor& low) {
  static constexpr Op op{.name = "to", .rules = {{[](const Backward& b) { return b.grad(); }}}};
  return call(
      op, NoContext{}, [&](const Tensor&) { return raw::alias(low); }, x);
}
Tensor cast_weight(const Tensor& x, DType wanted) {
  const uint32_t version = x.impl()->storage->version;
  for (CastWeight& c : cast_weights)
    if (c.weight.is_same(x) && c.low.dtype() == wanted) {
      if (c.version != version) c.low = raw::cast(x, wanted), c.version = version;
      return cast_shared(x, c.low);
    }
  const Tensor y = to(x, wanted);
  cast_weights.push_back({x, raw::alias(y), version});
  return y;
}
// x as autocast's ops take it
Tensor cast_to(const Tensor& x, DType wanted) {
  const bool weight = is_half(wanted) && x.dtype() == f32 && x.requires_grad() && x.is_leaf() && !x.impl()->is_view;
  return weight ? cast_weight(x, wanted) : to(x, wanted);
}
}  // namespace

Cost cost_of(const Call& c) {
  if (c.outputs.empty() || !c.out().defined()) return {};
  const Tensor& first = c.out();
  if (c.num_inputs > 0 && c.in(0).defined() && first.shares_storage(c.in(0))) return {};  // a view
  Cost cost;
  for (int i = 0; i < c.num_inputs; ++i)
    if (c.in(i).defined()) cost.read += c.in(i).nbytes();
  for (const Tensor& t : c.outputs)
    if (t.defined()) cost.written += t.nbytes();
  cost.flops = c.op.flops ? c.op.flops(c) : c.formula ? double(first.numel()) : 0;
  return cost;
}

double pairs_in_band(const Rectangle& r, int64_t low, int64_t high) {
  double pairs = 0;
  for (int64_t i = r.row; i < r.row_end; ++i)
    pairs += double(std::max<int64_t>(std::min(r.column_end, i + high + 1) - std::max(r.column, i + low), 0));
  return pairs;
}

Tensor lowered(const Tensor& x) { return is_cast(x) && x.dtype() != cast_dtype ? cast_to(x, cast_dtype) : x; }

namespace detail {

Observed::Observed(const Op& op) : op_(op), start_(now()) {}

Tensor Observed::cast(const Tensor& input) const {
  if (mode().observers & kTf32 && op_.cast == Cast::lower && input.defined() && input.dtype() == f32)
    return tf32_factor(input);
  if (op_.cast == Cast::none || !is_cast(input)) return input;
  DType wanted = op_.cast == Cast::lower ? cast_dtype : f32;
  if (input.dtype() == wanted || (op_.cast == Cast::raise && !is_half(input.dtype()))) return input;
  return cast_to(input, wanted);
}

void Observed::done(const Call& r) {
  uint8_t on = mode().observers;
  ObserverScope quiet(Observer(kAnomaly | kProfile | kTrace), false);
  if ((on & kProfile) && profile) {
    const double seconds = now() - start_;
    profile->add(op_.name, seconds, cost_of(r));
  }
  if (on & kTrace) call_traces(trace, op_.name, {r.inputs, size_t(r.num_inputs)}, r.outputs);
  if (on & kAnomaly) {
    NoGrad no_grad;
    for (int i = 0; i < int(r.outputs.size()); ++i) {
      const Tensor& t = r.outputs[size_t(i)];
      if (t.defined() && is_differentiable(t.dtype()) && !all(isfinite(t)).item<bool>())
        throw GradError(fmt::format("{}: its result is not finite; got shape {}; hint: look at the op's inputs",
                                    op_.name, t.shape().str()));
    }
  }
}

}  // namespace detail

DType autocast_dtype() { return cast_dtype; }
Autocast::Autocast(DType dtype, bool on) : before_(cast_dtype), on_(kAutocast, on) {
  if (!is_half(dtype)) throw DTypeError(fmt::format("autocast: got {}; expected f16 or bf16", name_of(dtype)));
  cast_dtype = dtype;
  ++autocast_depth;
}
Autocast::~Autocast() {
  cast_dtype = before_;
  if (--autocast_depth == 0) cast_weights.clear();
}

Trace::Trace(TraceFn fn, void* context) : fn_(fn), context_(context), outer_(trace), on_(kTrace) { trace = this; }
Trace::~Trace() { trace = outer_; }
void call_traces(const Trace* t, const char* op, std::span<const Tensor* const> inputs,
                 std::span<const Tensor> outputs) {
  if (!t) return;
  call_traces(t->outer_, op, inputs, outputs);
  t->fn_(t->context_, op, inputs, outputs);
}

Profile::Profile() : outer_(profile), on_(kProfile) { profile = this; }
Profile::~Profile() { profile = outer_; }
void Profile::add(const char* op, double seconds, const Cost& cost) {
  auto it = std::find_if(rows_.begin(), rows_.end(), [&](const ProfileRow& r) { return r.op == op; });
  if (it == rows_.end()) it = rows_.insert(rows_.end(), ProfileRow{op});
  ++it->calls;
  it->seconds += seconds;
  it->bytes += cost.written;
  it->bytes_read += cost.read;
  it->flops += cost.flops;
}
std::vector<ProfileRow> Profile::rows() const {
  std::vector<ProfileRow> sorted = rows_;
  std::stable_sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
  return sorted;
}
std::string Profile::table() const {
  std::string s = fmt::format("{:<28} {:>8} {:>12} {:>12} {:>12} {:>10}\n", "op", "calls", "time ms", "read MB",
                              "written MB", "GFLOP/s");
  for (const ProfileRow& r : rows())
    s += fmt::format("{:<28} {:>8} {:>12.3f} {:>12.2f} {:>12.2f} {:>10.1f}\n", r.op, r.calls, r.seconds * 1e3,
                     double(r.bytes_read) / 1e6, double(r.bytes) / 1e6, r.seconds > 0 ? r.flops / r.seconds / 1e9 : 0);
  return s;
}

}  // namespace ink
