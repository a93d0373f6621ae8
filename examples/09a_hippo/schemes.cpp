// Discretisation in lesson 09a: a mass on a spring under five schemes, forward Euler on LegS, and LegS's own 1 / t.
#include "examples/09a_hippo/schemes.h"

#include <fmt/format.h>

#include <array>

#include "examples/09a_hippo/memory.h"
#include "examples/09a_hippo/steps.h"

namespace ink::lesson {
namespace {

struct Scheme {
  const char* name;
  Discretisation method;
  int order;
};
const Scheme kSchemes[] = {{"forward Euler", Discretisation::forward_euler, 1},
                           {"backward Euler", Discretisation::backward_euler, 1},
                           {"exponential, Euler's B", Discretisation::euler_b, 1},
                           {"bilinear", Discretisation::bilinear, 2},
                           {"exact (ZOH)", Discretisation::zoh, 2}};

// A mass of 1 on a spring of strength 40 with friction 5, as the annotated S4 has it.
const double kForce = 10;
double force(double t) { return std::sin(kForce * t); }
Tensor spring_matrix() { return tensor({{0, 1}, {-40, -5}}, f64); }
Tensor spring_input() { return tensor({0, 1}, f64); }

// Place over time under the force, `steps` of them in one second.
Samples places(Discretisation method, int64_t steps) {
  Samples y;
  for (const Tensor& x :
       run(discretise(spring_matrix(), spring_input(), 1 / double(steps), method), sampled(force, steps, 0, 1)))
    y.push_back(x[0].item());
  return y;
}

// The slope of log error over log steps between the last two; NaN for fewer.
double order_of(const Series& s) {
  const size_t n = s.y.size();
  if (n < 2) return NAN;
  return -std::log(s.y[n - 1] / s.y[n - 2]) / std::log(s.x[n - 1] / s.x[n - 2]);
}

void a_spring(Lesson& lesson) {
  one_step_of_a_scheme(lesson);
  const int64_t coarse = 20, finest = lesson.mode() == Mode::tiny ? 128 : 512;
  const Samples truth = places(Discretisation::zoh, finest);
  std::vector<Series> paths{curve("the motion", 1 / double(finest), 1, truth)}, errors;
  // two fine runs of second order tell where they go
  const double exact = truth.back() + (truth.back() - places(Discretisation::zoh, finest / 2).back()) / 3;
  for (const Scheme& s : kSchemes) {
    paths.push_back(curve(s.name, 1 / double(coarse), 1, places(s.method, coarse), Mark::points));
    Series error{.name = s.name};
    for (int64_t steps = 16; steps <= finest / 4; steps *= 2)
      error.x.push_back(double(steps)), error.y.push_back(std::abs(places(s.method, steps).back() - exact));
    errors.push_back(error);
    lesson.expect(fmt::format("{}: order", s.name), order_of(error), Within{s.order - 0.2, s.order + 0.2},
                  Needs::training);
  }
  lesson.plot("spring", paths,
              {.x = "seconds",
               .y = "place",
               .caption = "20 steps a second. Forward Euler swings too far, "
                          "backward Euler not far enough."});
  lesson.plot("orders", errors,
              {.x = "steps a second",
               .y = "error after one second",
               .log = true,
               .caption = "First order: half the step, half the error. Second order: a quarter."});
}

// The largest number that LegS holds over 400 samples.
double largest_state(int64_t n, OverTimeScheme scheme) {
  const Hippo h = hippo(HippoKind::legs, n);
  const Samples u = sampled(noise(4, 1), 400, 0, 1);
  Tensor x = to(arange(0, n, 1, f64) == 0, f64) * u[0], worst = x;
  for (size_t k = 1; k < u.size(); ++k) {
    const double now = 1 / double(k), next = 1 / double(k + 1);
    switch (scheme) {
      case OverTimeScheme::forward_euler:
        x = x + now * (legs_multiply(x) + h.B * u[k]);
        break;
      case OverTimeScheme::backward_euler:
        x = legs_solve(x + (next * u[k]) * h.B, next);
        break;
      default:
        x = legs_step(x, h.B, u[k], int64_t(k));
    }
    worst = maximum(worst, abs(x));
  }
  return largest(worst);
}

void it_blows_up(Lesson& lesson, int64_t most) {
  std::vector<Series> curves{{.name = "forward Euler"},
                             {.name = "backward Euler"},
                             {.name = "bilinear at the midpoint"}};
  for (int64_t n = 8; n <= std::max<int64_t>(most, 9); n += 8)
    for (size_t i = 0; i < 3; ++i) {
      const OverTimeScheme schemes[] = {OverTimeScheme::forward_euler, OverTimeScheme::backward_euler,
                                        OverTimeScheme::midpoint};
      curves[i].x.push_back(double(n)), curves[i].y.push_back(largest_state(n, schemes[i]));
    }
  lesson.plot(
      "blow-up", curves,
      {.x = "coefficients",
       .y = "largest number held",
       .log_y = true,
       .references = {{3.4e38, "largest f32"}},
       .caption =
           "LegS over 400 samples: A has eigenvalues to -N, and while k < N / 2 a forward step of N / k turns over."});
  lesson.expect("forward Euler, 64 coefficients: largest number, in units of the largest f32",
                largest_state(64, OverTimeScheme::forward_euler) / 3.4e38, Above{1});
  lesson.expect("bilinear at the midpoint, 64 coefficients", largest_state(64, OverTimeScheme::midpoint), Below{10});
}

// LegS from time 10 to 20 under a smooth input, `rate` steps a unit.
Tensor legs_after(int64_t rate, OverTimeScheme scheme) {
  const Hippo h = hippo(HippoKind::legs, 4);
  Tensor x = tensor({1, 0.5, -0.25, 0.125}, f64);
  for (int64_t k = 10 * rate; k < 20 * rate; ++k) {
    const DiscreteSystem s = step_over_time(h.A, h.B, k, scheme);
    x = matmul(s.A, x) + s.B * std::sin(0.3 * (double(k) + 0.5) / double(rate));
  }
  return x;
}

struct OverTime {
  const char* name;
  OverTimeScheme scheme;
  double order;
};
const OverTime kOverTime[] = {{"forward Euler", OverTimeScheme::forward_euler, 1},
                              {"backward Euler", OverTimeScheme::backward_euler, 1},
                              {"bilinear of the note", OverTimeScheme::bilinear_plain, 1},
                              {"bilinear at the midpoint", OverTimeScheme::midpoint, 2},
                              {"exact (ZOH)", OverTimeScheme::zoh, 2}};

void orders_over_time(Lesson& lesson) {
  const Tensor fine = legs_after(32, OverTimeScheme::zoh),
               exact = fine + (fine - legs_after(16, OverTimeScheme::zoh)) / 3;
  std::vector<Series> errors;
  for (const OverTime& s : kOverTime) {
    Series error{.name = s.name};
    for (int64_t rate : {1, 2, 4, 8})
      error.x.push_back(double(rate)), error.y.push_back(largest(legs_after(rate, s.scheme) - exact));
    errors.push_back(error);
    lesson.expect(fmt::format("LegS, {}: order", s.name), order_of(error), Within{s.order - 0.2, s.order + 0.2});
  }
  lesson.plot("legs-orders", errors,
              {.x = "steps a unit of time",
               .y = "error",
               .log = true,
               .caption = "LegS from t = 10 to 20 under a sine: taking 1/t at two times costs an order."});
}

}  // namespace

void from_equation_to_steps(Lesson& lesson, int64_t most) {
  lesson.section("4. From an equation to steps",
                 R"((I - \alpha \Delta A)\, x_k = (I + (1 - \alpha) \Delta A)\, x_{k-1} + \Delta B u_k)",
                 "Su 2024, kexue.fm 10137; Tustin 1947; Gu et al. 2021, LSSL");
  a_spring(lesson);
  it_blows_up(lesson, most);
}

void steps_of_legs(Lesson& lesson) {
  lesson.section(
      "5. Steps of LegS",
      R"((I - \tfrac{h}{2} A)\, x_{k+1} = (I + \tfrac{h}{2} A)\, x_k + h B u_k, \quad h = \frac{1}{k + 1/2})",
      "Su 2024, kexue.fm 10137");
  const Hippo h = hippo(HippoKind::legs, 3);
  const double note = remember(h, {1, 2}, OverTimeScheme::bilinear_plain)[0].item(),
               midpoint = remember(h, {1, 2}, OverTimeScheme::midpoint)[0].item();
  lesson.value("mean of 1 and 2, the note's step", note), lesson.value("mean of 1 and 2, midpoint", midpoint);
  lesson.expect("the note's bilinear step makes 2 of the mean of 1 and 2: difference", std::abs(note - 2),
                Below{1e-12});
  lesson.expect("at the midpoint it is 1.5: difference", std::abs(midpoint - 1.5), Below{1e-12});
  two_samples(lesson, "1, then 2: the note's step", OverTimeScheme::bilinear_plain, 1. / 4, 1. / 2, 1,
              "The first coefficient should be the mean 1.5, and is 2: the input was given the weight $1/k = 1$.");
  two_samples(lesson, "1, then 2: at the midpoint", OverTimeScheme::midpoint, 1. / 3, 1. / 3, 2. / 3,
              "With $1/(k + \\frac{1}{2}) = 2/3$ everywhere the first coefficient is the mean, 1.5.");
  double worst = 0, mean = 0;
  const Samples u = sampled(noise(5, 2), 40, 0, 1);
  const std::vector<Tensor> states = run_legs(hippo(HippoKind::legs, 6), u);
  for (size_t k = 0; k < u.size(); ++k) {
    mean += (u[k] - mean) / double(k + 1);
    worst = std::max(worst, std::abs(states[k][0].item() - mean));
  }
  lesson.expect("at the midpoint x_0 is the running mean of any signal: largest difference over 40 samples", worst,
                Below{1e-12});
  orders_over_time(lesson);
  // A staircase, each stair sampled once, twice and three times.
  const Samples stairs{3, -1, 4, 1, -5, 9, 2, 6};
  const auto memory = [&](HippoKind kind, size_t times) {
    const Hippo own = hippo(kind, 6, 4);
    Samples dense;
    for (double v : stairs) dense.insert(dense.end(), times, v);
    if (own.over_time) return remember(own, dense, OverTimeScheme::zoh);
    return run(discretise(own.A, own.B, 1, Discretisation::zoh), dense).back();
  };
  std::vector<Series> bars;
  std::vector<std::string> labels;
  for (size_t times : {1, 2, 3})
    bars.push_back(
        {.name = fmt::format("sampled {} x", times), .y = memory(HippoKind::legs, times).to_vector<double>()});
  for (int n = 0; n < 6; ++n) labels.push_back(fmt::format("x{}", n));
  lesson.bars("density", labels, bars,
              {.y = "coefficient",
               .caption = "LegS after the same eight stairs, sampled more and more densely, exact steps: nothing "
                          "changes, and no step size was given."});
  const auto change = [&](HippoKind kind) {
    return largest(memory(kind, 3) - memory(kind, 1)) / largest(memory(kind, 1));
  };
  lesson.expect("a staircase sampled three times as densely: LegS changes by", change(HippoKind::legs), Below{1e-10});
  lesson.expect("and LegT, whose window is a number of samples, by", change(HippoKind::legt), Above{0.1});
}

}  // namespace ink::lesson
