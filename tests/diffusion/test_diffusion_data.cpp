// Laws in the plane, and denoisers saved with their frame.
#include <cmath>

#include "autograd/graph/mode.h"
#include "nn/diffusion/nets/mlp.h"
#include "nn/diffusion/saved.h"
#include "nn/diffusion/toy.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

TEST_CASE("shapes in the plane: the same for a seed, where they should be", "[diffusion]") {
  using Draw = Tensor (*)(int64_t, Generator*);
  const Draw draws[] = {[](int64_t n, Generator* g) { return moons(n, 0, g); },
                        [](int64_t n, Generator* g) { return swiss_roll(n, 0, g); },
                        [](int64_t n, Generator* g) { return checkerboard(n, g); }};
  for (Draw draw : draws) {
    Generator a(3), b(3), c(4);
    CHECK(draw(0, &a).shape() == Shape{0, 2});
    Generator d(3);
    const Tensor x = draw(50, &d);
    CHECK(x.shape() == Shape{50, 2});
    CHECK(equal(x, draw(50, &b)));
    CHECK_FALSE(equal(x, draw(50, &c)));
  }
  Generator g(1);
  const Tensor m = moons(4000, 0, &g), upper = m.slice(0, 0, 4000, 2), lower = m.slice(0, 1, 4000, 2);
  auto radius = [](const Tensor& x, double cx, double cy) { return norm(x - from_data({cx, cy}, {2}, f64), {1}); };
  CHECK(abs(radius(upper, -0.5, -0.25) - 1).max().item() < 1e-14);
  CHECK(abs(radius(lower, 0.5, 0.25) - 1).max().item() < 1e-14);
  CHECK(upper.select(1, 1).min().item() > -0.2501);
  CHECK(lower.select(1, 1).max().item() < 0.2501);
  CHECK(abs(m.mean(Dims{0})).max().item() < 0.05);
  const Tensor roll = swiss_roll(1000, 0, &g), r = norm(roll, {1});
  CHECK(r.max().item() <= 2);
  CHECK(r.min().item() > 0.66);
  const Tensor angle = r * (4.5 * M_PI / 2);  // the radius tells the angle
  CHECK(difference(roll, stack({r * cos(angle), r * sin(angle)}, 1)) < 1e-12);
  CHECK(std::abs(std::sqrt(square(moons(2000, 0.5, &g) - 0).mean().item()) -
                 std::sqrt(0.25 + square(m).mean().item())) < 0.03);

  const Tensor board = checkerboard(4000, &g);
  CHECK(checkerboard_density(board).min().item() == 0.125);
  // all eight fields, each as often
  const Tensor field = (floor(board) + 2).to(i64), number = field.select(1, 0) * 4 + field.select(1, 1);
  int fields = 0;
  for (int64_t f = 0; f < 16; ++f) {
    const double share = (number == f).to(f64).mean().item();
    if (share == 0) continue;
    ++fields;
    CHECK(std::abs(share - 0.125) < 0.025);
  }
  CHECK(fields == 8);
  const Tensor cells =
      stack({floor(arange(0, 6400, 1, f64) / 80), remainder(arange(0, 6400, 1, f64), 80)}, 1) * 0.05625 - 2.25 + 1e-3;
  CHECK(std::abs((checkerboard_density(cells) * square(tensor({0.05625}, f64))).sum().item() - 1) < 0.02);
  CHECK(checkerboard_density(from_data({-3, -3, -1.9, -1.9, -1.9, -0.9}, {3, 2}, f64)).to_vector<double>() ==
        Values{0, 0.125, 0});
}

TEST_CASE("mixtures of the plane have labels and sample what their density says", "[diffusion]") {
  Generator g(2);
  const Mixture eight = eight_gaussians(2, 0.1), three = three_gaussians();
  CHECK(eight.means[2].to_vector<double>()[1] == Approx(2));
  CHECK(eight.labels.to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor x = three.sample(20000, &g);
  const Tensor mean = x.mean(Dims{0});
  CHECK(std::abs(mean[0].item() - (-1.2 * 0.4 + 1.1 * 0.35 + 0.2 * 0.25)) < 0.03);
  CHECK(std::abs(mean[1].item() - (-0.5 * 0.4 - 0.7 * 0.35 + 1.3 * 0.25)) < 0.03);
  // with its class a point is denoised to it
  const Tensor d = three(zeros({3, 2}, f64), full({3}, 50, f64), tensor({0, 1, 2}, i64));
  CHECK(difference(d, three.means) < 1e-3);
}

TEST_CASE("the energy distance is 0 for equal laws and grows with the distance of means", "[diffusion]") {
  const Tensor a = normal({400, 2}, 1), b = normal({400, 2}, 2);
  CHECK(std::abs(energy_distance(a, b)) < 0.02);
  CHECK(energy_distance(a, b + 1) > 0.3);
  CHECK(energy_distance(a, b + 2) > 2 * energy_distance(a, b + 1));
  // by hand: 2 mean |a - b| - |a1 - a2| - |b1 - b2|
  const Tensor two = from_data({0, 0, 3, 4}, {2, 2}, f64), other = from_data({0, 1, 0, 3}, {2, 2}, f64);
  const double across = (1 + 3 + std::sqrt(9. + 9) + std::sqrt(9. + 1)) / 4;
  CHECK(energy_distance(two, other) == Approx(2 * across - 5 - 2));
  CHECK_THROWS_AS(energy_distance(two.narrow(0, 0, 1), other), ValueError);
  CHECK_THROWS_WITH(moons(-1), contains("moons: got -1 points"));
  CHECK_THROWS_WITH(swiss_roll(3, -0.5), contains("noise -0.5"));
  CHECK_THROWS_AS(checkerboard_density(zeros({3})), ShapeError);
}

TEST_CASE("a saved denoiser carries its process and preconditioner, and refuses others", "[diffusion][errors]") {
  TemporaryFolder folder;
  const std::string path = folder / "denoiser.safetensors";
  manual_seed(1);
  PointNet net({.width = 8}), other({.width = 8});
  {
    NoGrad guard;
    net.out.weight.fill_(0.1);
  }
  const VariancePreserving vp(0.2, 15);
  const EdmPreconditioner edm(0.7);
  save_denoiser(path, net, vp, edm);
  const SavedFrame frame = load_denoiser(path, other);
  CHECK(equal(other.out.weight, net.out.weight));
  CHECK(frame.process->name() == "vp");
  CHECK(frame.process->constants() == vp.constants());
  CHECK(frame.preconditioner->at(3).out == edm.at(3).out);
  load_denoiser(path, other, vp, edm);

  PointNet untouched({.width = 8});
  CHECK_THROWS_WITH(load_denoiser(path, untouched, FlowMatching(), edm),
                    contains("trained with another process; got flow_matching(); the file has vp(0.2, 15)"));
  CHECK_THROWS_WITH(load_denoiser(path, untouched, VariancePreserving(), edm), contains("got vp(0.1, 20)"));
  CHECK_THROWS_WITH(load_denoiser(path, untouched, vp, EdmPreconditioner()),
                    contains("another preconditioner; got edm(0.5); the file has edm(0.7)"));
  PointNet wider({.width = 9});
  CHECK_THROWS_AS(load_denoiser(path, wider), Error);
  CHECK(abs(untouched.out.weight).max().item() == 0);  // nothing was changed
  net.save(folder / "weights.safetensors");
  CHECK_THROWS_WITH(load_denoiser(folder / "weights.safetensors", other), contains("holds no process"));
  struct Own : FlowMatching {
    std::string name() const override { return "my own"; }
  };
  CHECK_THROWS_AS(save_denoiser(path, net, Own(), edm), NotSupported);

  const Ddpm ddpm(BetaSchedule::cosine, 50);
  save_denoiser(path, net, ddpm, DdpmPreconditioner(ddpm));
  CHECK(load_denoiser(path, other).process->constants() == ddpm.constants());
  CHECK_THROWS_WITH(load_denoiser(path, other, Ddpm(BetaSchedule::cosine, 60), DdpmPreconditioner(ddpm)),
                    contains("60 numbers"));
}
