// Lesson 12, sections 3 and 4: buffers of a tree, the tree of this model, and its nodes as plain sequences.
#pragma once
#include <string>
#include <vector>

#include "examples/12_medusa/learning.h"
#include "examples/12_medusa/steps.h"

namespace ink::lesson {

inline void the_buffers(Lesson& lesson) {
  const TreeShape shape = TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}});
  a_mask_fills(lesson, shape);
  std::string rows;
  const std::vector<bool> mask = shape.mask().to_vector<bool>();
  for (int64_t i = 0; i < shape.nodes(); ++i) {
    for (int64_t j = 0; j < shape.nodes(); ++j) rows += mask[size_t(i * shape.nodes() + j)] ? '1' : '0';
    rows += ' ';
  }
  lesson.say("The tree (0) (1) (0, 0) (0, 1) (1, 0) (0, 0, 0):");
  lesson.listing(shape.picture());
  lesson.expect("its tree index", shape.tree_index() == std::vector<int64_t>{0, 1, 2, 11, 12, 11, 21});
  lesson.expect("its positions after the prefix", shape.depths() == std::vector<int64_t>{0, 1, 1, 2, 2, 2, 3});
  lesson.expect("its mask", rows == "1000000 1100000 1010000 1101000 1100100 1010010 1101001 ");
  lesson.expect("its paths, each with its own length",
                shape.leaf_paths() == std::vector<std::vector<int64_t>>{{0, 1, 3, 6}, {0, 2, 5}, {0, 1, 4}});
}

inline void the_models_tree(Lesson& lesson, const Setup& s) {
  const Accuracy accuracy = s.accuracy();
  const GrownTree drawn = grow_tree(accuracy, s.tiny ? 3 : 24);
  lesson.figure(
      "tree", tree_picture(drawn.shape, shares_of(drawn.shape, s.hits)),
      "The tree of 24 nodes for this model. Colour, number and width of a line: percent of the steps in which "
      "the guess and all above it are right.");
  const TreeShape all = TreeShape::cartesian({3, 3, 3}), grown = grow_tree(accuracy, all.nodes() - 1).shape;
  lesson.value("nodes of 3 x 3 x 3", double(all.nodes() - 1));
  const double by_hand = tokens_per_step(all, s.hits), searched = tokens_per_step(grown, s.hits);
  lesson.value("tokens per step, 3 x 3 x 3", by_hand);
  lesson.value("tokens per step, grown to as many nodes", searched);
  lesson.expect("the grown tree against 3 x 3 x 3, as many nodes: tokens per step, difference", searched - by_hand,
                Above{0}, Needs::training);
}

// Every node of a draft is as if its path alone had been written after the prefix.
inline void nodes_are_plain_sequences(Lesson& lesson, const Setup& s) {
  NoGrad guard;
  BatchInvariant invariant;
  const GPT& model = s.models.model;
  const TreeShape shape = TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}});
  const std::vector<int64_t>& prefix = s.prompts[0];
  std::vector<std::vector<int64_t>> candidates(4);
  for (int64_t k = 0; k < 4; ++k) candidates[size_t(k)] = {k + 1, k + 5};
  Draft draft = make_draft(shape, prefix.back(), candidates);
  SequenceCache cache(model);
  cache.begin({prefix});
  const Tensor tree = model.logits(cache.run({draft}))[0];
  const auto plain = [&](int64_t node) {
    std::vector<int64_t> ids = prefix;
    for (int64_t n : path_to(draft.parent, node)) ids.push_back(draft.token[size_t(n)]);
    return model.forward(side_by_side({ids}, s.held.device())).select(1, int64_t(ids.size()) - 1)[0];
  };
  double off = 0;
  for (int64_t i = 0; i < draft.nodes(); ++i) off = std::max(off, largest(tree[i] - plain(i)));
  lesson.expect("logits of every node against its path as a plain sequence: largest difference", off, Equals{0});
  cache.keep({{0, 1, 3}});
  const Tensor next = model.logits(cache.run({Draft{.token = {9}, .parent = {-1}}}))[0][0];
  std::vector<int64_t> ids = prefix;
  for (int64_t n : {0, 1, 3}) ids.push_back(draft.token[size_t(n)]);
  ids.push_back(9);
  const Tensor fresh = model.forward(side_by_side({ids}, s.held.device())).select(1, int64_t(ids.size()) - 1)[0];
  lesson.expect("after a path is kept, the next logits against those of a fresh reading", largest(next - fresh),
                Equals{0});
  SequenceCache other(model);
  other.begin({prefix});
  draft.token[1] = 12;
  const Tensor changed = model.logits(other.run({draft}))[0];
  double branch = 0, rest = 0;
  for (int64_t i = 0; i < draft.nodes(); ++i) {
    const std::vector<int64_t> path = path_to(draft.parent, i);
    double& which = path.size() > 1 && path[1] == 1 ? branch : rest;
    which = std::max(which, largest(changed[i] - tree[i]));
  }
  lesson.expect("another token at node 1: the most that nodes outside of its branch change", rest, Equals{0});
  lesson.expect("and its branch", branch, Above{0});
}

}  // namespace ink::lesson
