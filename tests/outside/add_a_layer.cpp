// A layer of one's own, outside the library, and its test in ten lines.
#include <inkstone/ink.h>
#include <inkstone/testing.h>

#include <cstdio>

using namespace ink;

// x [batch, time, channel]: y_t = a y_{t-1} + (1 - a) x_t with one a = sigmoid(decay) per channel, y_{-1} = 0.
struct MovingAverage : Module {
  Param decay;
  Linear out;
  explicit MovingAverage(int64_t channels) : decay(zeros({channels})), out(channels, channels) {}

  Tensor forward(const Tensor& x) const {
    Tensor a = sigmoid(decay), y = zeros_like(x.select(1, 0));
    std::vector<Tensor> steps;
    for (int64_t t = 0; t < x.size(1); ++t) {
      y = a * y + (1 - a) * x.select(1, t);
      steps.push_back(y);
    }
    return out.forward(stack(steps, 1));
  }
  void fields(Fields& f) override { f("decay", decay)("out", out); }
};

int main() {
  MovingAverage layer(3);
  Tensor x = randn({2, 5, 3});
  auto forward = [&](const Tensor& in) { return layer.forward(in); };
  check_covers(layer.forward(x).sum(), layer);  // throws if fields() forgot a parameter
  int failed = 0;
  auto expect = [&](const verify::Result& r) { failed += !r, std::fputs(r.message.c_str(), stderr); };
  expect(verify::causality(forward, x, 1));  // y_t must not see x_{t+1}
  expect(verify::batch(forward, x));         // a sample alone = the sample in a batch
  layer.to(f64);
  expect(verify::gradients(layer, forward, x.to(f64)));  // x, decay, out.weight and out.bias, twice differentiable
  return failed;
}
