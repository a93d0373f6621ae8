// Cases of a size that fills a GPU: 64 MiB and more of memory traffic, large products, a GPT of 124 million parameters,
// and the smallest ops, whose time is all overhead.
#include <fmt/format.h>

#include "inkstone/ink.h"
#include "tensor/capture.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

Case plain(std::string name, double flop, double byte, double wanted, std::function<Body()> make) {
  auto prepare = [make] {
    Body body = make();
    return Body([body] {
      NoGrad guard;
      body();
    });
  };
  return {std::move(name), flop, byte, prepare, wanted};
}
Case one(const std::string& name, Shape shape, double bytes_per_element, Tensor (*f)(const Tensor&)) {
  return plain(name, 0, bytes_per_element * double(shape.numel()), 1, [=] {
    Tensor x = randn(shape);
    return Body([=] { f(x); });
  });
}
Tensor leaf(const Shape& shape) { return randn(shape).requires_grad_(); }

// GPT-2's smallest: 12 layers of 768, 12 heads, 1024 tokens.
struct Training {
  GPT model{GPTOptions{.vocabulary = 50257, .context = 1024, .dim = 768, .heads = 12, .layers = 12}};
  Tensor x = randint(0, 50257, {4, 1024}), y = randint(0, 50257, {4096});
  AdamW adam{model.parameters(), {.lr = 1e-4, .weight_decay = 0.01}};
  void step() {
    adam.zero_grad();
    cross_entropy(model.forward(x).reshape({4096, 50257}), y).backward();
    adam.step();
  }
};

}  // namespace

std::vector<Case> cuda_cases() {
  constexpr int64_t n = 1 << 26;
  std::vector<Case> c;
  c.push_back(one("device copy 64Mi", {n}, 8, [](const Tensor& x) { return clone(x); }));
  c.push_back(plain("add 64Mi", 0, 12. * n, 1, [] {
    Tensor a = randn({n}), b = randn({n});
    return Body([=] { a + b; });
  }));
  c.push_back(one("exp 64Mi", {n}, 8, exp));
  c.push_back(one("gelu erf 64Mi", {n}, 8, [](const Tensor& x) { return gelu(x); }));
  c.push_back(plain("add bias 65536x1024", 0, 8. * n, 1, [] {
    Tensor a = randn({65536, 1024}), b = randn({1024});
    return Body([=] { a + b; });
  }));
  c.push_back(one("transpose copy 8192^2", {8192, 8192}, 8, [](const Tensor& x) { return contiguous(x.t()); }));
  c.push_back(one("dropout 64Mi", {n}, 8, [](const Tensor& x) { return dropout(x, 0.1); }));
  c.push_back(one("randn 64Mi", {n}, 4, [](const Tensor& x) { return randn_like(x); }));
  c.push_back(one("sum all 8192^2", {8192, 8192}, 4, [](const Tensor& x) { return sum(x); }));
  c.push_back(one("sum dim1 8192^2", {8192, 8192}, 4, [](const Tensor& x) { return sum(x, 1); }));
  c.push_back(one("sum dim0 8192^2", {8192, 8192}, 4, [](const Tensor& x) { return sum(x, 0); }));
  c.push_back(one("cumsum dim1 8192^2", {8192, 8192}, 8, [](const Tensor& x) { return cumsum(x, 1); }));
  c.push_back(one("argmax dim1 8192^2", {8192, 8192}, 4, [](const Tensor& x) { return argmax(x, 1); }));
  for (auto [rows, cols] : {std::pair<int64_t, int64_t>{65536, 1024}, {8192, 8192}})
    c.push_back(
        one(fmt::format("softmax {}x{}", rows, cols), {rows, cols}, 8, [](const Tensor& x) { return softmax(x, -1); }));
  for (bool backward : {false, true})
    c.push_back({fmt::format("layernorm {} 65536x1024", backward ? "fwd+bwd" : "fwd"), 0, (backward ? 20. : 8.) * n,
                 [=] {
                   Tensor x = leaf({65536, 1024}), w = leaf({1024}), b = leaf({1024}), g = randn({65536, 1024});
                   return Body([=] {
                     GradMode mode(backward);
                     Tensor y = layer_norm(x, w, b);
                     TensorList in{x, w, b};
                     if (backward) grad(std::span(&y, 1), in, std::span(&g, 1));
                   });
                 },
                 1});
  c.push_back({"cross entropy fwd+bwd 4096x50257", 0, 12. * 4096 * 50257,
               [] {
                 Tensor x = leaf({4096, 50257}), t = randint(0, 50257, {4096});
                 return Body([=] { grad(cross_entropy(x, t), x); });
               },
               1});
  c.push_back({"adamw step 64Mi params", 0, 28. * n,
               [] {
                 TensorList params;
                 for (int i = 0; i < 64; ++i) {
                   params.push_back(leaf({n / 64}));
                   params.back().set_grad(randn({n / 64}));
                 }
                 auto adam = std::make_shared<AdamW>(params, AdamWOptions{.lr = 1e-3, .weight_decay = 0.01});
                 return Body([=] { adam->step(); });
               },
               1});
  for (bool tf32 : {false, true})
    for (int64_t m : {1024, 4096, 8192})
      c.push_back(plain(fmt::format("matmul {}{}", m, tf32 ? " tf32" : ""), 2. * double(m) * double(m) * double(m), 0,
                        0.97, [=] {
                          Tensor a = randn({m, m}), b = randn({m, m});
                          return Body([=] {
                            cuda_options().tf32 = tf32;
                            matmul(a, b);
                            cuda_options().tf32 = false;
                          });
                        }));
  for (bool backward : {false, true})
    c.push_back(
        {fmt::format("conv2d 3x3 64x64x56x56->64 {}", backward ? "fwd+bwd" : "fwd"),
         (backward ? 6. : 2.) * 64 * 64 * 64 * 9 * 56 * 56, 0,
         [=] {
           Tensor x = leaf({64, 64, 56, 56}), w = leaf({64, 64, 3, 3}), b = leaf({64}), g = randn({64, 64, 56, 56});
           return Body([=] {
             GradMode mode(backward);
             Tensor y = conv2d(x, w, b, {.padding = 1});
             TensorList in{x, w, b};
             if (backward) grad(std::span(&y, 1), in, std::span(&g, 1));
           });
         },
         0});
  // The sizes of FlashAttention-2's benchmark: 16 Ki tokens in all, width 2048. Its peer is PyTorch's fused kernel.
  for (DType t : {f16, bf16})
    for (int64_t d : {64, 128})
      for (int64_t tokens : {1024, 4096, 16384})
        for (bool causal : {false, true})
          for (bool backward : {false, true}) {
            const Shape shape{16384 / tokens, 2048 / d, tokens, d};
            const double flop = 4. * 16384 * double(tokens) * 2048 * (causal ? 0.5 : 1) * (backward ? 3.5 : 1);
            c.push_back({fmt::format("attention {} {} {} T{} D{}", name_of(t), causal ? "causal" : "full",
                                     backward ? "fwd+bwd" : "fwd", tokens, d),
                         flop, 0,
                         [=] {
                           auto in = [&] { return randn(shape).to(t).requires_grad_(); };
                           Tensor q = in(), k = in(), v = in(), g = randn(shape).to(t);
                           return Body([=] {
                             GradMode mode(backward);
                             Tensor y =
                                 scaled_dot_product_attention(q, k, v,
                                                              {.causal = causal ? Causal::top_left : Causal::no});
                             TensorList all{q, k, v};
                             if (backward) grad(std::span(&y, 1), all, std::span(&g, 1));
                           });
                         },
                         backward ? 0.45 : 0.6});
          }
  c.push_back(plain("fft 4096x4096", 0, 16. * 4096 * 4096, 0, [] {
    Tensor x = randn({4096, 4096}, c64);
    return Body([=] { fft(x); });
  }));
  c.push_back(plain("sort 1024x65536", 0, 16. * n, 0, [] {
    Tensor x = randn({1024, 65536});
    return Body([=] { (void)sort(x, -1); });
  }));
  c.push_back(plain("overhead: add 1 element", 0, 0, 2, [] {
    Tensor a = randn({1}), b = randn({1});
    return Body([=] { a + b; });
  }));
  c.push_back({"overhead: 10 muls + backward, 1 element", 0, 0,
               [] {
                 Tensor x = leaf({1}), e = randn({1});
                 return Body([=] { grad(x * e * e * e * e * e * e * e * e * e * e, x); });
               },
               2});
  const double flop = 6. * 4096 * (12 * 12 * 768. * 768 + 768. * 50257) + 3. * 12 * 4 * 4 * 1024. * 1024 * 768;
  c.push_back({"train step GPT L12 d768 T1024 B4 tf32", flop, 0,
               [] {
                 auto t = std::make_shared<Training>();
                 return Body([=] {
                   cuda_options().tf32 = true;
                   t->step();
                   cuda_options().tf32 = false;
                 });
               },
               1});
  c.push_back({"train step GPT L12 d768 T1024 B4 tf32, captured", flop, 0,
               [] {
                 auto t = std::make_shared<Training>();
                 cuda_options().tf32 = true;
                 t->step();
                 auto graph = std::make_shared<CudaGraph>([&] { t->step(); });
                 cuda_options().tf32 = false;
                 return Body([=] { graph->replay(); });
               },
               1.1});
  return c;
}

}  // namespace bench
