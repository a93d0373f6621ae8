// Densities along the ODE against exact ones, guidance by its identities, inpainting and its bias.
#include "nn/diffusion/likelihood.h"

#include "autograd/graph/mode.h"
#include "nn/diffusion/guidance.h"
#include "nn/diffusion/precondition.h"
#include "nn/diffusion/samplers/inpaint.h"
#include "nn/layers/linear.h"
#include "tests/catch.h"
#include "tests/diffusion/laws.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

Mixture with_classes() {
  Mixture law = three_gaussians();
  law.labels = from_data({0, 1, 1}, {3}, i64);
  return law;
}

}  // namespace

TEST_CASE("log likelihood of a mixture is its exact density", "[diffusion][likelihood]") {
  const Mixture law = three_gaussians();
  const Tensor x = normal({6, 2}, 1);
  const FlowMatching fm;
  const VariancePreserving vp;
  const Edm edm;
  for (const Process* p : std::initializer_list<const Process*>{&fm, &vp, &edm}) {
    INFO(p->name());
    const double first = p->time(0.05), last = p->time(30);
    const double a = p->a(first);
    auto prior = [&](const Tensor& y) {  // the law at the last time: x_t / a has the mixture's density
      const double s = p->a(last);
      return law.log_density(y / s, full({y.size(0)}, p->sigma(last), f64)) - 2 * std::log(s);
    };
    const Likelihood got =
        log_likelihood(*p, law, x * a,
                       {.first = first, .last = last, .solver = {.rtol = 1e-8, .atol = 1e-8}, .log_prior = prior});
    const Tensor exact = law.log_density(x, full({6}, 0.05, f64)) - 2 * std::log(a);
    CHECK(max(abs(got.log_density - exact)).item() < 1e-5);
    CHECK(got.latent.shape() == x.shape());
  }
  // with N(0, 1) for the prior the mismatch of the end is what is missed
  const Likelihood usual = log_likelihood(fm, law, x, {.first = 1e-4, .last = 1 - 1e-4});
  CHECK(max(abs(usual.log_density - law.log_density(x, full({6}, 1e-4, f64)))).item() < 1e-2);
}

TEST_CASE("a network in f32 has nearly the likelihood that it has in f64", "[diffusion][likelihood]") {
  manual_seed(2);
  Linear in(2, 16), out(16, 2);
  auto network = [&](const Tensor& x, const Tensor& noise, const Tensor&) {
    return out.forward(tanh(in.forward(x) + unsqueeze(noise, 1)));
  };
  const EdmPreconditioner pre;
  const Edm edm(10);
  const Tensor x = normal({3, 2}, 4);
  const LikelihoodOptions options{.first = 0.1, .solver = {.rtol = 1e-4, .atol = 1e-4}};
  const Tensor single = log_likelihood(edm, NetworkDenoiser{pre, network}, x, options).log_density;
  for (Linear* layer : {&in, &out}) layer->to(f64);
  CHECK(difference(single, log_likelihood(edm, NetworkDenoiser{pre, network, f64}, x, options).log_density) < 1e-3);
}

TEST_CASE("Hutchinson's probes: exact in one dimension, on the average in more", "[diffusion][likelihood]") {
  const Edm edm(20);
  const Mixture one =
      gaussian_mixture(from_data({-1, 2}, {2, 1}, f64), from_data({0.4, 0.8}, {2}, f64), ones({2}, f64));
  const Tensor x = normal({4, 1}, 1);
  SampleNoise noise(1);
  const LikelihoodOptions exact{.first = 0.05, .solver = {.rtol = 1e-6, .atol = 1e-6}};
  LikelihoodOptions probed = exact;
  probed.divergence = Divergence::hutchinson, probed.noise = &noise;
  CHECK(difference(log_likelihood(edm, one, x, probed).log_density, log_likelihood(edm, one, x, exact).log_density) <
        1e-12);
  const Tensor y = expand(from_data({0.3, -0.2}, {1, 2}, f64), {400, 2}).contiguous();
  const Mixture law = three_gaussians();
  probed.solver = {.rtol = 1e-4, .atol = 1e-4};
  const Tensor guesses = log_likelihood(edm, law, y, probed).log_density;
  const double truth = log_likelihood(edm, law, y.narrow(0, 0, 1), exact).log_density.item();
  CHECK(guesses.std().item() > 1e-3);
  CHECK(std::abs(guesses.mean().item() - truth) < 4 * guesses.std().item() / 20 + 1e-3);
  probed.probes = 8;
  CHECK(log_likelihood(edm, law, y, probed).log_density.std().item() < 0.6 * guesses.std().item());
  probed.probes = 0;
  CHECK_THROWS_AS(log_likelihood(edm, law, y, probed), ValueError);
  probed.probes = 1, probed.noise = nullptr;
  CHECK_THROWS_AS(log_likelihood(edm, law, y, probed), ValueError);
}

TEST_CASE("bits per dimension: 8 for even noise over the 256 levels", "[diffusion][likelihood]") {
  const Tensor log_p = full({2}, -3 * std::log(2.), f64);  // uniform on [-1, 1]^3
  CHECK(values(bits_per_dim(log_p, 3)) == Values{8, 8});
  CHECK(bits_per_dim(log_p, 3, 2, 2)[0].item() == Approx(1));
  CHECK_THROWS_AS(bits_per_dim(log_p, 0), ValueError);
}

TEST_CASE("classifier-free guidance: both scales, and the weights where one answer is enough",
          "[diffusion][guidance]") {
  const Mixture law = with_classes();
  const Tensor x = normal({4, 2}, 2), sigma = full({4}, 0.7, f64), c = from_data({0, 1, 1, 0}, {4}, i64);
  const Tensor with = law(x, sigma, c), without = law(x, sigma);
  auto guided = [&](double w, GuidanceScale scale) {
    return ClassifierFree{.denoiser = law, .weight = w, .scale = scale}(x, sigma, c);
  };
  const auto unconditional = GuidanceScale::from_unconditional, conditional = GuidanceScale::from_conditional;
  CHECK(values(guided(1, unconditional)) == values(with));
  CHECK(values(guided(0, unconditional)) == values(without));
  CHECK(values(guided(0, conditional)) == values(with));
  CHECK(values(guided(-1, conditional)) == values(without));
  CHECK(difference(guided(3, unconditional), without + 3 * (with - without)) < 1e-14);
  CHECK(difference(guided(2, conditional), with + 2 * (with - without)) < 1e-14);
  CHECK_THROWS_AS((ClassifierFree{.denoiser = law}(x, sigma, {})), ValueError);
  // through a sampler: at w = 1 the conditional one's bits
  const Edm edm;
  Heun heun;
  const ClassifierFree one{.denoiser = law};
  const Steps steps = through(edm_grid(8));
  CHECK(values(sample(edm, one, heun, x * 80, steps, {.cond = c})) ==
        values(sample(edm, law, heun, x * 80, steps, {.cond = c})));
}

TEST_CASE("classifier guidance with the true classifier at w = 1 is the conditional denoiser",
          "[diffusion][guidance]") {
  const Mixture law = with_classes();
  const Tensor x = normal({4, 2}, 3), sigma = from_data({0.2, 0.7, 2, 5}, {4}, f64),
               c = from_data({0, 1, 1, 0}, {4}, i64);
  auto log_q = [&](const Tensor& y, const Tensor& s, const Tensor& k) {  // log p(c | x) up to a constant
    return law.log_density(y, s, k) - law.log_density(y, s);
  };
  NoGrad guard;  // as samplers have it
  CHECK(difference(ClassifierGuided{law, log_q}(x, sigma, c), law(x, sigma, c)) < 1e-11);
  const Tensor twice = ClassifierGuided{law, log_q, 2}(x, sigma, c);
  CHECK(difference(twice, 2 * law(x, sigma, c) - law(x, sigma)) < 1e-11);
}

TEST_CASE("inpainting: known coordinates are kept, replacement is biased, RePaint less", "[diffusion][inpaint]") {
  // N(0, C) with correlation 0.9: x_2 given x_1 = 1.5 is N(1.35, 0.19)
  const double rho = 0.9, y = 1.5;
  auto correlated = [&](const Tensor& x, const Tensor& sigma, const Tensor&) {
    // D = C (C + sigma^2)^{-1} x, by the eigenvectors (1, 1) and (1, -1)
    const Tensor s2 = square(sigma), up = (1 + rho) / (1 + rho + s2), down = (1 - rho) / (1 - rho + s2);
    const Tensor sum = (select(x, 1, 0) + select(x, 1, 1)) / 2 * up,
                 gap = (select(x, 1, 0) - select(x, 1, 1)) / 2 * down;
    return stack({sum + gap, sum - gap}, 1);
  };
  const Edm edm;
  const int64_t n = 3000;
  const Tensor known = from_data({y, 0}, {1, 2}, f64), mask = from_data({1, 0}, {1, 2}, f64) > 0;
  Ancestral ancestral;
  auto bias = [&](int64_t repeats) {
    SampleNoise noise(8);
    Inpaint inpaint(ancestral, known, mask, repeats);
    const Tensor x =
        sample(edm, correlated, inpaint, noise.draw({n, 2}) * 80, through(edm_grid(25)), {.noise = &noise});
    CHECK(max(abs(select(x, 1, 0) - y)).item() == 0);
    return std::abs(select(x, 1, 1).mean().item() - rho * y) + std::abs(select(x, 1, 1).var().item() - (1 - rho * rho));
  };
  const double replacement = bias(1), few = bias(4), many = bias(12);
  INFO(replacement << ", " << few << ", " << many);
  CHECK(replacement > 0.2);
  CHECK(few < 0.6 * replacement);
  CHECK(many < 0.6 * few);
  // one step on VP without noise, by hand: forth, the known coordinate replaced, back by the forward kernel's factor,
  // forth
  const VariancePreserving vp;
  Ddim ddim;
  Inpaint twice(ddim, known, mask, 2);
  OneDraw silent;
  const Tensor start = normal({3, 2}, 5), replaced = vp.a(0.4) * known;
  auto forth = [&](const Tensor& x) { return where(mask, replaced, sample(vp, correlated, ddim, x, {{0.5, 0.4}})); };
  CHECK(difference(sample(vp, correlated, twice, start, {{0.5, 0.4}}, {.noise = &silent}),
                   forth(vp.a(0.5) / vp.a(0.4) * forth(start))) < 1e-13);
  CHECK(silent.drawn == 3);
  CHECK_THROWS_AS(Inpaint(ancestral, known, known), DTypeError);
  CHECK_THROWS_AS(Inpaint(ancestral, known, mask, 0), ValueError);
}
