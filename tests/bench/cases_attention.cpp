// Attention: beside PyTorch, and its kinds beside full attention in tiles.
#include <fmt/format.h>

#include "inkstone/ink.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

struct Sizes {
  int64_t batch, heads, n, d;
  std::string str() const { return fmt::format("B{} H{} T{} D{}", batch, heads, n, d); }
  double pairs() const { return double(batch * heads) * double(n) * double(n); }
};
using Attend = std::function<Tensor(const Tensor& q, const Tensor& k, const Tensor& v)>;

// f of random operands, forward or with the gradients of all three.
Case attend(const std::string& name, const Sizes& s, bool backward, double flop, double wanted,
            std::function<Attend()> make, const std::string& against = {}) {
  Case c{name, flop, 0,
         [=] {
           auto leaf = [&] { return randn({s.batch, s.heads, s.n, s.d}).requires_grad_(); };
           Tensor q = leaf(), k = leaf(), v = leaf(), g = randn({s.batch, s.heads, s.n, s.d});
           Attend f = make();
           return Body([=] {
             GradMode mode(backward);
             Tensor y = f(q, k, v);
             if (backward) {
               TensorList in{q, k, v};
               grad(std::span(&y, 1), in, std::span(&g, 1));
             }
           });
         },
         wanted};
  c.against = against;
  return c;
}
std::function<Attend()> softmax_attention(const AttentionOptions& o) {
  return [=] {
    return [=](const Tensor& q, const Tensor& k, const Tensor& v) { return scaled_dot_product_attention(q, k, v, o); };
  };
}
std::function<Attend()> pattern(const SparseRule& rule, int64_t n) {
  return [=] {
    auto made = std::make_shared<SparsePattern>(rule.pattern(n));
    return [=](const Tensor& q, const Tensor& k, const Tensor& v) { return sparse_attention(q, k, v, *made); };
  };
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> c;
  for (const Sizes& s : {Sizes{8, 4, 256, 32}, {1, 8, 1024, 64}})
    for (bool causal : {true, false})
      for (bool backward : {false, true}) {
        const AttentionOptions o{.causal = causal ? Causal::top_left : Causal::no};
        const double flop = 4 * s.pairs() * double(s.d) * (causal ? 0.5 : 1) * (backward ? 3.5 : 1);
        const std::string tail =
            fmt::format("{} {} {}", causal ? "causal" : "full", backward ? "fwd+bwd" : "fwd", s.str());
        c.push_back(attend("attention by hand, " + tail, s, backward, flop, 3, softmax_attention(o)));
        c.push_back(attend("attention by one call, " + tail, s, backward, flop, 1, softmax_attention(o)));
      }
  const Sizes large{1, 4, 4096, 64};
  const std::string dense = "flash full fwd " + large.str(), dense_both = "flash full fwd+bwd " + large.str();
  const double flop = 4 * large.pairs() * double(large.d);
  c.push_back(attend(dense, large, false, flop, 0, softmax_attention({})));
  c.push_back(attend(dense_both, large, true, 3.5 * flop, 0, softmax_attention({})));
  c.push_back(
      attend("flash causal fwd", large, false, flop / 2, 1.7, softmax_attention({.causal = Causal::top_left}), dense));
  c.push_back(attend("flash causal fwd+bwd", large, true, 3.5 * flop / 2, 1.7,
                     softmax_attention({.causal = Causal::top_left}), dense_both));
  const int64_t n = large.n;
  for (const SparseRule& rule : {sparse::local(128), sparse::atrous(8), sparse::local_and_atrous(64, 16),
                                 sparse::strided(64), sparse::fixed(128, 16), sparse::longformer(128, {0, 1, 2, 3})}) {
    const double p = rule.mask.density(n, n);
    for (bool backward : {false, true})
      c.push_back(attend(fmt::format("{} density {:.3f} {}", rule.name, p, backward ? "fwd+bwd" : "fwd"), large,
                         backward, (backward ? 3.5 : 1) * p * flop, 1 / (p + 0.1), pattern(rule, n),
                         backward ? dense_both : dense));
  }
  c.push_back(attend(
      "top-k 8 fwd", large, false, 0, 0,
      [] { return [](const Tensor& q, const Tensor& k, const Tensor& v) { return topk_attention(q, k, v, 8); }; },
      dense));
  c.push_back(attend(
      "lsh 64 x 4 rounds fwd", large, false, 0, 0,
      [] { return [](const Tensor& q, const Tensor&, const Tensor& v) { return lsh_attention(q, v, {.rounds = 4}); }; },
      dense));
  for (int64_t t : {256, 1024, 4096}) {
    const Sizes s{1, 8, t, 64};
    for (bool causal : {false, true}) {
      const std::string name = fmt::format("flash {} fwd {}", causal ? "causal" : "full", s.str());
      c.push_back(attend(name, s, false, 4 * s.pairs() * 64 * (causal ? 0.5 : 1), 0,
                         softmax_attention({.causal = causal ? Causal::top_left : Causal::no})));
      c.push_back(attend(
          fmt::format("linear (elu + 1) {} T{}", causal ? "causal" : "full", t), s, false, 0, t >= 1024 ? 1 : 0,
          [=] {
            return [=](const Tensor& q, const Tensor& k, const Tensor& v) {
              return linear_attention(q, k, v, {.causal = causal, .form = LinearForm::chunked});
            };
          },
          name));
    }
  }
  return c;
}

}  // namespace bench
