// What diffusion models are trained by. All losses are means over the elements of a sample and stay apart for each
// sample, [batch]: a training step takes their mean. Noise comes from the caller, so that a step can be repeated.
#pragma once
#include "nn/diffusion/noise_law.h"

namespace ink::diffusion {

// w(sigma) mean |D(x_0 + sigma eps, sigma) - x_0|^2: x0 and eps [batch, ..], sigma [batch] -> [batch]. With a network
// behind a preconditioner and that one's weight 1 / c_out^2 it is the error of the network's own output. Karras et al.
// 2022, eq. 8. ShapeError if shapes do not fit, ValueError for a sigma that is not positive.
Tensor denoising_loss(Denoiser denoiser, const Tensor& x0, const Tensor& eps, const Tensor& sigma,
                      const Weighting& weighting, const Tensor& cond = {});
// The same with the weight 1 / c_out^2 of the preconditioner: EDM's loss, DDPM's, flow matching's, as it is chosen.
Tensor denoising_loss(const NetworkDenoiser& denoiser, const Tensor& x0, const Tensor& eps, const Tensor& sigma,
                      const Tensor& cond = {});

// mean |network(x_t, t) - target|^2 -> [batch], for x_t = a x_0 + b eps and the target that `output` names: DDPM simple
// (Ddpm, Output::noise, t the steps 1 .. T), flow matching (FlowMatching, Output::velocity: target eps - x_0), v.
// `weight`: [batch] or undefined. The network is told `noise` [batch], or t itself if undefined. Ho et al. 2020, eq.
// 14; Lipman et al. 2023; Salimans & Ho 2022.
struct PredictionLoss {
  const Process& process;
  Output output;
  Network network;
  Tensor operator()(const Tensor& x0, const Tensor& eps, const Tensor& t, const Tensor& cond = {},
                    const Tensor& weight = {}, const Tensor& noise = {}) const;
};
// What `output` is of a known x_0 and eps: eps; x_0; -eps / b; a eps - b x_0; a' x_0 + b' eps. x0's shape and dtype.
Tensor prediction_target(const Process& process, Output output, const Tensor& x0, const Tensor& eps, const Tensor& t);
// min(SNR, gamma), divided by what a squared error of 1 in x_0 is in `output`: SNR for noise, SNR + 1 for v; [batch]
// f64 of times t. NotSupported for score and velocity. Hang et al. 2023.
Tensor min_snr_weight(const Process& process, Output output, const Tensor& t, double gamma = 5);

// A step's share of the variational bound with a learned variance (Nichol & Dhariwal 2021), in bits per element,
// [batch]:
//   n > 1: KL(q(x_{n-1} | x_n, x_0) || N(mean, e^{log_var})),   n = 1: -log2 p(x_0 | x_1)
// with the mean that eps_hat implies and log var = nu ln beta_n + (1 - nu) ln beta~_n; nu [batch, ..], 1 the larger
// one.
struct VlbOptions {
  // Step 1: x_0 as a real number has a density; as one of so many levels on [-1, 1] (256 for pictures) a probability.
  int64_t levels = 0;
};
// x0, x (= x_n), eps_hat, nu [batch, ..] of one shape, n [batch] i64 steps 1 .. T -> [batch]. IndexError for other
// steps.
Tensor vlb_loss(const Ddpm& process, const Tensor& x0, const Tensor& x, const Tensor& eps_hat, const Tensor& nu,
                const Tensor& n, const VlbOptions& options = {});
// |eps_hat - eps|^2 + (T / 1000) vlb with eps_hat held fixed in the second: the variance learns from the bound alone.
// The network returns twice the channels: eps_hat, and (1 + second half) / 2 as nu. Nichol & Dhariwal 2021, eq. 16.
Tensor hybrid_loss(const Ddpm& process, Network network, const Tensor& x0, const Tensor& eps, const Tensor& n,
                   const Tensor& cond = {}, const VlbOptions& options = {});

// Draws steps as often as their losses are large, p_n ~ sqrt(E L_n^2), which makes the bound's gradient less noisy.
// Until every step has its history all are as likely. Nichol & Dhariwal 2021, eq. 18.
class ImportanceSteps {
 public:
  struct Draw {
    Tensor n;       // i64 [count], steps 1 .. T
    Tensor weight;  // f64 [count], 1 / (T p_n): the mean of weight L is that of L over all steps
  };
  // ValueError unless steps and history are positive and 0 <= uniform <= 1.
  explicit ImportanceSteps(int64_t steps, int64_t history = 10, double uniform = 0.001);
  Draw draw(int64_t count, Generator* generator = nullptr) const;
  void update(const Tensor& n, const Tensor& losses);  // [count], the unweighted losses; IndexError for other steps
  bool warmed_up() const;
  std::vector<double> probabilities() const;  // of the steps 1 .. T

 private:
  int64_t history_;
  double uniform_;
  std::vector<std::vector<double>> losses_;  // of each step its last ones, at most `history`
};

}  // namespace ink::diffusion
