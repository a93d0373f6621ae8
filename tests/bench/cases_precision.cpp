// Sixteen bits: conversions in cache, products, and a training step under autocast, each against f32.
#include <fmt/format.h>

#include <memory>

#include "inkstone/ink.h"
#include "inkstone/precision.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

Case quiet(std::string name, double flop, double byte, double wanted, std::string against, std::function<Body()> make) {
  return {std::move(name),
          flop,
          byte,
          [make] {
            Body body = make();
            return Body([body] {
              NoGrad guard;
              body();
            });
          },
          wanted,
          std::move(against)};
}

// x into y, whose memory stays: both fit the first-level cache.
Case conversion(const std::string& name, DType from, DType to, const std::string& against = {}) {
  const int64_t n = 4096;
  return quiet(name, 0, double(n * (size_of(from) + size_of(to))), 0, against, [=] {
    Tensor x = randn({n}).to(from), y = empty({n}, to);
    return Body([=]() mutable {
      for (int i = 0; i < 16; ++i) y.copy_(x);
    });
  });
}

Case step(const std::string& name, DType low, double wanted) {
  return {name,
          6. * 2048 * (4 * 12 * 128 * 128 + 128 * 96) + 3. * 4 * 4 * 8 * 256 * 256 * 128,
          0,
          [=] {
            auto gpt = std::make_shared<GPT>(GPTOptions{.vocabulary = 96, .context = 256});
            auto optimizer = std::make_shared<AdamW>(gpt->parameters(), AdamWOptions{.lr = 1e-3});
            auto scaler = std::make_shared<GradScaler>(GradScalerOptions{.enabled = low == f16});
            Tensor x = randint(0, 96, {8, 256}), y = randint(0, 96, {2048});
            return Body([=] {
              optimizer->zero_grad();
              {
                Autocast cast(low);
                scaler->scale(cross_entropy(gpt->forward(x).reshape({2048, 96}), y)).backward();
              }
              scaler->step(*optimizer);
              scaler->update();
            });
          },
          wanted,
          "train step GPT L4 d128 h4 T256 B8 V96"};
}

}  // namespace

std::vector<Case> precision_cases() {
  std::vector<Case> c;
  for (DType t : {f16, bf16}) {
    c.push_back(conversion(fmt::format("16 x f32 to {} 4Ki", name_of(t)), f32, t));
    c.push_back(conversion(fmt::format("16 x {} to f32 4Ki", name_of(t)), t, f32));
    for (int64_t n : {64, 128, 512, 1024})
      c.push_back(quiet(fmt::format("matmul {} {}", n, name_of(t)), 2. * double(n * n * n), 0, 0.9,
                        fmt::format("matmul {}", n), [=] {
                          Tensor x = randn({n, n}).to(t), y = randn({n, n}).to(t);
                          return Body([=] { matmul(x, y); });
                        }));
    c.push_back(step(fmt::format("train step GPT under {}", name_of(t)), t, 0));
  }
  return c;
}

}  // namespace bench
