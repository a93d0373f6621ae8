// Exercise: cross entropy and its gradient, for logits of any size.
// Note: docs/notes/00_first_steps.md, exercise 3
//
// A classifier gives a row of c numbers for each of n samples, the logits x. Softmax makes probabilities of a row; the
// loss is the mean, over the samples, of minus the log of the probability of the right class y:
//
//   p_ij = e^{x_ij} / sum_k e^{x_ik}          L = -1/n sum_i log p_{i, y_i}
//   dL/dx_ij = (p_ij - [j = y_i]) / n         what the net said minus what it should have said
//
// One sample of two classes, logits 0 and ln 3 = 1.0986, right class 0:
//
//   p = 1/4, 3/4      L = log 4 = 1.38629      dL/dx = -0.75, 0.75
//
// A row of the gradient adds up to 0: adding the same number to all logits of a row changes nothing. The same fact
// saves the computation. e^1000 is infinite, so the largest logit of the row is taken off first. That leaves a second
// trap: with logits 0 and 1000 the first probability is e^-1000, which is 0 in any floating point number, and log 0 is
// -inf; its logarithm is simply -1000. So log p is computed as (x - max) - log sum e^{x - max}, and p from it, never
// log p from p.
//
// What the checks look at: loss; gradient; the mean over samples; large logits; differences.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct LossAndGradient {
  Tensor loss, gradient;
};

// logits [n, c], labels i64 [n] in [0, c) -> the loss, a tensor of one number and no dims, and its gradient [n, c].
LossAndGradient loss_and_gradient(const Tensor& logits, const Tensor& labels) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// max(x, {1}, true) is the maximum of each row, kept as [n, 1], so that it can be subtracted from [n, c]; sum(x, {1},
// true) likewise. exp and log work element by element.
//]
//[ hint
// one_hot(labels, c) is 1 at the right class and 0 elsewhere, in f32; .to(logits.dtype()) makes it fit. Multiplied by
// log p and summed it picks what the loss needs; subtracted from p it is the gradient's second half.
//]
//[ hint
// shifted = x - max; log_p = shifted - log(sum(exp(shifted))); loss = -sum(target * log_p) / n;
// gradient = (exp(log_p) - target) / n.
//]

namespace solution {
//[ solution
LossAndGradient loss_and_gradient(const Tensor& logits, const Tensor& labels) {
  const double n = double(logits.size(0));
  Tensor target = one_hot(labels, logits.size(1)).to(logits.dtype());
  Tensor shifted = logits - max(logits, {1}, true);
  Tensor log_p = shifted - log(sum(exp(shifted), {1}, true));
  return {-sum(target * log_p) / n, (exp(log_p) - target) / n};
}
//]
}  // namespace solution

//[ wrong
namespace without_maximum {
LossAndGradient loss_and_gradient(const Tensor& logits, const Tensor& labels) {
  const double n = double(logits.size(0));
  Tensor target = one_hot(labels, logits.size(1)).to(logits.dtype());
  Tensor p = exp(logits) / sum(exp(logits), {1}, true);
  return {-sum(log(gather(p, 1, labels.unsqueeze(1)))) / n, (p - target) / n};
}
}  // namespace without_maximum
namespace log_of_zero {
LossAndGradient loss_and_gradient(const Tensor& logits, const Tensor& labels) {
  const double n = double(logits.size(0));
  Tensor target = one_hot(labels, logits.size(1)).to(logits.dtype()), p = softmax(logits, 1);
  return {-sum(log(gather(p, 1, labels.unsqueeze(1)))) / n, (p - target) / n};
}
}  // namespace log_of_zero
namespace summed {
LossAndGradient loss_and_gradient(const Tensor& logits, const Tensor& labels) {
  LossAndGradient mean = solution::loss_and_gradient(logits, labels);
  return {mean.loss, mean.gradient * double(logits.size(0))};
}
}  // namespace summed
//]

namespace {

using Function = decltype(&loss_and_gradient);

// The definition, row by row in plain numbers; log p as a difference.
LossAndGradient by_definition(const Tensor& logits, const Tensor& labels) {
  const int64_t n = logits.size(0), c = logits.size(1);
  Samples x = logits.to_vector<double>(), y = labels.to_vector<double>(), gradient;
  double loss = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double *row = x.data() + i * c, *top = std::max_element(row, row + c);
    double sum = 0;
    for (int64_t j = 0; j < c; ++j) sum += std::exp(row[j] - *top);
    for (int64_t j = 0; j < c; ++j) {
      const bool right = j == int64_t(y[size_t(i)]);
      gradient.push_back((std::exp(row[j] - *top) / sum - right) / double(n));
      if (right) loss -= (row[j] - *top - std::log(sum)) / double(n);
    }
  }
  return {full({}, loss, f64), from_data(gradient, {n, c})};
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& logits, const Tensor& labels, bool gradient) {
    check.on(property, {{"logits", logits}, {"labels", labels}});
    LossAndGradient got = f(logits, labels), expected = by_definition(logits, labels);
    check.close(got.loss, expected.loss, "loss");
    if (gradient) check.close(got.gradient, expected.gradient, "gradient");
  };
  const Tensor two = matrix({{0, std::log(3.0)}});
  on("loss", two, tensor({0}, i64), false);
  on("gradient", two, tensor({0}, i64), true);
  on("gradient", matrix({{1, 2, 3}}), tensor({2}, i64), true);
  on("the mean over samples", matrix({{0, 1}, {2, 0}}), tensor({0, 1}, i64), true);
  on("the mean over samples", randn({7, 5}, f64), randint(0, 5, {7}), true);
  on("large logits", matrix({{1000, 1001}}), tensor({1}, i64), true);
  on("large logits", matrix({{0, 1000}}), tensor({0}, i64), true);
  on("large logits", matrix({{-1000, -1000, -2000}}), tensor({2}, i64), true);

  Tensor x = randn({2, 3}, f64), labels = tensor({2, 0}, i64);
  check.on("differences", {{"logits", x}, {"labels", labels}});
  Tensor got = f(x, labels).gradient;
  Samples slopes;
  const double h = 1e-5;
  for (int64_t i = 0; i < x.numel(); ++i) {
    Tensor step = (arange(x.numel()) == i).to(f64).reshape(x.shape()) * h;
    slopes.push_back((f(x + step, labels).loss - f(x - step, labels).loss).item() / (2 * h));
  }
  check.close(got, from_data(slopes, x.shape()), {1e-6, 1e-8}, "gradient");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = loss_and_gradient,
              .solution = solution::loss_and_gradient,
              .wrong = {{"the gradient is summed over the samples", "the mean over samples", summed::loss_and_gradient},
                        {"e^x of the logits as they are", "large logits", without_maximum::loss_and_gradient},
                        {"the log of a probability that is 0", "large logits", log_of_zero::loss_and_gradient}}});
}
