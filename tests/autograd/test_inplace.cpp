// In-place ops: the same numbers as their forms, into the same memory; recorded as those forms, refused where wrong.
#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/observe/gradcheck.h"
#include "autograd/ops.h"
#include "tests/catch.h"
#include "tests/support/strided.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
Tensor grid(DType t = f64) { return to(reshape(arange(1, 7, 1, f64), {2, 3}), t); }
}  // namespace

TEST_CASE("an in-place op gives what its form gives, in the same memory", "[inplace]") {
  for (DType t : kAllDTypes) {
    if (t == boolean) continue;
    INFO(name_of(t));
    auto check = [&](auto write, const Tensor& expected) {
      Tensor x = grid(t);
      void* before = x.raw_data();
      uint32_t version = x.impl()->storage->version;
      write(x);
      CHECK(x.raw_data() == before);
      CHECK(x.dtype() == t);
      CHECK(x.impl()->storage->version > version);
      CHECK(equal(x, to(expected, t)));
    };
    Tensor x = grid(t), row = to(tensor({3, 1, 2}), t);
    check([&](Tensor& y) { y.add_(row); }, x + row);
    check([&](Tensor& y) { y.add_(row, 2); }, x + row * 2);
    check([&](Tensor& y) { y += 2; }, x + 2);
    if (t != u8) check([&](Tensor& y) { y.sub_(row); }, x - row);
    check([&](Tensor& y) { y -= 1; }, x - 1);
    check([&](Tensor& y) { y.mul_(row); }, x * row);
    check([&](Tensor& y) { y *= 3; }, x * 3);
    check([&](Tensor& y) { y.fill_(5); }, full({2, 3}, 5));
    check([&](Tensor& y) { y.zero_(); }, zeros({2, 3}));
    check([&](Tensor& y) { y.copy_(row); }, expand(row, {2, 3}));
    if (!is_integral(t)) {
      check([&](Tensor& y) { y.div_(row); }, x / row);
      check([&](Tensor& y) { y /= 2; }, x / 2);
    }
  }
}

TEST_CASE("an in-place op writes through views and nowhere else", "[inplace]") {
  Tensor x = grid();
  x.t().add_(tensor({10, 20}, f64));  // rows of the transpose are columns of x
  CHECK(values(x) == Values{11, 12, 13, 24, 25, 26});
  x = grid();
  select(x, 1, 1).mul_(-1);
  CHECK(values(x) == Values{1, -2, 3, 4, -5, 6});
  slice(x, 1, 0, 3, 2).fill_(0);
  CHECK(values(x) == Values{0, -2, 0, 0, -5, 0});
  Tensor copy = x;  // the same handle
  x += 1;
  CHECK(values(copy) == values(x));
}

TEST_CASE("the other operand may be part of the target", "[inplace]") {
  Tensor x = grid();
  x.add_(x);
  CHECK(values(x) == Values{2, 4, 6, 8, 10, 12});
  Tensor square = reshape(arange(0, 9, 1, f64), {3, 3}), expected = square + square.t();
  square.add_(square.t());
  CHECK(equal(square, expected));
  for (int64_t n : {5, 200}) {
    Tensor line = arange(0, n, 1, f64), moved = cat({slice(line, 0, 0, 1), slice(line, 0, 0, n - 1)});
    slice(line, 0, 1, n).copy_(slice(line, 0, 0, n - 1));
    CHECK(equal(line, moved));
    line = arange(0, n, 1, f64);
    Tensor sums = slice(line, 0, 1, n) + slice(line, 0, 0, n - 1);
    slice(line, 0, 1, n).add_(slice(line, 0, 0, n - 1));
    CHECK(equal(slice(line, 0, 1, n), sums));
    line = arange(0, n, 1, f64);
    Tensor rows = reshape(arange(0, 2 * n, 1, f64), {2, n}), scaled = rows * select(rows, 0, 0);
    rows.mul_(select(rows, 0, 0));
    CHECK(equal(rows, scaled));
  }
}

TEST_CASE("a target whose elements share memory is refused", "[inplace]") {
  Tensor row = tensor({1, 2, 3}, f64), wide = expand(row, {2, 3});
  for (auto write : {+[](Tensor& y) { y.add_(1); },
                     +[](Tensor& y) {
                       y.mul_(ones({2, 3}, f64));
                     },
                     +[](Tensor& y) {
                       y.copy_(zeros({2, 3}, f64));
                     }})
    CHECK_THROWS_WITH(write(wide),
                      contains("several elements of the target share memory; got shape [2, 3] with strides [0, 1]"));
  CHECK(values(row) == Values{1, 2, 3});
}

TEST_CASE("what does not fit the target is refused", "[inplace]") {
  Tensor x = grid(), whole = grid(i64);
  CHECK_THROWS_AS(whole.add_(x), DTypeError);
  CHECK_THROWS_WITH(whole.add_(x), contains("add_: the result does not fit the target; got f64 into i64"));
  CHECK_THROWS_WITH(whole.mul_(2.5), contains("mul_: the result does not fit the target"));
  CHECK_THROWS_AS(whole.div_(2), DTypeError);
  CHECK_THROWS_AS(whole.div_(whole), DTypeError);
  CHECK_THROWS_AS(x.add_(complex<double>(1, 1)), DTypeError);
  CHECK_THROWS_WITH(x.add_(ones({3, 3}, f64)), contains("expand: "));
  CHECK_THROWS_AS(tensor({1, 2, 3}, f64).add_(x), ShapeError);
  CHECK_THROWS_AS(x.copy_(ones({4}, f64)), ShapeError);
  CHECK(values(x) == Values{1, 2, 3, 4, 5, 6});
  CHECK(values(whole) == Values{1, 2, 3, 4, 5, 6});
  CHECK(whole.add_(to(x, i32)).dtype() == i64);
  CHECK(grid(f32).add_(x).dtype() == f32);
}

TEST_CASE("under recording, an in-place op has the gradient of its form, to second order", "[inplace]") {
  using Write = void (*)(Tensor&, const Tensor&);
  for (Write write :
       {Write([](Tensor&y, const Tensor&b) { y.add_(b); }), Write([](Tensor&y, const Tensor&b) { y.add_(b, 3); }),
        Write([](Tensor&y, const Tensor&b) { y.sub_(b); }), Write([](Tensor&y, const Tensor&b) { y.mul_(b); }),
        Write([](Tensor&y, const Tensor&b) { y.div_(b); }), Write([](Tensor&y, const Tensor&b) { y.copy_(b); }),
        Write([](Tensor&y, const Tensor&b) { y.index_put_({0}, b); }), Write([](Tensor&y, const Tensor&b) {
          y.index_put_({Slice(), 1}, b.sum(), true);
        }),
        Write([](Tensor&y, const Tensor&) { y.mul_(3).add_(1).div_(2).sub_(0.5); })}) {
    auto f = [write](const TensorList& in) {
      Tensor y = in[0] * in[0];
      write(y, in[1]);
      return TensorList{y * in[0]};
    };
    TensorList in{random_tensor({2, 3}, 1), random_tensor({3}, 2) + 3};
    GradcheckResult first = gradcheck(f, in), second = gradgradcheck(f, in);
    CHECK(first.message == "");
    CHECK(second.message == "");
  }
  Tensor x = grid().requires_grad_(), y = x * 2;
  y.fill_(1);
  CHECK(values(grad((y * x).sum(), x)) == Values(6, 1.0));  // y no longer depends on x
}

TEST_CASE("writes that would give a wrong gradient are refused, and the target is left alone", "[inplace]") {
  Tensor leaf = grid().requires_grad_();
  CHECK_THROWS_WITH(
      leaf.add_(1),
      contains("add_: a leaf that requires a gradient cannot be written in place; got shape [2, 3]; hint: use NoGrad"));
  Tensor y = leaf * 2, row = select(y, 0, 0);
  CHECK_THROWS_WITH(
      row.mul_(2),
      contains(
          "mul_: a view cannot be written in place while gradients are recorded; got shape [3]; hint: use index_put"));
  CHECK(values(y) == Values{2, 4, 6, 8, 10, 12});
  {
    NoGrad guard;
    leaf.mul_(2);
    CHECK(leaf.requires_grad());
  }
  CHECK(values(leaf) == Values{2, 4, 6, 8, 10, 12});
  // a value that was changed behind the graph's back
  Tensor changed = leaf * 2;
  changed.detach().add_(1);
  CHECK_THROWS_WITH(changed.mul_(leaf), contains("mul: an input was overwritten in place by add_"));
  // exp's gradient needs its output
  Tensor e = exp(leaf), used = e * 3;
  e.add_(1);
  CHECK_THROWS_WITH(used.sum().backward(),
                    contains("exp: the output saved for its gradient was overwritten in place by add_"));
  // a plain tensor takes part in the graph once it is written from it
  Tensor plain = zeros({2, 3}, f64);
  plain.add_(leaf);
  CHECK(plain.requires_grad());
  CHECK(values(grad(plain.sum(), leaf)) == Values(6, 1.0));
}
