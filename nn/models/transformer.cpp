// Which mixers a kind of attention has in a block, and the residual sums around them.
#include "nn/models/transformer.h"

#include <fmt/format.h>

#include <algorithm>

#include "nn/attention/multihead.h"

namespace ink {
namespace {

std::vector<AnyMixer> mixers_of(MultiHeadAttentionOptions o) {
  const KindRow& row = row_of(o.kind);
  if (!row.weights) o.dropout = 0;  // the block drops what its mixers return
  check_kind(o);
  if (row.mixers) return row.mixers(o);
  std::vector<AnyMixer> made{mixer("attention", MultiHeadAttention(o))};  // its weights are drawn first
  made.push_back(mixer("", FeedForward(o.dim, 4 * o.dim)));
  return made;
}

}  // namespace

FeedForward::FeedForward(int64_t dim, int64_t hidden, GeluForm form) : up(dim, hidden), down(hidden, dim), form(form) {}

std::vector<AnyMixer> block_mixers(const SsmOptions& o) {
  std::vector<AnyMixer> made = row_of(o.kind).mixers(o);
  if (made.size() == 1) made.push_back(mixer("", FeedForward(o.dim, 4 * o.dim)));
  return made;
}

int64_t BlockState::time() const { return mixers.empty() ? 0 : mixers[0].time(); }
int64_t BlockState::bytes() const { return bytes_of(BlockState(*this).tensors()); }
std::vector<Tensor*> BlockState::tensors() {
  std::vector<Tensor*> all;
  for (LayerState& state : mixers)
    for (Tensor* t : state.tensors()) all.push_back(t);
  return all;
}

int64_t BlockState::columns() const {
  int64_t all = 0;
  for (const LayerState& state : mixers)
    if (state.time() > 0) all = state.columns() < 0 || all < 0 ? -1 : state.columns();
  return all;
}
void BlockState::keep(int64_t first, const Tensor& rest) {
  for (LayerState& state : mixers)
    if (state.time() > 0) state.keep(first, rest);
}

TransformerBlock::TransformerBlock(const MultiHeadAttentionOptions& o)
    : TransformerBlock(o.dim, mixers_of(o), o.dropout) {}
TransformerBlock::TransformerBlock(int64_t dim, std::vector<AnyMixer> mixers, double dropout) : drop(dropout) {
  if (mixers.empty()) throw ValueError("TransformerBlock: got no mixers; expected at least one");
  for (AnyMixer& m : mixers) {
    if (!m) throw ValueError("TransformerBlock: got an empty mixer; hint: mixer(\"name\", layer)");
    residuals.push_back({LayerNorm(dim), std::move(m)});
  }
}

Tensor TransformerBlock::forward(const Tensor& x, const Tensor& mask) const {
  Tensor y = x;
  for (const Residual& r : residuals) y = y + drop.forward(r.mixer->forward(r.norm.forward(y), mask));  // (0.16)
  return y;
}

bool TransformerBlock::takes_places() const {
  return std::all_of(residuals.begin(), residuals.end(), [](const Residual& r) { return r.mixer->takes_places(); });
}

Tensor TransformerBlock::step(const Tensor& x, BlockState& state, const StepPlaces* places) const {
  if (state.mixers.empty()) state.mixers.resize(residuals.size());
  if (state.mixers.size() != residuals.size())
    throw ValueError(fmt::format("TransformerBlock::step: got a state of {} mixers; expected {}, or an empty one",
                                 state.mixers.size(), residuals.size()));
  Tensor y = x;
  for (size_t i = 0; i < residuals.size(); ++i) {
    const Residual& r = residuals[i];
    const Tensor normed = r.norm.forward(y);
    y = y +
        drop.forward(places ? r.mixer->step(normed, state.mixers[i], *places) : r.mixer->step(normed, state.mixers[i]));
  }
  return y;
}

void TransformerBlock::fields(Fields& f) {
  for (size_t i = 0; i < residuals.size(); ++i) {
    f("norm" + std::to_string(i + 1), residuals[i].norm);
    residuals[i].mixer->fields(f);
  }
  f("drop", drop);
}

}  // namespace ink
