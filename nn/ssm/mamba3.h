// Mamba-3 (Lahoti et al. 2026, arXiv 2603.15569): Mamba-2 with a second-order rule for the input and a state that
// turns.
//
// The trapezoidal rule. Over a step the input is not held at its end, as Euler's rule for B has it, but mixed from both
// ends, with a weight lambda_t that the token chooses (1/2: the trapezoidal rule, 1: Mamba-2):
//
//   S_t = e^{delta_t A_t} (S_{t-1} + (1 - lambda_t) delta_t B_{t-1} x_{t-1}^T) + lambda_t delta_t B_t x_t^T
//
// The rotation. A complex state, whose pairs of numbers turn by the angles delta_t theta_t, is a real one with B and C
// turned by the sum of the angles so far: rotary positions whose speed depends on the token.
#pragma once
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/ssm/mamba.h"
#include "nn/ssm/matrix_state.h"

namespace ink {

struct Mamba3Options {
  int64_t dim;
  int64_t state = 128;  // N, even: pairs turn
  int64_t expand = 2;   // the inner width is expand dim
  int64_t head = 64;    // channels of a head; must divide the inner width
  int64_t groups = 1;   // of heads that share B and C before their biases; must divide the heads
  StepRange dt = {};
  double A_least = 1e-4;  // -A is at least this
  MatrixStateOptions scan = {.form = StateForm::chunked, .chunk = 64};
};

// z, x, B, C, d, a, l, theta = in_proj(input);   B, C = RMSNorm(B) + B_bias, RMSNorm(C) + C_bias, biases per head
// delta = softplus(d + dt_bias), A = -softplus(a), lambda = sigmoid(l), one per head; theta: state / 2 angles
// y = the state above, read by C, + D x;   output = out_proj(y SiLU(z))
//
// There is no convolution: lambda and the biases do its work. Biases start at 1. Not here: the paper's form of many
// inputs and outputs (MIMO). From delta to y all is f32 or wider. Optimizers should not decay D and the biases.
struct Mamba3 : Module {
  struct State {
    int64_t time = 0;
    Tensor S;           // [batch, heads, state, head]
    Tensor key, value;  // B, turned, and x of the last token: [batch, heads, 1, state] and [.., head]
    Tensor angle;       // [batch, heads, 1, state / 2], the sum of all angles so far, in [0, 2 pi)
    std::vector<Tensor*> tensors() { return {&S, &key, &value, &angle}; }
  };
  Mamba3Options options;
  int64_t inner, heads;
  Linear in_proj;
  RMSNorm B_norm, C_norm;  // [state]
  Param B_bias, C_bias;    // [heads, state]
  Param dt_bias, D;        // [heads]
  Linear out_proj;
  // ValueError for sizes below 1, those that do not divide, and an odd state.
  explicit Mamba3(const Mamba3Options& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  // The next tokens of a sequence: the same as the last rows of forward() over all of it. ShapeError for another
  // layer's or batch's state.
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override {
    f("in_proj", in_proj)("B_norm", B_norm)("C_norm", C_norm)("B_bias", B_bias)("C_bias", C_bias);
    f("dt_bias", dt_bias)("D", D)("out_proj", out_proj);
  }
};

// What Mamba-3 does to its input, without the block: see above. x [batch, heads, time, width]; delta, A, lambda [batch,
// heads, time]; B and C [batch, heads, time, states]; angle, the sum of delta theta over the tokens so far, [batch,
// heads, time, states / 2] -> y [batch, heads, time, width]. The state's S, key and value go in and come out.
struct TrapezoidalInputs {
  Tensor x, delta, A, lambda, B, C, angle;
};
// ShapeError if shapes do not fit.
Tensor trapezoidal_ssd(const TrapezoidalInputs& in, Mamba3::State& state, const MatrixStateOptions& options = {});

}  // namespace ink
