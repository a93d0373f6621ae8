// What a model has seen of several sequences that go on side by side, and how they go on by drafts: a draft is run as a
// whole, and what is accepted of it stays.
//
//   SequenceCache cache(model);
//   Tensor last = cache.begin({prompt});                 // features of the prompt's last token
//   Tensor seen = cache.run({draft});                    // features of every node of the draft
//   cache.keep({{0, 2, 5}});                             // the root and a path below it were right
#pragma once
#include <vector>

#include "nn/decoding/draft.h"
#include "nn/models/causal_lm.h"

namespace ink {

// A value: a copy goes on by itself. Rows may differ in length, and drafts may branch, if the model takes places
// (CausalLM::takes_places); a model with a recurrence goes along one line, and what is not accepted is undone by
// running the rest again from the state of before.
class SequenceCache {
 public:
  explicit SequenceCache(const CausalLM& model) : model_(&model) {}  // which must outlive it
  explicit SequenceCache(const CausalLM&& model) = delete;

  int64_t rows() const { return int64_t(lengths_.size()); }
  int64_t length(int64_t row) const { return lengths_[size_t(row)]; }  // tokens seen
  int64_t bytes() const;                                               // of all states

  // Reads the first tokens of each row: features of each one's last, [rows, dim]. ValueError for no rows, an empty row,
  // one that does not fit the context, or a token outside of the vocabulary; NotSupported for rows of different lengths
  // where the model does not take places.
  Tensor begin(const std::vector<std::vector<int64_t>>& prompts);
  // Reads a draft a row, each node after its ancestors and what its row has seen: features [rows, nodes, dim], nodes
  // that only other rows have being of no meaning. Then keep() is to be called. ValueError for a number of drafts other
  // than rows(), and for a draft that does not fit the context: nothing is read then.
  Tensor run(const std::vector<Draft>& drafts);
  // Of the drafts just run, these nodes are now part of their rows: each list a path that starts at node 0. The rest is
  // forgotten. A list may be empty, if all are.
  void keep(const std::vector<std::vector<int64_t>>& nodes);
  // Only these rows stay, in that order.
  void select_rows(const std::vector<int64_t>& rows);

 private:
  void check_run(const std::vector<Draft>& drafts) const;
  bool places_needed(const std::vector<Draft>& drafts, int64_t nodes) const;
  StepPlaces places_of(const std::vector<Draft>& drafts, int64_t nodes) const;
  void check_keep(const std::vector<std::vector<int64_t>>& nodes) const;
  void keep_columns(const std::vector<std::vector<int64_t>>& nodes);
  void run_again(const std::vector<std::vector<int64_t>>& nodes);
  void take_back();

  const CausalLM* model_;
  Device device_;  // of the model, at begin()
  std::vector<BlockState> states_;
  std::vector<int64_t> lengths_;    // row b has seen so many tokens: its columns 0, 1, .. of the states
  int64_t columns_ = 0;             // of the states: the longest row
  std::vector<Draft> drafts_;       // those just run, until keep()
  std::vector<BlockState> before_;  // the states of before, of a model that cannot take tokens back
};

}  // namespace ink
