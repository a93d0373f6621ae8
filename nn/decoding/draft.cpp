// Drafts: what makes one valid, and how shapes are filled.
#include "nn/decoding/draft.h"

#include <fmt/format.h>

#include <algorithm>

#include <string>
#include <utility>

#include "nn/decoding/chance.h"
#include "tensor/error.h"

namespace ink {
namespace {

const std::vector<double>* draft_proposal(const Draft& draft, int64_t node) {
  if (draft.proposal.empty() || draft.proposal[size_t(node)].empty()) return nullptr;
  return &draft.proposal[size_t(node)];
}

void check_draft_lists(const Draft& draft) {
  if (draft.token.empty()) throw ValueError("Draft: got no nodes; expected a root");
  if (draft.parent.size() != draft.token.size() ||
      !(draft.proposal.empty() || draft.proposal.size() == draft.token.size()))
    throw ValueError(
        fmt::format("Draft: lists of different lengths; got {} tokens, {} parents, {} proposals; expected as "
                    "many of each, or no proposals",
                    draft.token.size(), draft.parent.size(), draft.proposal.size()));
  const std::vector<int64_t> depth = node_depths(draft.parent);
  for (size_t i = 1; i < depth.size(); ++i)
    if (depth[i] < depth[i - 1])
      throw ValueError(
          fmt::format("Draft: nodes are not in the order of their depth; got node {} of depth {} after one "
                      "of depth {}",
                      i, depth[i], depth[i - 1]));
}

void check_draft_token(int64_t node, int64_t token, std::optional<int64_t> vocabulary) {
  if (token < 0 || (vocabulary && token >= *vocabulary))
    throw ValueError(fmt::format("Draft: node {} holds no token of the vocabulary; got {}; expected {}", node, token,
                                 vocabulary ? fmt::format("0 .. {}", *vocabulary - 1) : "at least 0"));
}

void check_draft_proposal(int64_t node, int64_t token, const std::vector<double>& q,
                          std::optional<int64_t> vocabulary) {
  const std::string who = fmt::format("Draft: the proposal of node {}", node);
  if (node == 0) throw ValueError(who + ": the root is decided; expected an empty proposal");
  if (vocabulary && int64_t(q.size()) != *vocabulary)
    throw ValueError(fmt::format("{}: got {} probabilities; expected {}, one a token", who, q.size(), *vocabulary));
  check_distribution(who, q);
  if (token >= int64_t(q.size()) || q[size_t(token)] == 0)
    throw ValueError(fmt::format("{}: its token {} cannot have been drawn; got a probability of 0", who, token));
}

// Of nodes `before` and `node`, both children of one node.
void check_siblings(const Draft& draft, int64_t before, int64_t node) {
  const int64_t token = draft.token[size_t(before)];
  if (token == draft.token[size_t(node)])
    throw ValueError(
        fmt::format("Draft: siblings {} and {} hold the same token {}; hint: what was drawn is not drawn "
                    "again: proposal_without",
                    before, node, token));
  const std::vector<double>* q = draft_proposal(draft, node);
  if (q && token < int64_t(q->size()) && (*q)[size_t(token)] != 0)
    throw ValueError(
        fmt::format("Draft: the proposal of node {} has a probability of {} for token {}, which its sibling "
                    "{} holds; expected 0; hint: draw siblings without replacement: proposal_without",
                    node, (*q)[size_t(token)], token, before));
}

}  // namespace

int64_t Draft::add(int64_t below, int64_t guess, std::vector<double> drawn_from) {
  if (!drawn_from.empty() || !proposal.empty()) {
    proposal.resize(token.size());
    proposal.push_back(std::move(drawn_from));
  }
  token.push_back(guess), parent.push_back(below);
  return nodes() - 1;
}

void check(const Draft& draft, std::optional<int64_t> vocabulary) {
  check_draft_lists(draft);
  for (int64_t node = 0; node < draft.nodes(); ++node) {
    check_draft_token(node, draft.token[size_t(node)], vocabulary);
    if (const std::vector<double>* q = draft_proposal(draft, node))
      check_draft_proposal(node, draft.token[size_t(node)], *q, vocabulary);
  }
  for (const std::vector<int64_t>& siblings : children_of(draft.parent))
    for (size_t i = 0; i < siblings.size(); ++i)
      for (size_t before = 0; before < i; ++before) check_siblings(draft, siblings[before], siblings[i]);
}

Draft cut_below(Draft draft, int64_t most_depth) {
  const std::vector<int64_t> depth = node_depths(draft.parent);
  const auto end = std::upper_bound(depth.begin(), depth.end(), std::max(most_depth, int64_t(0)));
  const size_t nodes = size_t(end - depth.begin());
  draft.token.resize(nodes);
  draft.parent.resize(nodes);
  if (!draft.proposal.empty()) draft.proposal.resize(nodes);
  return draft;
}

Draft make_draft(const TreeShape& shape, int64_t root, const std::vector<std::vector<int64_t>>& candidates) {
  Draft draft{{root}, {-1}};
  for (int64_t node = 1; node < shape.nodes(); ++node) {
    const int64_t head = shape.depths()[size_t(node)] - 1, rank = shape.rank()[size_t(node)];
    if (head >= int64_t(candidates.size()) || rank >= int64_t(candidates[size_t(head)].size()))
      throw ValueError(fmt::format("make_draft: node {} needs rank {} of head {}; got {} heads{}", node, rank, head,
                                   candidates.size(),
                                   head < int64_t(candidates.size())
                                       ? fmt::format(", {} candidates of this one", candidates[size_t(head)].size())
                                       : ""));
    draft.add(shape.parent()[size_t(node)], candidates[size_t(head)][size_t(rank)]);
  }
  return draft;
}

std::vector<double> proposal_without(std::span<const double> q, std::span<const int64_t> tokens) {
  check_distribution("proposal_without", q);
  std::vector<double> left(q.begin(), q.end());
  for (int64_t token : tokens) {
    if (token < 0 || token >= int64_t(q.size()))
      throw IndexError(fmt::format("proposal_without: got token {}; expected 0 .. {}", token, int64_t(q.size()) - 1));
    left[size_t(token)] = 0;
  }
  double total = 0;
  for (double each : left) total += each;
  if (total == 0)
    throw ValueError(fmt::format("proposal_without: nothing is left of {} tokens without {}", q.size(), tokens.size()));
  for (double& each : left) each /= total;
  return left;
}

}  // namespace ink
