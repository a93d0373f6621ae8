#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

TEST_CASE("einsum does what its equation says", "[einsum]") {
  Tensor a = normal({3, 4}, 1), b = normal({4, 5}, 2), x = normal({2, 3, 4}, 3), y = normal({2, 4, 5}, 4),
         v = normal({4}, 5), s = normal({4, 4}, 6), c = normal({5, 6}, 7);
  CHECK(difference(einsum("ij,jk->ik", {a, b}), matmul(a, b)) < 1e-14);
  CHECK(difference(einsum("ij,jk", {a, b}), matmul(a, b)) < 1e-14);
  CHECK(difference(einsum("bij,bjk->bik", {x, y}), matmul(x, y)) < 1e-14);
  CHECK(difference(einsum("bij,bjk->kbi", {x, y}), permute(matmul(x, y), {2, 0, 1})) < 1e-14);
  CHECK(difference(einsum("ij->ji", {a}), transpose(a, 0, 1)) < 1e-15);
  CHECK(difference(einsum("ba", {a}), transpose(a, 0, 1)) < 1e-15);  // implicit output is alphabetical
  CHECK(difference(einsum("ij->", {a}), sum(a)) < 1e-14);
  CHECK(difference(einsum("ij->j", {a}), sum(a, 0)) < 1e-14);
  CHECK(difference(einsum("i,j->ij", {v, v}), outer(v, v)) < 1e-15);
  CHECK(difference(einsum("i,i", {v, v}), dot(v, v)) < 1e-14);
  CHECK(difference(einsum("ij,ij->ij", {a, a}), square(a)) < 1e-15);
  CHECK(difference(einsum("bij,bij->b", {x, x}), sum(square(x), {1, 2})) < 1e-14);
  CHECK(difference(einsum("ij, jk, kl -> il", {a, b, c}), matmul(matmul(a, b), c)) < 1e-13);
  CHECK(difference(einsum("ij,kl->", {a, b}), sum(a) * sum(b)) < 1e-14);
  CHECK(difference(einsum("i,ij,j", {select(a, 1, 0), a, v}), dot(select(a, 1, 0), matmul(a, v))) < 1e-14);
  CHECK(difference(einsum("ii", {s}), sum(diagonal(s))) < 1e-15);
  CHECK(difference(einsum("ii->i", {s}), diagonal(s)) < 1e-15);
  CHECK(difference(einsum("bthd,bshd->bhts", {reshape(x, {2, 3, 2, 2}), reshape(x, {2, 3, 2, 2})}),
                   matmul(transpose(reshape(x, {2, 3, 2, 2}), 1, 2), permute(reshape(x, {2, 3, 2, 2}), {0, 2, 3, 1}))) <
        1e-14);
}

TEST_CASE("an ellipsis stands for any number of dims, which broadcast", "[einsum]") {
  Tensor x = normal({2, 3, 4}, 1), y = normal({2, 4, 5}, 2), m = normal({4, 5}, 3);
  CHECK(difference(einsum("...ij,...jk->...ik", {x, y}), matmul(x, y)) < 1e-14);
  CHECK(difference(einsum("...ij,jk->...ik", {x, m}), matmul(x, m)) < 1e-14);
  CHECK(difference(einsum("...ij,...jk", {x, m}), matmul(x, m)) < 1e-14);
  Tensor deep = normal({6, 1, 3, 4}, 4);
  CHECK(difference(einsum("...ij,...jk->...ik", {deep, y}), matmul(deep, y)) < 1e-14);
  CHECK(difference(einsum("i...->...i", {x}), permute(x, {1, 2, 0})) < 1e-15);
  CHECK(difference(einsum("...ii->...i", {normal({2, 3, 3}, 5)}), diagonal(normal({2, 3, 3}, 5), 0, 1, 2)) < 1e-15);
}

TEST_CASE("einsum of empty and strided operands, and its gradients", "[einsum][grad]") {
  CHECK(einsum("ij,jk->ik", {zeros({0, 3}), zeros({3, 2})}).shape() == Shape{0, 2});
  CHECK(equal(einsum("ij,jk->ik", {zeros({2, 0}), zeros({0, 3})}), zeros({2, 3})));
  Tensor a = transpose(normal({4, 3}, 1), 0, 1);
  CHECK(difference(einsum("ij,kj->ik", {a, a}), matmul(a, transpose(a, 0, 1))) < 1e-14);
  auto f = [](const TensorList& in) { return TensorList{einsum("bij,jkb,k->ib", in)}; };
  CHECK(check_twice(f, {normal({2, 2, 3}, 1), normal({3, 2, 2}, 2), normal({2}, 3)}) == "");
  CHECK(check_twice(f, {normal({2, 2, 3}, 1, c128), normal({3, 2, 2}, 2, c128), normal({2}, 3, c128)}) == "");
  CHECK(check_twice([](const Tensor& x) { return einsum("ii->i", {x}); }, normal({3, 3}, 4)) == "");
}

TEST_CASE("errors of einsum quote the equation", "[einsum][errors]") {
  Tensor a = zeros({2, 3}), b = zeros({4, 5});
  CHECK_THROWS_WITH(einsum("ij,jk->ik", {a, b}), contains("label 'j' has sizes 3 and 4") && contains("ij,jk->ik"));
  CHECK_THROWS_WITH(einsum("ij->ik", {a}), contains("output label 'k' stands in no operand"));
  CHECK_THROWS_WITH(einsum("ij->ii", {a}), contains("output label 'i' stands twice"));
  CHECK_THROWS_WITH(einsum("ij,jk", {a}), contains("2 terms for 1 operands"));
  CHECK_THROWS_WITH(einsum("ijk->i", {a}), contains("names 3 dims, operand 0 has shape [2, 3]"));
  CHECK_THROWS_WITH(einsum("ii->i", {a}), contains("label 'i' has sizes 2 and 3"));
  CHECK_THROWS_WITH(einsum("i?->i", {a}), contains("'?' is not a label"));
  CHECK_THROWS_WITH(einsum("ij->i->j", {a}), contains("two arrows"));
}
