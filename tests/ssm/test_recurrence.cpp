// Linear recurrences as the layers of nn/ssm use them: every scan algorithm at every length, resumed anywhere,
// reversed, complex, and with the same gradients.
#include "autograd/recurrence.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using A = ScanAlgorithm;
const A kParallel[] = {A::hillis_steele, A::blelloch, A::chunked};
const A kAll[] = {A::sequential, A::hillis_steele, A::blelloch, A::chunked};

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double relative(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }
double limit(DType t) { return t == f64 || t == c128 ? 1e-10 : 1e-5; }

struct Inputs {
  Tensor a, b, start;
};
// [2, n, 3]; moduli up to about 1
Inputs inputs_of(int64_t n, DType t) {
  const Tensor a = normal({2, n, 3}, 1, t);
  return {a / (1 + abs(a)), normal({2, n, 3}, 2, t), normal({2, 3}, 3, t)};
}
// h by the definition.
Tensor by_definition(const Inputs& in, bool reverse) {
  const int64_t n = in.b.size(1);
  std::vector<Tensor> rows(static_cast<size_t>(n));
  Tensor h = in.start;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t t = reverse ? n - 1 - i : i;
    h = select(in.a, 1, t) * h + select(in.b, 1, t);
    rows[size_t(t)] = h;
  }
  return stack(rows, 1);
}

}  // namespace

TEST_CASE("every scan is the recurrence: all lengths, both ways, real and complex", "[recurrence]") {
  const bool cpu = default_device() == Device::cpu();
  for (int64_t n : {1, 2, 3, 5, 7, 64, 100, 1000}) {
    if (n > 7 && !cpu) break;
    for (DType t : {f64, f32, c128, c64}) {
      const Inputs in = inputs_of(n, t);
      for (bool reverse : {false, true}) {
        const Tensor expected = by_definition(in, reverse);
        for (A algorithm : kAll) {
          INFO("n " << n << ", " << name_of(t) << ", reverse " << reverse << ", algorithm " << int(algorithm));
          const Tensor h =
              linear_recurrence(in.a, in.b, 1, {.start = in.start, .reverse = reverse, .algorithm = algorithm});
          CHECK(relative(h, expected) < limit(t));
        }
      }
    }
  }
}

TEST_CASE("a scan that is split anywhere and resumed is the whole: stretches join in any grouping", "[recurrence]") {
  for (DType t : {f64, c128})
    for (int64_t n : {2, 7, 19})
      for (A algorithm : kAll)
        for (bool reverse : {false, true}) {
          const Inputs in = inputs_of(n, t);
          const auto part = [&](int64_t from, int64_t to, const Tensor& start) {
            return linear_recurrence(slice(in.a, 1, from, to), slice(in.b, 1, from, to), 1,
                                     {.start = start, .reverse = reverse, .algorithm = algorithm});
          };
          const Tensor whole = part(0, n, in.start);
          for (int64_t cut = 1; cut<n; cut += n> 7 ? 5 : 1) {
            const Tensor first = reverse ? part(cut, n, in.start) : part(0, cut, in.start),
                         end = select(first, 1, reverse ? 0 : cut - 1),
                         rest = reverse ? part(0, cut, end) : part(cut, n, end);
            CHECK(relative(reverse ? cat({rest, first}, 1) : cat({first, rest}, 1), whole) < 1e-12);
          }
        }
}

TEST_CASE("the order of stretches counts", "[recurrence]") {
  // (a1, b1) then (a2, b2) leaves a2 b1 + b2, the other way round a1 b2 + b1
  const Tensor a = tensor({2, 3}, f64), b = tensor({5, 7}, f64);
  for (A algorithm : kAll) {
    CHECK(linear_recurrence(a, b, 0, {.algorithm = algorithm})[1].item() == 3 * 5 + 7);
    CHECK(linear_recurrence(flip(a, {0}), flip(b, {0}), 0, {.algorithm = algorithm})[1].item() == 2 * 7 + 5);
    CHECK(linear_recurrence(a, b, 0, {.reverse = true, .algorithm = algorithm})[0].item() == 2 * 7 + 5);
  }
}

TEST_CASE("every scan has the gradients of the sequential one, complex factors included", "[recurrence]") {
  for (DType t : {f64, c128})
    for (bool reverse : {false, true}) {
      const Inputs in = inputs_of(6, t);
      const Tensor weight = normal({2, 6, 3}, 4, t);
      const auto gradients = [&](A algorithm) {
        TensorList leaves{in.a.clone(), in.b.clone(), in.start.clone()};
        for (Tensor& leaf : leaves) leaf.requires_grad_();
        const Tensor h = linear_recurrence(leaves[0], leaves[1], 1,
                                           {.start = leaves[2], .reverse = reverse, .algorithm = algorithm});
        sum(real(h * weight)).backward();
        return TensorList{leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
      };
      const TensorList expected = gradients(A::sequential);
      for (A algorithm : kParallel) {
        const TensorList found = gradients(algorithm);
        for (size_t i = 0; i < 3; ++i) CHECK(relative(found[i], expected[i]) < 1e-12);
      }
    }
  for (A algorithm : kAll) {
    const auto f = [&](const TensorList& in) {
      return TensorList{linear_recurrence(in[0], in[1], 0, {.start = in[2], .algorithm = algorithm})};
    };
    CHECK(check_twice(f, {normal({3, 1}, 1, c128) * 0.5, normal({3, 1}, 2, c128), normal({1}, 3, c128)}) == "");
  }
}

TEST_CASE("layouts and sizes: strided, empty, one factor for all steps", "[recurrence]") {
  const Inputs in = inputs_of(7, f64);
  for (A algorithm : kAll) {
    const LinearRecurrenceOptions o{.start = in.start, .algorithm = algorithm};
    const Tensor expected = linear_recurrence(in.a, in.b, 1, o);
    CHECK(equal(linear_recurrence(strided(in.a), strided(in.b), 1, o), expected));
    CHECK(linear_recurrence(zeros({2, 0, 3}, f64), zeros({2, 0, 3}, f64), 1, o).shape() == Shape{2, 0, 3});
    CHECK(linear_recurrence(zeros({0, 4}, f64), zeros({0, 4}, f64), 1, {.algorithm = algorithm}).shape() ==
          Shape{0, 4});
    const Tensor factor = tensor({0.5, -0.9, 1.1}, f64);
    CHECK(relative(linear_recurrence(factor, in.b, 1, o),
                   linear_recurrence(expand(factor, {2, 7, 3}).clone(), in.b, 1, o)) < 1e-13);
  }
}

TEST_CASE("dividing by powers of the factor instead of scanning overflows", "[recurrence]") {
  // h_t = a^t sum over j of a^{-j} b_j is exact on paper; a^{-t} leaves f32 after 842 steps of a = 0.9, its sum
  // before that.
  const int64_t n = 900;
  const Tensor b = ones({n}), powers = exp(std::log(0.9) * arange(0, n, 1, f32));
  const Tensor by_division = powers * cumsum(b / powers, 0);
  const Tensor h = linear_recurrence(full({1}, 0.9f), b, 0);
  CHECK(largest(slice(by_division, 0, 0, 800) - slice(h, 0, 0, 800)) < 1e-2);
  CHECK(all(isfinite(slice(by_division, 0, 0, 800))).item<bool>());
  CHECK(!all(isfinite(by_division)).item<bool>());
  for (A algorithm : kAll) {
    const Tensor found = linear_recurrence(full({1}, 0.9f), b, 0, {.algorithm = algorithm});
    CHECK(all(isfinite(found)).item<bool>());
    CHECK(std::abs(found[n - 1].item() - 10) < 1e-4);
  }
}
