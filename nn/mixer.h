// Mixers: the layers that a block of a sequence model puts between a norm and the sum with its input. Attention is one,
// a feed-forward layer, a gated attention unit or a state space layer are others; the block knows none of them.
//
//   AnyMixer m = mixer("attention", MultiHeadAttention({.dim = 64, .heads = 4, .causal = true}));
//   LayerState state;                                   // empty: no token was seen yet
//   Tensor y = m->step(x, state);                       // the next tokens
#pragma once
#include <string>
#include <vector>

#include "nn/any.h"
#include "nn/module.h"

namespace ink {

// The sum over tensors that are defined.
int64_t bytes_of(const std::vector<Tensor*>& tensors);

// What a layer remembers of the tokens before, in a type of the layer's own: any copyable struct S with
//
//   int64_t time;                        // tokens seen
//   std::vector<Tensor*> tensors();      // all its tensors, undefined ones too
//
// Empty at the start. A value: a copy continues on its own, as layers replace the tensors in it and never write them.
class LayerState {
 public:
  // The layer's state; made if there is none. ValueError if a layer of another kind made it.
  template <class S>
  S& as() {
    if (!held_) held_ = Any<Held>(std::make_unique<Of<S>>());
    auto* own = dynamic_cast<Of<S>*>(&*held_);
    if (!own) refuse();
    return own->state;
  }
  int64_t time() const { return held_ ? held_->time() : 0; }
  int64_t bytes() const { return bytes_of(tensors()); }
  // Handles to replace: to move a state to a device, or to pick samples of its batch.
  std::vector<Tensor*> tensors() const { return held_ ? held_->tensors() : std::vector<Tensor*>(); }

 private:
  struct Held {
    virtual ~Held() = default;
    virtual int64_t time() const = 0;
    virtual std::vector<Tensor*> tensors() = 0;
    virtual std::unique_ptr<Held> clone() const = 0;
  };
  template <class S>
  struct Of final : Held {
    S state;
    int64_t time() const override { return state.time; }
    std::vector<Tensor*> tensors() override { return state.tensors(); }
    std::unique_ptr<Held> clone() const override { return std::make_unique<Of>(*this); }
  };
  [[noreturn]] static void refuse();
  Any<Held> held_;
};

struct Mixer {
  virtual ~Mixer() = default;
  // x [batch, time, dim] -> the same shape. `mask` as the layer takes it, or undefined.
  virtual Tensor forward(const Tensor& x, const Tensor& mask) const = 0;
  // The next tokens of a sequence: the same as the last rows of forward() over all of it.
  virtual Tensor step(const Tensor& x, LayerState& state) const = 0;
  virtual void fields(Fields& f) = 0;  // what the block calls the layer
  virtual std::unique_ptr<Mixer> clone() const = 0;
};
using AnyMixer = Any<Mixer>;

// A module as a mixer. One that mixes tokens has `State`, a type for LayerState, `forward(x, mask)` and `step(x,
// State&)`; one that treats each token alone has `forward(x)`. NotSupported for a mask where it mixes and takes none.
template <class Layer>
class MixerOf final : public Mixer {
  static constexpr bool kMixes = requires { typename Layer::State; };
  std::string name_;
  Layer layer_;

 public:
  MixerOf(std::string name, Layer layer) : name_(std::move(name)), layer_(std::move(layer)) {}
  Tensor forward(const Tensor& x, const Tensor& mask) const override {
    if constexpr (requires { layer_.forward(x, mask); })
      return layer_.forward(x, mask);
    else {
      if (kMixes && mask.defined()) throw NotSupported(name_ + ": takes no mask; got " + mask.shape().str());
      return layer_.forward(x);
    }
  }
  Tensor step(const Tensor& x, LayerState& state) const override {
    if constexpr (kMixes)
      return layer_.step(x, state.as<typename Layer::State>());
    else
      return layer_.forward(x);
  }
  void fields(Fields& f) override {
    if (name_.empty())
      layer_.fields(f);
    else
      f(name_, layer_);
  }
  std::unique_ptr<Mixer> clone() const override { return std::make_unique<MixerOf>(*this); }
};
// `name`: what the layer is called among the block's fields; empty for a layer without a training mode of its own,
// whose fields then stand among the block's.
template <class Layer>
AnyMixer mixer(std::string name, Layer layer) {
  return AnyMixer(std::make_unique<MixerOf<Layer>>(std::move(name), std::move(layer)));
}

}  // namespace ink
