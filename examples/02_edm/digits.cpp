// Section 10: digits of a class, by a U-Net with guidance
#include <fmt/format.h>

#include <cmath>

#include "examples/02_edm/frame.h"
#include "examples/02_edm/lesson.h"
#include "nn/diffusion/guidance.h"
#include "nn/diffusion/samplers/ode.h"

using namespace ink::diffusion;

namespace ink::lesson {
namespace {

// The nearest picture of `all` [n, ..] to each of x: its distance, and its place.
struct Nearest {
  Tensor distance, place;
};
Nearest nearest_of(const Tensor& x, const Tensor& all) {
  const Tensor a = x.flatten(1).to(f64), b = all.flatten(1).to(f64);
  const Tensor squares = square(a).sum({1}, true) + square(b).sum({1}).unsqueeze(0) - 2 * matmul(a, b.t());
  return {sqrt(clamp(squares.min({1}), 0)), argmin(squares, 1)};
}

}  // namespace

void digits(Lesson& lesson, int64_t steps) {
  lesson.section("10. Digits of a class", R"(D_w = D_u + w\, (D_c - D_u))", "Ho & Salimans 2022; Karras et al. 2022");
  const TensorDataset all =
      load_idx_images(lesson.data("digits-images").substr(0, lesson.data("digits-images").rfind('/')), "digits");
  const Tensor pictures = all.tensors()[0] * 2 - 1, labels = all.tensors()[1];  // [1797, 1, 8, 8] in [-1, 1]
  const int64_t kept = 1500;
  const Tensor x = pictures.narrow(0, 0, kept).to(lesson.device()), y = labels.narrow(0, 0, kept).to(lesson.device());
  const Tensor held = pictures.narrow(0, kept, pictures.size(0) - kept);
  default_generator() = Generator(lesson.seed());
  UNet net({.width = 32, .multiples = {1, 2}, .attention = {1}, .noise = {.features = 32, .scale = 16}, .classes = 10});
  net.to(lesson.device());
  const EdmPreconditioner edm(measure_sigma_data(pictures));
  auto f = [&](const Tensor& in, const Tensor& noise, const Tensor& label) { return net.forward(in, noise, label); };
  const NetworkDenoiser denoiser{edm, f};
  const LogNormalNoise noise;
  AdamW optimizer(net.parameters(), {.lr = 2e-3, .weight_decay = 0.01});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(100, steps / 4), .floor = 0.02});
  const int64_t batch = 64;
  EMA average(net.parameters(), HalfLife{.samples = 0.05 * double(steps * batch)});
  Series curve{.name = "loss"};
  double sum = 0;
  const int64_t every = std::max<int64_t>(1, steps / 40);
  Progress progress = lesson.progress("digits", steps);
  for (int64_t step = 1; step <= steps; ++step) {
    const Tensor rows = randint(0, kept, {batch}, {i64, lesson.device()});
    const Tensor x0 = index_select(x, 0, rows);
    const Tensor loss =
        denoising_loss(denoiser, x0, randn_like(x0), noise.draw(batch), index_select(y, 0, rows)).mean();
    optimizer.zero_grad();
    loss.backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step();
    schedule.step();
    average.update(batch);
    sum += loss.item();
    if (step % every == 0) {
      curve.x.push_back(double(step)), curve.y.push_back(sum / double(every));
      sum = 0;
    }
    progress.step(fmt::format("loss {:.3f}", loss.item()));
  }
  average.swap();
  net.eval();
  if (curve.y.size() > 2)
    lesson.plot(
        "digits-loss", {curve},
        {.x = "step", .y = "loss", .caption = "1,500 digits of 8 x 8 pixels; a label is forgotten one time in ten."});

  NoGrad guard;
  const Edm process(80);
  Heun heun;
  const Tensor label = repeat(arange(0, 10, 1, {i64, lesson.device()}), {10});
  std::vector<double> right;
  for (double w : {0., 1., 2., 4.}) {
    SampleNoise source(lesson.seed() + 1);
    const ClassifierFree guided{.denoiser = denoiser, .weight = w};
    const Tensor z = source.draw({100, 1, 8, 8}, lesson.device()) * 80;
    const Tensor got = sample(process, guided, heun, z, through(edm_grid(18)), {.cond = label}).to(Device::cpu());
    const Nearest near = nearest_of(got, pictures.narrow(0, 0, kept));
    const double share = (index_select(labels, 0, near.place) == label.to(Device::cpu())).to(f64).mean().item();
    right.push_back(share);
    lesson.value(fmt::format("share whose nearest digit has the class, w = {}", w), share);
    if (w == 1) {
      const double ratio =
          near.distance.mean().item() / nearest_of(held, pictures.narrow(0, 0, kept)).distance.mean().item();
      lesson.expect("w = 1: distance to the nearest training digit, over that of digits held out", ratio,
                    Within{0.6, 1.3}, Needs::full_run);
    }
    std::vector<std::string> names(100);
    for (size_t i = 90; i < 100; ++i) names[i] = std::to_string(i - 90);
    lesson.images(fmt::format("digits-w{:.0f}", w), got.reshape({100, 8, 8}),
                  {.low = -1,
                   .high = 1,
                   .per_row = 10,
                   .caption = fmt::format("w = {}: {}", w,
                                          w == 0   ? "no class"
                                          : w == 1 ? "the class as it is"
                                                   : "further towards it: clearer, and more alike")},
                  names);
  }
  lesson.expect("w = 1: share whose nearest digit has the class", right[1], Above{0.85}, Needs::full_run);
  lesson.expect("w = 0 asks for no class: the same share", right[0], Below{0.3}, Needs::full_run);
  lesson.expect("w = 2 has at least as many as w = 1", right[2] >= right[1], Needs::full_run);
}

}  // namespace ink::lesson
