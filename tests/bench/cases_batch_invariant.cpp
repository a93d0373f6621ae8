// What batch-invariant products and attention cost (tensor/batch_invariant.h), each against the same call without the
// guard: a few rows, as in a step of decoding or a tree of candidates.
#include <fmt/format.h>

#include "inkstone/ink.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

// f without the guard, and within it against that.
void both(std::vector<Case>& c, const std::string& name, double flop, double byte, double wanted,
          const std::function<std::function<Tensor()>()>& make) {
  c.push_back({name, flop, byte, [=] {
                 return Body([f = make()] {
                   NoGrad guard;
                   f();
                 });
               }});
  c.push_back({name + ", batch-invariant", flop, byte,
               [=] {
                 return Body([f = make()] {
                   NoGrad guard;
                   BatchInvariant rows;
                   f();
                 });
               },
               wanted, name});
}

}  // namespace

std::vector<Case> batch_invariant_cases() {
  std::vector<Case> c;
  for (auto [n, k] : {std::pair<int64_t, int64_t>{384, 128}, {2304, 768}})
    for (int64_t m : {1, 8, 64})
      both(c, fmt::format("linear {}x{}->{}", m, k, n), 2. * double(m * n * k), 0, m == 64 ? 0.7 : 1,
           [=, n = n, k = k] {
             Tensor x = randn({m, k}), w = randn({n, k}), b = randn({n});
             return [=] { return linear(x, w, b); };
           });
  for (int64_t nq : {1, 16})
    for (bool tree : {false, true})
      both(c, fmt::format("attention {} of {} queries, 512 keys, H4 D64", tree ? "by a mask" : "causal", nq),
           4. * 4 * 64 * 512 * double(nq), 0, tree || nq == 1 ? 1 : 0.5, [=] {
             Tensor q = randn({1, 4, nq, 64}), k = randn({1, 4, 512, 64}), v = randn({1, 4, 512, 64});
             AttentionOptions o{.causal = tree ? Causal::no : Causal::bottom_right};
             if (tree) o.mask = (arange(0, 512) < double(512 - nq)) | (rand({nq, 512}) > 0.5);
             return [=] { return scaled_dot_product_attention(q, k, v, o); };
           });
  return c;
}

}  // namespace bench
