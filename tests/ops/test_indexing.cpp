#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/observe/gradcheck.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
Tensor ints(std::initializer_list<double> v) { return tensor(v, i64); }
Tensor grid() { return reshape(arange(0, 24, 1, f64), {2, 3, 4}); }
Tensor leaf(const Tensor& t) {
  Tensor x = clone(t);
  return x.requires_grad_();
}
}  // namespace

TEST_CASE("slices, integers, None and Ellipsis give views", "[index]") {
  Tensor x = grid();
  CHECK(values(x.index({1, 2})) == Values{20, 21, 22, 23});
  CHECK(values(x.index({Ellipsis, -1})) == Values{3, 7, 11, 15, 19, 23});
  CHECK(values(x.index({0, Slice(None, None, 2), Slice(1, 3)})) == Values{1, 2, 9, 10});
  CHECK(values(x.index({Slice(-1, None), 0, Slice(-2, None)})) == Values{14, 15});
  CHECK(x.index({None, 0, Ellipsis, None}).shape() == Shape{1, 3, 4, 1});
  CHECK(x.index({}).shape() == Shape{2, 3, 4});
  CHECK(x.index({Slice(5, 9)}).shape() == Shape{0, 3, 4});
  Tensor view = x.index({1, Ellipsis, Slice(0, 2)});
  CHECK(view.shares_storage(x));
  view.fill_(-1);
  CHECK(x.index({1, 2, 1}).item() == -1);
}

TEST_CASE("index tensors broadcast; adjacent ones stay in place, others go in front", "[index]") {
  Tensor x = grid(), rows = ints({1, 0, -1});
  CHECK(x.index({rows}).shape() == Shape{3, 3, 4});
  CHECK(values(x.index({0, rows})) == Values{4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11});
  CHECK(values(x.index({Slice(), rows, 0})) == Values{4, 0, 8, 16, 12, 20});
  Tensor a = ints({0, 1}), b = ints({2, -1});
  CHECK(values(x.index({a, Slice(), b})) == Values{2, 6, 10, 15, 19, 23});  // [2, 3]: in front
  CHECK(values(x.index({1, a, b})) == Values{14, 19});
  CHECK(values(x.index({Slice(), a, b})) == Values{2, 7, 14, 19});
  Tensor column = reshape(a, {2, 1});
  CHECK(x.index({column, b}).shape() == Shape{2, 2, 4});
  CHECK(values(x.index({column, b, 0})) == Values{8, 8, 20, 20});
  CHECK(values(x.index({to(rows, i32), 0, 0})) == Values{12, 0, 12});
  CHECK(x.index({zeros({0}, i64)}).shape() == Shape{0, 3, 4});
  CHECK(x.index({Tensor(int64_t(1))}).shape() == Shape{3, 4});
  CHECK(equal(transpose(x, 0, 2).index({b, a}), transpose(x, 0, 2).contiguous().index({b, a})));
}

TEST_CASE("masks pick elements, alone or among other indices", "[index]") {
  Tensor x = grid();
  CHECK(values(x.index({x > 20.})) == Values{21, 22, 23});
  Tensor rows = to(ints({1, 0, 1}), boolean);
  CHECK(values(x.index({0, rows, 1})) == Values{1, 9});
  CHECK(x.index({Slice(), rows}).shape() == Shape{2, 2, 4});
  Tensor plane = x.select(2, 0) > 7.;  // [2, 3]
  CHECK(values(x.index({plane, 3})) == Values{11, 15, 19, 23});
  CHECK(x.index({Tensor(true)}).shape() == Shape{1, 2, 3, 4});
  CHECK(x.index({Tensor(false)}).shape() == Shape{0, 2, 3, 4});
  CHECK(values(masked_select(x.select(0, 0), tensor({1, 0, 0, 1}, boolean))) == Values{0, 3, 4, 7, 8, 11});
  CHECK(masked_select(x, x < 0.).shape() == Shape{0});
}

TEST_CASE("wrong indices say what was got and expected", "[index]") {
  Tensor x = grid();
  Tensor wide = ints({0, 3}), floats = tensor({0., 1.}), mask = to(ints({1, 0}), boolean);
  CHECK_THROWS_AS(x.index({Slice(), wide}), IndexError);
  CHECK_THROWS_WITH(x.index({Slice(), wide}), contains("got 3; expected -3 to 2"));
  CHECK_THROWS_WITH(x.index({ints({-3})}), contains("got -3; expected -2 to 1"));
  CHECK_THROWS_WITH(x.index({0, 5}), contains("got 5"));
  CHECK_THROWS_WITH(x.index({floats}), contains("got f32; expected i64 or i32"));
  CHECK_THROWS_WITH(x.index({0, 0, 0, 0}), contains("too many indices; got 4 for shape [2, 3, 4]"));
  CHECK_THROWS_WITH(x.index({Ellipsis, Ellipsis}), contains("more than one Ellipsis"));
  CHECK_THROWS_WITH(x.index({Slice(), mask}), contains("the mask does not fit"));
  CHECK_THROWS_AS(x.index({ints({0, 1}), ints({0, 1, 2})}), ShapeError);
  CHECK_THROWS_WITH(gather(x, 0, ints({0})), contains("got index [1] for a tensor [2, 3, 4]"));
  CHECK_THROWS_WITH(index_select(x, 1, ints({4})), contains("index_select: index out of range; got 4"));
  CHECK_THROWS_WITH(index_select(zeros({0, 2}), 0, ints({0})), contains("the dim has no elements"));
  CHECK_THROWS_WITH(embedding(zeros({4, 2}), ints({4})), contains("got 4; expected -4 to 3"));
  CHECK_THROWS_WITH(scatter_add(zeros({3}, i64), 0, ints({0}), tensor({0.5})), contains("got f32 into i64"));
  CHECK_THROWS_WITH(index_add(zeros({3, 2}), 0, ints({0}), zeros({2, 2})), contains("got [2, 2]; expected [1, 2]"));
}

TEST_CASE("index_put writes slices, rows, points and masks", "[index]") {
  Tensor x = zeros({3, 4}, f64);
  x.index_put_({Slice(0, 2), Slice(1, 3)}, tensor({1, 2}));
  CHECK(values(x) == Values{0, 1, 2, 0, 0, 1, 2, 0, 0, 0, 0, 0});
  x.index_put_({2}, full({1, 4}, 5.));  // size-1 dims in front are dropped
  CHECK(values(x.select(0, 2)) == Values{5, 5, 5, 5});
  x.index_put_({ints({0, -1}), ints({0, 3})}, tensor({7, 8}));
  CHECK(x.index({0, 0}).item() == 7);
  CHECK(x.index({2, 3}).item() == 8);
  x.index_put_({x > 4.}, Tensor(0.));
  CHECK(values(x) == Values{0, 1, 2, 0, 0, 1, 2, 0, 0, 0, 0, 0});
  Tensor t = transpose(x, 0, 1);  // [4, 3], strided
  t.index_put_({ints({0, 1}), Slice()}, tensor({{1, 2, 3}, {4, 5, 6}}));
  CHECK(values(x) == Values{1, 4, 2, 0, 2, 5, 2, 0, 3, 6, 0, 0});
  t.index_put_({ints({0, 3}), ints({1, 2})}, tensor({-1, -2}));
  CHECK(values(x) == Values{1, 4, 2, 0, -1, 5, 2, 0, 3, 6, 0, -2});
}

TEST_CASE("a strided target of which the indexed dims do not merge is written too", "[index]") {
  Tensor x = zeros({2, 3, 4}, f64), v = x.slice(1, 0, 2);  // dims 0 and 1 of v cannot be walked as one
  v.index_put_({ints({0, 1}), ints({1, 0})}, tensor({{1, 2, 3, 4}, {5, 6, 7, 8}}));
  CHECK(values(x.index({0, 1})) == Values{1, 2, 3, 4});
  CHECK(values(x.index({1, 0})) == Values{5, 6, 7, 8});
  CHECK(sum(x).item() == 36);
}

TEST_CASE("repeated positions: the last value stays, or all add up", "[index]") {
  Tensor twice = ints({1, 1, 0});
  std::initializer_list<double> v{1, 2, 3};
  CHECK(values(index_put(zeros({3}), std::vector<Index>{twice}, tensor(v))) == Values{3, 2, 0});
  CHECK(values(index_put(ones({3}), std::vector<Index>{twice}, tensor(v), true)) == Values{4, 4, 1});
  CHECK(values(index_put(ones({3}), std::vector<Index>{Slice(1, 3)}, tensor({5.}), true)) == Values{1, 6, 6});
  CHECK(values(scatter(zeros({3}), 0, twice, tensor(v))) == Values{3, 2, 0});
  CHECK(values(scatter_add(zeros({3}), 0, twice, tensor(v))) == Values{3, 3, 0});
  CHECK(values(index_add(zeros({3}), 0, twice, tensor(v))) == Values{3, 3, 0});
  // Only the survivor moves the result, so only it has a gradient.
  Tensor s = leaf(tensor(v));
  scatter(zeros({3}), 0, twice, s).sum().backward();
  CHECK(values(s.grad()) == Values{0, 1, 1});
  s.zero_grad();
  index_put(zeros({3}), std::vector<Index>{twice}, s).sum().backward();
  CHECK(values(s.grad()) == Values{0, 1, 1});
}

TEST_CASE("the source of a write may be part of the target", "[index]") {
  Tensor x = arange(0, 5, 1, f64);
  x.index_put_({Slice(1, None)}, x.slice(0, 0, 4));
  CHECK(values(x) == Values{0, 0, 1, 2, 3});
}

TEST_CASE("a value that does not fit is refused", "[index]") {
  Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH(x.index_put_({0}, zeros({2})), contains("index_put_"));
  CHECK_THROWS_AS(x.index_put_({0}, zeros({2})), ShapeError);
  CHECK_THROWS_WITH(x.index_put_({0}, zeros({2, 3})), contains("expected a shape that broadcasts to [3]"));
  CHECK_THROWS_AS(zeros({2}, i64).index_put_({0}, Tensor(0.5)), DTypeError);
}

TEST_CASE("index_put_ under recording: functional where it can be, refused where it would be wrong", "[index]") {
  Tensor w = leaf(tensor({1., 2.}, f64)), x = w * 2;
  x.index_put_({0}, Tensor(5.));
  CHECK(values(x) == Values{5, 4});
  square(x).sum().backward();
  CHECK(values(w.grad()) == Values{0, 16});

  Tensor buffer = zeros({3}, f64), v = leaf(tensor({3.}, f64));
  buffer.index_put_({Slice(1, 2)}, v);
  CHECK(buffer.requires_grad());
  square(buffer).sum().backward();
  CHECK(values(v.grad()) == Values{6});

  CHECK_THROWS_WITH(w.index_put_({0}, Tensor(0.)), contains("hint"));
  CHECK_THROWS_AS(w.index_put_({0}, Tensor(0.)), GradError);
  Tensor view = zeros({3}, f64).slice(0, 0, 2);
  CHECK_THROWS_AS(view.index_put_({0}, v), GradError);
  NoGrad guard;
  w.index_put_({0}, Tensor(9.));
  CHECK(values(w) == Values{9, 2});
}

TEST_CASE("gather, take_along_dim and scatter against loops", "[index]") {
  Tensor x = random_tensor({3, 4, 5}, 1), index = to(abs(random_tensor({3, 2, 5}, 2) * 10), i64);
  index = remainder(index, 4) - 4;  // negative, all in range
  for (const Tensor& in : {x, strided(x)}) {
    Tensor y = gather(in, 1, strided(index)), z = scatter_add(in, 1, index, strided(random_tensor({3, 2, 5}, 3)));
    Tensor expected = clone(x), source = random_tensor({3, 2, 5}, 3);
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 2; ++j)
        for (int64_t k = 0; k < 5; ++k) {
          int64_t at = index.index({i, j, k}).item<int64_t>() + 4;
          REQUIRE(y.index({i, j, k}).item() == x.index({i, at, k}).item());
          expected.data<double>()[(i * 4 + at) * 5 + k] += source.index({i, j, k}).item();
        }
    CHECK(allclose(z, expected, 1e-14, 1e-14));
  }
  CHECK(values(take_along_dim(tensor({{1, 2, 3}, {4, 5, 6}}), from_data({2, 0}, {2, 1}, i64), 1)) == Values{3, 4});
  CHECK(values(take_along_dim(tensor({{1, 2, 3}}), from_data({2, 0}, {2, 1}, i64), 1)) == Values{3, 1});
  CHECK(gather(Tensor(3.), 0, Tensor(int64_t(0))).item() == 3);
  CHECK(values(scatter(zeros({2, 2}), 1, from_data({1, 0}, {2, 1}, i64), Tensor(4.))) == Values{0, 4, 4, 0});
  CHECK(gather(zeros({0, 3}), 1, zeros({0, 2}, i64)).shape() == Shape{0, 2});
}

TEST_CASE("index_select, embedding and nonzero", "[index]") {
  Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(values(index_select(x, 0, ints({2, 0, -2}))) == Values{5, 6, 1, 2, 3, 4});
  CHECK(values(index_select(x.t(), 1, ints({2, 0}))) == Values{5, 1, 6, 2});
  CHECK(values(index_select(x, -1, ints({1}))) == Values{2, 4, 6});
  CHECK(index_select(x, 0, zeros({0}, i64)).shape() == Shape{0, 2});
  CHECK(embedding(x, tensor({{0, 1}, {2, 2}}, i64)).shape() == Shape{2, 2, 2});
  CHECK(values(embedding(x, ints({2, 1}))) == Values{5, 6, 3, 4});
  CHECK(values(nonzero(tensor({{0, 1}, {2, 0}}))) == Values{0, 1, 1, 0});
  CHECK(nonzero(zeros({3, 0, 2})).shape() == Shape{0, 3});
  CHECK(nonzero(ones({})).shape() == Shape{1, 0});
  CHECK(nonzero(zeros({4})).shape() == Shape{0, 1});
}

TEST_CASE("searchsorted finds the first place on either side, NaN last", "[index]") {
  Tensor s = tensor({1, 3, 3, 5, NAN});
  Tensor v = tensor({0, 1, 3, 4, 5, 9, NAN});
  CHECK(values(searchsorted(s, v)) == Values{0, 0, 1, 3, 3, 4, 4});
  CHECK(values(searchsorted(s, v, true)) == Values{0, 1, 3, 3, 4, 4, 5});
  CHECK(values(searchsorted(tensor({{1, 2}, {3, 4}}), from_data({2, 2}, {2, 1}))) == Values{1, 0});
  CHECK(searchsorted(s, Tensor(4.)).item() == 3);
  CHECK(values(searchsorted(zeros({0}), v)) == Values(7, 0));
  CHECK_THROWS_AS(searchsorted(zeros({2, 3}), zeros({3, 1})), ShapeError);
  for (int64_t n : {1, 2, 3, 4, 7, 8, 9, 100}) {
    Tensor line = arange(0, n, 1, f64);
    REQUIRE(equal(searchsorted(line, line), arange(n)));
    REQUIRE(equal(searchsorted(line, line, true), arange(1, n + 1)));
  }
}

TEST_CASE("gradients of reads and writes, to second order", "[index]") {
  Tensor x = random_tensor({3, 4}, 5), i = tensor({{0, 3, 3}, {1, 1, 2}, {0, 0, 0}}, i64), s = random_tensor({3, 3}, 6);
  Tensor rows = ints({2, 0, 2}), cols = ints({1, 1, 3});
  auto check1 = [&](auto f, const Tensor& in) {
    auto curved = [&](const Tensor& t) { return square(f(t)); };
    auto first = gradcheck1(curved, in), second = gradgradcheck1(curved, in);
    INFO(first.message << second.message);
    CHECK((first && second));
  };
  check1([&](const Tensor& t) { return gather(t, 1, i); }, x);
  check1([&](const Tensor& t) { return index_select(t, 0, rows); }, x);
  check1([&](const Tensor& t) { return index_select(t.t(), 0, rows); }, x);
  check1([&](const Tensor& t) { return embedding(t, rows); }, x);
  check1([&](const Tensor& t) { return masked_select(t, x > 0.); }, x);
  check1([&](const Tensor& t) { return t.index({rows, Slice(), None}); }, x);
  check1([&](const Tensor& t) { return t.index({rows, cols}); }, x);
  check1([&](const Tensor& t) { return t.index({Slice(0, 2), cols}); }, x);
  auto check2 = [&](auto f, const Tensor& a, const Tensor& b) {
    auto curved = [&](const TensorList& t) { return TensorList{square(f(t[0], t[1]))}; };
    auto first = gradcheck(curved, {a, b}), second = gradgradcheck(curved, {a, b});
    INFO(first.message << second.message);
    CHECK((first && second));
  };
  check2([&](const Tensor& a, const Tensor& b) { return scatter(a, 1, i, b); }, x, s);
  check2([&](const Tensor& a, const Tensor& b) { return scatter_add(a, 1, i, b); }, x, s);
  check2([&](const Tensor& a, const Tensor& b) { return index_add(a, 1, rows, b); }, x, s);
  for (bool accumulate : {false, true}) {
    auto put = [&](std::vector<Index> where) {
      return [where, accumulate](const Tensor& a, const Tensor& b) { return index_put(a, where, b, accumulate); };
    };
    check2(put({Slice(), Slice(1, 4)}), x, s);
    check2(put({Slice(1, 3), 2}), x, Tensor(0.3).to(f64));
    check2(put({rows, Slice(0, 3)}), x, s);
    check2(put({rows, cols}), x, random_tensor({1, 1, 3}, 7));
    check2(put({x > 0.3}), x, random_tensor({1}, 7));
  }
}
