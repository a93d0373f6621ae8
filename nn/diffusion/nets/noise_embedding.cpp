// Frequencies of the noise level, and vectors of classes.
#include "nn/diffusion/nets/noise_embedding.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/init.h"

namespace ink::diffusion {
namespace {

int64_t half_of_features(const char* what, int64_t features) {
  if (features < 2 || features % 2)
    throw ValueError(fmt::format("{}: got {} features; expected an even number, at least 2", what, features));
  return features / 2;
}
void check_positive(const char* what, const char* name, double value) {
  if (!(value > 0 && std::isfinite(value)))
    throw ValueError(fmt::format("{}: got {} {}; expected a positive number", what, name, value));
}
// cos and sin of angles [..., h], side by side.
Tensor waves(const Tensor& angles) { return cat({cos(angles), sin(angles)}, -1); }
Tensor widened_noise(const char* what, const Tensor& noise) {
  if (is_complex(noise.dtype()))
    throw DTypeError(
        fmt::format("{}: got complex noise levels ({}); expected real ones", what, name_of(noise.dtype())));
  return to(noise, promote(noise.dtype(), f32));
}

}  // namespace

Tensor sinusoidal_embedding(const Tensor& noise, const SinusoidalOptions& o) {
  const int64_t half = half_of_features("sinusoidal_embedding", o.features);
  check_positive("sinusoidal_embedding", "scale", o.scale);
  check_positive("sinusoidal_embedding", "period", o.period);
  const Tensor t = widened_noise("sinusoidal_embedding", noise);
  const Tensor f = exp(arange(0, half, 1, {f64, t.device()}) * (-std::log(o.period) / double(half))) * o.scale;
  return waves(unsqueeze(t, -1) * to(f, t.dtype()));
}

FourierEmbedding::FourierEmbedding(int64_t features, double scale)
    : frequencies(init::normal({half_of_features("FourierEmbedding", features)}, 1)) {
  check_positive("FourierEmbedding", "scale", scale);
  frequencies = frequencies * scale;
}
Tensor FourierEmbedding::forward(const Tensor& noise) const {
  const Tensor t = widened_noise("FourierEmbedding", noise);
  return waves(unsqueeze(t, -1) * frequencies.to(t.dtype()) * (2 * M_PI));
}

static int64_t rows_of_classes(int64_t classes) {
  if (classes < 1 || classes > INT64_MAX / 2)
    throw ValueError(fmt::format("ClassEmbedding: got {} classes; expected at least 1", classes));
  return classes + 1;
}
ClassEmbedding::ClassEmbedding(int64_t classes, int64_t dim, double dropout)
    : table(rows_of_classes(classes), dim), dropout(dropout) {
  if (!(dropout >= 0 && dropout <= 1))
    throw ValueError(fmt::format("ClassEmbedding: got dropout {}; expected a probability", dropout));
}
Tensor ClassEmbedding::forward(const Tensor& label, int64_t batch) const {
  const int64_t none = table.weight.size(0) - 1;
  if (!label.defined()) return narrow(table.weight, 0, none, 1);
  if (!(label.shape() == Shape{batch}))
    throw ShapeError(fmt::format("ClassEmbedding: wrong labels; got {}; expected [{}], one for each sample",
                                 label.shape().str(), batch));
  const Tensor wrong = (label < -1) | (label >= none);
  if (label.device().is_cpu() && wrong.any().item<bool>())
    throw IndexError(fmt::format("ClassEmbedding: a label is no class; got {} to {}; expected 0 to {}, or -1 for none",
                                 label.min().item<int64_t>(), label.max().item<int64_t>(), none - 1));
  Tensor unknown = label < 0;
  if (is_training() && dropout > 0) unknown = unknown | (rand({batch}, {f32, label.device()}) < dropout);
  // on other devices the table refuses a row that it has not, without waiting
  return table.forward(masked_fill(masked_fill(label, unknown, none), wrong, none + 1));
}

Tensor noise_of_batch(const char* net, const Tensor& noise, int64_t batch) {
  if (noise.numel() == 1 && noise.dim() <= 1) return expand(reshape(noise, {1}), {batch});
  if (noise.dim() != 1 || noise.size(0) != batch)
    throw ShapeError(fmt::format("{}: wrong noise levels; got {}; expected [{}], one for each sample, or a number", net,
                                 noise.shape().str(), batch));
  return noise;
}

ConditionEmbedding::ConditionEmbedding(const ConditionOptions& o)
    : options(o), first(o.noise.features, o.width), second(o.width, o.width) {
  half_of_features(o.net, o.noise.features);
  check_positive(o.net, "noise scale", o.noise.scale);
  check_positive(o.net, "noise period", o.noise.period);
  if (o.classes < 0) throw ValueError(fmt::format("{}: got {} classes; expected 0 or more", o.net, o.classes));
  if (o.classes > 0) label.emplace_back(o.classes, o.width, o.label_dropout);
}
Tensor ConditionEmbedding::forward(const Tensor& noise, const Tensor& labels, int64_t batch) const {
  if (labels.defined() && label.empty())
    throw ValueError(fmt::format("{}: got labels, but the net knows no classes; hint: options.classes", options.net));
  const Tensor waves = sinusoidal_embedding(noise_of_batch(options.net, noise, batch), options.noise);
  Tensor c = second.forward(silu(first.forward(waves.to(first.weight.dtype()))));
  if (!label.empty()) c = c + label[0].forward(labels, batch);
  return silu(c);
}

}  // namespace ink::diffusion
