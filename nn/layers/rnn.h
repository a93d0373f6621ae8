// Recurrent layers. Input [batch, time, in]; the state is a value that goes in and comes out, so a sequence may be run
// at once, in pieces or step by step with equal results. Weights as torch's: gates stacked in dim 0.
#pragma once
#include "nn/module.h"

namespace ink {

// Cho et al. 2014, in torch's variant: n = tanh(W_n x + b_n + r (U_n h + c_n)), h' = (1 - z) n + z h. Gate order r, z,
// n.
struct GRU : Module {
  int64_t hidden;
  Param weight_ih, weight_hh, bias_ih, bias_hh;
  GRU(int64_t in, int64_t hidden);
  // [batch, time, hidden], [batch, hidden]
  struct Result {
    Tensor output, state;
  };
  Result forward(const Tensor& x, const Tensor& state = {}) const;
  void fields(Fields& f) override {
    f("weight_ih", weight_ih)("weight_hh", weight_hh)("bias_ih", bias_ih)("bias_hh", bias_hh);
  }
};

// Hochreiter & Schmidhuber 1997, with forget gate. Gate order i, f, g, o.
struct LSTM : Module {
  int64_t hidden;
  Param weight_ih, weight_hh, bias_ih, bias_hh;
  LSTM(int64_t in, int64_t hidden);
  // [batch, hidden] each; undefined means zeros
  struct State {
    Tensor h, c;
  };
  struct Result {
    Tensor output;
    State state;
  };
  Result forward(const Tensor& x, const State& state = {}) const;
  void fields(Fields& f) override {
    f("weight_ih", weight_ih)("weight_hh", weight_hh)("bias_ih", bias_ih)("bias_hh", bias_hh);
  }
};

}  // namespace ink
