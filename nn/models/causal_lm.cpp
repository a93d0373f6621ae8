// What every causal language model checks of its input.
#include "nn/models/causal_lm.h"

#include <fmt/format.h>

#include "autograd/ops.h"

namespace ink {

Tensor CausalLM::head_weight() const {
  throw NotSupported("CausalLM: the model does not show the weights of its head; hint: override head_weight()");
}

Tensor CausalLM::embed(const Tensor&) const {
  throw NotSupported("CausalLM: the model does not show the vectors of its tokens; hint: override embed()");
}

Tensor CausalLM::begin(const char* name, const Tensor& ids, std::vector<BlockState>* states, size_t blocks,
                       const StepPlaces* places) const {
  if (states && states->empty()) states->resize(blocks);
  if (states && states->size() != blocks)
    throw ValueError(fmt::format("{}: got {} states; expected {}, one per layer, or none at the start", name,
                                 states->size(), blocks));
  const int64_t past = states && blocks > 0 ? states->front().time() : 0;
  if (places) {
    if (!states || !takes_places())
      throw NotSupported(
          fmt::format("{}: tokens in a tree or in sequences of different lengths need layers that keep a column for "
                      "each token, and "
                      "their states",
                      name));
    const Tensor& p = places->positions;
    if (ids.dim() != 2 || p.dtype() != DType::i64 || (p.dim() != 1 && p.dim() != 2) || p.size(-1) != ids.size(1) ||
        (p.dim() == 2 && p.size(0) != ids.size(0)))
      throw ShapeError(
          fmt::format("{}: wrong places; got positions {} of {} for tokens {}; expected i64 [time] or "
                      "[batch, time]",
                      name, p.shape().str(), name_of(p.dtype()), ids.shape().str()));
    return p;
  }
  if (ids.dim() != 2 || ids.size(1) > context() - past)
    throw ShapeError(
        fmt::format("{}: wrong input; got {} after {} tokens; expected [batch, time] with at most {} tokens in all",
                    name, ids.shape().str(), past, context()));
  return arange(past, past + ids.size(1), 1, {i64, ids.device()});
}

}  // namespace ink
