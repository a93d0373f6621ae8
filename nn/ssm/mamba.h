// Mamba: a selective state space model as the only mixer of a block (Gu & Dao 2023, section 3.4). Names of parameters
// and defaults are those of the published code, so that its weights load by name.
#pragma once
#include <optional>

#include "nn/layers/linear.h"
#include "nn/ssm/causal_conv.h"
#include "nn/ssm/selective.h"

namespace ink {

// The range in which the steps delta start: log-uniform, at least `floor`.
struct StepRange {
  double low = 1e-3, high = 1e-1, floor = 1e-4;
};
// softplus^{-1} of `count` steps drawn from there: what the bias under a softplus starts as. ValueError for a range
// that is not positive.
Tensor step_bias(int64_t count, const StepRange& range);

// What depends on the token, as in the paper's table 7; what does not is a parameter, the same at every step. With none
// of the three the layer is time-invariant: an S4D-Real in the same block.
struct Selection {
  bool delta = true, B = true, C = true;
};

struct MambaOptions {
  int64_t dim;
  int64_t state = 16;   // N, numbers kept per channel
  int64_t expand = 2;   // the inner width is expand dim
  int64_t conv = 4;     // width of the causal convolution
  int64_t dt_rank = 0;  // R, what delta is projected from; 0: dim / 16, rounded up
  StepRange dt = {};
  Selection selection = {};
  SelectiveOptions scan = {};
};

// x, z = in_proj(input);   x = SiLU(conv(x));   delta_R, B, C = x_proj(x);   delta = softplus(dt_proj(delta_R))
// y = selective_ssm(x, delta, A = -e^{A_log}, B, C) + D x;   output = out_proj(y SiLU(z))
//
// A_log starts as log 1 .. log N in every channel, D as 1, dt_proj.weight uniform in +-1 / sqrt(R). From delta to y all
// is f32 or wider, whatever the parameters are stored in. Optimizers should not decay A_log and D.
struct Mamba : Module {
  struct State {
    int64_t time = 0;
    Tensor conv;  // [batch, conv - 1, inner], the last inputs of the convolution
    Tensor h;     // [batch, inner, state]
    std::vector<Tensor*> tensors() { return {&conv, &h}; }
  };
  MambaOptions options;
  int64_t inner, rank;
  Linear in_proj;
  CausalConv conv1d;
  std::optional<Linear> x_proj;   // none if nothing is selected
  std::optional<Linear> dt_proj;  // [inner, R] with the steps' bias
  Param dt_bias, B, C;            // [inner], [state], [state]: in place of what is not selected
  Param A_log, D;                 // [inner, state], [inner]
  Linear out_proj;
  // ValueError for sizes below 1.
  explicit Mamba(const MambaOptions& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  // The next tokens of a sequence: the same as the last rows of forward() over all of it. ShapeError for another
  // layer's or batch's state.
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override;

  // x [batch, time, inner], after the convolution -> delta, A, B, C of each token: what the scan is given.
  SelectiveInputs select_from(const Tensor& x) const;
  // The tokens as the scan gets them: SiLU(conv(.)) of in_proj's first half.
  Tensor scan_input(const Tensor& x) const;
};

}  // namespace ink
