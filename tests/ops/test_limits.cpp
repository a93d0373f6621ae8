// Formulas at the ends of the number line, at singular points, and where a number does not fit the tensor's dtype.
#include <cmath>
#include <limits>
#include <sstream>
#include <type_traits>

#include "autograd/attention.h"
#include "nn/attention/gated/gau.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

const double inf = INFINITY;

struct Limit {
  double x, y, slope;  // y NaN: x itself
};

// f and f' at each x, by the one-pass kernel and by the rule in public ops.
template <class F> void check_limits(const char* name, F f, std::initializer_list<Limit> limits) {
  for (DType t : {f32, f64})
    for (const Limit& l : limits) {
      INFO(name << " at " << l.x << " in " << (t == f32 ? "f32" : "f64"));
      Tensor x = full({4}, l.x, t).requires_grad_();
      Tensor y = f(x);
      CHECK(y[0].item() == (std::isnan(l.y) ? x[0].item() : l.y));
      for (bool again : {false, true}) {
        Tensor g = grad(sum(y), x, {}, {.create_graph = again, .retain_graph = true});
        CHECK(g[0].item() == l.slope);
      }
    }
}

}  // namespace

TEST_CASE("activations and their derivatives have their limits at infinity", "[limits]") {
  const double huge = 3e38;
  check_limits("silu", [](const Tensor& x) { return silu(x); },
               {{-inf, 0, 0}, {-huge, 0, 0}, {0, 0, 0.5}, {-0., 0, 0.5}, {huge, NAN, 1}, {inf, inf, 1}});
  check_limits("gelu", [](const Tensor& x) { return gelu(x); },
               {{-inf, 0, 0}, {-huge, 0, 0}, {0, 0, 0.5}, {-0., 0, 0.5}, {inf, inf, 1}});
  check_limits("gelu tanh", [](const Tensor& x) { return gelu(x, GeluForm::tanh); },
               {{-inf, 0, 0}, {-3e13, 0, 0}, {-0., 0, 0.5}, {1e20, NAN, 1}, {inf, inf, 1}});
  check_limits("sigmoid", [](const Tensor& x) { return sigmoid(x); }, {{-inf, 0, 0}, {0, 0.5, 0.25}, {inf, 1, 0}});
  check_limits("softplus", [](const Tensor& x) { return softplus(x); }, {{-inf, 0, 0}, {inf, inf, 1}});
  check_limits("tanh", [](const Tensor& x) { return tanh(x); }, {{-inf, -1, 0}, {0, 0, 1}, {inf, 1, 0}});
  check_limits("elu", [](const Tensor& x) { return elu(x); }, {{-inf, -1, 0}, {inf, inf, 1}});
  for (auto f : {+[](const Tensor& x) { return silu(x); }, +[](const Tensor& x) { return gelu(x); },
                 +[](const Tensor& x) { return gelu(x, GeluForm::tanh); }}) {
    Tensor x = full({4}, NAN).requires_grad_(), y = f(x);
    CHECK(std::isnan(y[0].item()));
    for (bool again : {false, true})
      CHECK(std::isnan(grad(sum(y), x, {}, {.create_graph = again, .retain_graph = true})[0].item()));
  }
}

TEST_CASE("gradients at singular points are torch's", "[limits]") {
  Tensor x = full({5}, 3, f64).requires_grad_();
  Tensor s = ink::std(x);
  CHECK(s.item() == 0);
  CHECK(equal(grad(s, x, {}, {.create_graph = true}), zeros({5}, f64)));
  Tensor a = zeros({}, f64).requires_grad_(), b = zeros({}, f64).requires_grad_();
  atan2(a, b).backward();
  CHECK(a.grad().item() == 0);
  CHECK(b.grad().item() == 0);
  Tensor z = zeros({3}, f64).requires_grad_();
  norm(z).backward();
  CHECK(equal(z.grad(), zeros({3}, f64)));
}

TEST_CASE("losses of infinite differences have the slope of their line", "[limits]") {
  Tensor x = tensor({-INFINITY, INFINITY, 3e38, 1}, f32).requires_grad_();
  Tensor y = huber_loss(x, zeros({4}), 2, Reduction::none);
  CHECK(equal(y, tensor({INFINITY, INFINITY, INFINITY, 0.5})));
  for (bool again : {false, true})
    CHECK(equal(grad(y, x, ones({4}), {.create_graph = again, .retain_graph = true}), tensor({-2, 2, 2, 1})));
}

TEST_CASE("Euclidean norms survive large and small numbers", "[limits]") {
  for (double scale : {3e19, 1e-22, 1e-30}) {
    INFO(scale);
    Tensor x = (tensor({3, 4}, f64) * scale).to(f32).requires_grad_();
    Tensor y = norm(x);
    CHECK(y.item() == Approx(5 * scale).epsilon(1e-6));
    y.backward();
    CHECK(x.grad()[0].item() == Approx(0.6).epsilon(1e-6));
  }
  CHECK(norm(tensor({3e200, 4e200}, f64)).item() == Approx(5e200));
  CHECK(norm(tensor({3e-200, 4e-200}, f64)).item() == Approx(5e-200));
  CHECK(norm(tensor({1, inf})).item() == inf);
  CHECK(std::isnan(norm(tensor({1, NAN})).item()));
  for (double scale : {3e19, 1e-30}) {
    Tensor x = (tensor({3, 4, 8}, f64) * scale).to(f32).requires_grad_();
    Tensor y = ink::std(x);
    CHECK(y.item() == Approx(std::sqrt(7.) * scale).epsilon(1e-6));
    y.backward();
    CHECK(x.grad()[2].item() == Approx(3 / (2 * std::sqrt(7.))).epsilon(1e-6));
  }
  CHECK(ink::std(tensor({3e200, 5e200}, f64)).item() == Approx(std::sqrt(2.) * 1e200));
  CHECK(ink::std(tensor({3e30, 5e30}), {}, 0).item() == Approx(1e30));
  CHECK(std::isnan(ink::std(tensor({1, INFINITY})).item()));
  CHECK(difference(ink::std(tensor({{3e30, 4e30, 8e30}, {5, 5, 5}}), {1}) / tensor({1e30, 1}),
                   tensor({std::sqrt(7.), 0})) < 1e-6);
  Tensor rows = tensor({{3e30, 4e30}, {0, 0}, {3, 4}});
  CHECK(difference(norm(rows, {1}) / tensor({1e30, 1, 1}), tensor({5, 0, 5})) < 1e-6);
}

TEST_CASE("lerp gives its ends themselves", "[limits]") {
  CHECK(lerp(tensor({1e8}), tensor({1}), 1).item() == 1);
  CHECK(lerp(tensor({1e8}), tensor({1}), 0).item() == 1e8f);
  CHECK(lerp(tensor({1e8}), tensor({1}), tensor({1})).item() == 1);
}

TEST_CASE("integers are compared with numbers by value, and clamped to what fits", "[limits]") {
  Tensor bytes = tensor({100, 255}, u8);
  CHECK(all(bytes < 300).item<bool>());
  CHECK(all(bytes > -1).item<bool>());
  CHECK_FALSE(any(eq(bytes, 256 + 100)).item<bool>());
  CHECK(all(ne(bytes, -1)).item<bool>());
  Tensor small = tensor({0, -1}, i32);
  CHECK(all(small < (int64_t(1) << 32)).item<bool>());
  CHECK_FALSE(any(eq(small, int64_t(1) << 32)).item<bool>());
  CHECK(all(ge(tensor({1}, i64), std::numeric_limits<int64_t>::min())).item<bool>());
  CHECK(clamp(tensor({200}, u8), {}, 300).item<int64_t>() == 200);
  CHECK(clamp(tensor({200}, u8), -5, {}).item<int64_t>() == 200);
  CHECK(clamp(tensor({7}, i32), {}, int64_t(1) << 40).item<int64_t>() == 7);
}

TEST_CASE("a number that does not fit the dtype is refused, and a filled tensor keeps its dtype", "[limits]") {
  Tensor bytes = tensor({1, 2}, u8), mask = tensor({1, 0}, boolean);
  CHECK_THROWS_WITH(bytes.fill_(300), contains("fill_: the number does not fit the dtype; got 300 for u8"));
  CHECK_THROWS_AS(full({2}, -1, u8), ValueError);
  CHECK_THROWS_AS(full({2}, int64_t(1) << 40, i32), ValueError);
  CHECK_THROWS_AS(masked_fill(bytes, mask, 300), ValueError);
  CHECK_THROWS_AS(masked_fill(tensor({1, 2}, i64), mask, 2.5), DTypeError);
  CHECK_THROWS_AS(masked_fill(tensor({1, 0}, boolean), mask, 10), Error);
  CHECK(masked_fill(bytes, mask, 255).dtype() == u8);
  CHECK(masked_fill(tensor({1, 2}, f16), mask, -INFINITY).dtype() == f16);
}

TEST_CASE("a gated linear unit is 8/3 of its width, rounded up, unless told", "[limits]") {
  for (int64_t dim : {6, 7, 8}) {
    GatedLinearUnit unit(GatedLinearUnitOptions{.dim = dim});
    CHECK(unit.uv.weight.size(0) == 2 * int64_t(std::ceil(8. * double(dim) / 3)));
  }
}

TEST_CASE("retain_grad on the tensor that backward starts from", "[limits]") {
  Tensor x = tensor({2}, f64).requires_grad_();
  Tensor y = square(x);
  y.retain_grad();
  y.backward();
  CHECK(y.grad().item() == 1);
  CHECK(x.grad().item() == 4);
}

TEST_CASE("an index that no tensor has is an IndexError, the smallest and the largest i64 too", "[limits][index]") {
  const Tensor x = arange(6).reshape({3, 2}), bytes = zeros({3}, u8);
  for (int64_t bad : {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::min() + 1, int64_t(-4),
                      int64_t(3), std::numeric_limits<int64_t>::max()}) {
    INFO(bad);
    const Tensor i = full({1}, bad, i64), pair = full({1, 2}, bad, i64);
    CHECK_THROWS_AS(embedding(x, i), IndexError);
    CHECK_THROWS_AS(index_select(x, 0, i), IndexError);
    CHECK_THROWS_AS(gather(x, 0, pair), IndexError);
    CHECK_THROWS_AS(scatter(x, 0, pair, ones({1, 2})), IndexError);
    CHECK_THROWS_AS(scatter(bytes, 0, i, ones({1}, u8)), IndexError);
    CHECK_THROWS_AS(scatter_add(x, 0, pair, ones({1, 2})), IndexError);
    CHECK_THROWS_AS(index_add(x, 0, i, ones({1, 2})), IndexError);
    CHECK_THROWS_AS(x.clone().index_put_({i}, zeros({1, 2}, i64)), IndexError);
    CHECK_THROWS_AS(x.index({i}), IndexError);
    CHECK_THROWS_AS(one_hot(i, 3), IndexError);
    CHECK_THROWS_AS(cross_entropy(ones({1, 3}), i), IndexError);
    CHECK_THROWS_AS(nll_loss(ones({1, 3}), i), IndexError);
  }
  CHECK_THROWS_AS(embedding(x, to(tensor({NAN}), i64)), IndexError);  // NaN becomes the smallest i64
}

TEST_CASE("sizes and options that overflow are errors, and nothing is computed with them", "[limits][sizes]") {
  const int64_t huge = int64_t(1) << 62, most = std::numeric_limits<int64_t>::max(),
                least = std::numeric_limits<int64_t>::min();
  const Tensor x = ones({1, 1, 8}), w = ones({1, 1, 3}), plane = ones({1, 1, 8, 8});
  for (int64_t n : {huge, most}) {
    INFO(n);
    CHECK_THROWS_AS(conv1d(x, w, {}, {.stride = n}), Error);
    CHECK_THROWS_AS(conv1d(x, w, {}, {.dilation = n}), Error);
    CHECK_THROWS_AS(conv1d(x, w, {}, {.padding = n}), Error);
    CHECK_THROWS_AS(conv2d(plane, ones({1, 1, 3, 3}), {}, {.stride = n}), Error);
    CHECK_THROWS_AS(max_pool2d(plane, {.kernel = n}), Error);
    CHECK_THROWS_AS(max_pool2d(plane, {.kernel = 2, .stride = n}), Error);
    CHECK_THROWS_AS(max_pool2d(plane, {.kernel = 2, .dilation = n}), Error);
    CHECK_THROWS_AS(max_pool2d(plane, {.kernel = n, .padding = n / 2}), Error);
    CHECK_THROWS_AS(upsample_nearest2d(plane, n), Error);
    CHECK_THROWS_AS(expand(ones({1, 1}), {n, 4}), ShapeError);
    CHECK_THROWS_AS(expand(ones({1, 1}), {n, n}), ShapeError);
    CHECK_THROWS_AS(repeat(ones({3}), {n}), Error);
    CHECK_THROWS_AS(repeat(ones({4}), {n}), Error);
    CHECK_THROWS_AS(repeat_interleave(ones({4}), n, 0), Error);
    CHECK_THROWS_AS(pad(ones({4}), {n, n}), Error);
    CHECK_THROWS_AS(pad(ones({4}), {least, 0}), Error);
    CHECK_THROWS_AS(pad(ones({4}), {0, n}, PadMode::replicate), Error);
    CHECK_THROWS_AS(empty({n, 4}), MemoryError);
    CHECK_THROWS_AS(arange(least, most, 1), Error);
    CHECK_THROWS_AS(arange(0., 1e300, 1.), Error);
    CHECK_THROWS_AS(arange(0., double(NAN), 1.), Error);
  }
  CHECK(equal(tri(4, 4, most), ones({4, 4}, boolean)));
  CHECK(equal(tri(4, 4, least), zeros({4, 4}, boolean)));
  CHECK_THROWS_WITH(arange(1e300), contains("too many steps"));
  CHECK_THROWS_AS(repeat(ones({1 << 20}), {int64_t(1) << 44}), ShapeError);  // 2^64 elements
  CHECK_THROWS_AS(pad(ones({3}), {most, most}), ShapeError);
  CHECK_THROWS_AS(flatten(zeros({0, most, most}), 1, 2), ShapeError);
  CHECK_THROWS_AS(reshape(zeros({0}), {int64_t(1) << 32, int64_t(1) << 32}), ShapeError);
  CHECK_THROWS_AS(split(zeros({huge, 0}), 1, 0), MemoryError);
  CHECK_THROWS_AS(unbind(zeros({huge, 0}), 0), MemoryError);
  CHECK(split(zeros({huge, 0}), huge - 1, 0).size() == 2);
  CHECK(chunk(ones({4}), most, 0).size() == 4);
  for (int64_t step : {int64_t(4), huge, most - 1, most}) {  // the first element, however long the step
    CHECK(slice(arange(4), 0, 0, 4, step).numel() == 1);
    CHECK(arange(4).index({Slice(1, None, step)}).item<int64_t>() == 1);
    CHECK(slice(arange(4).reshape({2, 2}).t(), 0, 1, 2, step).shape() == Shape{1, 2});
  }
  float block[4] = {};
  CHECK_THROWS_AS(from_blob(block, {-1}), ShapeError);
  CHECK_THROWS_AS(from_blob(block, {-2, -2}), ShapeError);
  CHECK_THROWS_AS(from_blob(block, {int64_t(1) << 32, int64_t(1) << 32}), ShapeError);
  CHECK_THROWS_AS(from_blob(block, {int64_t(1) << 61}), ShapeError);  // 2^63 bytes
  CHECK(arange(least, most, most).numel() == 3);
  CHECK(empty({huge, 0, 8}).numel() == 0);
}

TEST_CASE("a diagonal however far away is above or below everything", "[limits][sizes]") {
  const int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  const Tensor x = ones({4, 3});
  for (int64_t far : {int64_t(4), int64_t(100), most - 1, most}) {
    INFO(far);
    CHECK(to(tri(4, 4, far), f32).sum().item() == 16);
    CHECK(tril(x, far).sum().item() == 12);
    CHECK(triu(x, far).sum().item() == 0);
    CHECK(diagonal(x, far).numel() == 0);
  }
  for (int64_t far : {int64_t(-4), int64_t(-100), least + 1, least}) {
    INFO(far);
    CHECK(to(tri(4, 4, far), f32).sum().item() == 0);
    CHECK(tril(x, far).sum().item() == 0);
    CHECK(triu(x, far).sum().item() == 12);
    CHECK(diagonal(x, far).numel() == 0);
  }
  CHECK(to(tri(4, 4, -3), f32).sum().item() == 1);
  CHECK(triu(x, -2).sum().item() == 11);
  CHECK_THROWS_AS(tri(-1, 4), ShapeError);
}

TEST_CASE("running products over a dim that is large in a tensor without elements end", "[limits][sizes]") {
  for (auto* op : {cumprod, logcumsumexp, cumsum}) {
    Tensor x = zeros({0, std::numeric_limits<int64_t>::max()}).requires_grad_();
    op(x, 1).backward(zeros_like(x.detach()));
    CHECK(x.grad().shape() == x.shape());
  }
}

TEST_CASE("a pooling window far larger than its plane sees the plane; a device that cannot says so",
          "[limits][sizes]") {
  const int64_t kernel = (int64_t(1) << 31) - 1;
  const Tensor x = to(arange(9), f32).reshape({1, 1, 3, 3});
  if (!x.device().is_cpu()) {
    CHECK_THROWS_WITH(max_pool2d(x, {.kernel = kernel, .padding = kernel / 2}), contains("too large for this device"));
    return;
  }
  CHECK(max_pool2d(x, {.kernel = kernel, .stride = 5, .padding = kernel / 2}).item() == 8);
  CHECK(avg_pool2d(x, {.kernel = kernel, .stride = 5, .padding = kernel / 2, .count_include_pad = false}).item() == 4);
}

TEST_CASE("attention over values of no width has gradients", "[limits]") {
  Tensor q = ones({1, 2, 5, 3}).requires_grad_(), k = ones({1, 2, 6, 3}).requires_grad_(),
         v = ones({1, 2, 6, 0}).requires_grad_();
  Tensor y = scaled_dot_product_attention(q, k, v);
  CHECK(y.shape() == Shape{1, 2, 5, 0});
  y.backward(ones_like(y.detach()));
  CHECK(v.grad().shape() == v.shape());
  CHECK(q.grad().abs().sum().item() == 0);
  CHECK(k.grad().abs().sum().item() == 0);
}

TEST_CASE("attention takes blocks and windows of any size", "[limits][sizes]") {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Tensor q = (to(arange(30), f64) / 30).reshape({1, 2, 5, 3}),
               k = (to(arange(36), f64) / 36).reshape({1, 2, 6, 3}), v = k + 1;
  const Tensor want = scaled_dot_product_attention(q, k, v);
  AttentionOptions blocks, window;
  blocks.block_q = blocks.block_k = most;
  window.left = window.right = most;
  CHECK((scaled_dot_product_attention(q, k, v, blocks) - want).abs().max().item() < 1e-14);
  CHECK((scaled_dot_product_attention(q, k, v, window) - want).abs().max().item() < 1e-14);
}

TEST_CASE("a block mask names tiles that there are, of the size that they have", "[limits][index]") {
  const Tensor q = ones({1, 1, 70, 3}), bits = ones({2, 64, 64}, boolean);
  auto attend = [&](const Tensor& tiles, const Tensor& bits) {
    AttentionOptions o;
    o.blocks = {70, 70, tiles, bits};
    return scaled_dot_product_attention(q, q, q, o);
  };
  CHECK(attend(ones({2, 2}, i32), bits).sum().item() == 210);
  for (int64_t bad :
       {int64_t(2), int64_t(1000), int64_t(-3), std::numeric_limits<int64_t>::min(), (int64_t(1) << 32) + 1})
    CHECK_THROWS_AS(attend(full({2, 2}, bad, i64), bits), IndexError);
  CHECK_THROWS_AS(attend(ones({2, 2}, i32), ones({2, 8, 8}, boolean)), ShapeError);
  CHECK_THROWS_AS(attend(ones({2, 2}, i32), ones({2, 64, 64})), ShapeError);
  CHECK_THROWS_AS(attend(ones({2, 2}, f32), bits), DTypeError);
}

// Braces nest as deep as a tensor has dims; a number in braces of its own is a row of one.
static_assert(
    requires {
      tensor({{5}, {7}});
    } &&
    requires {
      tensor({{1.}, {2.}});
    } &&
    requires {
      tensor({{{1}, {2}}});
    });
static_assert(
    requires {
      tensor({5, 7}, i64);
    } &&
    requires {
      tensor({{true, false}}, boolean);
    } &&
    requires {
      tensor({{1, 2.5f}});
    });
static_assert(requires { tensor({{{{{{{{1}}}}}}}}); });

TEST_CASE("a tensor of nested braces has their shape", "[limits]") {
  auto check = [](const Tensor& x, const Shape& shape, const std::vector<double>& numbers) {
    CHECK(x.shape() == shape);
    CHECK(x.to_vector<double>() == numbers);
  };
  check(tensor({{5}, {7}}), {2, 1}, {5, 7});
  check(tensor({{1.}, {2.}}), {2, 1}, {1, 2});
  check(tensor({{5, 7}}), {1, 2}, {5, 7});
  check(tensor({5}), {1}, {5});
  check(tensor({{5}}), {1, 1}, {5});
  check(tensor({{{1}, {2}}, {{3}, {4}}}), {2, 2, 1}, {1, 2, 3, 4});
  check(tensor({{{1, 2}}}), {1, 1, 2}, {1, 2});
  check(tensor({{{{{{{{1}}}}}}}}), {1, 1, 1, 1, 1, 1, 1, 1}, {1});
  check(tensor({{}, {}}), {2, 0}, {});
  CHECK(tensor({std::numeric_limits<int64_t>::max()}, i64).item<int64_t>() == std::numeric_limits<int64_t>::max());
  CHECK_THROWS_AS(tensor({{1, 2}, {3}}), ShapeError);
  CHECK_THROWS_AS(tensor({{1, 2}, 3}), ShapeError);
  CHECK_THROWS_AS(tensor({1, {2, 3}}), ShapeError);
  CHECK_THROWS_AS(tensor({{{1}}, {2}}), ShapeError);
  CHECK_THROWS_AS(tensor({{{{{{{{{1}}}}}}}}}), ShapeError);  // nine dims
}

TEST_CASE("a view whose elements were overwritten through another handle is no root of a backward pass",
          "[limits][inplace]") {
  Tensor x = tensor({1, 2}, f64).requires_grad_();
  Tensor y = x * 2, stale = y.select(0, 0);
  y.mul_(3);
  CHECK_THROWS_WITH(stale.backward(), contains("output 0 was overwritten in place by mul_ through another view"));
  Tensor fresh = y.select(0, 0);
  fresh.backward();
  CHECK(x.grad()[0].item() == 6);
  CHECK(x.grad()[1].item() == 0);
}

// What would be lost does not compile: x[0] = y, x.select(0, 1) = y, x.index({1}) = y.
static_assert(!std::is_assignable_v<Tensor, Tensor> && !std::is_assignable_v<Tensor, const Tensor&>);
static_assert(std::is_assignable_v<Tensor&, Tensor> && std::is_assignable_v<Tensor&, const Tensor&>);

TEST_CASE("shapes are printed by streams", "[limits]") {
  std::ostringstream out;
  out << ones({2, 3}).shape();
  CHECK(out.str() == "[2, 3]");
}
