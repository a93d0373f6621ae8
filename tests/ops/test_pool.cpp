#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// The windows of x [batch, channels, h, w] as [batch, channels, oh, ow, k * k].
Tensor windows(const Tensor& x, const PoolOptions& o, double fill) {
  const int64_t p = o.padding, reach = o.dilation * (o.kernel - 1) + 1, step = o.stride ? o.stride : o.kernel;
  Tensor w = unfold(unfold(pad(x, {p, p, p, p}, PadMode::constant, fill), 2, reach, step), 3, reach, step);
  w = slice(slice(w, 4, 0, reach, o.dilation), 5, 0, reach, o.dilation);
  return flatten(w, 4, 5);
}

const PoolOptions kForms[] = {
    {}, {.kernel = 3, .stride = 1}, {.kernel = 3, .stride = 2, .padding = 1}, {.kernel = 2, .stride = 3}};

}  // namespace

TEST_CASE("pooling is the maximum or the mean of every window", "[pool]") {
  Tensor x = normal({2, 3, 7, 8}, 1);
  for (const PoolOptions& o : kForms) {
    INFO(o.kernel << " " << o.stride << " " << o.padding);
    CHECK(equal(max_pool2d(x, o), max(windows(x, o, -INFINITY), -1)));
    CHECK(difference(avg_pool2d(x, o), mean(windows(x, o, 0), -1)) < 1e-14);
    PoolOptions inside = o;
    inside.count_include_pad = false;
    Tensor counted = sum(windows(ones_like(x), o, 0), -1);
    CHECK(difference(avg_pool2d(x, inside), sum(windows(x, o, 0), -1) / counted) < 1e-14);
    // a line is a picture whose rows are all equal
    Tensor line = normal({2, 3, 9}, 2), rows = expand(unsqueeze(line, 2), {2, 3, 9, 9});
    CHECK(equal(max_pool1d(line, o), select(max_pool2d(rows, o), 2, 1)));
    CHECK(difference(avg_pool1d(line, o), select(avg_pool2d(rows, o), 2, 1)) < 1e-14);
    CHECK(equal(max_pool2d(transpose(x, 2, 3), o), transpose(max_pool2d(x, o), 2, 3)));
  }
  PoolOptions dilated{.kernel = 2, .stride = 1, .dilation = 3};
  CHECK(equal(max_pool2d(x, dilated), max(windows(x, dilated, -INFINITY), -1)));
}

TEST_CASE("max pooling: NaN wins, and at a tie the first maximum gets the gradient", "[pool]") {
  Tensor x = from_data({1, 1, 1, NAN}, {1, 1, 4}, f64);
  Tensor y = max_pool1d(x, {.kernel = 2});
  CHECK(y.to_vector<double>()[0] == 1);
  CHECK(std::isnan(y.to_vector<double>()[1]));
  Tensor t = ones({1, 1, 2, 2}, f64).requires_grad_();
  max_pool2d(t, {}).sum().backward();
  CHECK(equal(t.grad(), from_data({1, 0, 0, 0}, {1, 1, 2, 2}, f64)));
}

TEST_CASE("upsample_nearest2d repeats every pixel", "[pool]") {
  Tensor x = normal({2, 3, 2, 4}, 1);
  CHECK(equal(upsample_nearest2d(x, 3), repeat_interleave(repeat_interleave(x, 3, 2), 3, 3)));
  CHECK(equal(upsample_nearest2d(x, 1), x));
}

TEST_CASE("gradients of pooling, to the second order", "[pool][grad]") {
  Tensor x = normal({1, 2, 5, 4}, 1), line = normal({2, 2, 5}, 2);
  for (const PoolOptions& o : kForms) {
    CHECK(check_twice([&](const Tensor& x) { return max_pool2d(x, o); }, x) == "");
    CHECK(check_twice([&](const Tensor& x) { return avg_pool2d(x, o); }, x) == "");
    CHECK(check_twice([&](const Tensor& x) { return max_pool1d(x, o); }, line) == "");
    CHECK(check_twice([&](const Tensor& x) { return avg_pool1d(x, o); }, line) == "");
  }
  CHECK(check_twice([](const Tensor& x) { return upsample_nearest2d(x, 2); }, x) == "");
}

TEST_CASE("pooling takes an empty batch and refuses what does not fit", "[pool][errors]") {
  CHECK(max_pool2d(zeros({0, 3, 4, 4}), {}).shape() == Shape{0, 3, 2, 2});
  CHECK(avg_pool2d(zeros({2, 0, 4, 4}), {}).shape() == Shape{2, 0, 2, 2});
  Tensor x = zeros({1, 1, 4, 4});
  CHECK_THROWS_WITH(max_pool2d(x, {.kernel = 5}),
                    contains("max_pool2d: the window does not fit the padded input; got window 5 and input 4"));
  CHECK_THROWS_WITH(avg_pool1d(x, {}), contains("avg_pool1d: got [1, 1, 4, 4]; expected [batch, channels, length]"));
  CHECK_THROWS_WITH(max_pool2d(x, {.kernel = 2, .padding = 2}), contains("padding of at most half"));
  CHECK_THROWS_WITH(avg_pool2d(x, {.dilation = 2}), contains("dilation got 2; expected 1"));
  CHECK_THROWS_WITH(upsample_nearest2d(x, 0), contains("scale got 0"));
  CHECK_THROWS_AS(max_pool2d(to(x, i64), {}), DTypeError);
}
