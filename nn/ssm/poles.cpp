// Poles outside the unit circle, found and told.
#include "nn/ssm/poles.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/capture.h"

namespace ink {
namespace {

// Learnt poles change from step to step: one line an op is enough.
void tell_once(const std::string& text) {
  static std::mutex lock;
  static std::set<std::string> told;
  const std::lock_guard guard(lock);
  if (told.insert(text.substr(0, text.find(':'))).second) fmt::print(stderr, "warning: {}\n", text);
}

std::atomic<PoleWarning> pole_warning{tell_once};

}  // namespace

std::string instability(const Tensor& poles, double tolerance) {
  NoGrad guard;
  const Tensor flat = reshape(poles.detach(), {poles.numel()}), modulus = to(abs(flat), f64);
  if (flat.numel() == 0) return {};
  const Tensor outside = logical_not(modulus <= 1 + tolerance);  // NaN is in no order
  const int64_t count = sum(outside).item<int64_t>();
  if (count == 0) return {};
  const int64_t worst = argmax(modulus, 0).item<int64_t>();  // NaN counts as the largest
  const double re = real(flat)[worst].to(f64).item(), im = imag(flat)[worst].to(f64).item();
  const std::string pole = is_complex(poles.dtype())
                               ? fmt::format("{:.6g} {} {:.6g}i", re, im < 0 ? '-' : '+', std::abs(im))
                               : fmt::format("{:.6g}", re);
  return fmt::format("{} of {} poles lie outside the unit circle, the worst {} of modulus {:.6g}", count, flat.numel(),
                     pole, modulus[worst].item());
}

void warn_if_unstable(const char* op, const Tensor& poles) {
  if (capture::active()) return;
  if (const std::string found = instability(poles); !found.empty())
    pole_warning.load()(
        fmt::format("{}: {}; its state grows without bound; hint: a smaller step, or poles with a "
                    "negative real part and an implicit or exact discretisation",
                    op, found));
}

PoleWarning set_pole_warning(PoleWarning handler) { return pole_warning.exchange(handler ? handler : tell_once); }

}  // namespace ink
