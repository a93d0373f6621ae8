// HiPPO: a function read once, remembered in a few numbers, by a linear system
#include <fmt/format.h>

#include "examples/09a_hippo/delay.h"
#include "examples/09a_hippo/memory.h"
#include "examples/09a_hippo/schemes.h"
#include "examples/09a_hippo/steps.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

// The slope of the true coefficients, by central differences of their integrals.
Tensor slope_of(const Hippo& h, const Curve& u, const std::function<double(double)>& begin, double T) {
  const double e = 1e-4;
  return (coefficients(h, u, begin(T + e), T + e) - coefficients(h, u, begin(T - e), T - e)) / (2 * e);
}

void a_linear_system_appears(Lesson& lesson, int64_t rate, int64_t most) {
  lesson.section("1. A memory is a few coefficients",
                 R"(c_n' = \tfrac{1}{w} \big(2 \pi i n\, c_n + u(T) - u(T - w)\big))",
                 "Su 2024, kexue.fm 10114; Gu et al. 2020");
  const double T = 1.3;
  const Hippo h = hippo(HippoKind::fout, 33);
  const Tensor c = coefficients(h, sine, T - 1, T), n = arange(-16, 17, 1, f64);
  const Tensor turned = c * complex_of(zeros_like(n), 2 * std::numbers::pi * n);
  lesson.expect("the slope of the coefficients: largest difference from the formula",
                largest(slope_of(
                            h, sine, [](double t) { return t - 1; }, T) -
                        (turned + (sine(T) - sine(T - 1)))),
                Below{5e-3});
  const Samples s = evenly(401), series = seen(h, c, s);
  lesson.plot("jump", {curve("u", T - 1, T, sampled(sine, 400, T - 1, T)), curve("33 coefficients", T - 1, T, series)},
              {.x = "time",
               .y = "u",
               .caption = "A Fourier series repeats: where the window ends and begins anew it "
                          "jumps, and passes through the middle of the jump."});
  lesson.expect("at the end that leaves, the series is the mean of both ends: difference",
                std::abs(series[0] - (sine(T) + sine(T - 1)) / 2), Below{0.02});
  lesson.expect("and not the sample that leaves: difference", std::abs(series[0] - sine(T - 1)), Above{0.2});
  Series note{.name = "the note's closing"}, both{.name = "mean of both ends"};
  for (int64_t count = 5; count <= most; count = 2 * count - 1) {
    note.x.push_back(double(count)), both.x.push_back(double(count));
    note.y.push_back(window_misses(HippoKind::fout_plain, count, sine, rate));
    both.y.push_back(window_misses(HippoKind::fout, count, sine, rate));
    lesson.value(fmt::format("FouT of the note, {} coefficients", count), note.y.back());
    lesson.value(fmt::format("FouT, {} coefficients", count), both.y.back());
  }
  lesson.plot("fourier", {note, both},
              {.x = "coefficients",
               .y = "RMSE",
               .log = true,
               .caption = "sin 7t after two windows of 1: one of the two converges."});
  lesson.expect("the note's closing stalls: error with the most over that with the fewest coefficients",
                note.y.back() / note.y.front(), Above{0.8}, Needs::training);
  lesson.expect("the mean of both ends converges: the same ratio", both.y.back() / both.y.front(), Below{0.25},
                Needs::training);
}

void a_window(Lesson& lesson, int64_t rate) {
  lesson.section(
      "2. The recipe, and Legendre: a window",
      R"(x' = \tfrac{1}{w} (A x + B u), \quad A_{nk} = -v_n v_k \;(k \le n), \; -(-1)^{n-k} v_n v_k \;(k > n))",
      "Gu et al. 2020; Voelker et al. 2019");
  const Curve u = noise(6, lesson.seed());
  const Hippo legt = hippo(HippoKind::legt, 24), fout = hippo(HippoKind::fout, 25);
  const auto after = [&](const Hippo& h) {
    return run(discretise(h.A, h.B, 1 / double(rate), Discretisation::bilinear), sampled(u, 2 * rate, 0, 2));
  };
  const std::vector<Tensor> a = after(legt), b = after(fout);
  std::vector<Series> curves{curve("u", 0, 2, sampled(u, 600, 0, 2))};
  const Samples s = evenly(201);
  Series of_both[] = {{.name = "LegT", .mark = Mark::dashed}, {.name = "FouT", .mark = Mark::dashed}};
  for (const double T : {1.0, 2.0}) {
    const size_t k = size_t(T * double(rate)) - 1;
    append(of_both[0], curve("", T - 1, T, seen(legt, a[k], s)));
    append(of_both[1], curve("", T - 1, T, seen(fout, b[k], s)));
  }
  curves.insert(curves.end(), std::begin(of_both), std::end(of_both));
  lesson.plot("windows", curves,
              {.x = "time",
               .y = "u",
               .caption = "What 24 and 25 numbers hold at T = 1 and at T = 2 of "
                          "the window before: noise of 6 cycles a window."});
  const double of_legt = misses(legt, a.back(), u, 1, 2), of_fout = misses(fout, b.back(), u, 1, 2);
  lesson.value("LegT at T = 2", of_legt), lesson.value("FouT at T = 2", of_fout);
  lesson.expect("LegT: RMSE at T = 2", of_legt, Below{0.05}, Needs::training);
  lesson.expect("FouT's over LegT's", of_fout / of_legt, Above{5}, Needs::training);
}

void all_of_the_past(Lesson& lesson, int64_t rate, int64_t most) {
  lesson.section("3. All of the past: LegS",
                 R"(x' = \tfrac{1}{t} (A x + B u), \quad A_{nk} = -v_n v_k \;(k < n), \; -(n+1) \;(k = n))",
                 "Gu et al. 2020, theorem 2");
  const double T = 0.8, cycles = 6;
  const Curve u = noise(int64_t(cycles), lesson.seed());
  const Hippo h = hippo(HippoKind::legs, 9);
  const Tensor c = coefficients(h, u, 0, T);
  lesson.expect("no closing is needed: slope of the true coefficients against (A c + B u) / T, largest difference",
                largest(slope_of(
                            h, u, [](double) { return 0.; }, T) -
                        (matmul(h.A, c) + h.B * u(T)) / T),
                Below{5e-3});
  const Samples samples = sampled(u, rate, 0, 1), s = evenly(201);
  const Hippo small = hippo(HippoKind::legs, 16), large = hippo(HippoKind::legs, 32);
  const std::vector<Tensor> states = run_legs(small, samples);
  std::vector<Series> curves{curve("u", 0, 1, sampled(u, 600, 0, 1))};
  for (const int64_t part : {1, 2, 4})
    curves.push_back(curve(part == 4 ? "at T = 1" : fmt::format("at T = {}", double(part) / 4), 0, double(part) / 4,
                           seen(small, states[size_t(rate * part / 4) - 1], s), Mark::dashed));
  lesson.plot("all-times", curves,
              {.x = "time",
               .y = "u",
               .caption = "LegS with 16 numbers: at any time they hold all that was. Of one cycle and of three they "
                          "keep every bend, of six no longer."});
  lesson.expect("the system's memory is the projection: largest difference of 32 coefficients at T = 1",
                largest(run_legs(large, samples).back() - coefficients(large, u, 0, 1)), Below{2e-3}, Needs::training);
  a_memory_sample_by_sample(lesson);
  std::vector<Series> errors{
      {.name = "LegS"}, {.name = "LegT"}, {.name = "FouS"}, {.name = "FouT"}, {.name = "FouT of the note"}};
  const auto legs_misses = [&](int64_t n) {
    const Hippo own = hippo(HippoKind::legs, n);
    return misses(own, run_legs(own, samples).back(), u, 0, 1);
  };
  for (int64_t n = 5; n <= most; n = n < 33 ? n + 4 : 2 * n - 1) {
    const Hippo fous = hippo(HippoKind::fous, n);
    const double found[] = {legs_misses(n), window_misses(HippoKind::legt, n, u, rate / 2),
                            misses(fous, remember(fous, sampled(u, 200, 0, 1), OverTimeScheme::midpoint), u, 0, 1),
                            window_misses(HippoKind::fout, n, u, rate / 2),
                            window_misses(HippoKind::fout_plain, n, u, rate / 2)};
    for (size_t i = 0; i < 5; ++i) errors[i].x.push_back(double(n)), errors[i].y.push_back(found[i]);
  }
  lesson.plot("errors", errors,
              {.x = "coefficients",
               .y = "RMSE",
               .log = true,
               .caption = "Noise of up to 6 cycles in the stretch that is "
                          "remembered: Legendre needs some 6 π numbers, then is exact."});
  const double needed = std::numbers::pi * cycles;
  lesson.expect("LegS with 0.7 π f coefficients: RMSE", legs_misses(int64_t(0.7 * needed)), Above{0.2},
                Needs::training);
  lesson.expect("LegS with 1.5 π f coefficients: RMSE", legs_misses(int64_t(1.5 * needed)), Below{0.01},
                Needs::training);
}

// What is left at time t of a memory of length 1 at time 1: the first coordinate (a mean) and the largest of all.
void how_long(Lesson& lesson) {
  lesson.section("6. How long it lasts",
                 R"(x(t) = e^{A \ln (t / m)} x(m) \;\text{ against }\; x(t) = e^{A (t - m)} x(m))",
                 "Gu et al. 2020, proposition 5; Gu et al. 2022");
  const Hippo h = hippo(HippoKind::legs, 8);
  Series powers{.name = "LegS, with 1/t"}, exponentials{.name = "the same A without 1/t (S4)"};
  const auto left = [&](double time) { return largest(matmul(matrix_exp(time * h.A), h.B)); };
  for (double t = 1; t < 3000; t *= 1.6) {
    powers.x.push_back(t), powers.y.push_back(left(std::log(t)));
    if (t > 40) continue;
    exponentials.x.push_back(t), exponentials.y.push_back(left(t - 1));
  }
  lesson.plot("decay", {powers, exponentials},
              {.x = "time t since the beginning, what happened at m = 1",
               .y = "largest coefficient left",
               .log = true,
               .caption =
                   "A straight line is a power of t, and a sample's share of a mean falls as 1/t; the other memory "
                   "is gone after a few units of time."});
  lesson.expect("LegS: exponent of the decay", std::log(left(std::log(4e5)) / left(std::log(2e5))) / std::log(2.),
                Within{-1.02, -0.98});
  double worst = 0;
  for (double t : {0.1, 1., 3.}) {
    const Tensor response = matmul(matrix_exp(t * h.A), h.B),
                 closed = std::exp(-t) * hippo_basis(h, full({}, std::exp(-t), f64));
    worst = std::max(worst, largest(response - closed));
  }
  lesson.expect("without 1/t: impulse response against e^-t v_n P_n(2 e^-t - 1), largest difference", worst,
                Below{1e-11});
}

void linear_cost(Lesson& lesson, int64_t most) {
  lesson.section("7. Linear cost", R"((A x)_n = n x_n - v_n S_n, \quad S_n = S_{n-1} + v_n x_n)",
                 "Gu et al. 2020, proposition 4; Su 2024, kexue.fm 10137");
  product_as_running_sum(lesson);
  solution_as_recurrence(lesson);
  Series dense{.name = "dense product"}, sums{.name = "running sum"};
  double worst = 0;
  for (int64_t n = 16; n <= most; n *= 2) {
    const Hippo h = hippo(HippoKind::legs, n);
    const Tensor x = randn({n}, f64), step = eye(n, f64) - 0.01 * h.A;
    Tensor product, sum;
    dense.x.push_back(double(n)), sums.x.push_back(double(n));
    dense.y.push_back(flops([&] { product = matmul(h.A, x); }));
    sums.y.push_back(flops([&] { sum = legs_multiply(x); }));
    worst = std::max({worst, largest(product - sum) / largest(product),
                      largest(matmul(step, legs_solve(x, 0.01)) - x) / largest(x)});
  }
  lesson.plot("cost", {dense, sums},
              {.x = "coefficients n", .y = "operations", .log = true, .caption = "Counted. Slopes 2 and 1."});
  lesson.expect("product and solution against the dense ones, relative", worst, Below{1e-9});
  lesson.expect("operations when n doubles: dense", dense.y.back() / dense.y[dense.y.size() - 2], Within{3.9, 4.1});
  lesson.expect("operations when n doubles: running sum", sums.y.back() / sums.y[sums.y.size() - 2], Within{1.9, 2.1});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(
      argc, argv,
      {.note = "09",
       .name = "09a_hippo",
       .title = "HiPPO: a function remembered",
       .about = "Coefficients of the past in a basis follow a linear system: Fourier and Legendre, a window and all of "
                "the past, how to step it, how long it remembers, what can be read back.",
       .full_time = "10 s"});
  const int64_t rate =
      lesson.option("rate", Sizes{.full = 2000, .quick = 1000, .tiny = 20, .least = 20}, "samples a window");
  const int64_t most =
      lesson.option("most", Sizes{.full = 129, .quick = 65, .tiny = 9, .least = 9}, "coefficients, at most");
  const int64_t samples = lesson.option("samples", Sizes{.full = 21000, .quick = 8000, .tiny = 1200, .least = 1200},
                                        "of noise for the delay line");
  const int64_t state = lesson.option("state", Sizes{.full = 64, .quick = 64, .tiny = 8, .least = 8, .multiple = 2},
                                      "numbers of the delay line");
  NoGrad guard;
  a_linear_system_appears(lesson, rate, most);
  a_window(lesson, rate);
  all_of_the_past(lesson, rate, most);
  from_equation_to_steps(lesson, most);
  steps_of_legs(lesson);
  how_long(lesson);
  linear_cost(lesson, 512);
  a_delay_line(lesson, samples, state);
  return lesson.finish();
}
