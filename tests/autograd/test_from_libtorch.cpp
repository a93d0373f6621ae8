// What docs/from_libtorch.md says: names that are libtorch's mean the same, and what differs does so in the way
// described there.
#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>

#include "include/inkstone/ink.h"
#include "nn/data/loader.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

std::string printed(const auto& x) {
  std::ostringstream s;
  s << x;
  return s.str();
}
template <class T>
concept assignable_element = requires(T x) {
  x[0] = x;
};

}  // namespace

// ---- the same names

TEST_CASE("comparisons are methods too, with tensors and numbers", "[libtorch]") {
  Tensor x = tensor({1, 2, 3}), y = tensor({3, 2, 1});
  CHECK(equal(x.eq(y), tensor({0, 1, 0}, boolean)));
  CHECK(equal(x.ne(2), tensor({1, 0, 1}, boolean)));
  CHECK(equal(x.lt(y), tensor({1, 0, 0}, boolean)));
  CHECK(equal(x.le(2.0), tensor({1, 1, 0}, boolean)));
  CHECK(equal(x.gt(y), tensor({0, 0, 1}, boolean)));
  CHECK(equal(x.ge(int64_t(2)), tensor({0, 1, 1}, boolean)));
  CHECK(x.eq(y).dtype() == boolean);
}

TEST_CASE("sizes, expand_as and printing", "[libtorch]") {
  Tensor x = ones({2, 3});
  CHECK(x.sizes() == Shape{2, 3});
  CHECK(equal(tensor({1, 2, 3}).expand_as(x), tensor({{1, 2, 3}, {1, 2, 3}})));
  CHECK(printed(x.shape()) == "[2, 3]");
  CHECK(printed(x.dtype()) == "f32");
  CHECK(printed(boolean) == "bool");
  CHECK(printed(Device::cpu()) == "cpu");
  CHECK(printed(Device::cuda(1)) == "cuda:1");
  CHECK(printed(tensor({1, 2})) == tensor({1, 2}).str());
}

TEST_CASE("lists of one number a row are columns", "[libtorch]") {
  CHECK(tensor({{1.}, {2.}}).shape() == Shape{2, 1});
  CHECK(tensor({{5}, {7}}).shape() == Shape{2, 1});
  CHECK(tensor({{5}}).shape() == Shape{1, 1});
  CHECK(tensor({{1, 2}, {3, 4}}).shape() == Shape{2, 2});
  CHECK(tensor({1, 2}).shape() == Shape{2});
  CHECK(tensor({1.5}).shape() == Shape{1});
  CHECK(tensor({1, 2.5, 3.0f}).shape() == Shape{3});
  const std::initializer_list<double> named{1, 2, 3};
  CHECK(tensor(named, f64).shape() == Shape{3});
  CHECK(equal(tensor({true, false}, boolean), tensor({1, 0}, boolean)));
}

TEST_CASE("grad and backward take lists in braces", "[libtorch]") {
  Tensor a = tensor({1, 2}).requires_grad_(), b = tensor({3, 4}).requires_grad_();
  auto loss = [&] { return (a * a * b).sum(); };
  std::vector<Tensor> both = grad({loss()}, {a, b});
  REQUIRE(both.size() == 2);
  CHECK(values(both[0]) == Values{6, 16});
  CHECK(values(both[1]) == Values{1, 4});
  std::vector<Tensor> one = grad({loss()}, {a});  // a list of one, as in libtorch: [0] is a gradient, not an element
  REQUIRE(one.size() == 1);
  CHECK(values(one[0]) == Values{6, 16});
  std::vector<Tensor> params{a, b};
  CHECK(values(grad({loss()}, params)[1]) == Values{1, 4});
  CHECK(values(grad({a * b}, {a}, {tensor({10, 100})})[0]) == Values{30, 400});
  Tensor twice = grad({loss()}, {a}, {}, {.create_graph = true})[0];
  CHECK(values(grad({twice.sum()}, {b})[0]) == Values{2, 4});
  Tensor alone = grad(loss(), a);  // one output, one input: one tensor
  CHECK(values(alone) == Values{6, 16});
  backward({a.sum(), b.sum()});
  CHECK(values(a.grad()) == Values{1, 1});
  CHECK(values(b.grad()) == Values{1, 1});
}

TEST_CASE("argmax and argmin without a dim are over all elements", "[libtorch]") {
  Tensor x = tensor({{1, 9}, {9, 0}});
  CHECK(x.argmax().shape() == Shape{});
  CHECK(x.argmax().dtype() == i64);
  CHECK(x.argmax().item<int64_t>() == 1);  // the first of equals
  CHECK(x.argmin().item<int64_t>() == 3);
  CHECK(values(x.argmax(-1)) == Values{1, 0});
  CHECK(x.argmax(0, true).shape() == Shape{1, 2});
}

TEST_CASE("the optimizers' defaults are libtorch's", "[libtorch]") {
  CHECK(SGDOptions{}.lr == 1e-3);
  CHECK(SGDOptions{}.momentum == 0);
  CHECK(AdamOptions{}.lr == 1e-3);
  CHECK(AdamOptions{}.beta2 == 0.999);
  CHECK(AdamOptions{}.eps == 1e-8);
  CHECK(AdamWOptions{}.weight_decay == 1e-2);
}

TEST_CASE("a loop over a loader is one whole pass, every time", "[libtorch]") {
  DataLoader loader(TensorDataset({arange(5)}), {.batch_size = 2});
  for (int pass = 0; pass < 2; ++pass) {
    int64_t seen = 0;
    for (const Batch& batch : loader) seen += batch[0].size(0);
    CHECK(seen == 5);
  }
}

// ---- what differs

TEST_CASE("a module is a value: its copy has parameters of its own", "[libtorch]") {
  Linear a(2, 3), b = a;
  CHECK(equal(a.weight, b.weight));
  {
    NoGrad guard;
    b.weight.zero_();
  }
  CHECK_FALSE(equal(a.weight, b.weight));
  std::vector<Linear> four(4, Linear(2, 3));
  CHECK_FALSE(four[0].weight.shares_storage(four[1].weight));
}

TEST_CASE("what fields() does not name is no parameter", "[libtorch]") {
  struct Half : Module {
    Linear named{2, 2}, forgotten{2, 2};
    void fields(Fields& f) override { f("named", named); }
  } half;
  CHECK(half.parameters().size() == 2);
  CHECK_THROWS_AS(check_covers(half.named.forward(ones({1, 2})).sum(), half), ValueError);
}

TEST_CASE("numbers in braces are f32, whole ones too; one_hot is f32", "[libtorch]") {
  CHECK(tensor({1, 2}).dtype() == f32);
  CHECK(tensor({1, 2}, i64).dtype() == i64);
  CHECK(full({2}, 3).dtype() == f32);
  CHECK(arange(3).dtype() == i64);
  CHECK(one_hot(tensor({0, 2}, i64), 3).dtype() == f32);
}

TEST_CASE("at a tie the first maximum has the gradient, over one dim or all", "[libtorch]") {
  Tensor x = tensor({2, 5, 5}).requires_grad_();
  max(x).backward();
  CHECK(values(x.grad()) == Values{0, 1, 0});
  x.zero_grad();
  max(x, 0).backward();
  CHECK(values(x.grad()) == Values{0, 1, 0});
  Tensor a = tensor({1}).requires_grad_(), b = tensor({1}).requires_grad_();
  maximum(a, b).sum().backward();  // of two tensors: half to each, as there
  CHECK(a.grad().item() == 0.5);
  CHECK(b.grad().item() == 0.5);
}

TEST_CASE("max over a dim gives values; max_with_indices gives both", "[libtorch]") {
  Tensor x = tensor({{1, 3}, {4, 2}});
  CHECK(values(x.max(1)) == Values{3, 4});
  auto [value, at] = max_with_indices(x, 1);
  CHECK(values(value) == Values{3, 4});
  CHECK(values(at) == Values{1, 0});
}

TEST_CASE("clamp passes the gradient at its bounds, and stays inside what the dtype holds", "[libtorch]") {
  Tensor x = tensor({-1, 0, 0.5, 1, 2}).requires_grad_();
  clamp(x, 0, 1).sum().backward();
  CHECK(values(x.grad()) == Values{0, 1, 1, 1, 0});
  CHECK(clamp(tensor({200}, u8), {}, 300).item() == 200);
  CHECK(clamp(tensor({200}, u8), {}, 300).dtype() == u8);
}

TEST_CASE("comparisons are by value, whatever the dtype holds", "[libtorch]") {
  Tensor x = tensor({100}, u8);
  CHECK((x < 300).item<bool>());
  CHECK((x > -1).item<bool>());
}

TEST_CASE("a cosine schedule stays at its floor", "[libtorch]") {
  const Cosine cosine{.steps = 10, .floor = 0.1};
  CHECK(cosine.factor(0) == 1);
  CHECK(cosine.factor(5) == Approx(0.1 + 0.9 * 0.5 * (1 + std::cos(std::numbers::pi / 2))));
  for (int64_t step : {10, 11, 15, 20, 1000}) CHECK(cosine.factor(step) == Approx(0.1));
}

TEST_CASE("lerp reaches both ends exactly", "[libtorch]") {
  CHECK(lerp(tensor({1e8}), tensor({1}), 1).item() == 1);
  CHECK(lerp(tensor({1e8}), tensor({1}), 0).item() == 1e8);
}

TEST_CASE("a composed formula over halves is rounded once", "[libtorch]") {
  CHECK(mean(full({3}, 40000, f16)).item() == 40000);
  CHECK(norm(tensor({600, 800}, f16)).item() == 1000);
}

TEST_CASE("singular points have the gradients of the table", "[libtorch]") {
  auto gradient = [](const std::function<Tensor(const Tensor&)>& f, std::initializer_list<double> at) {
    Tensor x = from_data(at, {int64_t(at.size())}, f64).requires_grad_();
    f(x).sum().backward();
    return values(x.grad());
  };
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(gradient([](const Tensor& x) { return abs(x); }, {0}) == Values{0});
  CHECK(gradient([](const Tensor& x) { return sign(x); }, {0}) == Values{0});
  CHECK(gradient([](const Tensor& x) { return norm(x); }, {0, 0}) == Values{0, 0});
  CHECK(gradient([](const Tensor& x) { return ink::std(x); }, {3, 3}) == Values{0, 0});
  CHECK(gradient([](const Tensor& x) { return relu(x); }, {0}) == Values{0});
  CHECK(gradient([](const Tensor& x) { return silu(x); }, {-inf, inf}) == Values{0, 1});
  CHECK(gradient([](const Tensor& x) { return gelu(x); }, {-inf, inf}) == Values{0, 1});
  CHECK(gradient([](const Tensor& x) { return atan2(x, zeros_like(x)); }, {0}) == Values{0});
  CHECK(gradient([](const Tensor& x) { return atan2(zeros_like(x), x); }, {0}) == Values{0});
}

TEST_CASE("an element is written by copy_, index_put_ or fill_, and not by assignment", "[libtorch]") {
  static_assert(!assignable_element<Tensor>);  // x[0] = y would write nothing: it does not compile
  Tensor x = zeros({2, 2});
  x[0].copy_(ones({2}));
  x.index_put_({1, 0}, tensor({5}).squeeze());
  CHECK(equal(x, tensor({{1, 1}, {5, 0}})));
}

TEST_CASE("a view is not written while gradients are recorded", "[libtorch]") {
  Tensor x = ones({3}).requires_grad_(), y = x * 2, row = y[0];
  CHECK_THROWS_AS(row.mul_(3), GradError);
}

TEST_CASE("assigning to a parameter keeps its handle, so optimizers stay attached", "[libtorch]") {
  Linear layer(2, 2);
  Tensor handle = layer.parameters()[0];
  layer.weight = ones({2, 2});
  CHECK(equal(handle, ones({2, 2})));
  CHECK(layer.weight.requires_grad());
}

TEST_CASE("zero_grad forgets the gradient; a second backward needs retain_graph", "[libtorch]") {
  Tensor x = ones({2}).requires_grad_();
  x.sum().backward();
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  Tensor loss = exp(x).sum();
  loss.backward();
  CHECK_THROWS_AS(loss.backward(), GradError);
}

TEST_CASE("item is a double unless asked for another type", "[libtorch]") {
  static_assert(std::is_same_v<decltype(Tensor().item()), double>);
  CHECK(tensor({3}, i64).item<int64_t>() == 3);
}

TEST_CASE("an optimizer over no parameters is refused", "[libtorch]") {
  CHECK_THROWS_AS(SGD(Relu().parameters()), ValueError);
}

TEST_CASE("every row of docs/from_libtorch.md that names a difference has its reason", "[libtorch]") {
  const std::string page = read_file(INK_SOURCE_DIR "/docs/from_libtorch.md");
  const size_t first = page.find("## What differs");
  std::istringstream lines(page.substr(first, page.find("## Singular") - first));
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ") || line.starts_with("| libtorch") || line.starts_with("| ---")) continue;
    ++rows;
    INFO(line);
    CHECK(line.find("|  |") == std::string::npos);
    CHECK(line.find("| |") == std::string::npos);
  }
  CHECK(rows >= 18);
}
