// What may watch a call: autocast, anomaly detection, profile, trace.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "autograd/observe/autocast.h"
#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "autograd/observe/profile.h"
#include "autograd/observe/trace.h"

namespace ink {

namespace {
thread_local DType cast_dtype = DType::bf16;
thread_local Profile* profile = nullptr;
thread_local TraceFn trace_fn = nullptr;
thread_local void* trace_context = nullptr;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Multiply-adds count two. Products: one inner dim; convolutions: taps per output.
double flops_of(const detail::Recording& r) {
  std::string_view name = r.op.name;
  const Tensor& out = r.outputs[0];
  if ((name == "matmul" || name == "linear") && r.num_inputs >= 2) return 2. * double(out.numel()) * double(r.inputs[0]->size(-1));
  if (name == "conv2d" && r.num_inputs >= 2) return 2. * double(out.numel()) * double(r.inputs[1]->numel() / r.inputs[1]->size(0));
  return 0;
}
bool is_cast(const Tensor& x) {
  return mode().observers & kAutocast && x.defined() && is_floating(x.dtype()) && x.dtype() != f64;
}
}  // namespace

Tensor lowered(const Tensor& x) { return is_cast(x) && x.dtype() != cast_dtype ? to(x, cast_dtype) : x; }

namespace detail {

Observed::Observed(const Op& op) : op_(op), start_(now()) {}

Tensor Observed::cast(const Tensor& input) const {
  if (op_.cast == Cast::none || !is_cast(input)) return input;
  DType wanted = op_.cast == Cast::lower ? cast_dtype : f32;
  if (input.dtype() == wanted || (op_.cast == Cast::raise && !is_half(input.dtype()))) return input;
  return to(input, wanted);
}

void Observed::done(const Recording& r) {
  uint8_t on = mode().observers;
  ObserverScope quiet(Observer(kAnomaly | kProfile | kTrace), false);
  if ((on & kProfile) && profile) {
    int64_t bytes = 0;
    for (int i = 0; i < int(r.outputs.size()); ++i)
      if (r.outputs[size_t(i)].defined()) bytes += r.outputs[size_t(i)].nbytes();
    profile->add(op_.name, now() - start_, bytes, flops_of(r));
  }
  if ((on & kTrace) && trace_fn)
    trace_fn(trace_context, op_.name, {r.inputs, size_t(r.num_inputs)}, r.outputs);
  if (on & kAnomaly) {
    NoGrad no_grad;
    for (int i = 0; i < int(r.outputs.size()); ++i) {
      const Tensor& t = r.outputs[size_t(i)];
      if (t.defined() && is_differentiable(t.dtype()) && !all(isfinite(t)).item<bool>())
        throw GradError(fmt::format("{}: its result is not finite; got shape {}; hint: look at the op's inputs", op_.name, t.shape().str()));
    }
  }
}

}  // namespace detail

DType autocast_dtype() { return cast_dtype; }
Autocast::Autocast(DType dtype, bool on) : before_(cast_dtype), on_(kAutocast, on) {
  if (!is_half(dtype)) throw DTypeError(fmt::format("autocast: got {}; expected f16 or bf16", name_of(dtype)));
  cast_dtype = dtype;
}
Autocast::~Autocast() { cast_dtype = before_; }

Trace::Trace(TraceFn fn, void* context) : fn_before_(trace_fn), context_before_(trace_context), on_(kTrace) {
  trace_fn = fn;
  trace_context = context;
}
Trace::~Trace() {
  trace_fn = fn_before_;
  trace_context = context_before_;
}

Profile::Profile() : outer_(profile), on_(kProfile) { profile = this; }
Profile::~Profile() { profile = outer_; }
void Profile::add(const char* op, double seconds, int64_t bytes, double flops) {
  auto it = std::find_if(rows_.begin(), rows_.end(), [&](const ProfileRow& r) { return r.op == op; });
  if (it == rows_.end()) it = rows_.insert(rows_.end(), ProfileRow{op});
  ++it->calls;
  it->seconds += seconds;
  it->bytes += bytes;
  it->flops += flops;
}
std::vector<ProfileRow> Profile::rows() const {
  std::vector<ProfileRow> sorted = rows_;
  std::stable_sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
  return sorted;
}
std::string Profile::table() const {
  std::string s = fmt::format("{:<20} {:>8} {:>12} {:>12} {:>10}\n", "op", "calls", "time ms", "written MB", "GFLOP/s");
  for (const ProfileRow& r : rows())
    s += fmt::format("{:<20} {:>8} {:>12.3f} {:>12.2f} {:>10.1f}\n", r.op, r.calls, r.seconds * 1e3, double(r.bytes) / 1e6,
                     r.seconds > 0 ? r.flops / r.seconds / 1e9 : 0);
  return s;
}

}  // namespace ink
