// The block that transformers repeat, with any kind of attention, and with any other mixers (nn/mixer.h).
#pragma once
#include <concepts>

#include "nn/attention/kinds.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/mixer.h"
#include "nn/ssm/kinds.h"

namespace ink {

// down(gelu(up(x))) for x [.., dim].
struct FeedForward : Module {
  Linear up, down;
  GeluForm form;
  FeedForward(int64_t dim, int64_t hidden, GeluForm form = GeluForm::erf);
  Tensor forward(const Tensor& x) const { return down.forward(gelu(up.forward(x), form)); }
  void fields(Fields& f) override { f("up", up)("down", down); }
};

// The layers of a block of that kind: those of its row, and a feed-forward layer if there is one alone.
std::vector<AnyMixer> block_mixers(const SsmOptions& options);

// What a block remembers of the tokens before, a state for each of its mixers; empty at the start.
struct BlockState {
  std::vector<LayerState> mixers;
  int64_t time() const;
  int64_t bytes() const;
  // The columns that its mixers with a state keep, one a token; -1 if one of them keeps none.
  int64_t columns() const;
  void keep(int64_t first, const Tensor& rest);  // LayerState::keep of each mixer with a state
  std::vector<Tensor*> tensors();                // handles to replace, as of LayerState
};

// x + mixer(LayerNorm(x)) for each mixer in turn: attention and a feed-forward layer with a hidden layer of 4 dim; with
// kind gau or flash two gated attention units, which weigh about as much. dropout: on what is added to x, and on the
// attention weights of kinds that have some.
struct TransformerBlock : Module {
  struct Residual {
    LayerNorm norm;
    AnyMixer mixer;
  };
  std::vector<Residual> residuals;
  Dropout drop;
  explicit TransformerBlock(const MultiHeadAttentionOptions& options);
  // A state space layer or linear recurrent network instead of attention; RWKV brings its own second layer.
  // A template, so that a list in braces means attention's options.
  template <std::same_as<SsmOptions> Ssm>
  explicit TransformerBlock(const Ssm& options, double dropout = 0)
      : TransformerBlock(options.dim, block_mixers(options), dropout) {}
  // Mixers of one's own. ValueError for one that is empty, or for none.
  TransformerBlock(int64_t dim, std::vector<AnyMixer> mixers, double dropout = 0);
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;  // [batch, time, dim]; mask as the mixers take it
  // The new tokens only; with `places` where they stand, if all mixers take it (takes_places).
  Tensor step(const Tensor& x, BlockState& state, const StepPlaces* places = nullptr) const;
  bool takes_places() const;
  void fields(Fields& f) override;  // norm1, the first mixer's name, norm2, the second one's, ..
};

}  // namespace ink
