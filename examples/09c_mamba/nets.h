// The net of lesson 09c: two blocks of Mamba, selective or not, and how it is trained.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "examples/09c_mamba/tasks.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// The block held constant is the same one with delta, B and C as parameters: a time-invariant S4D-Real.
inline constexpr Selection kHeldConstant{.delta = false, .B = false, .C = false};

struct MambaNet : Module {
  Embedding tokens;
  std::vector<TransformerBlock> blocks;
  RMSNorm norm;
  Linear head;
  MambaNet(int64_t symbols, int64_t dim, int64_t state, int64_t layers, const Selection& selection)
      : tokens(symbols, dim), norm(dim), head(dim, symbols, {.bias = false}) {
    for (int64_t i = 0; i < layers; ++i) {
      Mamba mamba({.dim = dim, .state = state, .selection = selection});
      NoGrad guard;
      mamba.out_proj.weight.mul_(1 / std::sqrt(double(layers)));
      blocks.emplace_back(dim, std::vector<AnyMixer>{mixer("mamba", mamba)});
    }
  }
  // Logits at the places that are asked for, [batch, answers, symbols].
  Tensor forward(const Asked& b) const {
    Tensor x = tokens.forward(b.ids);
    for (const TransformerBlock& block : blocks) x = block.forward(x);
    return head.forward(norm.forward(index_select(x, 1, b.places)));
  }
  void fields(Fields& f) override { f("tokens", tokens)("blocks", blocks)("norm", norm)("head", head); }
};

inline double accuracy(const MambaNet& net, const Asked& b) {
  NoGrad guard;
  return (argmax(net.forward(b), -1) == b.targets).to(f64).mean().item();
}

}  // namespace ink::lesson
