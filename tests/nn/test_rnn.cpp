#include "nn/layers/rnn.h"

#include "tests/catch.h"
#include "tests/support/golden.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

TEST_CASE("GRU and LSTM equal PyTorch's, with the gradients of their states", "[rnn][golden]") {
  Golden golden("layers.npz");
  GRU gru(4, 5);
  LSTM lstm(4, 5);
  auto from_state = [&](const std::vector<Tensor>& in) { return gru.forward(in[0], in[1]).output; };
  auto from_zero = [&](const std::vector<Tensor>& in) { return gru.forward(in[0]).output; };
  auto with_cell = [&](const std::vector<Tensor>& in) {
    auto [y, last] = lstm.forward(in[0], {in[1], in[2]});
    return cat({y, unsqueeze(last.c, 1)}, 1);
  };
  CHECK(layer_differs(golden, "gru", gru, from_state, {"x", "h"}) == "");
  CHECK(layer_differs(golden, "gru_zero", gru, from_zero) == "");
  CHECK(layer_differs(golden, "lstm", lstm, with_cell, {"x", "h", "c"}) == "");
}

TEST_CASE("a sequence in pieces or step by step equals the sequence at once", "[rnn]") {
  Tensor x = normal({2, 7, 3}, 1, f32);
  GRU gru(3, 4);
  LSTM lstm(3, 4);
  auto whole = gru.forward(x);
  auto whole_lstm = lstm.forward(x);
  for (int64_t piece : {1, 3}) {
    std::vector<Tensor> y, y_lstm;
    Tensor h;
    LSTM::State state;
    for (const Tensor& part : x.split(piece, 1)) {
      auto a = gru.forward(part, h);
      auto b = lstm.forward(part, state);
      h = a.state, state = b.state;
      y.push_back(a.output), y_lstm.push_back(b.output);
    }
    CHECK(verify::close(cat(y, 1), whole.output).message == "");
    CHECK(verify::close(h, whole.state).message == "");
    CHECK(verify::close(cat(y_lstm, 1), whole_lstm.output).message == "");
    CHECK(verify::close(state.h, whole_lstm.state.h).message == "");
    CHECK(verify::close(state.c, whole_lstm.state.c).message == "");
  }
}

TEST_CASE("recurrent layers are causal, keep samples apart, and have right derivatives", "[rnn][grad]") {
  GRU gru(2, 3);
  LSTM lstm(2, 3);
  gru.to(f64), lstm.to(f64);
  Tensor x = normal({3, 4, 2}, 1);
  auto run_gru = [&](const Tensor& x) { return gru.forward(x).output; };
  auto run_lstm = [&](const Tensor& x) { return lstm.forward(x).output; };
  CHECK(verify::causality(run_gru, x, 1).message == "");
  CHECK(verify::causality(run_lstm, x, 1).message == "");
  CHECK(verify::batch(run_gru, x).message == "");
  CHECK(verify::batch(run_lstm, x).message == "");
  Tensor small = normal({1, 2, 2}, 2);
  CHECK(verify::gradients(gru, run_gru, small).message == "");
  CHECK(verify::gradients(lstm, run_lstm, small).message == "");
}

TEST_CASE("errors of recurrent layers", "[rnn][errors]") {
  GRU gru(3, 4);
  LSTM lstm(3, 4);
  CHECK_THROWS_WITH(gru.forward(zeros({2, 3})),
                    contains("GRU: wrong input; got [2, 3]; expected [batch, time >= 1, 3]"));
  CHECK_THROWS_WITH(lstm.forward(zeros({2, 0, 3})), contains("LSTM: wrong input; got [2, 0, 3]"));
  CHECK_THROWS_WITH(gru.forward(zeros({2, 5, 3}), zeros({1, 4})),
                    contains("GRU: wrong state; got [1, 4]; expected [2, 4]"));
  CHECK_THROWS_WITH(lstm.forward(zeros({2, 5, 3}), {zeros({2, 4}), zeros({2, 5})}),
                    contains("LSTM: wrong state; got [2, 5]; expected [2, 4]"));
}
