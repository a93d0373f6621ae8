// What stands around a state space layer in a block: it mixes along time only, channel by channel, so that a
// non-linearity and a layer that mixes channels follow.
#pragma once
#include "nn/models/transformer.h"

namespace ink {

// GLU(Linear(dropout(gelu(ssm(x))))), x [batch, time, dim] -> the same: the linear layer makes 2 dim channels, of which
// the second half gates the first by its sigmoid (Dauphin et al. 2016). A mixer (nn/mixer.h) around another; the ssm is
// S4D, S4, RTF, or any mixer. ValueError if it is empty.
struct SsmGlu : Module {
  struct State {
    int64_t time = 0;
    LayerState ssm;
    std::vector<Tensor*> tensors() { return ssm.tensors(); }
  };
  AnyMixer ssm;
  Dropout drop;
  Linear out;
  SsmGlu(int64_t dim, AnyMixer ssm, double dropout = 0);
  Tensor forward(const Tensor& x) const { return mixed(ssm->forward(x, {})); }
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override;

 private:
  Tensor mixed(const Tensor& y) const;
};

// x + SsmGlu(LayerNorm(x)), the block that S4 models repeat (Gu et al. 2021, appendix C).
TransformerBlock s4_block(int64_t dim, AnyMixer ssm, double dropout = 0);

}  // namespace ink
