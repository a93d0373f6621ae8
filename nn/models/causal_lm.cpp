// What every causal language model checks of its input.
#include "nn/models/causal_lm.h"

#include <fmt/format.h>

namespace ink {

int64_t CausalLM::begin(const char* name, const Tensor& ids, std::vector<BlockState>* states, size_t blocks) const {
  if (states && states->empty()) states->resize(blocks);
  if (states && states->size() != blocks)
    throw ValueError(fmt::format("{}: got {} states; expected {}, one per layer, or none at the start", name,
                                 states->size(), blocks));
  const int64_t past = states && blocks > 0 ? states->front().time() : 0;
  if (ids.dim() != 2 || ids.size(1) > context() - past)
    throw ShapeError(
        fmt::format("{}: wrong input; got {} after {} tokens; expected [batch, time] with at most {} tokens in all",
                    name, ids.shape().str(), past, context()));
  return past;
}

}  // namespace ink
