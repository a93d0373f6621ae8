// What one pass of a network costs when it is given several rows: operations, bytes and time.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/decoding/cache.h"
#include "tensor/batch_invariant.h"

namespace ink::lesson {

struct PassCost {
  double flops = 0, bytes = 0;  // bytes read and written
};
template <class F> PassCost cost_of_pass(const F& pass) {
  Profile profile;
  pass();
  PassCost cost;
  for (const ProfileRow& row : profile.rows())
    cost.flops += row.flops, cost.bytes += double(row.bytes + row.bytes_read);
  return cost;
}

// The shortest of several runs, in ms: what the machine needs when it does nothing else.
template <class F> double ms_of(int64_t runs, const F& f) {
  double best = INFINITY;
  f();
  for (int64_t i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

// One layer alone: y = x W^T for `rows` rows of x.
struct LayerPasses {
  Series flops{.name = "operations"}, bytes{.name = "bytes"}, time{.name = "time"};
};
inline LayerPasses layer_passes(int64_t width, const std::vector<int64_t>& rows, const Options& numbers, int64_t runs) {
  NoGrad guard;
  BatchInvariant invariant;  // as generate() has it
  LayerPasses all;
  const Tensor w = randn({width, width}, numbers);
  for (int64_t n : rows) {
    const Tensor x = randn({n, width}, numbers);
    const auto pass = [&] { linear(x, w); };
    const PassCost cost = cost_of_pass(pass);
    all.flops.x.push_back(double(n)), all.flops.y.push_back(cost.flops);
    all.bytes.x.push_back(double(n)), all.bytes.y.push_back(cost.bytes);
    all.time.x.push_back(double(n)), all.time.y.push_back(ms_of(runs, pass));
  }
  return all;
}

// A chain of tokens, so many below one another.
inline Draft chain_of(const std::vector<int64_t>& tokens) {
  Draft chain{.token = {tokens[0]}, .parent = {-1}};
  for (size_t i = 1; i < tokens.size(); ++i) chain.add(int64_t(i) - 1, tokens[i]);
  return chain;
}

// The model with a cache of `prompt`: ms of a pass over n nodes, all below the root, for each n.
inline Series model_passes(const CausalLM& model, const std::vector<int64_t>& prompt, const std::vector<int64_t>& rows,
                           int64_t runs) {
  NoGrad guard;
  BatchInvariant invariant;
  Series time{.name = "the model of this page"};
  SequenceCache cache(model);
  cache.begin({prompt});
  for (int64_t n : rows) {
    Draft draft{.token = {0}, .parent = {-1}};
    for (int64_t i = 1; i < n; ++i) draft.add(0, i % model.vocabulary());
    time.x.push_back(double(n));
    time.y.push_back(ms_of(runs, [&] {
      model.logits(cache.run({draft}));
      cache.keep({{}});
    }));
  }
  return time;
}

}  // namespace ink::lesson
