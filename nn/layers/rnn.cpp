// Recurrent layers, a time step after the other.
#include "nn/layers/rnn.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {

namespace {
Tensor uniform(const Shape& shape, int64_t hidden) {
  double bound = 1 / std::sqrt(double(hidden));
  return init::uniform(shape, -bound, bound);
}
void check(const char* name, const Tensor& x, int64_t in) {
  if (x.dim() != 3 || x.size(2) != in || x.size(1) < 1)
    throw ShapeError(
        fmt::format("{}: wrong input; got {}; expected [batch, time >= 1, {}]", name, x.shape().str(), in));
}
// A state given or zeros, [batch, hidden].
Tensor start(const char* name, const Tensor& state, const Tensor& x, int64_t hidden) {
  Shape shape{x.size(0), hidden};
  if (!state.defined()) return zeros(shape, x.options());
  if (!(state.shape() == shape))
    throw ShapeError(fmt::format("{}: wrong state; got {}; expected {}", name, state.shape().str(), shape.str()));
  return state;
}
}  // namespace

GRU::GRU(int64_t in, int64_t hidden)
    : hidden(hidden),
      weight_ih(uniform({3 * hidden, in}, hidden)),
      weight_hh(uniform({3 * hidden, hidden}, hidden)),
      bias_ih(uniform({3 * hidden}, hidden)),
      bias_hh(uniform({3 * hidden}, hidden)) {}

GRU::Result GRU::forward(const Tensor& x, const Tensor& state) const {
  check("GRU", x, weight_ih.size(1));
  Tensor h = start("GRU", state, x, hidden);
  Tensor inputs = linear(x, weight_ih, bias_ih);  // for all steps in one product
  std::vector<Tensor> outputs;
  for (int64_t t = 0; t < x.size(1); ++t) {
    auto a = chunk(select(inputs, 1, t), 3, 1), b = chunk(linear(h, weight_hh, bias_hh), 3, 1);
    Tensor r = sigmoid(a[0] + b[0]), z = sigmoid(a[1] + b[1]);
    Tensor n = tanh(a[2] + r * b[2]);
    h = n + z * (h - n);
    outputs.push_back(h);
  }
  return {stack(outputs, 1), h};
}

LSTM::LSTM(int64_t in, int64_t hidden)
    : hidden(hidden),
      weight_ih(uniform({4 * hidden, in}, hidden)),
      weight_hh(uniform({4 * hidden, hidden}, hidden)),
      bias_ih(uniform({4 * hidden}, hidden)),
      bias_hh(uniform({4 * hidden}, hidden)) {}

LSTM::Result LSTM::forward(const Tensor& x, const State& state) const {
  check("LSTM", x, weight_ih.size(1));
  Tensor h = start("LSTM", state.h, x, hidden);
  Tensor c = start("LSTM", state.c, x, hidden);
  Tensor inputs = linear(x, weight_ih, bias_ih);
  std::vector<Tensor> outputs;
  for (int64_t t = 0; t < x.size(1); ++t) {
    auto gates = chunk(select(inputs, 1, t) + linear(h, weight_hh, bias_hh), 4, 1);
    c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * tanh(gates[2]);
    h = sigmoid(gates[3]) * tanh(c);
    outputs.push_back(h);
  }
  return {stack(outputs, 1), {h, c}};
}

}  // namespace ink
