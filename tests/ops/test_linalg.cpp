#include "autograd/ops/linalg/adjoint.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor hermitian(const Tensor& x) { return (x + adjoint(x)) * 0.5; }
Tensor positive(const Tensor& x) { return matmul(x, adjoint(x)) + eye(x.size(-1), x.options()); }
Tensor one_like(const Tensor& x) { return expand(eye(x.size(-1), x.options()), x.shape()); }

struct Precision {
  DType dtype;
  double tolerance;
};
const Precision kAll[] = {{f32, 1e-4}, {f64, 1e-11}, {c64, 1e-4}, {c128, 1e-11}};

}  // namespace

TEST_CASE("solve, inverse and triangular_solve undo a product", "[linalg]") {
  for (auto [t, tolerance] : kAll) {
    Tensor a = normal({2, 5, 5}, 1, t) + 3 * eye(5, t), b = normal({2, 5, 3}, 2, t);
    CHECK(solve(a, b).dtype() == t);
    CHECK(difference(matmul(a, solve(a, b)), b) < tolerance);
    CHECK(difference(matmul(select(a, 0, 0), solve(select(a, 0, 0), b)), b) <
          tolerance);  // one matrix, a batch of sides
    CHECK(difference(solve(transpose(a, 1, 2), b), solve(contiguous(transpose(a, 1, 2)), b)) < 1e-15);
    CHECK(difference(matmul(inverse(a), a), one_like(a)) < tolerance);
    CHECK(difference(matmul(triu(a), triangular_solve(a, b, true)), b) < tolerance);  // the other triangle is not read
    CHECK(difference(matmul(tril(a), triangular_solve(a, b, false)), b) < tolerance);
  }
}

TEST_CASE("factors multiply to the matrix and have their form", "[linalg]") {
  for (auto [t, tolerance] : kAll) {
    Tensor x = normal({3, 4, 4}, 1, t), p = positive(x), l = cholesky(p);
    CHECK(difference(matmul(l, adjoint(l)), p) < tolerance);
    CHECK(equal(l, tril(l)));
    for (const Shape& s : {Shape{2, 5, 3}, Shape{2, 3, 5}, Shape{2, 4, 4}}) {
      Tensor a = normal(s, 2, t);
      auto [q, r] = qr(a);
      CHECK(q.size(-1) == std::min(s[1], s[2]));
      CHECK(difference(matmul(q, r), a) < tolerance);
      CHECK(difference(matmul(adjoint(q), q), expand(eye(q.size(-1), t), {2, q.size(-1), q.size(-1)})) < tolerance);
      CHECK(equal(r, triu(r)));
    }
    auto [w, v] = eigh(hermitian(x));
    CHECK(w.dtype() == real_of(t));
    CHECK(difference(matmul(hermitian(x), v), v * unsqueeze(w, 1)) < tolerance);
    CHECK(difference(matmul(adjoint(v), v), one_like(v)) < tolerance);
    CHECK(all(slice(w, 1, 1, 4) >= slice(w, 1, 0, 3)).item<bool>());
  }
}

TEST_CASE("det and slogdet agree with the product of the eigenvalues and the expansion by minors", "[linalg]") {
  Tensor a = from_data({1, 2, 3, 4, 5, 6, 7, 8, 10}, {3, 3}, f64);
  CHECK(det(a).item() == Approx(-3));
  auto [sign, log] = slogdet(a);
  CHECK(sign.item() == -1);
  CHECK(log.item() == Approx(std::log(3)));
  Tensor z = normal({2, 3, 3}, 1, c128);
  auto [phase, size] = slogdet(z);
  CHECK(difference(phase * exp(size), det(z)) < 1e-13);
  CHECK(difference(det(matmul(z, z)), square(det(z))) < 1e-12);
  CHECK(det(ones({2, 2}, f64)).item() == 0);
  auto [s0, l0] = slogdet(ones({2, 2}, f64));
  CHECK(s0.item() == 0);
  CHECK(l0.item() == -INFINITY);
  CHECK(det(zeros({0, 0}, f64)).item() == 1);
}

TEST_CASE("matrix_exp: rotations, diagonals, large norms, and e^A e^-A = 1", "[linalg]") {
  double t = 0.7;
  Tensor turn = from_data({0, -t, t, 0}, {2, 2}, f64);
  CHECK(difference(matrix_exp(turn), from_data({std::cos(t), -std::sin(t), std::sin(t), std::cos(t)}, {2, 2}, f64)) <
        1e-15);
  CHECK(difference(matrix_exp(diag(tensor({1, -2, 30}, f64))) / std::exp(30), diag(exp(tensor({-29, -32, 0}, f64)))) <
        1e-13);
  CHECK(difference(matrix_exp(from_data({0, 1, 0, 0}, {2, 2}, f64)), from_data({1, 1, 0, 1}, {2, 2}, f64)) < 1e-15);
  for (auto [type, tolerance] : kAll) {
    Tensor a = normal({2, 4, 4}, 1, type);
    CHECK(difference(matmul(matrix_exp(a), matrix_exp(-a)), one_like(a)) < tolerance * 10);
  }
}

TEST_CASE("gradients of linear algebra, to the second order", "[linalg][grad]") {
  for (DType t : {f64, c128}) {
    INFO(name_of(t));
    Tensor a = normal({2, 3, 3}, 1, t) + 2 * eye(3, t), b = normal({3, 2}, 2, t), x = normal({3, 3}, 3, t);
    auto pair = [](Tensor (*f)(const Tensor&, const Tensor&)) {
      return [f](const TensorList& in) { return TensorList{f(in[0], in[1])}; };
    };
    CHECK(check_twice(pair(solve), {a, b}) == "");
    CHECK(check_twice([](const TensorList& in) { return TensorList{triangular_solve(in[0], in[1], true)}; }, {a, b}) ==
          "");
    CHECK(check_twice([](const TensorList& in) { return TensorList{triangular_solve(in[0], in[1], false)}; }, {a, b}) ==
          "");
    CHECK(check_twice([](const Tensor& a) { return inverse(a); }, a) == "");
    CHECK(check_twice([](const Tensor& a) { return det(a); }, a) == "");
    CHECK(check_twice([](const Tensor& x) { return cholesky(positive(x)); }, x) == "");
    CHECK(check_twice([](const Tensor& x) { return matrix_exp(x); }, x) == "");
    auto log_and_sign = [](const TensorList& in) {
      auto [sign, log] = slogdet(in[0]);
      return TensorList{sign * 2, log};
    };
    CHECK(check_twice(log_and_sign, {a}) == "");
    // functions that do not see the sign or phase of a column
    auto projector = [](const TensorList& in) {
      auto [w, v] = eigh(hermitian(in[0]));
      Tensor first = slice(v, 1, 0, 1);
      return TensorList{w, matmul(first, adjoint(first))};
    };
    CHECK(check_twice(projector, {x}) == "");
    // one output alone: the second derivative runs through the other
    CHECK(check_twice([](const Tensor& x) { return std::get<0>(eigh(hermitian(x))); }, x) == "");
    CHECK(check_twice([](const Tensor& x) { return square(abs(std::get<1>(qr(x)))); }, x) == "");
    for (const Shape& s : {Shape{4, 3}, Shape{3, 3}, Shape{2, 4}}) {
      auto span = [](const TensorList& in) {
        auto [q, r] = qr(in[0]);
        Tensor first = slice(q, 1, 0, 2);
        return TensorList{matmul(first, adjoint(first)), square(abs(r))};
      };
      CHECK(check_twice(span, {normal(s, 4, t)}) == "");
    }
  }
}

TEST_CASE("empty matrices and batches", "[linalg]") {
  CHECK(solve(zeros({0, 0}), zeros({0, 2})).shape() == Shape{0, 2});
  CHECK(solve(zeros({0, 3, 3}), zeros({0, 3, 2})).shape() == Shape{0, 3, 2});
  CHECK(cholesky(zeros({2, 0, 0})).shape() == Shape{2, 0, 0});
  CHECK(inverse(zeros({0, 0})).shape() == Shape{0, 0});
  auto [w, v] = eigh(zeros({0, 0}));
  CHECK(w.shape() == Shape{0});
  CHECK(matrix_exp(zeros({0, 0})).shape() == Shape{0, 0});
}

TEST_CASE("errors of linear algebra name the matrix that failed", "[linalg][errors]") {
  Tensor good = eye(2, f64), bad = ones({2, 2}, f64), batch = stack({good, good, bad}, 0);
  CHECK_THROWS_WITH(solve(batch, ones({2, 1}, f64)), contains("solve: matrix 2 of the batch is singular"));
  CHECK_THROWS_AS(inverse(bad), LinalgError);
  CHECK_THROWS_WITH(cholesky(stack({good, -good}, 0)),
                    contains("cholesky: matrix 1 of the batch is not positive definite"));
  CHECK_THROWS_WITH(triangular_solve(zeros({2, 2}), ones({2, 1}), true), contains("zero on its diagonal"));
  CHECK_THROWS_WITH(solve(zeros({2, 3}), zeros({2, 1})), contains("solve: not square; got [2, 3]"));
  CHECK_THROWS_WITH(solve(good, ones({2}, f64)), contains("unsqueeze(-1) makes a column of a vector"));
  CHECK_THROWS_WITH(det(normal({2, 2}, 1, f16)), contains("got f16; expected f32, f64, c64 or c128"));
  CHECK_THROWS_WITH(matrix_exp(zeros({2, 3})), contains("matrix_exp: not square"));
}
