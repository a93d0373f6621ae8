// Which tree of guesses is worth its nodes: how many tokens a step is expected to give, and the tree of a number of
// nodes that gives most.
//
// accuracy[head][rank] is how often the guess of that rank of that head is right, 0 .. 1; a row's entries are of
// different guesses for one token, so that they sum to at most 1, and rows may have different lengths. Heads are taken
// as independent, which they are not: what a tree really gives is measured by tokens_per_step. ValueError naming head
// and rank for what is no such table.
#pragma once
#include "nn/decoding/tree.h"

namespace ink {

// 1 + the sum over all nodes below the root of the product of the accuracies along its path: the token that a step
// always gives, and each node's if it is right together with all above it. Cai et al. 2024, arXiv:2401.10774, section
// 2.3.3. ValueError if the shape has a node that the table does not know.
double expected_tokens(const TreeShape& shape, const std::vector<std::vector<double>>& accuracy);

struct GrownTree {
  TreeShape shape;
  std::vector<std::vector<int64_t>> added;  // the paths in the order in which the tree grew
  std::vector<double> gain;                 // of each: tokens per step it adds
  double expected = 1;                      // tokens per step of the whole tree, expected_tokens of shape
};
// The tree of `nodes` nodes below the root with the most expected tokens: it grows by the node of the largest product,
// of equal ones by the shorter path, then by the lexicographically smaller. ValueError if the table has fewer paths.
GrownTree grow_tree(const std::vector<std::vector<double>>& accuracy, int64_t nodes);

// What heads did on a text: hit[step][head] is the rank at which the head had the token that came, -1 if it had not.
// The accuracies for grow_tree, [heads][ranks]. ValueError unless there is a step and all steps have as many heads.
std::vector<std::vector<double>> rank_accuracy(const std::vector<std::vector<int64_t>>& hit, int64_t ranks);
// The mean number of tokens a step of greedy decoding gives with this tree, the root's included, from what hit together
// instead of from products. ValueError as above, and if the shape is deeper than there are heads.
double tokens_per_step(const TreeShape& shape, const std::vector<std::vector<int64_t>>& hit);

// Expected tokens of a step with a chain of `length` guesses, each right with probability a when those before it are:
// (1 - a^{length + 1}) / (1 - a), and length + 1 for a = 1. Leviathan et al. 2023, arXiv:2211.17192, eq. 1. ValueError
// unless 0 <= a <= 1 and length >= 0.
double expected_chain_tokens(double a, int64_t length);

}  // namespace ink
