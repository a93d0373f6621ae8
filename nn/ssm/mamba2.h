// Mamba-2 (Dao & Gu 2024, section 7): the block of Mamba with one decay per head, so that training is matrix products.
// Names of parameters and defaults are those of the published code.
#pragma once
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/ssm/mamba.h"
#include "nn/ssm/ssd.h"

namespace ink {

struct Mamba2Options {
  int64_t dim;
  int64_t state = 128;  // N
  int64_t expand = 2;   // the inner width is expand dim
  int64_t conv = 4;     // width of the causal convolution
  int64_t head = 64;    // channels of a head, which share a decay; must divide the inner width
  int64_t groups = 1;   // of heads that share B and C; must divide the heads
  StepRange dt = {};
  double A_low = 1, A_high = 16;                                        // -A starts uniform between them
  MatrixStateOptions scan = {.form = StateForm::chunked, .chunk = 64};  // published: chunks of 256, for GPUs
};

// z, x, B, C, d = in_proj(input);   x, B, C = SiLU(conv([x, B, C]));   delta = softplus(d + dt_bias), one per head
// y = ssd(x, delta, A = -e^{A_log}, B, C) + D x;   output = out_proj(RMSNorm(y SiLU(z)))
//
// The norm is taken in groups of inner / groups channels. From delta to y all is f32 or wider. Optimizers should not
// decay A_log, D and dt_bias.
struct Mamba2 : Module {
  struct State {
    int64_t time = 0;
    Tensor conv;  // [batch, conv - 1, inner + 2 groups state], the last inputs of the convolution
    Tensor S;     // [batch, heads, state, head]
    std::vector<Tensor*> tensors() { return {&conv, &S}; }
  };
  Mamba2Options options;
  int64_t inner, heads;
  Linear in_proj;
  CausalConv conv1d;
  Param dt_bias, A_log, D;  // [heads]
  RMSNorm norm;             // [inner]
  Linear out_proj;
  // ValueError for sizes below 1, and those that do not divide.
  explicit Mamba2(const Mamba2Options& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  // The next tokens of a sequence: the same as the last rows of forward() over all of it. ShapeError for another
  // layer's or batch's state.
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override {
    f("in_proj", in_proj)("conv1d", conv1d)("dt_bias", dt_bias)("A_log", A_log)("D", D)("norm", norm);
    f("out_proj", out_proj);
  }
};

}  // namespace ink
