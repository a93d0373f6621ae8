// RTF: the rational transfer function of a state space model as its parameters (Parnichkun et al. 2024, arXiv
// 2405.06147).
//
//   sum over t of K_t z^t = (b_1 + b_2 z + .. + b_d z^{d-1}) / (1 + a_1 z + .. + a_d z^d)
//
// Every state space model of d states has that form, so that nothing is lost, and values at the roots of unity are two
// FFTs, whatever d is.
#pragma once
#include "nn/module.h"
#include "nn/ssm/s4/convolution.h"
#include "nn/ssm/s4/truncation.h"

namespace ink {

struct RtfOptions {
  int64_t dim;                          // channels
  int64_t length;                       // of the longest sequence: the trained numerator is made for it
  int64_t state = 64;                   // d, less than length
  SsmForm form = SsmForm::convolution;  // or recurrent
  // a / (sum |a| + |s| + 1e-6) with a learnt s in place of a: then all poles are inside the unit circle (Montel). That
  // is sufficient and not necessary, and costs most of the systems there are: off, as the paper's authors recommend.
  bool constrained = false;
};

// [batch, time, dim] -> the same: y = K * u + D u. b is the numerator of the first `length()` taps alone (the C-tilde
// of S4), so that K is an inverse FFT of a quotient and nothing wraps around; K_0 = C B is tap 0. All a and b start at
// 0 (the state is then a shift register of the last d inputs), D normal.
//
// A sequence longer than `length()` is refused by forward; extend() makes b anew for it. A layer that loads parameters
// must have the length of the one that saved them. ValueError for sizes below 1, a state that is not smaller than the
// length, or the form scan.
struct RTF : Module {
  struct State {
    int64_t time = 0;
    Tensor x;  // [batch, dim, d]: the newest first
    std::vector<Tensor*> tensors() { return {&x}; }
    Derived<Tensor> output;  // C, from the parameters; made at the first step
  };
  RtfOptions options;
  Param a, b;              // [dim, d]
  Param slack;             // s, [dim]; undefined unless constrained
  Param D;                 // [dim]
  Buffer prepared_length;  // of so many zeros: its shape tells which length b is made for

  explicit RTF(const RtfOptions& options);
  int64_t length() const { return prepared_length.size(0); }
  Tensor forward(const Tensor& x) const;
  // The next steps of a sequence, O(d) each. ShapeError for a state of another batch or layer. Where a state begins,
  // poles that grow are warned of on std::cerr.
  Tensor step(const Tensor& x, State& state) const;
  void extend(int64_t length);  // doubles the length until it is at least that; the kernel so far stays what it is

  Tensor kernel(int64_t length) const;  // K_0 .. K_{length-1}, [dim, length]; ValueError beyond length()
  Tensor denominator() const;           // a_1 .. a_d as they are used, [dim, d]
  Tensor poles() const;                 // of the discrete system, c128 [dim, d]
  // x_k = A x_{k-1} + (1, 0, ..) u_k, y = C x: first row of A -a, ones below its diagonal; [dim, d, d] and [dim, d].
  Tensor companion() const;
  Tensor output() const;  // C = b (1 - A^length)^{-1}, a solve for a row
  void fields(Fields& f) override;

 private:
  Tensor run(const Tensor& u, State& state) const;
};

}  // namespace ink
