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
  // start, then one per block) ids holds the tokens after those already seen, and the states move on.
  virtual Tensor features(const Tensor& ids, std::vector<BlockState>* states = nullptr) const = 0;
  // [.., dim] -> [.., vocabulary]
  virtual Tensor logits(const Tensor& features) const = 0;

  // i64 [batch, time] -> logits [batch, time, vocabulary]
  Tensor forward(const Tensor& ids) const { return logits(features(ids)); }
  Tensor step(const Tensor& ids, std::vector<BlockState>& states) const { return logits(features(ids, &states)); }

 protected:
  // ShapeError unless ids is [batch, time] and fits the context after `past` tokens; ValueError for a list of states of
  // another model. Fills an empty list. Returns the number of tokens seen before.
  int64_t begin(const char* name, const Tensor& ids, std::vector<BlockState>* states, size_t blocks) const;
};

}  // namespace ink
