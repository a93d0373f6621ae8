#include <fmt/format.h>

#include <cmath>

#include "inkstone/ink.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

Tensor leaf(const Shape& shape) {
  Tensor t = randn(shape);
  t.requires_grad_();
  return t;
}
// A case whose body runs without recording.
Case plain(std::string name, double flop, double byte, double wanted, std::function<Body()> make) {
  return {std::move(name), flop, byte,
          [make] {
            Body body = make();
            return Body([body] {
              NoGrad guard;
              body();
            });
          },
          wanted};
}
Case product(const std::string& name, Shape a, Shape b, bool transpose_b, double flop) {
  return plain(name, flop, 0, 1, [=] {
    Tensor x = randn(a), y = randn(b);
    if (transpose_b) y = y.transpose(-2, -1);
    return Body([=] { matmul(x, y); });
  });
}
Case linear_case(const std::string& name, int64_t n, int64_t in, int64_t out) {
  return plain(name, 2. * double(n * in * out), 0, 1, [=] {
    Tensor x = randn({n, in}), w = randn({out, in}), b = randn({out});
    return Body([=] { linear(x, w, b); });
  });
}
Case one(const std::string& name, Shape shape, double bytes_per_element, double wanted, Tensor (*f)(const Tensor&)) {
  return plain(name, 0, bytes_per_element * double(shape.numel()), wanted, [=] {
    Tensor x = randn(shape);
    return Body([=] { f(x); });
  });
}
Case conv_case(const std::string& name, int64_t n, int64_t in, int64_t size, int64_t out, int64_t k, int64_t groups,
               bool backward) {
  double flop = 2. * double(n * out * (in / groups) * k * k * size * size);
  return {name + (backward ? " fwd+bwd" : " fwd"), backward ? 3 * flop : flop, 0,
          [=] {
            Tensor x = leaf({n, in, size, size}), w = leaf({out, in / groups, k, k}), b = leaf({out}),
                   g = randn({n, out, size, size});
            ConvOptions o{.padding = k / 2, .groups = groups};
            return Body([=] {
              GradMode mode(backward);
              Tensor y = conv2d(x, w, b, o);
              if (backward) {
                TensorList in{x, w, b};
                grad(std::span(&y, 1), in, std::span(&g, 1));
              }
            });
          },
          0.9};
}
}  // namespace

std::vector<Case> op_cases() {
  std::vector<Case> c;
  for (int64_t n : {64, 128, 256, 512, 1024, 2048})
    c.push_back(product(fmt::format("matmul {}", n), {n, n}, {n, n}, false, 2. * double(n * n * n)));
  c.push_back(linear_case("linear 128x784->512", 128, 784, 512));
  c.push_back(linear_case("linear 2048x128->512", 2048, 128, 512));
  c.push_back(product("bmm 32x(256x32x256)", {32, 256, 32}, {32, 256, 32}, true, 2. * 32 * 256 * 256 * 32));
  c.push_back(product("bmm 32x(256x256x32)", {32, 256, 256}, {32, 256, 32}, false, 2. * 32 * 256 * 256 * 32));
  c.push_back(product("mv 4096", {4096, 4096}, {4096}, false, 2. * 4096 * 4096));
  for (auto [n, tag] : {std::pair<int64_t, const char*>{1 << 16, "64Ki"}, {1 << 20, "1Mi"}, {1 << 24, "16Mi"}}) {
    c.push_back(plain(fmt::format("add {}", tag), 0, 12. * double(n), n == 1 << 24 ? 1 : 0, [n = n] {
      Tensor a = randn({n}), b = randn({n});
      return Body([=] { a + b; });
    }));
    c.push_back(one(fmt::format("exp {}", tag), {n}, 8, 2, exp));
    c.push_back(one(fmt::format("relu {}", tag), {n}, 8, 0, relu));
    if (n == 1 << 16) continue;
    c.push_back(one(fmt::format("tanh {}", tag), {n}, 8, 5, tanh));
    c.push_back(one(fmt::format("sigmoid {}", tag), {n}, 8, 2, sigmoid));
  }
  Shape mi{1 << 20};
  c.push_back(one("gelu erf 1Mi", mi, 8, 0, [](const Tensor& x) { return gelu(x); }));
  c.push_back(one("gelu tanh 1Mi", mi, 8, 5, [](const Tensor& x) { return gelu(x, GeluForm::tanh); }));
  c.push_back(one("silu 1Mi", mi, 8, 2, silu));
  c.push_back(one("dropout 1Mi", mi, 8, 4, [](const Tensor& x) { return dropout(x, 0.1); }));
  c.push_back(one("randn 1Mi", mi, 4, 4, [](const Tensor& x) { return randn_like(x); }));
  for (auto [r, n] : {std::pair<int64_t, int64_t>{8192, 256}, {2048, 1024}}) {
    c.push_back(one(fmt::format("softmax {}x{}", r, n), {r, n}, 8, 2, [](const Tensor& x) { return softmax(x, -1); }));
    c.push_back(
        one(fmt::format("log_softmax {}x{}", r, n), {r, n}, 8, 2, [](const Tensor& x) { return log_softmax(x, -1); }));
  }
  for (int64_t n : {128, 1024})
    for (bool backward : {false, true})
      c.push_back({fmt::format("layernorm {} 2048x{}", backward ? "fwd+bwd" : "fwd", n), 0,
                   (backward ? 20. : 8.) * 2048 * double(n),
                   [=] {
                     Tensor x = leaf({2048, n}), w = leaf({n}), b = leaf({n}), g = randn({2048, n});
                     return Body([=] {
                       GradMode mode(backward);
                       Tensor y = layer_norm(x, w, b);
                       if (backward) {
                         TensorList in{x, w, b};
                         grad(std::span(&y, 1), in, std::span(&g, 1));
                       }
                     });
                   },
                   2});
  Shape sq{4096, 4096};
  c.push_back(one("sum all 4096^2", sq, 4, 1, [](const Tensor& x) { return sum(x); }));
  c.push_back(one("sum dim1 4096^2", sq, 4, 1, [](const Tensor& x) { return sum(x, 1); }));
  c.push_back(one("sum dim0 4096^2", sq, 4, 1, [](const Tensor& x) { return sum(x, 0); }));
  c.push_back(one("max dim1 4096^2", sq, 4, 2, [](const Tensor& x) { return std::get<0>(max_with_indices(x, 1)); }));
  c.push_back(one("argmax dim1 4096^2", sq, 4, 1, [](const Tensor& x) { return argmax(x, 1); }));
  c.push_back(one("mean+var dim1 4096^2", sq, 4, 2, [](const Tensor& x) { return std::get<0>(var_mean(x, 1)); }));
  c.push_back(one("cumsum dim1 4096^2", sq, 8, 2, [](const Tensor& x) { return cumsum(x, 1); }));
  c.push_back(one("cumsum dim0 4096^2", sq, 8, 2, [](const Tensor& x) { return cumsum(x, 0); }));
  c.push_back(one("transpose copy 2048^2", {2048, 2048}, 8, 1, [](const Tensor& x) { return contiguous(x.t()); }));
  c.push_back(one("permute heads 8x256x4x32", {8, 256, 4, 32}, 8, 1, [](const Tensor& x) {
    return contiguous(permute(x, {0, 2, 1, 3}));
  }));
  c.push_back(plain("cat 2x(8x256x128) dim2", 0, 16. * 8 * 256 * 128, 1, [] {
    Tensor a = randn({8, 256, 128}), b = randn({8, 256, 128});
    return Body([=] { cat({a, b}, 2); });
  }));
  for (bool bwd : {false, true}) {
    c.push_back(conv_case("conv2d 3x3 16x64x32x32->64", 16, 64, 32, 64, 3, 1, bwd));
    c.push_back(conv_case("conv2d 3x3 128x1x28x28->16", 128, 1, 28, 16, 3, 1, bwd));
    c.push_back(conv_case("conv2d 3x3 64x16x14x14->32", 64, 16, 14, 32, 3, 1, bwd));
    c.push_back(conv_case("conv2d 1x1 16x64x32x32->64", 16, 64, 32, 64, 1, 1, bwd));
    c.push_back(conv_case("conv2d 3x3 depthwise 16x64x32x32", 16, 64, 32, 64, 3, 64, bwd));
  }
  c.push_back(one("maxpool2 64x32x28x28", {64, 32, 28, 28}, 5, 1,
                  [](const Tensor& x) { return max_pool2d(x, {.kernel = 2}); }));
  c.push_back(plain("embedding fwd 2048 of 32000x512", 0, 8. * 2048 * 512, 1, [] {
    Tensor w = randn({32000, 512}), i = randint(0, 32000, {2048});
    return Body([=] { embedding(w, i); });
  }));
  for (int64_t v : {96, 32000})
    c.push_back({fmt::format("cross entropy fwd+bwd 2048x{}", v), 0, 8. * 2048 * double(v),
                 [=] {
                   Tensor x = leaf({2048, v}), t = randint(0, v, {2048});
                   return Body([=] { grad(cross_entropy(x, t), x); });
                 },
                 2});
  c.push_back(plain("fft conv 8x64x4096 (rfft 8192)", 0, 8. * 8 * 64 * 4096, 0, [] {
    Tensor u = randn({8, 64, 4096}), k = randn({64, 4096});
    return Body([=] { irfft(rfft(u, 8192) * rfft(k, 8192), 8192).slice(-1, 0, 4096); });
  }));
  for (int64_t n : {1 << 18, 1 << 23})
    c.push_back({fmt::format("adamw step {}Ki params", n >> 10), 0, 28. * double(n),
                 [=] {
                   TensorList params;
                   for (int i = 0; i < 8; ++i) {
                     params.push_back(leaf({n / 8}));
                     params.back().set_grad(randn({n / 8}));
                   }
                   auto opt = std::make_shared<AdamW>(params, AdamWOptions{.lr = 1e-3, .weight_decay = 0.01});
                   return Body([=] { opt->step(); });
                 },
                 3});
  c.push_back(plain("overhead: add 1 element", 0, 0, 0, [] {
    Tensor a = randn({1}), b = randn({1});
    return Body([=] { a + b; });
  }));
  c.push_back({"overhead: 10 muls + backward, 1 element", 0, 0,
               [] {
                 Tensor x = leaf({1}), e = randn({1});
                 return Body([=] { grad(x * e * e * e * e * e * e * e * e * e * e, x); });
               },
               0});
  return c;
}

}  // namespace bench
