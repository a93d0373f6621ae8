// Sequences of different lengths as columns of one batch: row b fills its first columns, what is behind them is hidden
// by the mask.
#include "nn/decoding/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/decoding/tree.h"

namespace ink {
namespace {

void check_tokens(const char* name, const std::vector<int64_t>& tokens, int64_t vocabulary) {
  for (int64_t token : tokens)
    if (token < 0 || token >= vocabulary)
      throw IndexError(
          fmt::format("{}: token outside of the vocabulary; got {}; expected 0 to {}", name, token, vocabulary - 1));
}

// Lists of different lengths as one i64 tensor [rows, longest], filled up with `filler`.
Tensor side_by_side(const std::vector<std::vector<int64_t>>& lists, int64_t longest, int64_t filler, Device device) {
  std::vector<int64_t> all;
  for (const std::vector<int64_t>& list : lists) {
    all.insert(all.end(), list.begin(), list.end());
    all.insert(all.end(), size_t(longest) - list.size(), filler);
  }
  return from_data(all, {int64_t(lists.size()), longest}).to(device);
}

bool is_chain(const Draft& draft) {
  for (size_t i = 0; i < draft.parent.size(); ++i)
    if (draft.parent[i] != int64_t(i) - 1) return false;
  return true;
}

}  // namespace

int64_t SequenceCache::bytes() const {
  int64_t all = 0;
  for (const BlockState& state : states_) all += state.bytes();
  return all;
}

Tensor SequenceCache::begin(const std::vector<std::vector<int64_t>>& prompts) {
  const char* name = "SequenceCache::begin";
  if (prompts.empty()) throw ValueError(fmt::format("{}: got no rows; expected at least one", name));
  std::vector<int64_t> lengths;
  for (const std::vector<int64_t>& prompt : prompts) {
    if (prompt.empty()) throw ValueError(fmt::format("{}: got an empty row; expected at least one token", name));
    if (int64_t(prompt.size()) > model_->context())
      throw ValueError(fmt::format("{}: a row does not fit the context; got {} tokens; expected at most {}", name,
                                   prompt.size(), model_->context()));
    check_tokens(name, prompt, model_->vocabulary());
    lengths.push_back(int64_t(prompt.size()));
  }
  const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
  if (*shortest != *longest && !model_->takes_places())
    throw NotSupported(fmt::format(
        "{}: rows of {} to {} tokens; expected one length, since this model keeps no column for each token; hint: a "
        "cache a row",
        name, *shortest, *longest));
  NoGrad guard;
  device_ = const_cast<CausalLM*>(model_)->parameters().front().device();
  std::vector<BlockState> states;
  // What fills up a short row stands behind its tokens, so they do not see it.
  const Tensor all = model_->features(side_by_side(prompts, *longest, 0, device_), &states);
  const int64_t rows = int64_t(prompts.size());
  std::vector<int64_t> last(lengths);
  for (int64_t& at : last) --at;
  const Tensor index = expand(from_data(last, {rows, 1, 1}).to(all.device()), {rows, 1, all.size(2)});
  states_ = std::move(states);
  columns_ = *longest;
  lengths_ = std::move(lengths);
  drafts_.clear();
  before_.clear();
  return gather(all, 1, index).select(1, 0);
}

void SequenceCache::check_run(const std::vector<Draft>& drafts) const {
  const char* name = "SequenceCache::run";
  if (!drafts_.empty()) throw ValueError(fmt::format("{}: keep() has to say first what stays of the last run", name));
  if (int64_t(drafts.size()) != rows() || drafts.empty())
    throw ValueError(fmt::format("{}: got {} drafts; expected one for each of {} rows", name, drafts.size(), rows()));
  for (size_t b = 0; b < drafts.size(); ++b) {
    check(drafts[b], model_->vocabulary());
    const std::vector<int64_t> depth = node_depths(drafts[b].parent);
    const int64_t deepest = *std::max_element(depth.begin(), depth.end());
    if (deepest >= model_->context() - lengths_[b])
      throw ValueError(fmt::format(
          "{}: a draft does not fit the context; got {} tokens below one another after {}; expected at most {} in all",
          name, deepest + 1, lengths_[b], model_->context()));
  }
}

bool SequenceCache::places_needed(const std::vector<Draft>& drafts, int64_t nodes) const {
  for (size_t b = 0; b < drafts.size(); ++b)
    if (lengths_[b] != columns_ || !is_chain(drafts[b])) return true;
  return columns_ + nodes > model_->context();  // a shorter row's draft is filled up beyond the context
}

StepPlaces SequenceCache::places_of(const std::vector<Draft>& drafts, int64_t nodes) const {
  const int64_t columns = columns_ + nodes;
  std::vector<int64_t> positions(size_t(rows() * nodes), 0);
  Tensor mask = zeros({rows(), 1, nodes, columns}, {DType::boolean, Device{}});
  bool* seen = mask.data<bool>();
  for (int64_t b = 0; b < rows(); ++b) {
    const Draft& draft = drafts[size_t(b)];
    const std::vector<int64_t> depth = node_depths(draft.parent);
    for (int64_t i = 0; i < nodes; ++i) {
      bool* row = seen + (b * nodes + i) * columns;
      std::fill_n(row, lengths_[size_t(b)], true);
      if (i >= draft.nodes()) continue;  // filled up
      positions[size_t(b * nodes + i)] = lengths_[size_t(b)] + depth[size_t(i)];
      for (int64_t node = i; node >= 0; node = draft.parent[size_t(node)]) row[columns_ + node] = true;
    }
  }
  return {from_data(positions, {rows(), nodes}).to(device_), mask.to(device_)};
}

Tensor SequenceCache::run(const std::vector<Draft>& drafts) {
  check_run(drafts);
  NoGrad guard;
  int64_t nodes = 0;
  std::vector<std::vector<int64_t>> tokens;
  for (const Draft& draft : drafts) {
    nodes = std::max(nodes, draft.nodes());
    tokens.push_back(draft.token);
  }
  const Tensor ids = side_by_side(tokens, nodes, 0, device_);
  // A window, or a recurrence, cannot take tokens back.
  if (!model_->takes_places()) before_ = states_;
  Tensor features;
  try {
    if (places_needed(drafts, nodes)) {
      const StepPlaces places = places_of(drafts, nodes);
      features = model_->features(ids, &states_, &places);
    } else {
      features = model_->features(ids, &states_);
    }
  } catch (...) {
    take_back();
    throw;
  }
  drafts_ = drafts;
  return features;
}

// The states as they were before the last run.
void SequenceCache::take_back() {
  if (!before_.empty()) {
    states_ = std::move(before_);
    before_.clear();
    return;
  }
  const Tensor none = empty({0}, {i64, device_});
  for (BlockState& state : states_)
    if (state.columns() > columns_) state.keep(columns_, none);
}

void SequenceCache::check_keep(const std::vector<std::vector<int64_t>>& nodes) const {
  const char* name = "SequenceCache::keep";
  if (drafts_.empty()) throw ValueError(fmt::format("{}: no drafts were run", name));
  if (int64_t(nodes.size()) != rows())
    throw ValueError(fmt::format("{}: got {} lists; expected one for each of {} rows", name, nodes.size(), rows()));
  bool any = false, all = true;
  for (size_t b = 0; b < nodes.size(); ++b) {
    int64_t above = -1;
    for (int64_t node : nodes[b]) {
      if (node < 0 || node >= drafts_[b].nodes() || drafts_[b].parent[size_t(node)] != above)
        throw ValueError(
            fmt::format("{}: the nodes of row {} are no path from the root; got {} below {}", name, b, node, above));
      above = node;
    }
    any = any || !nodes[b].empty();
    all = all && !nodes[b].empty();
  }
  if (any && !all) throw ValueError(fmt::format("{}: got nodes for some rows only; expected all or none", name));
}

void SequenceCache::keep(const std::vector<std::vector<int64_t>>& nodes) {
  check_keep(nodes);
  if (nodes.front().empty())
    take_back();
  else if (before_.empty())
    keep_columns(nodes);
  else
    run_again(nodes);
  for (size_t b = 0; b < nodes.size(); ++b) lengths_[b] += int64_t(nodes[b].size());
  columns_ = *std::max_element(lengths_.begin(), lengths_.end());
  drafts_.clear();
  before_.clear();
}

// Row b's columns become those of its tokens and then those of its nodes, next to each other.
void SequenceCache::keep_columns(const std::vector<std::vector<int64_t>>& nodes) {
  int64_t in_place = std::numeric_limits<int64_t>::max(), longest = 0;
  std::vector<std::vector<int64_t>> columns(nodes.size());
  for (size_t b = 0; b < nodes.size(); ++b) {
    std::vector<int64_t>& row = columns[b];
    row.resize(size_t(lengths_[b]));
    std::iota(row.begin(), row.end(), int64_t(0));
    for (int64_t node : nodes[b]) row.push_back(columns_ + node);
    int64_t first = 0;
    while (first < int64_t(row.size()) && row[size_t(first)] == first) ++first;
    in_place = std::min(in_place, first);
    longest = std::max(longest, int64_t(row.size()));
  }
  for (std::vector<int64_t>& row : columns) row.erase(row.begin(), row.begin() + in_place);
  Tensor rest = side_by_side(columns, longest - in_place, 0, device_);
  if (rows() == 1) rest = rest.select(0, 0);
  for (BlockState& state : states_) state.keep(in_place, rest);
}

// A recurrence sums its tokens up: those that stay are read once more, unless all do.
void SequenceCache::run_again(const std::vector<std::vector<int64_t>>& nodes) {
  const int64_t count = int64_t(nodes.front().size());
  for (const std::vector<int64_t>& row : nodes)
    if (int64_t(row.size()) != count)
      throw NotSupported(
          fmt::format("SequenceCache::keep: got {} and {} nodes; expected as many in each row, since this model keeps "
                      "no column for "
                      "each token; hint: a cache a row",
                      count, row.size()));
  bool whole = true;
  std::vector<std::vector<int64_t>> tokens;
  for (const Draft& draft : drafts_) {
    whole = whole && draft.nodes() == count;
    tokens.emplace_back(draft.token.begin(), draft.token.begin() + count);
  }
  if (whole) return;
  NoGrad guard;
  states_ = std::move(before_);
  model_->features(side_by_side(tokens, count, 0, device_), &states_);
}

void SequenceCache::select_rows(const std::vector<int64_t>& rows) {
  if (!drafts_.empty())
    throw ValueError("SequenceCache::select_rows: keep() has to say first what stays of the last run");
  if (rows.empty()) throw ValueError("SequenceCache::select_rows: got no rows; expected at least one");
  std::vector<int64_t> lengths;
  for (int64_t row : rows) {
    if (row < 0 || row >= this->rows())
      throw IndexError(fmt::format("SequenceCache::select_rows: got {}; expected 0 to {}", row, this->rows() - 1));
    lengths.push_back(lengths_[size_t(row)]);
  }
  NoGrad guard;
  const Tensor index = from_data(rows, {int64_t(rows.size())}).to(device_);
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  for (BlockState& state : states_) {
    for (Tensor* t : state.tensors())
      if (t->defined()) *t = index_select(*t, 0, index);
    if (longest < columns_) state.keep(longest, empty({0}, {i64, device_}));
  }
  lengths_ = std::move(lengths);
  columns_ = longest;
}

}  // namespace ink
