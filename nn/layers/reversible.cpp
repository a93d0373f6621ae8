// Reversible layers: the backward pass computes inputs from outputs instead of keeping them.
#include "nn/layers/reversible.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/graph/recompute.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

Tensor same_shape(const char* function, Tensor y, const Tensor& x) {
  if (!(y.shape() == x.shape()))
    throw ShapeError(fmt::format("reversible: {} must keep the shape; got {}; expected {}, that of what it is added to",
                                 function, y.shape().str(), x.shape().str()));
  return y;
}

using Streams = std::tuple<Tensor, Tensor>;

// What the regions of one call share: the two streams at one place of the stack. They are known after the last block
// when the forward pass is over, and move down by the inverse as the backward pass needs them.
class Chain : public RefCounted {
 public:
  explicit Chain(std::span<const ReversibleBlock* const> blocks) : blocks_(blocks.begin(), blocks.end()) {}

  const ReversibleBlock& block(size_t i) const { return *blocks_[i]; }

  // Runs block i, remembering how the generator stood before F and before G.
  Streams first_run(size_t i, const Tensor& x1, const Tensor& x2) {
    before_f_.emplace_back();
    Tensor y1 = x1 + same_shape("F", block(i).f(x2), x1);
    before_g_.emplace_back();
    return {y1, x2 + same_shape("G", block(i).g(y1), x2)};
  }
  void end(const Tensor& y1, const Tensor& y2) {
    at_ = blocks_.size();
    stream1_ = raw::alias(y1), stream2_ = raw::alias(y2);  // without history: the graph must not hold itself
    version1_ = y1.impl()->storage->version, version2_ = y2.impl()->storage->version;
  }

  // The inputs of block i.
  Streams inputs(size_t i) {
    NoGrad guard;
    if (at_ == blocks_.size()) check_outputs();
    for (; at_ > i; --at_) {
      const ReversibleBlock& b = block(at_ - 1);
      before_g_[at_ - 1].run([&] { stream2_ = stream2_ - b.g(stream1_); });
      before_f_[at_ - 1].run([&] { stream1_ = stream1_ - b.f(stream2_); });
    }
    for (; at_ < i; ++at_)  // asked for again from further up: only after a partial backward pass
      before_f_[at_].run([&] { std::tie(stream1_, stream2_) = block(at_).forward(stream1_, stream2_); });
    return {stream1_, stream2_};
  }

 private:
  void check_outputs() const {
    for (auto [t, version] : {std::pair(&stream1_, version1_), std::pair(&stream2_, version2_)})
      if (t->impl()->storage->version != version)
        throw GradError(
            fmt::format("reversible: an output was overwritten in place by {} before the backward pass, which starts "
                        "from it; got shape {}; hint: clone() before writing",
                        t->impl()->storage->last_writer, t->shape().str()));
  }

  std::vector<const ReversibleBlock*> blocks_;
  std::vector<Environment> before_f_, before_g_;
  size_t at_ = 0;
  Tensor stream1_, stream2_;
  uint32_t version1_ = 0, version2_ = 0;
};

class Region : public Recompute {
 public:
  Region(Ref<Chain> chain, size_t block, bool gradient1, bool gradient2)
      : Recompute("reversible"),
        chain_(std::move(chain)),
        block_(block),
        gradient1_(gradient1),
        gradient2_(gradient2) {}

 private:
  void run() override {
    auto [x1, x2] = chain_->inputs(block_);
    chain_->block(block_).forward(fresh(x1, gradient1_), fresh(x2, gradient2_));
  }
  Ref<Chain> chain_;
  size_t block_;
  bool gradient1_, gradient2_;
};

}  // namespace

Streams ReversibleBlock::forward(const Tensor& x1, const Tensor& x2) const {
  Tensor y1 = x1 + same_shape("F", f(x2), x1);   // (11.11)
  return {y1, x2 + same_shape("G", g(y1), x2)};  // (11.11)
}
Streams ReversibleBlock::inverse(const Tensor& y1, const Tensor& y2) const {
  Tensor x2 = y2 - same_shape("G", g(y1), y2);   // (11.12)
  return {y1 - same_shape("F", f(x2), y1), x2};  // (11.12)
}

Streams reversible(std::span<const ReversibleBlock* const> blocks, const Tensor& x1, const Tensor& x2,
                   bool reconstruct) {
  Streams x{x1, x2};
  if (!reconstruct || !grad_enabled()) {
    for (const ReversibleBlock* b : blocks) x = b->forward(std::get<0>(x), std::get<1>(x));
    return x;
  }
  Ref<Chain> chain(new Chain(blocks));
  for (size_t i = 0; i < blocks.size(); ++i) {
    auto& [a, b] = x;
    Ref<Region> region(new Region(chain, i, a.requires_grad(), b.requires_grad()));
    Recompute::FirstRun scope(*region);
    x = chain->first_run(i, a, b);
  }
  chain->end(std::get<0>(x), std::get<1>(x));
  return x;
}

}  // namespace ink
