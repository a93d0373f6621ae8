// Convolution by FFT, and kernels that are sums of powers.
#include "nn/ssm/s4/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {
namespace {

// The least length of at least n that has no prime factor but 2, and 3 or 5 once.
int64_t quick_length(int64_t n) {
  int64_t best = 1;
  while (best < n) best *= 2;
  for (int64_t odd : {3, 5}) {
    int64_t m = odd;
    while (m < n) m *= 2;
    best = std::min(best, m);
  }
  return best;
}

// Pairs of neighbours as complex numbers x_0 + i x_1, x_2 + i x_3, .., transformed: Z, and R_k = conj Z_{-k}. The
// spectra of the even and the odd elements are (Z + R) / 2 and (Z - R) / 2i. x [.., n] -> [.., size].
struct PairSpectrum {
  Tensor Z, R;
};
PairSpectrum pair_spectrum(const Tensor& x, int64_t size) {
  Shape pairs = x.shape();
  pairs[x.dim() - 1] = size;
  pairs.push_back(2);
  const Tensor z = view_as_complex(reshape(pad(x, {0, 2 * size - x.size(-1)}), pairs)), Z = fft(z);
  const Tensor mirror = remainder(arange(size, 0, -1, {i64, x.device()}), size);  // 0, size - 1, .., 1
  return {Z, conj(index_select(Z, -1, mirror))};
}

// The convolution at half the length of a transform of real numbers. Even outputs are ke * ue plus ko * uo one pair
// later, odd ones ke * uo + ko * ue; as pairs, ke * z + ko * (later(uo) + i ue). With w for one pair later, that is Z P
// + R Q with P = Ke + (i / 2)(1 - w) Ko, Q = (i / 2)(1 + w) Ko, which depend on the kernel alone.
Tensor convolved(const Tensor& u, const Tensor& kernel) {
  const int64_t n = u.size(-1), size = quick_length((n + 1) / 2 + (kernel.size(-1) + 1) / 2);
  const PairSpectrum k = pair_spectrum(kernel, size), x = pair_spectrum(u, size);
  const Tensor turn = arange(0, size, 1, u.options()) * (-2 * std::numbers::pi / double(size));
  const Tensor w = polar(ones_like(turn), turn), i_Ko = (k.Z - k.R) / 4;  // i / 2 times Ko
  const Tensor P = (k.Z + k.R) / 2 + (1 - w) * i_Ko, Q = (1 + w) * i_Ko;
  const Tensor y = view_as_real(ifft(x.Z * P + x.R * Q));  // (9.28)
  return slice(flatten(y, -2, -1), -1, 0, n);
}

}  // namespace

Tensor causal_convolution(const Tensor& u, const Tensor& kernel) {
  if (u.dim() == 0 || kernel.dim() == 0 || kernel.size(-1) == 0)
    throw ShapeError(fmt::format("causal_convolution: got u {}, kernel {}; expected [.., n] and [.., taps]",
                                 u.shape().str(), kernel.shape().str()));
  for (const Tensor* x : {&u, &kernel})
    if (!is_floating(x->dtype()))
      throw DTypeError(
          fmt::format("causal_convolution: got {}; expected a real floating point dtype", name_of(x->dtype())));
  const int64_t n = u.size(-1), taps = std::min(n, kernel.size(-1));
  if (n == 0) return mul(u, slice(kernel, -1, 0, 0));
  return in_f32_if_half([&](const Tensor& u, const Tensor& kernel) { return convolved(u, slice(kernel, -1, 0, taps)); },
                        u, kernel);
}

Tensor powers(const Tensor& x, int64_t n) {
  Tensor all = ones_like(unsqueeze(x, -1)), step = unsqueeze(x, -1);  // x^0 .. x^{m-1}, and x^m
  for (int64_t m = 1; m < n; m *= 2) {
    all = cat({all, slice(all, -1, 0, n - m) * step}, -1);
    step = step * step;
  }
  return slice(all, -1, 0, n);
}

Tensor mode_sum(const Tensor& weight, const Tensor& x, int64_t n) {
  int64_t s = 1;
  while (s * s < n) s *= 2;
  const Tensor along = powers(x, s), next = select(along, -1, s - 1) * x;     // x^q, x^s
  const Tensor down = unsqueeze(weight, -1) * powers(next, (n + s - 1) / s);  // weight x^{s r}
  const auto by_row = [](const Tensor& a, const Tensor& b) { return matmul(transpose(a, -2, -1), b); };
  // Re (a b) = Re a Re b - Im a Im b, as one real product
  const Tensor taps = is_complex(x.dtype())
                          ? by_row(cat({real(down), -imag(down)}, -2), cat({real(along), imag(along)}, -2))
                          : by_row(down, along);
  return slice(flatten(taps, -2, -1), -1, 0, n);  // [.., r, q]
}

}  // namespace ink
