// Greedy growth of a tree, and what trees give.
#include "nn/decoding/tree_search.h"

#include <fmt/format.h>

#include <cmath>
#include <queue>

#include "tensor/error.h"

namespace ink {
namespace {

using AccuracyTable = std::vector<std::vector<double>>;
using HeadHits = std::vector<std::vector<int64_t>>;

void check_accuracy(const char* op, const AccuracyTable& accuracy) {
  for (size_t head = 0; head < accuracy.size(); ++head) {
    double sum = 0;
    for (size_t rank = 0; rank < accuracy[head].size(); ++rank) {
      const double a = accuracy[head][rank];
      if (!(a >= 0 && a <= 1))
        throw ValueError(
            fmt::format("{}: no accuracy; got {} of head {} at rank {}; expected 0 .. 1", op, a, head, rank));
      sum += a;
    }
    if (sum > 1 + 1e-6)
      throw ValueError(
          fmt::format("{}: the accuracies of head {} sum to {}; expected at most 1; hint: of each rank by "
                      "itself, not of the first so many together",
                      op, head, sum));
  }
}

// A node that may be added.
struct Growth {
  double gain;
  std::vector<int64_t> path;
};
struct WorseGrowth {
  bool operator()(const Growth& a, const Growth& b) const {
    if (a.gain != b.gain) return a.gain < b.gain;
    return a.path.size() != b.path.size() ? a.path.size() > b.path.size() : a.path > b.path;
  }
};
using Growths = std::priority_queue<Growth, std::vector<Growth>, WorseGrowth>;

// All nodes below one that was added.
void offer_children(const Growth& above, const AccuracyTable& accuracy, Growths& open) {
  if (above.path.size() == accuracy.size()) return;
  const std::vector<double>& row = accuracy[above.path.size()];
  for (size_t rank = 0; rank < row.size(); ++rank) {
    Growth child{above.gain * row[rank], above.path};
    child.path.push_back(int64_t(rank));
    open.push(std::move(child));
  }
}

void check_hits(const char* op, const HeadHits& hit) {
  if (hit.empty()) throw ValueError(fmt::format("{}: got no step; expected at least one", op));
  for (size_t step = 0; step < hit.size(); ++step) {
    if (hit[step].size() != hit[0].size())
      throw ValueError(fmt::format("{}: steps of different numbers of heads; got {} at step {}; expected {}", op,
                                   hit[step].size(), step, hit[0].size()));
    for (int64_t rank : hit[step])
      if (rank < -1)
        throw ValueError(fmt::format("{}: got the rank {} at step {}; expected -1 or a rank", op, rank, step));
  }
}

}  // namespace

double expected_tokens(const TreeShape& shape, const AccuracyTable& accuracy) {
  check_accuracy("expected_tokens", accuracy);
  std::vector<double> product{1};
  double sum = 1;
  for (size_t i = 1; i < shape.parent().size(); ++i) {
    const size_t head = size_t(shape.depths()[i] - 1), rank = size_t(shape.rank()[i]);
    if (head >= accuracy.size() || rank >= accuracy[head].size())
      throw ValueError(fmt::format("expected_tokens: there is no accuracy of head {} at rank {}, which node {} needs",
                                   head, rank, i));
    product.push_back(product[size_t(shape.parent()[i])] * accuracy[head][rank]);
    sum += product.back();  // (12.6)
  }
  return sum;
}

GrownTree grow_tree(const AccuracyTable& accuracy, int64_t nodes) {
  check_accuracy("grow_tree", accuracy);
  if (nodes < 0 || nodes >= TreeShape::max_nodes)
    throw ValueError(fmt::format("grow_tree: got {} nodes; expected 0 .. {}", nodes, TreeShape::max_nodes - 1));
  GrownTree tree;
  Growths open;
  offer_children({1, {}}, accuracy, open);
  while (int64_t(tree.added.size()) < nodes) {
    if (open.empty())
      throw ValueError(fmt::format("grow_tree: got {} nodes; expected at most {}, as many as the table has paths",
                                   nodes, tree.added.size()));
    const Growth best = open.top();
    open.pop();
    tree.added.push_back(best.path);
    tree.gain.push_back(best.gain);
    offer_children(best, accuracy, open);
  }
  tree.shape = TreeShape::from_paths(tree.added);
  tree.expected = expected_tokens(tree.shape, accuracy);
  return tree;
}

AccuracyTable rank_accuracy(const HeadHits& hit, int64_t ranks) {
  check_hits("rank_accuracy", hit);
  if (ranks < 1 || ranks > TreeShape::max_nodes)
    throw ValueError(fmt::format("rank_accuracy: got {} ranks; expected 1 to {}", ranks, TreeShape::max_nodes));
  AccuracyTable accuracy(hit[0].size(), std::vector<double>(size_t(ranks), 0.));
  for (size_t head = 0; head < accuracy.size(); ++head) {
    for (const std::vector<int64_t>& step : hit)
      if (step[head] >= 0 && step[head] < ranks) ++accuracy[head][size_t(step[head])];
    for (double& each : accuracy[head]) each /= double(hit.size());
  }
  return accuracy;
}

double tokens_per_step(const TreeShape& shape, const HeadHits& hit) {
  check_hits("tokens_per_step", hit);
  if (shape.depth() > int64_t(hit[0].size()))
    throw ValueError(
        fmt::format("tokens_per_step: the tree is deeper than there are heads; got depth {}; expected at "
                    "most {}",
                    shape.depth(), hit[0].size()));
  const std::vector<std::vector<int64_t>> children = children_of(shape.parent());
  auto right_child = [&](int64_t node, const std::vector<int64_t>& step) {
    for (int64_t child : children[size_t(node)])
      if (shape.rank()[size_t(child)] == step[size_t(shape.depths()[size_t(node)])]) return child;
    return int64_t(-1);
  };
  int64_t tokens = 0;
  for (const std::vector<int64_t>& step : hit)
    for (int64_t node = 0; node >= 0; node = right_child(node, step)) ++tokens;
  return double(tokens) / double(hit.size());
}

double expected_chain_tokens(double a, int64_t length) {
  if (!(a >= 0 && a <= 1) || length < 0)
    throw ValueError(
        fmt::format("expected_chain_tokens: got a rate of {} and a length of {}; expected 0 .. 1 and at least "
                    "0",
                    a, length));
  if (a == 1) return double(length) + 1;
  return -std::expm1((double(length) + 1) * std::log(a)) / (1 - a);  // log 0 is -inf: 1
}

}  // namespace ink
