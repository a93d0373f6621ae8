// Handwritten digits from noise: NCSN on pictures of 8 x 8, for the full run of lesson 05.
#pragma once
#include <filesystem>

#include "examples/05_score_smld/nets.h"
#include "examples/05_score_smld/schedule.h"

namespace ink::lesson {

// The shipped digits, [n, 64] f64 in [0, 1].
inline Tensor flat_digits(const Lesson& lesson) {
  const std::filesystem::path file = lesson.data("digits-images");
  const TensorDataset all = load_idx_images(file.parent_path(), "digits");
  if (all.size() < 200)
    throw ValueError(fmt::format("'{}': too few images; got {}; expected at least 200", file.string(), all.size()));
  const Tensor images = all.tensors()[0];
  return reshape(images, {images.size(0), -1}).to(f64).to(Device::cpu());
}

// Levels, step and net as section 8 has them: s = F(x / sqrt(1 + sigma^2), ln sigma) / sigma.
inline void digits_from_noise(Lesson& lesson, const Tensor& digits, int64_t steps) {
  lesson.section("10. Digits", R"(s_\theta(x, \sigma) = \frac{F_\theta(x, \ln \sigma)}{\sigma})",
                 "Song & Ermon 2020, technique 3");
  if (steps == 0) {
    lesson.say("A net for pictures is trained in the full run only.");
    return;
  }
  const int64_t d = digits.size(1), held = digits.size(0) / 5;
  const Tensor train_set = digits.narrow(0, 0, digits.size(0) - held).to(f32).to(lesson.device()),
               test_set = digits.narrow(0, digits.size(0) - held, held);
  const double high = diameter(digits), low = 0.05, ratio = level_ratio(double(d));
  const int64_t count = int64_t(std::ceil(std::log(high / low) / std::log(ratio)));
  PointNet net({.dim = d, .width = 512, .hidden = 4, .residual = true});
  net.to(lesson.device());
  auto s = [&](const Tensor& x, const Tensor& sigma) {
    const Tensor column = unsqueeze(sigma, 1);
    return net.forward(x / sqrt(square(column) + 0.25), log(sigma)) / column;
  };
  train(lesson, "digits", net, {.steps = steps, .batch = 128, .learning_rate = 1e-3}, [&] {
    const Tensor x = index_select(train_set, 0, randint(0, train_set.size(0), {128}, {i64, lesson.device()}));
    const Tensor sigma = high * pow(Scalar(low / high), rand({128}, {f32, lesson.device()}));
    return diffusion::ncsn_loss(s, x, randn_like(x), sigma).mean();
  });
  NoGrad guard;
  auto on = [&](const Tensor& t) { return t.to(f32).to(lesson.device()); };
  auto denoiser = [&](const Tensor& at, const Tensor& level, const Tensor&) {
    return at + unsqueeze(square(level), 1) * s(on(at), on(level)).to(f64).to(Device::cpu());
  };
  const diffusion::Edm process(high);
  const double share = step_share(5, ratio);
  diffusion::AnnealedLangevin sampler(share * low * low, 5);
  diffusion::SampleNoise noise(lesson.seed() + 5);
  const int64_t n = 200;
  const Tensor start = diffusion::prior_sample(process, noise.draw({n, d}, Device::cpu()), high);
  const Tensor made =
      diffusion::sample(process, denoiser, sampler, start,
                        diffusion::through(diffusion::and_zero(diffusion::log_grid(count - 1, high, low))),
                        {.noise = &noise});
  const int64_t side = int64_t(std::sqrt(double(d)));
  auto pictures = [&](const Tensor& x) { return reshape(x.narrow(0, 0, 40).clamp(0, 1), {40, side, side}); };
  lesson.images(
      "digits", pictures(made),
      {.low = 0, .high = 1, .per_row = 10, .caption = "Made from noise by annealed Langevin dynamics, not chosen."});
  const Tensor distance =
      sqrt(clamp(square(made).sum({1}, true) + square(digits).sum({1}, true).t() - 2 * matmul(made, digits.t()), 0));
  lesson.images(
      "nearest", pictures(index_select(digits, 0, argmin(distance, 1))),
      {.low = 0, .high = 1, .per_row = 10, .caption = "The nearest digit of the data to each: relatives, not copies."});
  lesson.value("distance to the nearest digit", min(distance, 1).mean().item());
  lesson.value("levels used", double(count));
  const double gap = diffusion::energy_distance(made, test_set),
               scale = diffusion::energy_distance(rand({n, d}, kExact), test_set);
  lesson.expect("energy distance to digits that were held out, over that of uniform noise", gap / scale, Below{0.1},
                Needs::full_run);
}

}  // namespace ink::lesson
