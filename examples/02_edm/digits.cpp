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

struct Digits {
  Tensor pictures, labels;  // [1797, 1, 8, 8] in [-1, 1], [1797]
};
Digits read_digits(const Lesson& lesson) {
  const std::string path = lesson.data("digits-images");
  const TensorDataset all = load_idx_images(path.substr(0, path.rfind('/')), "digits");
  return {all.tensors()[0] * 2 - 1, all.tensors()[1]};
}

// The best denoiser of a finite set is known: the mean of its pictures, weighted by how near each is.
void ideal(Lesson& lesson, const Tensor& pictures) {
  NoGrad guard;
  const int64_t samples = lesson.mode() == Mode::tiny ? 2 : 10;
  const Mixture law = finite_set(pictures.to(f64));
  SampleNoise noise(lesson.seed() + 2);
  const Tensor few = pictures.narrow(0, 0, samples).to(f64), z = noise.draw(few.shape(), Device::cpu());
  std::vector<Tensor> rows;
  std::vector<std::string> names;
  for (double sigma : {80., 4., 2., 1., 0.5}) {
    rows.push_back(law(few + sigma * z, full({samples}, sigma, f64)));
    for (int64_t i = 0; i < samples; ++i) names.push_back(i == 0 ? fmt::format("sigma {}", sigma) : "");
  }
  const double off = largest(rows[0] - pictures.to(f64).mean(Dims{0}, true));
  const Edm edm(80);
  Heun heun;
  const Tensor got = sample(edm, law, heun, z * 80, through(edm_grid(18)));
  const Nearest near = nearest_of(got, pictures);
  rows.push_back(got), rows.push_back(index_select(pictures, 0, near.place).to(f64));
  for (const char* name : {"sampled", "nearest"})
    for (int64_t i = 0; i < samples; ++i) names.push_back(i == 0 ? name : "");
  const Tensor all = cat(rows, 0);
  lesson.images("digits-ideal", all.reshape({all.size(0), 8, 8}),
                {.low = -1,
                 .high = 1,
                 .per_row = int(samples),
                 .caption = "Digits under growing certainty: the best denoiser's D at five noise levels, what "
                            "its sampler ends with, and the training digit nearest to that: the same."},
                names);
  lesson.expect("the best denoiser at sigma = 80 says the mean of all digits: largest difference", off, Below{0.1});
  lesson.expect("its samples are training digits: largest difference from the nearest", largest(near.distance),
                Below{1e-6});
}

// Digits of each class at four weights of guidance, and the nearest digits that the net was trained on.
void guided_digits(Lesson& lesson, const Denoiser& denoiser, const Digits& learnt, const Tensor& held) {
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
    const Nearest near = nearest_of(got, learnt.pictures);
    const double share = (index_select(learnt.labels, 0, near.place) == label.to(Device::cpu())).to(f64).mean().item();
    right.push_back(share);
    lesson.value(fmt::format("share whose nearest digit has the class, w = {}", w), share);
    if (w == 1) {
      const double ratio = near.distance.mean().item() / nearest_of(held, learnt.pictures).distance.mean().item();
      lesson.value("distance to the nearest digit, over that of held-out ones", ratio);
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

void trained_digits(Lesson& lesson, const Tensor& pictures, const Tensor& labels, int64_t steps) {
  const int64_t kept = 1500;
  const Tensor x = pictures.narrow(0, 0, kept).to(lesson.device()), y = labels.narrow(0, 0, kept).to(lesson.device());
  const Tensor held = pictures.narrow(0, kept, pictures.size(0) - kept);
  default_generator() = Generator(lesson.seed());
  UNet net({.width = 32, .multiples = {1, 2}, .attention = {1}, .noise = {.features = 32, .scale = 16}, .classes = 10});
  net.to(lesson.device());
  lesson.value("parameters of the U-Net", double(net.num_parameters()));
  const EdmPreconditioner edm(measure_sigma_data(pictures));
  auto f = [&](const Tensor& in, const Tensor& noise, const Tensor& label) { return net.forward(in, noise, label); };
  const NetworkDenoiser denoiser{edm, f};
  const LogNormalNoise noise;
  AdamW optimizer(net.parameters(), {.lr = 2e-3, .weight_decay = 0.01});
  const int64_t batch = 64;
  Series curve =
      train_averaged(lesson, "digits", optimizer, {.steps = steps, .batch = batch, .warmup = 100, .clip = 1}, [&] {
        const Tensor rows = randint(0, kept, {batch}, {i64, lesson.device()}), x0 = index_select(x, 0, rows);
        return denoising_loss(denoiser, x0, randn_like(x0), noise.draw(batch), index_select(y, 0, rows)).mean();
      });
  curve.name = "loss";
  net.eval();
  if (curve.y.size() > 2)
    lesson.plot(
        "digits-loss", {curve},
        {.x = "step", .y = "loss", .caption = "1,500 digits of 8 x 8 pixels; a label is forgotten one time in ten."});

  guided_digits(lesson, denoiser, {pictures.narrow(0, 0, kept), labels.narrow(0, 0, kept)}, held);
}

}  // namespace

void digits(Lesson& lesson, int64_t steps) {
  lesson.section("10. Digits of a class", R"(D_w = D_u + w\, (D_c - D_u))", "Ho & Salimans 2022; Karras et al. 2022");
  const auto [pictures, labels] = read_digits(lesson);
  ideal(lesson, pictures.narrow(0, 0, lesson.mode() == Mode::tiny ? 20 : 1500));
  if (steps > 0) trained_digits(lesson, pictures, labels, steps);
}

}  // namespace ink::lesson
