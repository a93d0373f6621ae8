// The linear recurrent unit, LRU (Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences"),
// and SLRU, the same with real numbers (Su 2023, kexue.fm 9554):
//
//   h_t = lambda h_{t-1} + gamma (B x_t),   y_t = Re(C h_t) + D x_t,   lambda = exp(-e^nu + i e^theta)
//
// element by element in lambda, gamma and D. |lambda| < 1 whatever nu is: there are no unstable poles. gamma begins at
// sqrt(1 - |lambda|^2), so that white noise of variance 1 in B x gives states of variance 1.
#pragma once
#include <vector>

#include "autograd/recurrence.h"
#include "nn/module.h"

namespace ink {

// How the states of a sequence are computed. All agree to rounding.
enum class LruForm {
  scan,         // the recurrence, by LruOptions::algorithm: n steps
  convolution,  // h = (1, lambda, lambda^2, ...) * gamma B x by FFT: n log n, no step waits for another
};

struct LruOptions {
  int64_t dim;
  int64_t state;       // numbers of h, complex ones if `complex`
  double r_min = 0.9;  // |lambda|^2 is drawn uniformly from r_min^2 to r_max^2
  double r_max = 0.999;
  double max_phase =
      6.283185307179586;  // the angle of lambda is drawn uniformly from 0 to max_phase; less for longer memory
  bool complex = true;    // false: SLRU
  LruForm form = LruForm::scan;
  ScanAlgorithm algorithm = ScanAlgorithm::sequential;
};

// state (dim + 2) + dim parameters twice over: complex ones are kept as pairs of real numbers, so that any optimizer
// trains them. The paper trains nu, theta and gamma with a smaller learning rate and without weight decay.
struct LRU : Module {
  LruOptions options;
  Param nu, theta;  // [state]: log of the decay per step; log of the angle (undefined if real)
  Param gamma_log;  // [state]
  Param B;          // [state, 2, dim]: real and imaginary rows; [state, dim] if real
  Param C;          // [dim, state, 2]; [dim, state] if real
  Param D;          // [dim]

  // What is known of the tokens before.
  struct State {
    int64_t time = 0;
    Tensor h;  // [batch, state], complex if the layer is; undefined: 0
    std::vector<Tensor*> tensors() { return {&h}; }
  };

  // ValueError unless dim, state >= 1, 0 <= r_min <= r_max <= 1, r_max > 0, r_min < 1, max_phase > 0.
  explicit LRU(const LruOptions& options);
  // x [batch, time, dim] -> the same, for any time. Halves are computed in f32 and rounded once. ShapeError.
  Tensor forward(const Tensor& x) const;
  // The next tokens, any number: the same as the last rows of forward() over all of it. ShapeError, DTypeError for a
  // state of another layer or batch.
  Tensor step(const Tensor& x, State& state) const;
  Tensor poles() const;  // lambda [state]
  void fields(Fields& f) override;
};

}  // namespace ink
