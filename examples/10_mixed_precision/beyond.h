// The rest of lesson 10: memory and time of a training step, and what is narrower than f16.
#pragma once
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "examples/10_mixed_precision/bits.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"
#include "tensor/allocator.h"

namespace ink::lesson {

// What a step of a small language model keeps for its backward pass, in bytes, and how long a step takes, in ms.
struct StepCost {
  double bytes = 0, ms = 0;
};
inline StepCost cost_of_step(std::optional<DType> low, int64_t width, const Options& numbers) {
  manual_seed(1);
  GPT gpt({.vocabulary = 64, .context = width, .dim = width, .heads = 4, .layers = 2});
  gpt.to(numbers.device);
  AdamW optimizer(gpt.parameters(), {.lr = 1e-4});
  GradScaler scaler({.enabled = low == f16});
  const Tensor ids = randint(0, 64, {16, width}, {i64, numbers.device}),
               next = randint(0, 64, {16 * width}, {i64, numbers.device});
  StepCost cost{.ms = INFINITY};
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    {
      std::optional<Autocast> cast;
      if (low) cast.emplace(*low);
      const int64_t before = memory_stats(numbers.device).live;
      const Tensor loss = cross_entropy(gpt.forward(ids).reshape({16 * width, 64}), next);
      cost.bytes = double(memory_stats(numbers.device).live - before);
      scaler.scale(loss).backward();
    }
    scaler.step(optimizer);
    scaler.update();
    optimizer.zero_grad();
    gpt.parameters()[0].flatten()[0].item();  // waits for the device
    cost.ms = std::min(cost.ms, 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return cost;
}

inline void memory_and_time(Lesson& lesson, int64_t width, const Options& numbers) {
  lesson.section("8. Memory and time");
  const std::pair<const char*, std::optional<DType>> kinds[] = {{"f32", {}}, {"bf16", bf16}, {"f16", f16}};
  Series bytes{.name = "kept for the backward pass"};
  std::vector<std::string> names;
  double wide = 0;
  for (auto [name, low] : kinds) {
    const StepCost cost = cost_of_step(low, width, numbers);
    names.push_back(name), bytes.y.push_back(cost.bytes / 1e6);
    lesson.measured(fmt::format("ms a step, {}", name), cost.ms, "ms");
    if (!low) wide = cost.bytes;
    lesson.value(fmt::format("MB kept, {}", name), cost.bytes / 1e6);
    if (low) lesson.expect(fmt::format("memory kept under {} over that of f32", name), cost.bytes / wide, Below{0.8});
  }
  lesson.bars("memory", names, {bytes},
              {.y = "MB",
               .caption = "A language model of two blocks: what its forward pass leaves for the backward pass, "
                          "the 16-bit copies of its weights included."});
}

inline void beyond_f16(Lesson& lesson, const Options& numbers) {
  lesson.section("9. Narrower still",
                 R"(s = \frac{\text{amax}}{\text{largest}},\quad x \approx s \cdot \text{fp8}(x / s))",
                 "Micikevicius et al. 2022; Rouhani et al. 2023");
  Generator generator(lesson.seed() + 3);
  const Tensor a = randn({64, 64}, numbers, &generator), b = randn({64, 64}, numbers, &generator);
  const Tensor exact = matmul(a.to(f64), b.to(f64));
  auto off = [&](const Tensor& c) { return (norm(c.to(f64) - exact) / norm(exact)).item(); };
  Series errors{.name = "factors in the format, sums in f32"};
  std::vector<std::string> names;
  for (const FloatFormat& f : kFormats) {
    names.push_back(f.name);
    errors.y.push_back(off(matmul(rounded(a, f), rounded(b, f))) + 1e-9);
  }
  lesson.bars("factors", names, {errors},
              {.y = "relative error of a product",
               .log_y = true,
               .caption = "64 x 64 normal numbers. Each bit of fraction is a factor of two."});
  {
    Tf32 guard;
    lesson.expect("the switch Tf32 gives the product of rounded factors, bit for bit",
                  equal(matmul(a, b), matmul(rounded(a, formats::tf32), rounded(b, formats::tf32))));
  }
  lesson.expect("its error over that of f32", errors.y[1] / errors.y[0], Above{100});
  // a row with one outlier: one scale for all against one for each block of 32
  Tensor x = a.clone();
  {
    NoGrad guard;
    x.index_put_({0, 0}, full({}, 1e5, numbers));
  }
  auto lost = [&](const Tensor& y) { return ((y == 0).to(f64).mean() - (x == 0).to(f64).mean()).item(); };
  const double whole = lost(from_fp8(to_fp8(x, formats::e4m3))), blocks = lost(from_fp8(to_mxfp8(x, formats::e4m3)));
  lesson.expect("one outlier of 1e5: share of the others that e4m3 with one scale makes 0", whole, Above{0.05});
  lesson.expect("with a scale for each 32 numbers", blocks, Below{0.03});
}

}  // namespace ink::lesson
