// Discretisation: orders, closed forms, complex systems, diagonal systems, bad input.
#include "nn/ssm/discretise.h"

#include <cmath>
#include <string>

#include "nn/ssm/hippo.h"
#include "nn/ssm/poles.h"
#include "nn/warning.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using D = Discretisation;
using S = OverTimeScheme;
const D kMethods[] = {D::forward_euler, D::backward_euler, D::bilinear, D::zoh, D::euler_b};
const S kSchemes[] = {S::forward_euler, S::backward_euler, S::bilinear_plain, S::midpoint, S::zoh};

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }

// A complex system as a real one of twice the size: a + ib becomes [[a, -b], [b, a]].
Tensor as_real(const Tensor& A) { return cat({cat({real(A), -imag(A)}, 1), cat({imag(A), real(A)}, 1)}, 0); }
Tensor as_real_vector(const Tensor& b) { return cat({real(b), imag(b)}, 0); }

}  // namespace

TEST_CASE("orders of the discretisations, as slopes", "[discretise]") {
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.5}, f64), exact = matrix_exp(A);
  const auto slope = [&](D method) {
    const auto at = [&](int64_t steps) {
      const DiscreteSystem s = discretise(A, B, 1. / double(steps), method);
      Tensor power = eye(2, f64);
      for (int64_t k = 0; k < steps; ++k) power = matmul(power, s.A);
      return largest(power - exact);
    };
    return std::log2(at(64) / at(128));
  };
  CHECK(std::abs(slope(D::forward_euler) - 1) < 0.1);
  CHECK(std::abs(slope(D::backward_euler) - 1) < 0.1);
  CHECK(std::abs(slope(D::bilinear) - 2) < 0.1);
  CHECK(largest(discretise(A, B, 1, D::zoh).A - exact) < 1e-13);
  CHECK(largest(discretise(A, B, 1, D::euler_b).A - exact) < 1e-13);
}

TEST_CASE("orders under an input: exact steps of a constant, Euler's B is of first order", "[discretise]") {
  // x' = A x + B from 0, to time 1: x(1) = A^{-1} (e^A - I) B.
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.5}, f64),
               exact = squeeze(solve(A, unsqueeze(matmul(matrix_exp(A) - eye(2, f64), B), 1)), 1);
  const auto error_of = [&](D method, int64_t steps) {
    const DiscreteSystem s = discretise(A, B, 1. / double(steps), method);
    Tensor x = zeros({2}, f64);
    for (int64_t k = 0; k < steps; ++k) x = matmul(s.A, x) + s.B;
    return largest(x - exact);
  };
  CHECK(error_of(D::zoh, 1) < 1e-13);
  CHECK(error_of(D::zoh, 7) < 1e-13);
  const auto slope = [&](D method) { return std::log2(error_of(method, 64) / error_of(method, 128)); };
  for (D method : {D::forward_euler, D::backward_euler, D::euler_b}) CHECK(std::abs(slope(method) - 1) < 0.1);
  CHECK(std::abs(slope(D::bilinear) - 2) < 0.1);
}

TEST_CASE("the generalised bilinear transform joins the Eulers and Tustin", "[discretise]") {
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.5}, f64);
  const struct {
    double alpha;
    D method;
  } same[] = {{0, D::forward_euler}, {0.5, D::bilinear}, {1, D::backward_euler}};
  for (const auto& [alpha, method] : same) {
    const DiscreteSystem gbt = discretise_gbt(A, B, 0.3, alpha), s = discretise(A, B, 0.3, method);
    CHECK(largest(gbt.A - s.A) < 1e-14);
    CHECK(largest(gbt.B - s.B) < 1e-14);
  }
  const Tensor one = eye(2, f64), left = one - 0.25 * 0.3 * A, s = discretise_gbt(A, B, 0.3, 0.25).A;
  CHECK(largest(matmul(left, s) - (one + 0.75 * 0.3 * A)) < 1e-14);
  for (double alpha : {-0.1, 1.5, double(NAN)}) CHECK_THROWS_AS(discretise_gbt(A, B, 1, alpha), ValueError);
}

TEST_CASE("a singular A has exact steps too", "[discretise]") {
  // x'' = u: position and velocity under a constant force
  const Tensor A = tensor({{0, 1}, {0, 0}}, f64), B = tensor({0, 1}, f64);
  const DiscreteSystem s = discretise(A, B, 0.5, D::zoh);
  CHECK(largest(s.A - tensor({{1, 0.5}, {0, 1}}, f64)) < 1e-15);
  CHECK(largest(s.B - tensor({0.125, 0.5}, f64)) < 1e-15);
}

TEST_CASE("a complex system is discretised as the real one of twice its size", "[discretise]") {
  const Hippo fout = hippo(HippoKind::fout, 5), fous = hippo(HippoKind::fous, 5);
  for (D method : kMethods) {
    INFO("method " << int(method));
    const DiscreteSystem c = discretise(fout.A, fout.B, 0.05, method),
                         r = discretise(as_real(fout.A), as_real_vector(fout.B), 0.05, method);
    CHECK(largest(as_real(c.A) - r.A) < 1e-12);
    CHECK(largest(as_real_vector(c.B) - r.B) < 1e-12);
  }
  const DiscreteSystem c = discretise_gbt(fout.A, fout.B, 0.05, 0.3),
                       r = discretise_gbt(as_real(fout.A), as_real_vector(fout.B), 0.05, 0.3);
  CHECK(largest(as_real(c.A) - r.A) < 1e-12);
  for (S scheme : kSchemes) {
    const DiscreteSystem over = step_over_time(fous.A, fous.B, 7, scheme),
                         real_over = step_over_time(as_real(fous.A), as_real_vector(fous.B), 7, scheme);
    CHECK(largest(as_real(over.A) - real_over.A) < 1e-12);
    CHECK(largest(as_real_vector(over.B) - real_over.B) < 1e-12);
  }
  // one of the two complex
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = complex_of(tensor({1, 0}, f64), tensor({0, 2}, f64));
  for (D method : kMethods) {
    const DiscreteSystem mixed = discretise(A, B, 0.1, method), all = discretise(to(A, c128), B, 0.1, method);
    CHECK(mixed.A.dtype() == c128);
    CHECK(largest(mixed.B - all.B) == 0);
    CHECK(largest(discretise(to(A, c128), real(B), 0.1, method).A - all.A) == 0);
  }
}

TEST_CASE("dense discretisation has gradients to second order, complex too", "[discretise]") {
  for (DType t : {f64, c128})
    for (D method : kMethods) {
      INFO("method " << int(method));
      const auto f = [&](const TensorList& in) {
        const DiscreteSystem s = discretise(in[0], in[1], 0.3, method);
        return TensorList{s.A, s.B};
      };
      CHECK(check_twice(f, {normal({2, 2}, 1, t), normal({2}, 2, t)}) == "");
    }
}

TEST_CASE("a diagonal system is discretised as the matrix is, and exactly where it vanishes", "[discretise]") {
  const Tensor step = tensor({0.3}, f64), B = tensor({1, 2, 3, 4}, f64);
  const Tensor re = tensor({-3, -0.7, -1e-9, 0}, f64);
  for (const Tensor& a : {re, complex_of(re, tensor({2, -0.1, 1e-3, 0}, f64))})
    for (D method : kMethods) {
      const DiscreteSystem by_element = discretise_diagonal(a, B, step, method),
                           dense = discretise(diag(a), B, 0.3, method);
      CHECK(largest(diag(by_element.A) - dense.A) < 1e-14);
      CHECK(largest(by_element.B - dense.B) < 1e-14);
    }
  for (D method : kMethods) {
    const auto f = [&](const TensorList& in) {
      const DiscreteSystem s = discretise_diagonal(in[0], in[1], in[2], method);
      return TensorList{s.A, s.B};
    };
    CHECK(check_twice(f, {tensor({-3, -0.7, -0.01}, f64), tensor({1, 2, 3}, f64), tensor({0.3}, f64)}) == "");
    const Tensor a = complex_of(tensor({-0.5, -0.1}, f64), tensor({0.7, -0.05}, f64));
    CHECK(check_twice(f, {a, normal({2}, 3, c128), tensor({0.3, 0.1}, f64)}) == "");
  }
}

TEST_CASE("halves are computed in f32 and rounded once", "[discretise]") {
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.3}, f64);
  for (D method : kMethods) {
    const DiscreteSystem half = discretise(A.to(f16), B.to(f16), 0.3, method),
                         wide = discretise(A.to(f16).to(f32), B.to(f16).to(f32), 0.3, method);
    CHECK(equal(half.A, wide.A.to(f16)));
    CHECK(equal(half.B, wide.B.to(f16)));
    const Tensor a = tensor({-3, -0.01}, f16), step = tensor({0.3}, f16);
    const DiscreteSystem d = discretise_diagonal(a, a, step, method),
                         dw = discretise_diagonal(a.to(f32), a.to(f32), step.to(f32), method);
    CHECK(equal(d.A, dw.A.to(f16)));
    CHECK(equal(d.B, dw.B.to(f16)));
  }
}

TEST_CASE("discretisation says what does not fit", "[discretise]") {
  const Tensor A = tensor({{-1, 2}, {-2, -0.5}}, f64), B = tensor({1, 0.5}, f64), a = tensor({-1, -2}, f64);
  for (double step : {0., -1., double(INFINITY), double(NAN)}) {
    for (D method : kMethods) CHECK_THROWS_AS(discretise(A, B, step, method), ValueError);
    CHECK_THROWS_AS(discretise_gbt(A, B, step, 0.5), ValueError);
    CHECK_THROWS_AS(discretise_diagonal(a, B, tensor({0.1, step}, f64), D::zoh), ValueError);
  }
  CHECK_THROWS_WITH(discretise_diagonal(a, B, tensor({0.1, -0.25}, f64), D::zoh), contains("got a step of -0.25"));
  CHECK_THROWS_AS(discretise_diagonal(a, B, normal({2}, 1, c128), D::zoh), DTypeError);
  CHECK_THROWS_AS(discretise(A, ones({3}, f64), 1, D::zoh), ShapeError);
  CHECK_THROWS_AS(discretise(ones({2, 3}, f64), B, 1, D::zoh), ShapeError);
  CHECK_THROWS_AS(discretise(ones({2, 2}, i64), ones({2}, i64), 1, D::zoh), DTypeError);
  CHECK_THROWS_AS(discretise(eye(2, f64), B, 1, D::backward_euler), LinalgError);  // I - Delta A = 0
  CHECK_THROWS_AS(step_over_time(A, B, 0, S::zoh), ValueError);
  CHECK_THROWS_AS(step_over_time(A, ones({3}, f64), 1, S::zoh), ShapeError);
}

TEST_CASE("a dense system that a scheme makes unstable is told, with the pole", "[discretise]") {
  Warnings told;
  // the eigenvalues -1 +- 3 i and -30, in a basis that is not orthogonal
  const Tensor basis = tensor({1, 2, 0, 0, 1, -1, 0, 0, 1}, f64).reshape({3, 3}),
               rotation = tensor({-1, -3, 0, 3, -1, 0, 0, 0, -30}, f64).reshape({3, 3}),
               A = matmul(basis, solve(transpose(basis, 0, 1), transpose(rotation, 0, 1)).t()), B = ones({3}, f64);
  for (DType t : {f64, f32, c64, c128}) {
    told.texts.clear();
    for (D method : {D::backward_euler, D::bilinear, D::zoh, D::euler_b}) discretise(A.to(t), B, 0.1, method);
    discretise_gbt(A.to(t), B, 0.1, 0.5);
    CHECK(told.texts.empty());
    discretise(A.to(t), B, 0.05, D::forward_euler);  // 1 - 1.5 and 0.95 +- 0.15 i
    CHECK(told.texts.empty());
    discretise(A.to(t), B, 0.1, D::forward_euler);  // 1 - 3 = -2
    REQUIRE(told.texts.size() == 1);
    CHECK_THAT(told.texts[0], contains("discretise: 1 of 3 poles") && contains("of modulus 2"));
    discretise((-A).to(t), B, 0.01, D::forward_euler);  // 1.3 and 1.01 +- 0.03 i
    CHECK_THAT(told.texts.back(), contains("3 of 3 poles") && contains("of modulus 1.3"));
  }
  // HiPPO's matrices are far from normal, and stable
  told.texts.clear();
  for (HippoKind kind : {HippoKind::legs, HippoKind::legt, HippoKind::lagt, HippoKind::fout}) {
    const Hippo h = hippo(kind, kind == HippoKind::fout ? 63 : 64);
    for (DType t : {f32, f64})
      for (D method : {D::backward_euler, D::bilinear, D::zoh})
        discretise(is_complex(h.A.dtype()) ? h.A : h.A.to(t), is_complex(h.A.dtype()) ? h.B : h.B.to(t), 0.02, method);
  }
  CHECK(told.texts.empty());
  discretise(A * NAN, B, 0.1, D::forward_euler);
  CHECK_THAT(told.texts.back(), contains("3 of 3 poles"));
}

TEST_CASE("a diagonal system that a scheme makes unstable is told, with the pole", "[discretise]") {
  Warnings told;
  const Tensor a = tensor({-1, -30}, f64), B = ones({2}, f64), step = tensor({0.1}, f64);
  for (D method : {D::backward_euler, D::bilinear, D::zoh, D::euler_b}) discretise_diagonal(a, B, step, method);
  CHECK(told.texts.empty());
  discretise_diagonal(a, B, step, D::forward_euler);  // 1 - 3 = -2
  CHECK_THAT(told.texts.back(), contains("discretise_diagonal: 1 of 2 poles") && contains("-2 of modulus 2"));
  discretise_diagonal(complex_of(tensor({1}, f64), tensor({0}, f64)), ones({1}, f64), step, D::zoh);
  CHECK_THAT(told.texts.back(), contains("1 of 1 poles") && contains("1.10517"));
}
