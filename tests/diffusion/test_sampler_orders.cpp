// Solvers against the truth: their orders on a mixture of Gaussians, the exact flow of one Gaussian.
#include "tests/catch.h"
#include "tests/diffusion/laws.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

// The slope of -ln(error) against ln(steps), by least squares over 72, 144, 288 steps between two noise levels.
double measured_order(const Process& p, Sampler& sampler, std::vector<double> (*grid)(const Process&, int64_t)) {
  const Mixture law = three_gaussians();
  const Tensor start = normal({8, 2}, 1) * 8;
  const double first = grid(p, 1)[0], last = grid(p, 1)[1];
  const Tensor x = start * p.a(first);
  const Rk45Result truth = sample_rk45(p, law, x, first, last, {.rtol = 1e-12, .atol = 1e-13});
  std::vector<double> ln_steps, ln_error;
  for (int64_t n : {72, 144, 288}) {
    const Tensor got = sample(p, law, sampler, x, through(grid(p, n)));
    ln_steps.push_back(std::log(double(n)));
    ln_error.push_back(std::log(norm(got - truth.x).item()));
  }
  return (ln_error[0] - ln_error[2]) / (ln_steps[2] - ln_steps[0]);
}

std::vector<double> in_log_sigma(const Process& p, int64_t n) {
  std::vector<double> grid = log_grid(n, 8, 0.15);
  for (double& s : grid) s = p.time(s);
  return grid;
}
std::vector<double> by_rho(const Process& p, int64_t n) {
  std::vector<double> grid = edm_grid(n + 1, 0.15, 8);
  grid.pop_back();
  for (double& s : grid) s = p.time(s);
  return grid;
}

}  // namespace

TEST_CASE("orders of the solvers on a mixture", "[diffusion][orders]") {
  struct Case {
    const char* name;
    std::unique_ptr<Sampler> sampler;
    double order;
  };
  std::vector<Case> cases;
  cases.push_back({"Euler", std::make_unique<Euler>(), 1});
  cases.push_back({"DDIM", std::make_unique<Ddim>(), 1});
  cases.push_back({"Heun", std::make_unique<Heun>(), 2});
  cases.push_back({"midpoint", std::make_unique<Midpoint>(), 2});
  cases.push_back({"second order, 2/3", std::make_unique<SecondOrder>(2. / 3), 2});
  cases.push_back({"DPM-Solver-2", std::make_unique<DpmSolver>(2), 2});
  cases.push_back({"DPM-Solver++(2M)", std::make_unique<DpmSolverPP2M>(), 2});
  cases.push_back({"DPM-Solver-3", std::make_unique<DpmSolver>(3), 3});
  cases.push_back({"RK4", std::make_unique<RungeKutta4>(), 4});
  const Edm edm;
  const FlowMatching fm;
  const VariancePreserving vp;
  for (const Case& c : cases) {
    INFO(c.name);
    CHECK(measured_order(edm, *c.sampler, in_log_sigma) == Approx(c.order).margin(0.1));
    CHECK(measured_order(edm, *c.sampler, by_rho) == Approx(c.order).margin(0.1));
    CHECK(measured_order(fm, *c.sampler, in_log_sigma) == Approx(c.order).margin(0.1));
    CHECK(measured_order(vp, *c.sampler, in_log_sigma) == Approx(c.order).margin(0.1));
  }
}

TEST_CASE("the probability-flow ODE of a Gaussian ends where its closed form says", "[diffusion][orders]") {
  const Tensor m = from_data({1, -2}, {2}, f64), x = normal({4, 2}, 2) * 80;
  const double s = 0.6;
  const Mixture law = gaussian(m, s);
  auto exact = [&](const Process& p, double from, double to) {  // in EDM's frame
    return p.a(to) *
           (m + (x - m) * std::sqrt((s * s + p.sigma(to) * p.sigma(to)) / (s * s + p.sigma(from) * p.sigma(from))));
  };
  const Edm edm;
  CHECK(difference(sample_rk45(edm, law, x, 80, 0.002, {.rtol = 1e-10, .atol = 1e-10}).x, exact(edm, 80, 0.002)) <
        1e-8);
  for (const Process* p :
       std::initializer_list<const Process*>{new FlowMatching, new VariancePreserving, new SubVariancePreserving}) {
    const std::unique_ptr<const Process> owned(p);
    const double from = p->time(40), to = p->time(0.01);
    const Rk45Result got = sample_rk45(*p, law, x * p->a(from), from, to, {.rtol = 1e-10, .atol = 1e-10});
    CHECK(difference(got.x, exact(*p, from, to)) < 1e-8);
  }
  // back and forth
  const Tensor there = sample_rk45(edm, law, x, 80, 0.01, {.rtol = 1e-10, .atol = 1e-10}).x;
  CHECK(difference(sample_rk45(edm, law, there, 0.01, 80, {.rtol = 1e-10, .atol = 1e-10}).x, x) < 1e-6);
  Heun heun;
  const Tensor fine = sample(edm, law, heun, x, through(log_grid(400, 80, 0.002)));
  CHECK(difference(fine, exact(edm, 80, 0.002)) < 1e-3);
}

TEST_CASE("RK45: tolerance, count, steps of its own for each sample, refusals", "[diffusion][orders]") {
  // dx/dt = rate x with another rate for each sample
  const Tensor rate = from_data({-1, 30}, {2, 1}, f64), x = ones({2, 1}, f64);
  auto u = [&](const Tensor& at, const Tensor&) { return rate * at; };
  const Rk45Result r = rk45(u, x, 0, 1, {.rtol = 1e-9, .atol = 1e-9});
  CHECK(r.x[0].item() == Approx(std::exp(-1.)).epsilon(1e-8));
  CHECK(r.x[1].item() == Approx(std::exp(30.)).epsilon(1e-7));
  CHECK(r.evaluations % 6 == 1);
  const Rk45Result loose = rk45(u, x, 0, 1, {.rtol = 1e-3, .atol = 1e-3});
  CHECK(loose.evaluations < r.evaluations);
  // time goes in: dx/dt = 5 t^4, exact for a method of order 5
  auto power = [](const Tensor& at, const Tensor& t) { return 5 * square(square(t)).unsqueeze(1) + 0 * at; };
  CHECK(rk45(power, zeros({1, 1}, f64), 0, 2).x.item() == Approx(32).epsilon(1e-12));
  CHECK(values(rk45(u, x, 1, 1).x) == values(x));
  CHECK_THROWS_AS(rk45(u, x, 0, 1, {.rtol = 0}), ValueError);
  CHECK_THROWS_AS(rk45(u, x, 0, NAN), ValueError);
  CHECK_THROWS_AS(rk45(u, x, 0, 1, {.rtol = 1e-9, .max_steps = 3}), ValueError);
  auto blows_up = [](const Tensor& at, const Tensor&) { return square(at); };  // infinite at t = 1
  CHECK_THROWS_AS(rk45(blows_up, ones({1, 1}, f64), 0, 2), ValueError);
}
