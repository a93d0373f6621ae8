// States of attention, and what a core without a causal form says.
#include "nn/attention/core.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "nn/mixer.h"

namespace ink {

void AttentionState::append(const Tensor& k, const Tensor& v) {
  append_rows(key, key_rows_, k);
  append_rows(value, value_rows_, v);
  time += k.size(2);
}
int64_t AttentionState::columns() const {
  if (time == 0) return 0;
  const bool all = key.defined() && key.size(2) == time && !sum.defined() && !norm.defined() && !extra.defined();
  return all ? time : -1;
}
void AttentionState::keep(int64_t first, const Tensor& rest) {
  if (columns() < 0) throw NotSupported("AttentionState::keep: this kind of attention keeps no column for each token");
  const Tensor index = rest.dim() == 1 ? rest : rest.unsqueeze(1).unsqueeze(3);
  for (Tensor* kept : {&key, &value}) {
    Tensor moved = rest.dim() == 1
                       ? index_select(*kept, 2, index)
                       : gather(*kept, 2, expand(index, {kept->size(0), kept->size(1), rest.size(-1), kept->size(3)}));
    *kept = narrow(*kept, 2, 0, first);
    if (rest.size(-1) > 0) append_rows(*kept, kept == &key ? key_rows_ : value_rows_, moved);
  }
  time = first + rest.size(-1);
}
std::vector<Tensor*> AttentionState::tensors() { return {&key, &value, &sum, &norm, &extra}; }
int64_t AttentionState::bytes() const {
  AttentionState handles = *this;
  return bytes_of(handles.tensors());
}

Tensor AttentionCore::step(const Tensor&, const Tensor&, const Tensor&, AttentionState&) const {
  throw NotSupported(fmt::format(
      "{}: no step by step form; expected a kind with a causal form; hint: run the whole sequence", name()));
}

Tensor AttentionCore::step_seen(const Tensor&, const Tensor&, const Tensor&, AttentionState&, const Tensor&) const {
  throw NotSupported(
      fmt::format("{}: no step over a tree of tokens; expected softmax attention over all keys; hint: a draft without "
                  "branches, sequences of one length",
                  name()));
}

}  // namespace ink
