// The variational bound of DDPM with a learned variance, and steps drawn by importance.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/diffusion/losses.h"

namespace ink::diffusion {
namespace {

void check_steps(const char* what, const std::vector<int64_t>& steps, int64_t last) {
  for (int64_t n : steps)
    if (n < 1 || n > last) throw IndexError(fmt::format("{}: got step {}; expected 1 to {}", what, n, last));
}
// ln beta~_n = ln(beta_n (1 - A_{n-1}) / (1 - A_n)); at step 1 it would be ln 0: that of step 2 stands for it.
double log_small_variance(const Ddpm& p, int64_t n) {
  n = std::max(n, std::min<int64_t>(2, p.steps()));
  if (n == 1) return std::log(p.beta(1));
  return std::log(p.beta(n) * p.b(double(n - 1)) * p.b(double(n - 1)) / (p.b(double(n)) * p.b(double(n))));
}
// -ln of the normal density, or of what it gives to the level of x among `levels` on [-1, 1]; the outermost levels
// reach to infinity.
Tensor decoder_nats(const Tensor& x, const Tensor& mean, const Tensor& log_var, int64_t levels) {
  if (levels == 0) return (log_var + square(x - mean) * exp(-log_var) + std::log(2 * M_PI)) / 2;
  const double half = 1 / double(levels - 1);
  auto below = [&](const Tensor& edge) { return erfc(-(edge - mean) * exp(-log_var / 2) * M_SQRT1_2) / 2; };
  const Tensor upper = below(x + half), lower = below(x - half);
  const Tensor first = x<-1 + half, last = x> 1 - half;
  const Tensor p = where(last, full({}, 1, x.options()), upper) - where(first, zeros({}, x.options()), lower);
  return -log(clamp(p, 1e-12));
}

}  // namespace

Tensor vlb_loss(const Ddpm& process, const Tensor& x0, const Tensor& x, const Tensor& eps_hat, const Tensor& nu,
                const Tensor& n, const VlbOptions& options) {
  for (const Tensor* t : {&x, &eps_hat, &nu})
    if (x0.dim() < 2 || !(t->shape() == x0.shape()) || n.dim() != 1 || n.size(0) != x0.size(0))
      throw ShapeError(
          fmt::format("vlb_loss: got {} beside data {} and steps {}; expected shapes [batch, ..] and [batch]",
                      t->shape().str(), x0.shape().str(), n.shape().str()));
  if (options.levels < 0 || options.levels == 1)
    throw ValueError(fmt::format("vlb_loss: got {} levels; expected 0 (a density) or at least 2", options.levels));
  check_steps("vlb_loss", n.to_vector<int64_t>(), process.steps());
  auto at = [&](auto rate) { return per_sample([&](double step) { return rate(int64_t(step)); }, n, x0); };
  auto b2 = [&](int64_t step) { return process.b(double(step)) * process.b(double(step)); };
  // q(x_{n-1} | x_n, x_0): mean = (beta sqrt(A_{n-1}) x_0 + (1 - A_{n-1}) sqrt(alpha) x_n) / (1 - A_n), variance beta~
  const Tensor of_x0 = at([&](int64_t s) { return process.beta(s) * process.a(double(s - 1)) / b2(s); });
  const Tensor of_x = at([&](int64_t s) { return b2(s - 1) * std::sqrt(1 - process.beta(s)) / b2(s); });
  const Tensor a = at([&](int64_t s) { return process.a(double(s)); }),
               b = at([&](int64_t s) { return process.b(double(s)); });
  const Tensor x0_hat = (x - b * eps_hat) / a;
  const Tensor mean_hat = of_x0 * x0_hat + of_x * x, mean_true = of_x0 * x0 + of_x * x;
  const Tensor small = at([&](int64_t s) { return log_small_variance(process, s); });
  const Tensor large = at([&](int64_t s) { return std::log(process.beta(s)); });
  const Tensor log_var = nu * large + (1 - nu) * small;
  const Tensor kl = (log_var - small - 1 + exp(small - log_var) + square(mean_true - mean_hat) * exp(-log_var)) / 2;
  const Tensor first = per_sample([](double s) { return s == 1 ? 1. : 0.; }, n, x0) > 0;
  const Tensor nats = where(first, decoder_nats(x0, mean_hat, log_var, options.levels), kl);
  return mean(flatten(nats, 1), {1}) / std::log(2.);
}

Tensor hybrid_loss(const Ddpm& process, Network network, const Tensor& x0, const Tensor& eps, const Tensor& n,
                   const Tensor& cond, const VlbOptions& options) {
  const Tensor x = add_noise(process, x0, eps, n);
  const Tensor out = network(x, n.to(x0.device()).to(promote(x0.dtype(), f32)), cond);
  if (out.dim() != x0.dim() || out.size(1) != 2 * x0.size(1))
    throw ShapeError(fmt::format("hybrid_loss: the network returned {} for data {}; expected twice the channels",
                                 out.shape().str(), x0.shape().str()));
  const Tensor eps_hat = narrow(out, 1, 0, x0.size(1)), nu = (1 + narrow(out, 1, x0.size(1), x0.size(1))) / 2;
  const Tensor simple = mean(flatten(square(eps_hat - eps), 1), {1});
  return simple + vlb_loss(process, x0, x, eps_hat.detach(), nu, n, options) * (double(process.steps()) / 1000);
}

ImportanceSteps::ImportanceSteps(int64_t steps, int64_t history, double uniform)
    : history_(history), uniform_(uniform) {
  if (steps < 1 || steps > int64_t(1) << 32 || history < 1 || !(uniform >= 0 && uniform <= 1))
    throw ValueError(
        fmt::format("ImportanceSteps: got {} steps, a history of {} and a uniform share of {}; expected "
                    "positive numbers and a share in [0, 1]",
                    steps, history, uniform));
  losses_.resize(size_t(steps));
}
bool ImportanceSteps::warmed_up() const {
  return std::all_of(losses_.begin(), losses_.end(), [&](auto& l) { return int64_t(l.size()) == history_; });
}
std::vector<double> ImportanceSteps::probabilities() const {
  const double steps = double(losses_.size());
  std::vector<double> p(losses_.size(), 1 / steps);
  if (!warmed_up()) return p;
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    double squares = 0;
    for (double l : losses_[i]) squares += l * l;
    sum += p[i] = std::sqrt(squares / double(history_));
  }
  for (double& x : p) x = sum > 0 ? x / sum * (1 - uniform_) + uniform_ / steps : 1 / steps;
  return p;
}
ImportanceSteps::Draw ImportanceSteps::draw(int64_t count, Generator* generator) const {
  NoGrad guard;
  const std::vector<double> p = probabilities();
  const Tensor table = from_data(std::span<const double>(p), {int64_t(p.size())});
  const Tensor index = multinomial(table, count, true, generator);
  return {index + 1, 1 / (index_select(table, 0, index) * double(p.size()))};
}
void ImportanceSteps::update(const Tensor& n, const Tensor& losses) {
  if (n.dim() != 1 || !(losses.shape() == n.shape()))
    throw ShapeError(fmt::format("ImportanceSteps::update: got steps {} and losses {}; expected [count] twice",
                                 n.shape().str(), losses.shape().str()));
  const std::vector<int64_t> steps = n.to_vector<int64_t>();
  const std::vector<double> values = losses.detach().to_vector<double>();
  check_steps("ImportanceSteps::update", steps, int64_t(losses_.size()));
  for (size_t i = 0; i < steps.size(); ++i) {
    std::vector<double>& past = losses_[size_t(steps[i] - 1)];
    if (int64_t(past.size()) == history_) past.erase(past.begin());
    past.push_back(values[i]);
  }
}

}  // namespace ink::diffusion
