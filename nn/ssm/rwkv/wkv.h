// wkv, the recurrence of RWKV-4 (Peng et al. 2023, eq. 16): a mean of all values so far, weighed by e^k and faded by
// e^w per step, the newest one by e^{u + k} instead:
//
//   wkv_t = (sum over i < t of e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t) / (the same without v).
//
// Every sum is kept in units of e^o, with o its largest exponent so far, so that keys in the hundreds neither overflow
// nor vanish.
#pragma once
#include <vector>

#include "autograd/recurrence.h"

namespace ink {

// The sums over all tokens so far, e^o times what is kept; undefined at the start. A value: tensors are replaced.
struct WkvSums {
  Tensor numerator, denominator, exponent;  // p, q and o, [batch, channels]
};

// k, v [batch, time, channels], w (at most 0) and u [channels] -> [batch, time, channels]. `sums` are those before the
// first step and become those after the last. Any length; differentiable in all, the sums included, any number of
// times. Halves are computed in f32, the sums stay f32. ShapeError if shapes do not fit.
Tensor wkv(const Tensor& k, const Tensor& v, const Tensor& w, const Tensor& u, WkvSums& sums,
           ScanAlgorithm algorithm = ScanAlgorithm::sequential);

}  // namespace ink
