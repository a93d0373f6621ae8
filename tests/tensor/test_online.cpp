// The algebra of online softmax (tensor/math/online.h): merging states of parts, in any split and order.
#include "tensor/math/online.h"

#include <cmath>
#include <vector>

#include "tests/catch.h"
#include "tests/support/values.h"

using namespace ink;
using fn::Online;

namespace {

constexpr double kNothing = -INFINITY;
using State = Online<double>;

State of(double x) { return {x, 1}; }
State of_range(const std::vector<double>& x, size_t begin, size_t end) {
  State s;
  for (size_t i = begin; i < end; ++i) s = fn::online_merge(s, of(x[i]));
  return s;
}
// A tree over [begin, end) that is split at a place which `seed` chooses.
State as_tree(const std::vector<double>& x, size_t begin, size_t end, unsigned seed) {
  if (end - begin <= 1) return of_range(x, begin, end);
  const size_t cut = begin + (seed = seed * 1664525u + 1013904223u) % (end - begin + 1);
  if (cut == begin || cut == end) return of_range(x, begin, end);
  return fn::online_merge(as_tree(x, begin, cut, seed + 1), as_tree(x, cut, end, seed + 2));
}
double lse(const std::vector<double>& x) {
  double top = kNothing, sum = 0;
  for (double v : x) top = std::max(top, v);
  for (double v : x) sum += std::exp(v - top);
  return top + std::log(sum);
}

}  // namespace

TEST_CASE("merging is associative and commutes, whatever the split", "[online]") {
  for (double size : {1., 30., 1000.}) {
    std::vector<double> x = test::normal_values<double>(200, 3, size);
    for (unsigned seed = 0; seed < 50; ++seed) {
      State s = as_tree(x, 0, x.size(), seed), forwards = of_range(x, 0, x.size());
      CHECK(s.m == forwards.m);
      CHECK(std::abs(s.l / forwards.l - 1) < 1e-12);
      CHECK(std::abs(fn::online_lse(s) - lse(x)) < 1e-12 * size + 1e-12);
      State a = of_range(x, 0, seed), b = of_range(x, seed, x.size());
      State ab = fn::online_merge(a, b), ba = fn::online_merge(b, a);
      CHECK(ab.m == ba.m);
      CHECK(std::abs(ab.l / ba.l - 1) < 1e-15);
    }
  }
}

TEST_CASE("a state that has seen nothing is neutral", "[online]") {
  State none, some{3, 2.5};
  for (State s : {fn::online_merge(none, some), fn::online_merge(some, none)}) {
    CHECK(s.m == 3);
    CHECK(s.l == 2.5);
  }
  State both = fn::online_merge(none, none);
  CHECK(both.m == kNothing);
  CHECK(both.l == 0);
  CHECK(fn::online_lse(both) == kNothing);
  State hidden = fn::online_merge(of(kNothing), of(kNothing));  // scores of hidden keys
  CHECK(fn::online_lse(fn::online_merge(hidden, of(1))) == 1);
}

TEST_CASE("scores of any size neither overflow nor vanish", "[online]") {
  CHECK(fn::online_lse(fn::online_merge(of(1e4), of(1e4))) == 1e4 + std::log(2.));
  CHECK(fn::online_lse(fn::online_merge(of(-1e4), of(1e4))) == 1e4);
  CHECK(fn::online_lse(fn::online_merge(of(-1e4), of(-1e4 - 1))) == -1e4 + std::log1p(std::exp(-1.)));
}
