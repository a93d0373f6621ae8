// Cases of state space models: scans against the memory they move, steps of LegS against dense ones.
#include "inkstone/ink.h"
#include "inkstone/ssm.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

Body unrecorded(Body body) {
  return [body = std::move(body)] {
    NoGrad guard;
    body();
  };
}

// A floor: reads two arrays and writes one, or reads one and writes one, and computes next to nothing.
void add_floors(std::vector<Case>& cases, const Shape& shape, double bytes) {
  cases.push_back({"floor of a scan: add", 0, 3 * bytes, [=] {
                     const Tensor a = randn(shape), b = randn(shape);
                     return unrecorded([=] { a + b; });
                   }});
  cases.push_back({"floor of a scan: negate", 0, 2 * bytes, [=] {
                     const Tensor a = randn(shape);
                     return unrecorded([=] { -a; });
                   }});
}

// h_t = a_t h_{t-1} + b_t along dim 1, forward; the floor moves as many bytes. 0.7: at least 70 % of memory bandwidth.
void add_scans(std::vector<Case>& cases, const Shape& shape, double bytes) {
  const int64_t channels = shape[2];
  cases.push_back({"diagonal scan, a factor per step", 0, 3 * bytes,
                   [=] {
                     const Tensor a = rand(shape), b = randn(shape);
                     return unrecorded([=] { linear_recurrence(a, b, 1); });
                   },
                   0.7, "floor of a scan: add"});
  cases.push_back({"diagonal scan, constant factors", 0, 2 * bytes,
                   [=] {
                     const Tensor a = rand({channels}), b = randn(shape);
                     return unrecorded([=] { linear_recurrence(a, b, 1); });
                   },
                   0.7, "floor of a scan: negate"});
  cases.push_back({"diagonal scan, complex constant factors", 0, 2 * bytes,
                   [=] {
                     const Shape half{shape[0], shape[1], channels / 2};
                     const Tensor a = polar(rand({channels / 2}), randn({channels / 2})),
                                  b = complex_of(randn(half), randn(half));
                     return unrecorded([=] { linear_recurrence(a, b, 1); });
                   },
                   0.7, "floor of a scan: negate"});
}

// One step of LegS at the midpoint for many channels: by running sums, and by solving with a matrix.
void add_legs(std::vector<Case>& cases, int64_t channels, int64_t n) {
  const double h = 1 / 100.5;
  cases.push_back({"LegS step, dense", 0, 0, [=] {
                     const Hippo legs = hippo(HippoKind::legs, n);
                     const Tensor A = legs.A.to(f32), B = legs.B.to(f32), x = randn({channels, n});
                     return unrecorded([=] {
                       const DiscreteSystem s = step_over_time(A, B, 100, OverTimeScheme::midpoint);
                       linear(x, s.A) + s.B * 0.5;
                     });
                   }});
  cases.push_back({"LegS step, running sums", 0, 0,
                   [=] {
                     const Tensor B = hippo(HippoKind::legs, n).B.to(f32), x = randn({channels, n});
                     return unrecorded([=] { legs_solve(x + (h / 2) * legs_multiply(x) + (h * 0.5) * B, h / 2); });
                   },
                   1, "LegS step, dense"});
}

}  // namespace

std::vector<Case> scan_cases() {
  std::vector<Case> cases;
  const Shape shape{8, 2048, 1024};  // 64 MiB an array: larger than any cache
  const double bytes = 4 * double(shape.numel());
  add_floors(cases, shape, bytes);
  add_scans(cases, shape, bytes);
  add_legs(cases, 64, 64);
  return cases;
}

}  // namespace bench
