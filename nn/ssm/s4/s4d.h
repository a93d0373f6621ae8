// S4D: a state space model with a diagonal A for every channel (Gu et al. 2022, arXiv 2206.11893).
//
//   x' = A x + B u, y = Re(C x) + D u   ->   x_k = A_bar x_{k-1} + B_bar u_k,   y = K * u + D u,   K_t = C A_bar^t
//   B_bar
#pragma once
#include "nn/module.h"
#include "nn/ssm/discretise.h"
#include "nn/ssm/s4/convolution.h"
#include "nn/ssm/s4/truncation.h"

namespace ink {

// Where the poles start, n = 0 .. poles - 1. N is the number of states as a real system counts them: N / 2 pairs of
// complex poles, of which one each is stored.
enum class S4DInit {
  lin,   // -1/2 + i pi n
  inv,   // -1/2 + i N / pi (N / (2n + 1) - 1)
  quad,  // -1/2 + i (2n + 1)^2 / pi
  real,  // -(n + 1), N real poles
  legs,  // HiPPO's LegS without the term of rank one: as N grows its kernel tends to that of LegS
};

struct S4DOptions {
  int64_t dim;         // channels
  int64_t state = 64;  // N; even, but for real
  S4DInit init = S4DInit::lin;
  Discretisation discretisation = Discretisation::zoh;
  SsmForm form = SsmForm::convolution;
  double step_min = 1e-3, step_max = 1e-1;  // Delta starts log-uniform between them, one for each channel
};

// [batch, time, dim] -> the same. Complex parameters are stored as pairs [.., 2], so that any optimizer can train them;
// poles keep a negative real part, -e^log_decay. Gu et al. train log_step, log_decay, frequency and B at a rate of at
// most 1e-3 and without weight decay: `timing()`. ValueError for sizes below 1, an odd `state` where pairs are needed,
// steps that are not positive and finite or in the wrong order.
struct S4D : Module {
  struct Prepared {
    DiscreteSystem system;
    Tensor C;  // twice where a pole stands for a pair
  };
  struct State {
    int64_t time = 0;
    Tensor x;  // [batch, dim, poles]
    std::vector<Tensor*> tensors() { return {&x}; }
    Derived<Prepared> prepared;  // from the parameters; made, and its poles looked at, at the first step
  };
  S4DOptions options;
  // The step sizes times this: 2 for sequences that are sampled half as densely as those of training.
  double rate = 1;
  Param log_step;              // [dim]
  Param log_decay, frequency;  // [dim, poles]; frequency is undefined for real poles
  Param B, C;                  // [dim, poles, 2], of real poles [dim, poles]
  Param D;                     // [dim]

  explicit S4D(const S4DOptions& options);
  Tensor forward(const Tensor& x) const;
  // The next steps of a sequence, O(poles) each. ShapeError for a state of another batch or layer.
  Tensor step(const Tensor& x, State& state) const;
  Tensor kernel(int64_t length) const;  // K_0 .. K_{length-1}, [dim, length]
  Tensor poles() const;                 // those of the continuous system, [dim, poles]
  DiscreteSystem discrete() const;      // A_bar and B_bar, [dim, poles]
  std::vector<Tensor> timing() const;   // what should learn slowly: log_step, log_decay, frequency, B
  void fields(Fields& f) override;

 private:
  bool paired() const { return options.init != S4DInit::real; }
  Tensor output() const;  // C, twice where a pole stands for a pair
  Tensor run(const Tensor& u, const Prepared& p, State& state, bool resumed) const;
  Tensor by_convolution(const Tensor& u, const Prepared& p, State& state, bool resumed) const;
};

}  // namespace ink
