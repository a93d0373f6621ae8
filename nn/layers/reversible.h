// Reversible residual layers: the inputs of a layer follow from its outputs, so that a stack of them keeps nothing for
// the backward pass but its last outputs, whatever its depth. Gomez et al. 2017; Kitaev et al. 2020, section 3.
//
//   struct Block : ReversibleBlock { ... f: attention, g: feed-forward ... };
//   ReversibleSequence<Block> stack(depth, Block(dim));
//   auto [y1, y2] = stack.forward(x, x);
#pragma once
#include <span>
#include <tuple>
#include <vector>

#include "nn/module.h"

namespace ink {

// y1 = x1 + F(x2),  y2 = x2 + G(y1). f and g give what they get, the same again for the same state of the default
// generator (so dropout may be inside; a batch norm's running statistics would move twice). Their results have the
// shape of x1 and x2.
struct ReversibleBlock : Module {
  virtual Tensor f(const Tensor& x) const = 0;
  virtual Tensor g(const Tensor& x) const = 0;
  std::tuple<Tensor, Tensor> forward(const Tensor& x1, const Tensor& x2) const;
  // x2 = y2 - G(y1),  x1 = y1 - F(x2), to rounding.
  std::tuple<Tensor, Tensor> inverse(const Tensor& y1, const Tensor& y2) const;
};

// A block of two modules with forward(x): Reversible<Attention, FeedForward> b(attention, feed_forward).
template <class F, class G> struct Reversible : ReversibleBlock {
  F first;
  G second;
  Reversible(F f, G g) : first(std::move(f)), second(std::move(g)) {}
  Tensor f(const Tensor& x) const override { return first.forward(x); }
  Tensor g(const Tensor& x) const override { return second.forward(x); }
  void fields(Fields& f) override { f("f", first)("g", second); }
};

// The blocks one after the other. Nothing inside is kept: the backward pass takes the last outputs, works back block by
// block by the inverse, with the generator as it was, and runs each block again for its gradients. Costs a forward pass
// and an inverse more than storing. Gradients of parameters and of any order as usual (with create_graph or
// retain_graph the blocks' values are kept from then on). The blocks must stay where they are until the backward pass;
// the outputs may not be overwritten before (GradError). ShapeError if f or g changes the shape.
// reconstruct: false for an ordinary residual network, which stores.
std::tuple<Tensor, Tensor> reversible(std::span<const ReversibleBlock* const> blocks, const Tensor& x1,
                                      const Tensor& x2, bool reconstruct = true);

template <class Block> struct ReversibleSequence : Module {
  std::vector<Block> blocks;
  bool reconstruct = true;  // false: an ordinary residual network, which stores
  ReversibleSequence(int64_t depth, const Block& block) : blocks(size_t(depth), block) {}
  explicit ReversibleSequence(std::vector<Block> b) : blocks(std::move(b)) {}
  std::tuple<Tensor, Tensor> forward(const Tensor& x1, const Tensor& x2) const {
    std::vector<const ReversibleBlock*> list;
    for (const Block& b : blocks) list.push_back(&b);
    return reversible(list, x1, x2, reconstruct);
  }
  void fields(Fields& f) override { f("blocks", blocks); }
};

}  // namespace ink
