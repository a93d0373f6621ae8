// The nets of lesson 02: what stands between a network and the denoiser, how they are trained, and what they are worth.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/diffusion.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// Data of standard deviation 0.5, as EDM's constants want them: three Gaussians in the plane.
inline constexpr double kSigmaData = 0.5;
inline diffusion::Mixture points_to_learn() {
  diffusion::Mixture law = diffusion::three_gaussians();
  const Tensor w = exp(law.log_weights), weights = w / w.sum(), mean = matmul(weights, law.means);
  // E|x|^2 / 2 about the mean of each coordinate: what measure_sigma_data would find in many samples
  const double second = (weights * (square(law.means - mean).sum({1}) + 2 * square(law.stds))).sum().item() / 2;
  const double scale = kSigmaData / std::sqrt(second);
  law.means = (law.means - mean) * scale, law.stds = law.stds * scale;
  return law;
}

// D = c_skip x + c_out F(c_in x, c_noise) with EDM's c_in and c_noise, and skip and out as one family has them: so that
// an ablation changes one thing.
struct Ablated : diffusion::Preconditioner {
  enum Predicts {
    f,    // EDM's own: sd^2 / (sigma^2 + sd^2), sigma sd / sqrt(sigma^2 + sd^2)
    eps,  // 1, -sigma
    x0,   // 0, 1
    v,    // 1 / (sigma^2 + 1), -sigma / sqrt(sigma^2 + 1)
  } predicts;
  explicit Ablated(Predicts predicts) : predicts(predicts) {}
  diffusion::Preconditioning at(double sigma) const override {
    diffusion::Preconditioning c = diffusion::EdmPreconditioner(kSigmaData).at(sigma);
    const double root = std::sqrt(sigma * sigma + 1);
    if (predicts == eps) c.skip = 1, c.out = -sigma;
    if (predicts == x0) c.skip = 0, c.out = 1;
    if (predicts == v) c.skip = 1 / (root * root), c.out = -sigma / root;
    return c;
  }
};

// A net for points and what stands before it. It lives where it is made: the denoiser refers to it.
struct Learner {
  std::unique_ptr<diffusion::Preconditioner> preconditioner;
  diffusion::PointNet net;
  Learner(std::unique_ptr<diffusion::Preconditioner> p, int64_t width)
      : preconditioner(std::move(p)), net({.width = width}) {}
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor& = {}) const {
    auto f = [&](const Tensor& y, const Tensor& noise, const Tensor&) { return net.forward(y, noise); };
    const Device home = net.out.weight.device();  // x may lie elsewhere
    return diffusion::NetworkDenoiser{*preconditioner, f}(x.to(home), sigma.to(home)).to(x.device());
  }
};

// `steps` of an optimizer whose rate rises and falls, with an average of the weights that has a half-life (EDM,
// appendix F.2), which is left in the net. `loss` is that of a new batch. The mean loss of each fortieth.
struct TrainingLoop {
  int64_t steps, batch, warmup;
  double clip = 0;  // the largest norm of the gradient; 0: any
};
inline Series train_averaged(Lesson& lesson, const std::string& name, Optimizer& optimizer, const TrainingLoop& loop,
                             FunctionRef<Tensor()> loss) {
  const auto [steps, batch, warmup, clip] = loop;
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(warmup, steps / 4), .floor = 0.02});
  const std::vector<Tensor> parameters = optimizer.parameters();
  EMA average(parameters, HalfLife{.samples = 0.05 * double(steps * batch)});
  Series curve{.name = name};
  double sum = 0;
  const int64_t every = std::max<int64_t>(1, steps / 40);
  Progress progress = lesson.progress(name, steps);
  for (int64_t step = 1; step <= steps; ++step) {
    const Tensor now = loss();
    optimizer.zero_grad();
    now.backward();
    if (clip > 0) clip_grad_norm_(parameters, clip);
    optimizer.step();
    schedule.step();
    average.update(batch);
    sum += now.item();
    if (step % every == 0) {
      curve.x.push_back(double(step)), curve.y.push_back(sum / double(every));
      sum = 0;
    }
    progress.step(fmt::format("loss {:.3f}", now.item()));
  }
  average.swap();
  return curve;
}

// EDM's training step: the noise law, the loss weighted by 1 / c_out^2, Adam, averaged weights.
inline Series train(Lesson& lesson, const std::string& name, Learner& learner, const diffusion::Mixture& law,
                    int64_t steps, int64_t batch) {
  using namespace diffusion;
  Adam optimizer(learner.net.parameters(), {.lr = 2e-3});
  const LogNormalNoise noise;  // ln sigma ~ N(-1.2, 1.2^2)
  auto f = [&](const Tensor& x, const Tensor& level, const Tensor&) { return learner.net.forward(x, level); };
  const NetworkDenoiser denoiser{*learner.preconditioner, f};
  return train_averaged(lesson, name, optimizer, {.steps = steps, .batch = batch, .warmup = 50}, [&] {
    const Tensor x0 = law.sample(batch).to(Options{f32, lesson.device()}), eps = randn_like(x0);
    return denoising_loss(denoiser, x0, eps, noise.draw(batch)).mean();
  });
}

// What a denoiser loses beyond the best possible one, the law's own, in EDM's weight: its loss on n samples at these
// noise levels minus the law's on the same ones. As |D - D*|^2, which has that mean and far less noise.
inline double excess_loss(diffusion::Denoiser denoiser, const diffusion::Mixture& law, const Tensor& sigma) {
  NoGrad guard;
  const int64_t n = sigma.size(0);
  const Tensor x = law.sample(n) + randn({n, 2}, {f64, Device::cpu()}) * sigma.unsqueeze(1);
  const Tensor off = denoiser(x, sigma, {}) - law(x, sigma);  // E|D - x0|^2 = E|D - D*|^2 + E|D* - x0|^2
  const Tensor weight = 1 / square(sigma) + 1 / (kSigmaData * kSigmaData);
  return (square(off).mean(Dims{1}) * weight).mean().item();
}

}  // namespace ink::lesson
