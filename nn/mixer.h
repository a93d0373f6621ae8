// Mixers: the layers that a block of a sequence model puts between a norm and the sum with its input. Attention is one,
// a feed-forward layer, a gated attention unit or a state space layer are others; the block knows none of them.
//
//   AnyMixer m = mixer("attention", MultiHeadAttention({.dim = 64, .heads = 4, .causal = true}));
//   LayerState state;                                   // empty: no token was seen yet
//   Tensor y = m->step(x, state);                       // the next tokens
#pragma once
#include <any>
#include <string>
#include <vector>

#include "nn/any.h"
#include "nn/module.h"
#include "nn/step_places.h"

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
  template <class S> S& as() {
    if (!value_.has_value()) {
      value_ = S();
      time_ = [](const std::any& value) { return std::any_cast<const S&>(value).time; };
      tensors_ = [](std::any& value) { return std::any_cast<S&>(value).tensors(); };
      if constexpr (requires(S & s, Tensor t) { s.keep(int64_t(0), t); }) {
        columns_ = [](const std::any& value) { return std::any_cast<const S&>(value).columns(); };
        keep_ = [](std::any& value, int64_t first, const Tensor& rest) { std::any_cast<S&>(value).keep(first, rest); };
      }
    }
    S* own = std::any_cast<S>(&value_);
    return own ? *own : throw of_another_layer();
  }
  int64_t time() const { return value_.has_value() ? time_(value_) : 0; }
  int64_t bytes() const;
  // How many columns the state keeps, one a token, of which any may be taken out again; -1 if it sums tokens up.
  int64_t columns() const { return columns_ ? columns_(value_) : -1; }
  // Of its columns the first ones stay, and after them those that `rest` names (i64 [n] or [batch, n], 0 is the first
  // of all). The new time is first + n. NotSupported if there are no columns.
  void keep(int64_t first, const Tensor& rest);
  // Handles to replace: to move a state to a device, or to pick samples of its batch.
  std::vector<Tensor*> tensors();

 private:
  static ValueError of_another_layer();
  std::any value_;
  int64_t (*time_)(const std::any&) = nullptr;
  std::vector<Tensor*> (*tensors_)(std::any&) = nullptr;
  int64_t (*columns_)(const std::any&) = nullptr;
  void (*keep_)(std::any&, int64_t, const Tensor&) = nullptr;
};

struct Mixer {
  virtual ~Mixer();
  // x [batch, time, dim] -> the same shape. `mask` as the layer takes it, or undefined.
  virtual Tensor forward(const Tensor& x, const Tensor& mask) const = 0;
  // The next tokens of a sequence: the same as the last rows of forward() over all of it.
  virtual Tensor step(const Tensor& x, LayerState& state) const = 0;
  // The same for tokens that stand where `places` says. NotSupported where takes_places() is false.
  virtual Tensor step(const Tensor& x, LayerState& state, const StepPlaces& places) const = 0;
  virtual bool takes_places() const = 0;
  virtual void fields(Fields& f) = 0;  // what the block calls the layer
  virtual std::unique_ptr<Mixer> clone() const = 0;
};
using AnyMixer = Any<Mixer>;

// A module as a mixer. One that mixes tokens has `State`, a type for LayerState, `forward(x, mask)` and `step(x,
// State&)`; one that treats each token alone has `forward(x)`. NotSupported for a mask where it mixes and takes none.
template <class Layer> class MixerOf final : public Mixer {
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
  bool takes_places() const override {
    if constexpr (requires { layer_.takes_places(); })
      return layer_.takes_places();
    else
      return !kMixes;
  }
  Tensor step(const Tensor& x, LayerState& state, const StepPlaces& places) const override {
    if constexpr (!kMixes) {
      return layer_.forward(x);
    } else {
      if constexpr (requires(typename Layer::State & s) { layer_.step(x, s, places); })
        return layer_.step(x, state.as<typename Layer::State>(), places);
      else
        throw NotSupported(name_ +
                           ": goes along one line of tokens and keeps no column for each; "
                           "hint: a draft without branches, sequences of one length");
    }
  }
  void fields(Fields& f) override {
    if (name_.empty())
      layer_.fields(f);
    else
      f(name_, layer_);
  }
  std::unique_ptr<Mixer> clone() const override { return std::unique_ptr<Mixer>(new MixerOf(*this)); }
};
// `name`: what the layer is called among the block's fields; empty for a layer without a training mode of its own,
// whose fields then stand among the block's.
template <class Layer> AnyMixer mixer(std::string name, Layer layer) {
  return AnyMixer(std::unique_ptr<Mixer>(new MixerOf<Layer>(std::move(name), std::move(layer))));
}

}  // namespace ink
