// An op of one's own, outside the library: as a composition of ops, and with a rule of its own; and the checks that
// tell whether forward and backward belong together.
#include <inkstone/ink.h>
#include <inkstone/testing.h>

#include <cstdio>

using namespace ink;

// y = log cosh x, a smooth |x| for regression: |x| + log(1 + e^{-2|x|}) - log 2, which does not overflow.
Tensor log_cosh_composed(const Tensor& x) {
  Tensor a = abs(x);
  return a + softplus(a * -2) - 0.6931471805599453;
}

// The same with its derivative written down, dy/dx = tanh x: one op of the graph, which saves x alone.
struct LogCosh : Function<LogCosh> {
  Tensor forward(const TensorList& in) {
    save(in[0]);
    return log_cosh_composed(in[0]);
  }
  TensorList backward(const Tensor& g) override { return {g * tanh(saved(0))}; }
};
Tensor log_cosh(const Tensor& x) { return LogCosh::apply({x}); }

int main() {
  Tensor x = from_data({-800, -1.5, -0.25, 0.5, 3}, {5}, f64);
  Tensor y = log_cosh(x);
  Tensor moderate = x.slice(0, 1, 5).clone();

  auto composed = gradcheck1(log_cosh_composed, moderate);
  auto value = verify::close(log_cosh(moderate), log(cosh(moderate)));  // the formula as the textbook has it
  auto first = gradcheck1(log_cosh, moderate);
  auto second = gradgradcheck1(log_cosh, moderate);
  for (const std::string& message : {composed.message, value.message, first.message, second.message})
    std::fputs(message.c_str(), stderr);
  bool finite = all(isfinite(y)).item<bool>();  // cosh(-800) overflows, log cosh does not
  return composed && value && first && second && finite ? 0 : 1;
}
