// A tree of guessed tokens, which a model verifies in one forward pass. Whoever guesses makes one: heads that look
// ahead, a smaller model, what was written before.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nn/decoding/tree.h"

namespace ink {

// Node 0 is the root: the token that is decided already. Parents stand before their children and nodes in the order of
// their depth; siblings are tried in their order and hold different tokens.
struct Draft {
  std::vector<int64_t> token;
  std::vector<int64_t> parent;  // -1 of the root
  // [i]: the distribution [vocabulary] that node i's token was drawn from, empty where it was chosen without chance
  // (the most likely ones of a head; the root). No list at all: none was drawn.
  // Siblings are drawn without replacement, each from the proposal without the siblings before it (proposal_without),
  // and that is the distribution that stands here.
  std::vector<std::vector<double>> proposal = {};

  int64_t nodes() const { return int64_t(token.size()); }
  // Adds a node below `below` and returns its number.
  int64_t add(int64_t below, int64_t guess, std::vector<double> drawn_from = {});
};

// ValueError naming the node: a draft without a root, lists of different lengths, a parent that is not before its
// child, nodes that are not in the order of their depth, a token below 0 or not in the vocabulary, siblings of one
// token; a proposal that is no distribution, is of another size than the vocabulary (if that is given), is 0 at the
// node's own token, belongs to the root, or is not 0 at the token of an earlier sibling.
void check(const Draft& draft, std::optional<int64_t> vocabulary = {});

// The draft without the nodes that lie more than most_depth below the root, which are its last ones. The root stays.
Draft cut_below(Draft draft, int64_t most_depth);

// The shape's ranks as tokens: the node of rank r of depth d holds candidates[d - 1][r], the r-th best token of head
// d - 1. ValueError naming the node whose head or rank is not among the candidates.
Draft make_draft(const TreeShape& shape, int64_t root, const std::vector<std::vector<int64_t>>& candidates);

// What a further sibling is drawn from: q without these tokens, with the sum 1. ValueError if nothing is left, or q is
// no distribution; IndexError for a token outside of it.
std::vector<double> proposal_without(std::span<const double> q, std::span<const int64_t> tokens);

}  // namespace ink
