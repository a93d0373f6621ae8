#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// sum over the inner dim of a broadcast product: the definition.
Tensor naive(const Tensor& a, const Tensor& b) { return sum(unsqueeze(a, -1) * unsqueeze(b, -3), -2); }

}  // namespace

TEST_CASE("matmul is the sum over the inner dim for all batch shapes", "[matmul]") {
  struct Case {
    Shape a, b;
  };
  for (const Case& c : {Case{{3, 4}, {4, 5}}, Case{{2, 3, 4}, {4, 5}}, Case{{3, 4}, {2, 4, 5}},
                        Case{{2, 3, 4}, {2, 4, 5}}, Case{{2, 1, 3, 4}, {6, 4, 5}}, Case{{6, 2, 3, 4}, {6, 1, 4, 5}},
                        Case{{1, 3, 4}, {2, 4, 1}}, Case{{2, 1, 4}, {4, 5}}, Case{{1, 1}, {1, 1}}}) {
    INFO(c.a.str() << " " << c.b.str());
    for (DType t : {f64, c128}) {
      Tensor a = normal(c.a, 1, t), b = normal(c.b, 2, t);
      CHECK(difference(matmul(a, b), naive(a, b)) < 1e-13);
    }
  }
}

TEST_CASE("matmul takes vectors as NumPy does", "[matmul]") {
  Tensor v = normal({4}, 1), w = normal({4}, 2), m = normal({3, 4}, 3), batch = normal({2, 4, 5}, 4);
  CHECK(matmul(v, w).shape() == Shape{});
  CHECK(difference(matmul(v, w), sum(v * w)) < 1e-14);
  CHECK(difference(matmul(m, v), sum(m * v, 1)) < 1e-14);
  CHECK(difference(matmul(v, batch), sum(unsqueeze(v, 1) * batch, 1)) < 1e-14);
  CHECK(difference(outer(v, w), unsqueeze(v, 1) * w) < 1e-15);
  CHECK(difference(dot(v, w), sum(v * w)) < 1e-14);
}

TEST_CASE("transposed, sliced, stepped, expanded and flipped operands give the same product", "[matmul]") {
  Tensor big = normal({6, 10, 8}, 1), b = normal({8, 7}, 2);
  struct Case {
    const char* name;
    Tensor a, b;
  };
  Tensor heads = permute(reshape(big, {6, 10, 2, 4}), {0, 2, 1, 3});  // [batch, head, time, d], not copied
  for (const Case& c :
       {Case{"transposed a", transpose(big, 0, 1), b},
        Case{"transposed matrices", transpose(normal({6, 8, 10}, 3), 1, 2), b},
        Case{"transposed b", big, transpose(normal({7, 8}, 4), 0, 1)}, Case{"sliced rows", slice(big, 1, 2, 9), b},
        Case{"every second column", slice(big, 2, 0, 8, 2), slice(b, 0, 0, 4)},
        Case{"heads", heads, transpose(heads, 2, 3)}, Case{"expanded", expand(normal({1, 8}, 5), {5, 8}), b},
        Case{"flipped", flip(big, 1), b}, Case{"expanded batch", expand(normal({1, 5, 8}, 6), {3, 5, 8}), b}}) {
    INFO(c.name);
    CHECK(difference(matmul(c.a, c.b), naive(contiguous(c.a), contiguous(c.b))) < 1e-13);
  }
}

TEST_CASE("sizes of zero: an empty result, or zeros from an empty sum", "[matmul]") {
  CHECK(matmul(zeros({0, 4}), zeros({4, 5})).shape() == Shape{0, 5});
  CHECK(matmul(zeros({2, 0, 4}), zeros({4, 5})).shape() == Shape{2, 0, 5});
  CHECK(equal(matmul(zeros({3, 0}), zeros({0, 2})), zeros({3, 2})));
  CHECK(equal(linear(zeros({2, 0}), zeros({3, 0}), ones({3})), ones({2, 3})));
  Tensor x = zeros({0, 4}, f64).requires_grad_(), w = ones({3, 4}, f64).requires_grad_();
  linear(x, w).sum().backward();
  CHECK(equal(w.grad(), zeros({3, 4}, f64)));
  CHECK(x.grad().shape() == Shape{0, 4});
  for (auto [a, b] : {std::pair<Shape, Shape>{{0, 3, 4}, {4, 5}}, {{3, 4}, {0, 4, 5}}, {{2, 3, 0}, {0, 5}}}) {
    Tensor u = ones(a, f64).requires_grad_(), v = ones(b, f64).requires_grad_();
    matmul(u, v).sum().backward();
    CHECK(equal(u.grad(), zeros(a, f64)));
    CHECK(equal(v.grad(), zeros(b, f64)));
  }
}

TEST_CASE("integers multiply exactly, halves round once, mixed dtypes are promoted", "[matmul]") {
  Tensor a = whole({5, 300}, 200, 1), b = whole({300, 4}, 200, 2);
  Tensor exact = naive(a, b);
  CHECK(equal(matmul(a, b), exact));
  CHECK(equal(matmul(to(a, i32), to(b, i32)), to(exact, i32)));
  CHECK(equal(matmul(to(a, u8), to(b, u8)), to(exact, u8)));
  for (DType t : {f16, bf16}) {
    Tensor x = normal({9, 65}, 3, t), y = normal({65, 6}, 4, t);
    CHECK(matmul(x, y).dtype() == t);
    CHECK(equal(matmul(x, y), to(matmul(to(x, f32), to(y, f32)), t)));
  }
  CHECK(matmul(normal({2, 2}, 5, f32), normal({2, 2}, 6, f64)).dtype() == f64);
  CHECK(matmul(normal({2, 2}, 5, f64), normal({2, 2}, 6, c64)).dtype() == c128);
}

TEST_CASE("linear and addmm add their third operand", "[matmul]") {
  for (DType t : {f64, c128}) {
    Tensor x = normal({2, 3, 4}, 1, t), w = normal({5, 4}, 2, t), b = normal({5}, 3, t);
    CHECK(difference(linear(x, w, b), naive(x, transpose(w, 0, 1)) + b) < 1e-13);
    CHECK(difference(linear(x, w), naive(x, transpose(w, 0, 1))) < 1e-13);
    CHECK(difference(linear(select(select(x, 0, 0), 0, 1), w, b), select(select(linear(x, w, b), 0, 0), 0, 1)) < 1e-13);
    Tensor m = normal({3, 4}, 4, t), k = normal({4, 5}, 5, t);
    CHECK(difference(addmm(b, m, k, 0.5, -2), 0.5 * b - 2 * naive(m, k)) < 1e-13);
  }
  Tensor nan = full({3, 5}, NAN, f64);
  CHECK(all(isfinite(addmm(nan, normal({3, 4}, 4), normal({4, 5}, 5), 0))).item<bool>());
}

TEST_CASE("gradients of products, to the second order", "[matmul][grad]") {
  struct Case {
    Shape a, b;
  };
  for (const Case& c : {Case{{2, 3}, {3, 2}}, Case{{2, 2, 3}, {3, 2}}, Case{{2, 3}, {2, 3, 2}},
                        Case{{2, 1, 2, 3}, {3, 3, 2}}, Case{{3}, {3}}, Case{{3}, {2, 3, 2}}, Case{{2, 3}, {3}}})
    for (DType t : {f64, c128}) {
      INFO(c.a.str() << " " << c.b.str() << " " << name_of(t));
      auto f = [](const TensorList& in) { return TensorList{matmul(in[0], in[1])}; };
      CHECK(check_twice(f, {normal(c.a, 1, t), normal(c.b, 2, t)}) == "");
    }
  auto affine = [](const TensorList& in) { return TensorList{linear(in[0], in[1], in[2])}; };
  for (DType t : {f64, c128})
    CHECK(check_twice(affine, {normal({2, 2, 3}, 1, t), normal({4, 3}, 2, t), normal({4}, 3, t)}) == "");
  auto fused = [](const TensorList& in) { return TensorList{addmm(in[0], in[1], in[2], 0.5, 2)}; };
  CHECK(check_twice(fused, {normal({3}, 1), normal({2, 4}, 2), normal({4, 3}, 3)}) == "");
  // a complex factor of a real one: the real one's gradient is the real part
  auto mixed = [](const TensorList& in) { return TensorList{matmul(in[0], in[1])}; };
  CHECK(check_twice(mixed, {normal({2, 3}, 1), normal({3, 2}, 2, c128)}) == "");
}

TEST_CASE("errors of products name the op, both shapes and what fits", "[matmul][errors]") {
  Tensor a = zeros({2, 3}), b = zeros({4, 5});
  CHECK_THROWS_WITH(matmul(a, b), contains("matmul: inner sizes differ; got [2, 3] and [4, 5]"));
  CHECK_THROWS_WITH(matmul(zeros({}), b), contains("matmul: an operand has no dims"));
  CHECK_THROWS_WITH(matmul(zeros({2, 2, 3}), zeros({3, 3, 4})), contains("matmul: shapes do not broadcast"));
  CHECK_THROWS_WITH(matmul(zeros({3}), zeros({4})), contains("[3] and [4]"));
  CHECK_THROWS_AS(matmul(to(a, boolean), to(a, boolean)), DTypeError);
  CHECK_THROWS_WITH(linear(a, b), contains("linear: input and weight do not fit"));
  CHECK_THROWS_WITH(linear(a, zeros({4, 3}), zeros({3})),
                    contains("linear: bias has the wrong shape; got [3]; expected [4]"));
  CHECK_THROWS_WITH(bmm(a, b), contains("bmm: shapes do not fit"));
  CHECK_THROWS_WITH(addmm(zeros({9}), a, zeros({3, 4})), contains("expand"));
  CHECK_THROWS_WITH(addmm(whole({4}, 3, 1), whole({2, 3}, 3, 1), whole({3, 4}, 3, 1), 0.5),
                    contains("integer factors"));
  CHECK_THROWS_WITH(dot(a, b), contains("dot: expected two vectors"));
}
