// A language model that reads from left to right, of any architecture: what generation, heads that look ahead and
// loaders of checkpoints need to know of it.
#pragma once
#include "nn/models/transformer.h"

namespace ink {

struct CausalLM : Module {
  virtual int64_t vocabulary() const = 0;
  virtual int64_t context() const = 0;  // the longest sequence
  virtual int64_t dim() const = 0;      // of features
  // i64 [batch, time] -> [batch, time, dim]: what the last norm gives, before the head. With `states` (empty at the
  // start, then one per block) ids holds the tokens after those already seen, and the states move on; with `places`
  // they stand where it says, if takes_places().
  virtual Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr,
                          const StepPlaces* places = nullptr) const = 0;
  // Whether tokens may stand in a tree, or in sequences of different lengths: all layers keep a column a token.
  virtual bool takes_places() const = 0;
  // [.., dim] -> [.., vocabulary]
  virtual Tensor logits(const Tensor& features) const = 0;
  // [vocabulary, dim], the model's own: logits(x) = x head_weight()^T. For heads that look ahead; NotSupported for a
  // model that does not say.
  virtual Tensor head_weight() const;
  // i64 [..] -> [.., dim]: the tokens' vectors that features() begins with, without positions. NotSupported as above.
  virtual Tensor embed(const Tensor& ids) const;

  // i64 [batch, time] -> logits [batch, time, vocabulary]
  Tensor forward(const Tensor& ids) const { return logits(features(ids)); }
  Tensor step(const Tensor& ids, std::vector<BlockState>& states) const { return logits(features(ids, &states)); }

 protected:
  // ShapeError unless ids is [batch, time] and fits the context after the tokens seen (with `places`: unless those fit
  // ids; who makes them sees to the context); ValueError for a list of states of another model. Fills an empty list.
  // Returns the positions of the tokens, i64 as StepPlaces has them.
  Tensor begin(const char* name, const Tensor& ids, std::vector<BlockState>* states, size_t blocks,
               const StepPlaces* places) const;
};

}  // namespace ink
