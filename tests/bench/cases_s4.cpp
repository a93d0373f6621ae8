// Layers of a time-invariant system: convolution by FFT, and a training step of S4D.
#include <cmath>

#include "inkstone/ink.h"
#include "inkstone/ssm.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

Case convolution(bool backward) {
  const int64_t batch = 8, channels = 64, n = 4096;
  const double flop = 2 * 5 * double(2 * n) * std::log2(double(2 * n)) * double(batch * channels);
  return {backward ? "causal convolution fwd+bwd 8x64x4096" : "causal convolution fwd 8x64x4096",
          backward ? 3 * flop : flop, 0,
          [=] {
            Tensor u = randn({batch, channels, n}), k = randn({channels, n}), g = randn({batch, channels, n});
            if (backward) u.requires_grad_(), k.requires_grad_();
            return Body([=] {
              GradMode mode(backward);
              Tensor y = causal_convolution(u, k);
              if (backward) {
                TensorList in{u, k};
                grad(std::span(&y, 1), in, std::span(&g, 1));
              }
            });
          },
          1.3};
}

// One layer of 128 channels and 64 states (32 pairs) on 1024 steps: forward, backward, AdamW.
Case s4d_step() {
  return {"train step S4D H128 N64 B16 L1024", 0, 0,
          [] {
            auto layer = std::make_shared<S4D>(S4DOptions{.dim = 128, .state = 64});
            auto optimizer = std::make_shared<AdamW>(layer->parameters(), AdamWOptions{.lr = 1e-3, .weight_decay = 0});
            const Tensor x = randn({16, 1024, 128}), target = randn({16, 1024, 128});
            return Body([=] {
              optimizer->zero_grad();
              mean(square(layer->forward(x) - target)).backward();
              optimizer->step();
            });
          },
          3};
}

}  // namespace

std::vector<Case> s4_cases() { return {convolution(false), convolution(true), s4d_step()}; }

}  // namespace bench
