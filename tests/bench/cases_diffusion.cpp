// Diffusion models: a training step of the net for points, samples of a U-Net, and what the sampler itself costs.
#include "inkstone/diffusion.h"
#include "inkstone/ink.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;
using namespace ink::diffusion;

namespace {

// The training step of lesson 02: draws, the loss behind EDM's preconditioning, Adam, an average of the weights.
Body point_step() {
  struct Run {
    PointNet net;
    Adam optimizer{net.parameters(), {.lr = 1e-3}};
    EMA average{net.parameters(), 0.999, false};
    EdmPreconditioner edm{0.5};
    LogNormalNoise noise;
    Tensor points = randn({4096, 2});
  };
  auto run = std::make_shared<Run>();
  return [run] {
    auto f = [&](const Tensor& x, const Tensor& level, const Tensor&) { return run->net.forward(x, level); };
    const Tensor x0 = index_select(run->points, 0, randint(0, 4096, {256}));
    run->optimizer.zero_grad();
    denoising_loss(NetworkDenoiser{run->edm, f}, x0, randn_like(x0), run->noise.draw(256)).mean().backward();
    run->optimizer.step();
    run->average.update();
  };
}

UNet digit_net() {
  UNet net({.width = 32, .multiples = {1, 2}, .attention = {1}, .noise = {.features = 32, .scale = 16}});
  net.eval();
  return net;
}
// 18 Heun steps, 35 evaluations.
void sample_digits(Denoiser denoiser) {
  SampleNoise noise(1);
  const Edm edm(80);
  Heun heun;
  sample(edm, denoiser, heun, noise.draw({64, 1, 8, 8}) * 80, through(edm_grid(18)));
}

}  // namespace

std::vector<Case> diffusion_cases() {
  std::vector<Case> cases;
  cases.push_back(
      {"train step points 66-128-128-128-2 b256", 6. * 256 * (66 * 128 + 2 * 128 * 128 + 256), 0, point_step, 2});
  cases.push_back({"sample 64 digits, 18 Heun steps", 0, 0,
                   [] {
                     auto net = std::make_shared<UNet>(digit_net());
                     return Body([net] {
                       const EdmPreconditioner edm(0.5);
                       auto f = [&](const Tensor& x, const Tensor& noise, const Tensor&) {
                         return net->forward(x, noise);
                       };
                       sample_digits(NetworkDenoiser{edm, f});
                     });
                   },
                   1});
  // the same without the sampler: what it may take beside the net is 5 %
  cases.push_back({"35 evaluations of the U-Net", 0, 0,
                   [] {
                     auto net = std::make_shared<UNet>(digit_net());
                     const Tensor x = randn({64, 1, 8, 8}), noise = rand({64});
                     return Body([=] {
                       NoGrad guard;
                       for (int i = 0; i < 35; ++i) net->forward(x, noise);
                     });
                   },
                   0});
  cases.push_back({"sampler alone, 18 Heun steps of 64 digits", 0, 0,
                   [] {
                     return Body([] {
                       const EdmPreconditioner edm(0.5);
                       auto nothing = [](const Tensor& x, const Tensor&, const Tensor&) { return x; };
                       sample_digits(NetworkDenoiser{edm, nothing});
                     });
                   },
                   20, "35 evaluations of the U-Net"});
  return cases;
}

}  // namespace bench
