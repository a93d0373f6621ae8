// Laws, samplers and noise that the tests of diffusion share.
#pragma once
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "nn/diffusion/samplers/ancestral.h"
#include "nn/diffusion/samplers/churn.h"
#include "nn/diffusion/samplers/ddim.h"
#include "nn/diffusion/samplers/dpm_solver.h"
#include "nn/diffusion/samplers/langevin.h"
#include "nn/diffusion/samplers/ode.h"
#include "nn/diffusion/samplers/rk45.h"
#include "nn/diffusion/samplers/sde.h"

namespace ink::test {

// Three Gaussians in the plane, of which none is like another.
inline diffusion::Mixture three_gaussians() {
  return diffusion::gaussian_mixture(from_data({-1, 0.5, 1, 1, 0.2, -1.4}, {3, 2}, f64),
                                     from_data({0.3, 0.2, 0.4}, {3}, f64), from_data({1, 2, 3}, {3}, f64));
}

// The samplers that go through a list of steps, each with a name. The process is to have a = 1 for the one with levels.
struct Named {
  std::string name;
  std::unique_ptr<diffusion::Sampler> sampler;
  bool draws;         // noise
  bool ends_noisily;  // its last step adds noise, or leaves some
};
inline std::vector<Named> all_samplers() {
  using namespace diffusion;
  std::vector<Named> all;
  all.push_back({"Euler", std::make_unique<Euler>(), false, false});
  all.push_back({"Heun", std::make_unique<Heun>(), false, false});
  all.push_back({"Midpoint", std::make_unique<Midpoint>(), false, false});
  all.push_back({"SecondOrder(2/3)", std::make_unique<SecondOrder>(2. / 3), false, false});
  all.push_back({"RungeKutta4", std::make_unique<RungeKutta4>(), false, false});
  all.push_back(
      {"EdmChurn", std::make_unique<EdmChurn>(ChurnOptions{.churn = 10, .least = 0.05, .most = 50}), true, false});
  all.push_back({"Ddim(0)", std::make_unique<Ddim>(0.), false, false});
  all.push_back({"Ddim(0.5)", std::make_unique<Ddim>(0.5), true, false});
  all.push_back({"Ancestral(small)", std::make_unique<Ancestral>(), true, false});
  all.push_back({"Ancestral(large)", std::make_unique<Ancestral>(AncestralVariance::large), true, false});
  all.push_back({"DpmSolver(1)", std::make_unique<DpmSolver>(1), false, false});
  all.push_back({"DpmSolver(2)", std::make_unique<DpmSolver>(2), false, false});
  all.push_back({"DpmSolver(3)", std::make_unique<DpmSolver>(3), false, false});
  all.push_back({"DpmSolverPP2M", std::make_unique<DpmSolverPP2M>(), false, false});
  all.push_back({"EulerMaruyama", std::make_unique<EulerMaruyama>(), true, true});
  all.push_back({"EulerMaruyama(0.5)", std::make_unique<EulerMaruyama>(0.5), true, true});
  all.push_back({"ReverseDiffusion", std::make_unique<ReverseDiffusion>(), true, true});
  return all;
}

// Draws that were decided beforehand: number `index` is `value` everywhere, the others are 0.
struct OneDraw : diffusion::NoiseSource {
  int64_t index = -1, drawn = 0;
  double value = 1;
  Tensor draw(const Shape& shape, Device device) override {
    return full(shape, drawn++ == index ? value : 0., Options(f64, device));
  }
};

}  // namespace ink::test
