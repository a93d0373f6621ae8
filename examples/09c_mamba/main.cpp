// Mamba: steps that depend on the token, scans, what selection is for, and the same model as masked attention
#include <fmt/format.h>

#include <cmath>

#include "examples/09c_mamba/scans.h"
#include "examples/09c_mamba/steps.h"
#include "examples/09c_mamba/trained.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

// One layer's scan, after the projections: what it makes of x.
Tensor scanned(const Mamba& m, const Tensor& x) {
  Tensor h;
  return selective_ssm(m.select_from(x), h);
}

void from_fixed_to_selected(Lesson& lesson) {
  lesson.section("1. Why a step should depend on the token",
                 R"(h_t = e^{\Delta_t A} h_{t-1} + \Delta_t B_t x_t, \quad y_t = C_t^\top h_t)",
                 "Gu & Dao 2023, section 3");
  const int64_t n = 40, states = 16;
  const Tensor l = arange(0, n, 1, f64), A = -arange(1, states + 1, 1, f64);
  std::vector<Series> kernels;
  for (double delta : {0.003, 0.03, 0.3}) {
    const Tensor K = sum(exp(unsqueeze(l, 1) * (delta * A)), -1) * (delta / double(states));  // (9.50)
    kernels.push_back({.name = fmt::format("Δ = {:g}", delta), .y = (K / K[0]).to_vector<double>()});
  }
  lesson.plot("kernels", kernels,
              {.x = "tokens ago", .y = "weight", .y_low = 0, .caption = "A fixed step is a fixed memory, N = 16."});
  double shift = 0, sums = 0, selected = INFINITY;
  for (const Selection& s : {kHeldConstant, Selection{}}) {
    manual_seed(lesson.seed());
    Mamba m({.dim = 4, .state = 4, .selection = s});
    m.to(f64);
    const Tensor x = randn({1, n, 8}, f64), z = randn({1, n, 8}, f64);
    const Tensor later = cat({zeros({1, 3, 8}, f64), x.narrow(1, 0, n - 3)}, 1);
    const double off = largest(scanned(m, x + z) - scanned(m, x) - scanned(m, z)) / largest(scanned(m, x));
    if (s.delta) {
      selected = off;
    } else {
      sums = off;
      shift = largest(scanned(m, later).narrow(1, 3, n - 3) - scanned(m, x).narrow(1, 0, n - 3));
    }
  }
  lesson.expect("held constant, an input three tokens later: how far its response is from three tokens later", shift,
                Below{1e-12});
  lesson.expect("held constant: the response to a sum is the sum of responses", sums, Below{1e-12});
  lesson.expect("selective: it is not, relative difference", selected, Above{0.1});
  const Tensor z = linspace(-6, 6, 49, f64), delta = softplus(z);
  lesson.expect("the step is a gate: e^{-softplus z} is 1 - sigmoid z, largest difference",
                largest(exp(-delta) - (1 - sigmoid(z))), Below{1e-12});  // (9.53)
  lesson.plot(
      "gate",
      {{.name = "kept", .x = z.to_vector<double>(), .y = exp(-delta).to_vector<double>()},
       {.name = "added, exact step", .x = z.to_vector<double>(), .y = (1 - exp(-delta)).to_vector<double>()},
       {.name = "added, Euler", .x = z.to_vector<double>(), .y = delta.to_vector<double>(), .mark = Mark::dashed}},
      {.x = "z", .y = "factor", .y_high = 2, .caption = "A = -1, B = 1. Euler's step grows without bound."});
  scan_step_by_step(lesson);
}

void scans(Lesson& lesson, int64_t counted, int64_t longest, const Options& numbers) {
  lesson.section("2. The scan and its four algorithms", R"((a, b) \circ (a', b') = (a' a,\; a' b + b'))",
                 "Hillis & Steele 1986; Blelloch 1990");
  Generator g(lesson.seed());
  const Tensor r = randn({6}, f64, &g);
  const auto at = [&](int64_t i) { return Stretch{r[2 * i].item(), r[2 * i + 1].item()}; };
  const Stretch left = joined(joined(at(0), at(1)), at(2)), right = joined(at(0), joined(at(1), at(2))),
                turned = joined(joined(at(1), at(0)), at(2));
  lesson.expect("joining is associative: largest difference",
                std::max(std::abs(left.a - right.a), std::abs(left.b - right.b)), Below{1e-12});
  lesson.expect("but the order matters: difference of b when two are exchanged", std::abs(left.b - turned.b),
                Above{1e-3});
  two_sweeps(lesson);
  count_the_ways(lesson, counted);
  // The sum of r^k for k <= t, r = 1 / lambda, is (r^{t+1} - 1) / (r - 1).
  const double r9 = 1 / 0.9, expected = std::ceil(std::log(3.4028235e38 * (r9 - 1)) / std::log(r9)) - 1;
  lesson.value("the step at which it overflows", expected);
  lesson.expect("one cumulative sum of b / lambda^t in f32, lambda = 0.9: the step at which it overflows",
                double(first_overflow(0.9, 1000)), Equals{expected});
  race(lesson, longest, numbers);
}

void memory(Lesson& lesson, int64_t n, const Options& numbers) {
  lesson.section("3. States computed again in the backward pass", R"(G_t = C_t g_t + e^{\Delta_{t+1} A} G_{t+1})",
                 "Gu & Dao 2023, section 3.3.2", {"autograd/ops/recurrence/selective_scan.cpp:gradients_by_formula"});
  what_is_kept(lesson, n, numbers);
}

void the_block(Lesson& lesson) {
  lesson.section("4. The block, and its state", R"(\text{out}\big(y \odot \text{SiLU}(z)\big))",
                 "Gu & Dao 2023, section 3.4");
  NoGrad guard;
  manual_seed(lesson.seed());
  const Options numbers = lesson.options();
  Mamba m({.dim = 32});
  m.to(numbers.device);
  const Tensor x = randn({2, 40, 32}, {f32, numbers.device}), whole = m.forward(x);
  for (int64_t prompt : {0, 1, 2, 17}) {
    Mamba::State state;
    std::vector<Tensor> y{m.step(x.narrow(1, 0, prompt), state)};
    for (int64_t t = prompt; t < 40; ++t) y.push_back(m.step(x.narrow(1, t, 1), state));
    lesson.expect(fmt::format("a prompt of {}, then token by token, all at once: largest difference", prompt),
                  largest(cat(y, 1) - whole), Below{1e-5});
  }
  Mamba::State state;
  std::vector<double> bytes;
  for (int64_t t : {1, 2, 3, 34}) {
    m.step(x.narrow(1, 0, t), state);
    bytes.push_back(double(bytes_of(state.tensors())) / 2);
  }
  lesson.value("bytes of the state", bytes.back());
  lesson.expect("bytes of a sample's state after 40 tokens over those after one", bytes.back() / bytes[0], Equals{1});
}

void duality(Lesson& lesson) {
  lesson.section("7. One decay per head: masked attention", R"(Y = (L \circ C B^\top)\, \Delta X)", "Dao & Gu 2024");
  NoGrad guard;
  const int64_t n = 100, heads = 2, N = 8, width = 8;
  Generator g(lesson.seed());
  const SsdInputs in{.x = randn({1, n, heads, width}, f64, &g),
                     .delta = softplus(randn({1, n, heads}, f64, &g) - 2),
                     .A = -tensor({1, 8}, f64),
                     .B = randn({1, n, 1, N}, f64, &g),
                     .C = randn({1, n, 1, N}, f64, &g)};
  Tensor state;
  const Tensor y = ssd(in, state, {.form = StateForm::recurrent});
  double worst = 0;
  for (const MatrixStateOptions& o : std::vector<MatrixStateOptions>{
           {StateForm::parallel}, {StateForm::chunked, 1}, {StateForm::chunked, 7}, {StateForm::chunked, 64}}) {
    Tensor other;
    worst = std::max({worst, largest(ssd(in, other, o) - y), largest(other - state)});
  }
  lesson.expect("step by step, all pairs, chunks of 1, 7 and 64: largest difference", worst, Below{1e-10});
  const Tensor sums = cumsum(select(in.delta, 2, 0)[0] * in.A[0], 0);
  const Tensor L = tril(exp(tril(unsqueeze(sums, 1) - unsqueeze(sums, 0)))),
               M = L * matmul(in.C[0].select(1, 0), in.B[0].select(1, 0).t());  // (9.61)
  lesson.heatmap("mask", L.narrow(0, 0, 48).narrow(1, 0, 48),
                 {.x = "token read from",
                  .y = "token that reads",
                  .low = 0,
                  .high = 1,
                  .caption =
                      "L for 48 tokens: causal, and faded by the steps between. A mask that the tokens choose."});
  const Tensor below = M.narrow(0, 50, 50).narrow(1, 0, 50);
  const Tensor s = sqrt(clamp(std::get<0>(eigh(matmul(below, below.t()))), 0));
  lesson.expect("a block of 50 x 50 below the diagonal: rank, N",
                double(count_nonzero(s > 1e-6 * max(s)).item<int64_t>()), Equals{double(N)});  // (9.62)
  const Tensor on = L.narrow(0, 0, 50).narrow(1, 0, 50);
  lesson.expect("a block on the diagonal of L: full rank, least of its diagonal", min(diagonal(on)).item(), Equals{1});
  chunk_by_chunk(lesson);
}

void both_ends(Lesson& lesson) {
  lesson.section(
      "8. Mamba-3: both ends of a step, and a state that turns",
      R"(S_t = e^{\Delta_t A_t} (S_{t-1} + (1 - \lambda_t) \Delta_t B_{t-1} x_{t-1}^\top) + \lambda_t \Delta_t B_t x_t^\top)",
      "Lahoti et al. 2026, arXiv 2603.15569");
  NoGrad guard;
  // x' = -x + sin 3t from x(0) = 0, at t = 2.
  const double exact = (3 * std::exp(-2.) + std::sin(6.) - 3 * std::cos(6.)) / 10;
  std::vector<Series> curves;
  for (double lambda : {1., 0.5}) {
    Series s{.name = fmt::format("λ = {:g}", lambda)};
    for (int64_t n = 8; n <= 256; n *= 2) {
      const double step = 2. / double(n);
      const Shape all{1, 1, n + 1};
      const Tensor one = ones({1, 1, n + 1, 2}, f64) * tensor({1, 0}, f64);
      Mamba3::State state;
      const Tensor y = trapezoidal_ssd({.x = sin(3 * step * arange(0, n + 1, 1, f64)).reshape({1, 1, n + 1, 1}),
                                        .delta = full(all, step, f64),
                                        .A = full(all, -1, f64),
                                        .lambda = full(all, lambda, f64),
                                        .B = one,
                                        .C = one,
                                        .angle = zeros({1, 1, n + 1, 1}, f64)},
                                       state);
      s.x.push_back(step), s.y.push_back(std::abs(y.select(2, n).item() - exact));
    }
    lesson.expect(fmt::format("λ = {:g}: order of the error in the step", lambda),
                  std::log2(s.y[s.y.size() - 2] / s.y.back()), lambda == 1 ? Within{0.9, 1.1} : Within{1.9, 2.1});
    curves.push_back(s);
  }
  lesson.plot("order", curves, {.x = "step", .y = "error", .log = true, .caption = "x' = -x + sin 3t, at t = 2."});
  // Parity: a token 1 turns the state by half a circle, a token 0 leaves it.
  Generator g(lesson.seed());
  const int64_t n = 200;
  const Tensor bits = randint(0, 2, {n}, i64, &g).to(f64), count = cumsum(bits, 0);
  const Shape all{1, 1, n};
  const Tensor first = cat({ones({1}, f64), zeros({n - 1}, f64)}, 0).reshape({1, 1, n, 1}),
               one = ones({1, 1, n, 2}, f64) * tensor({1, 0}, f64);
  Mamba3::State state;
  const Tensor y = trapezoidal_ssd({.x = first,
                                    .delta = ones(all, f64),
                                    .A = zeros(all, f64),
                                    .lambda = ones(all, f64),
                                    .B = one,
                                    .C = one,
                                    .angle = M_PI * (count - count[0]).reshape({1, 1, n, 1})},
                                   state)
                       .reshape({n});
  const Tensor parity = 1 - 2 * remainder(count - count[0], 2.);
  lesson.expect("a state that turns counts 200 bits modulo 2: largest error", largest(y - parity), Below{1e-10});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "09c",
                 .name = "09c_mamba",
                 .title = "Mamba",
                 .about =
                     "A state space model whose step depends on the token: how it is computed, what it can do that a "
                     "fixed one cannot, and why it is masked attention.",
                 .full_time = "2 min"});
  Setup setup;
  setup.steps = lesson.option("steps", Sizes{.full = 1000, .quick = 600, .tiny = 1}, "of training on induction heads");
  setup.copy_steps =
      lesson.option("copy-steps", Sizes{.full = 1000, .quick = 500, .tiny = 1}, "of training on copying");
  setup.seeds = lesson.option("seeds", Sizes{.full = 3, .quick = 1, .tiny = 1}, "nets trained of each kind");
  setup.batch = lesson.option("batch", Sizes{.full = 32, .quick = 32, .tiny = 1}, "tasks per step");
  const int64_t counted =
      lesson.option("counted", Sizes{.full = 65536, .quick = 4096, .tiny = 64, .least = 16}, "steps of counted scans");
  const int64_t longest =
      lesson.option("longest", Sizes{.full = 1 << 18, .quick = 1 << 16, .tiny = 256, .least = 256}, "steps timed");
  const int64_t tokens =
      lesson.option("tokens", Sizes{.full = 1024, .quick = 512, .tiny = 16}, "of the scan whose memory is measured");
  const Options numbers{is_half(lesson.dtype()) ? f32 : lesson.dtype(), lesson.device()};
  from_fixed_to_selected(lesson);
  scans(lesson, counted, longest, numbers);
  memory(lesson, tokens, numbers);
  the_block(lesson);
  copying(lesson, setup);
  induction_heads(lesson, setup);
  duality(lesson);
  both_ends(lesson);
  return lesson.finish();
}
