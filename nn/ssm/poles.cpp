// Poles outside the unit circle, found and told.
#include "nn/ssm/poles.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/warning.h"
#include "tensor/capture.h"
#include "tensor/raw/linalg.h"

namespace ink {

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

bool warn_if_unstable(const char* op, const Tensor& poles) {
  if (capture::active()) return false;
  const std::string found = instability(poles);
  if (!found.empty())
    warn_once(fmt::format(
        "{}: {}; its state grows without bound; hint: a smaller step, or poles with a negative real part and "
        "an implicit or exact discretisation",
        op, found));
  return !found.empty();
}

bool warn_if_unstable_matrix(const char* op, const Tensor& A) {
  if (capture::active()) return false;
  NoGrad guard;
  const Tensor finite = isfinite(abs(A.detach()));
  if (all(finite).item<bool>()) return warn_if_unstable(op, raw::eigvals(op, A.detach()));
  return warn_if_unstable(op, full({A.size(0)}, NAN, {f64, A.device()}));
}

}  // namespace ink
