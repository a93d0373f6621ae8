// Trees: from paths to parents, and what follows from parents.
#include "nn/decoding/tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "nn/attention/mask.h"
#include "tensor/error.h"

namespace ink {
namespace {

using RankPath = std::vector<int64_t>;

bool path_before(const RankPath& a, const RankPath& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

std::string path_text(const RankPath& path) { return fmt::format("{{{}}}", fmt::join(path, ", ")); }

void check_path(const RankPath& path, std::optional<int64_t> heads) {
  if (path.empty()) throw ValueError("TreeShape: got the empty path; hint: the root is always there, leave it out");
  for (int64_t rank : path)
    if (rank < 0)
      throw ValueError(fmt::format("TreeShape: a negative rank; got {}; expected ranks from 0 on", path_text(path)));
  if (heads && int64_t(path.size()) > *heads)
    throw ValueError(
        fmt::format("TreeShape: a path is deeper than there are heads; got {} of length {}; expected at "
                    "most {}",
                    path_text(path), path.size(), *heads));
}

void check_tree_node(int64_t node, size_t nodes) {
  if (node < 0 || node >= int64_t(nodes))
    throw IndexError(fmt::format("tree: no such node; got {}; expected 0 .. {}", node, int64_t(nodes) - 1));
}

}  // namespace

std::vector<int64_t> node_depths(std::span<const int64_t> parent) {
  std::vector<int64_t> depth(parent.size(), 0);
  for (size_t i = 0; i < parent.size(); ++i) {
    if (i == 0 ? parent[i] != -1 : parent[i] < 0 || parent[i] >= int64_t(i))
      throw ValueError(fmt::format("tree: node {} has a wrong parent; got {}; expected {}", i, parent[i],
                                   i == 0 ? "-1, it is the root" : "a node before it"));
    if (i > 0) depth[i] = depth[size_t(parent[i])] + 1;
  }
  return depth;
}

std::vector<int64_t> path_to(std::span<const int64_t> parent, int64_t node) {
  check_tree_node(node, parent.size());
  std::vector<int64_t> nodes{node};
  while (parent[size_t(nodes.back())] >= 0) {
    const int64_t up = parent[size_t(nodes.back())];
    if (up >= nodes.back())
      throw ValueError(
          fmt::format("tree: node {} has a wrong parent; got {}; expected a node before it", nodes.back(), up));
    nodes.push_back(up);
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

std::vector<std::vector<int64_t>> children_of(std::span<const int64_t> parent) {
  node_depths(parent);  // which checks
  std::vector<std::vector<int64_t>> children(parent.size());
  for (size_t i = 1; i < parent.size(); ++i) children[size_t(parent[i])].push_back(int64_t(i));
  return children;
}

Tensor tree_mask(std::span<const int64_t> parent, Device device) {
  node_depths(parent);
  const auto n = int64_t(parent.size());
  return masks::tree({parent.begin(), parent.end()}).dense(n, n, device);  // (12.7)
}

void TreeShape::add(int64_t parent, int64_t rank) {
  if (nodes() == max_nodes)
    throw ValueError(fmt::format("TreeShape: too many nodes; expected at most {} with the root", max_nodes));
  parent_.push_back(parent), rank_.push_back(rank);
  depth_.push_back(depth_[size_t(parent)] + 1);
}

TreeShape TreeShape::from_paths(std::vector<RankPath> paths, std::optional<int64_t> heads) {
  TreeShape shape;
  for (const RankPath& path : paths) check_path(path, heads);
  std::sort(paths.begin(), paths.end(), path_before);
  for (size_t i = 0; i < paths.size(); ++i) {
    const RankPath& path = paths[i];
    if (i > 0 && path == paths[i - 1])
      throw ValueError(fmt::format("TreeShape: a path is given twice; got {}", path_text(path)));
    const RankPath above(path.begin(), path.end() - 1);
    const auto at = std::lower_bound(paths.begin(), paths.end(), above, path_before);
    if (!above.empty() && *at != above)
      throw ValueError(
          fmt::format("TreeShape: {} stands below {}, which is not given", path_text(path), path_text(above)));
    shape.add(above.empty() ? 0 : at - paths.begin() + 1, path.back());
  }
  return shape;
}

TreeShape TreeShape::chain(int64_t n) {
  if (n < 0) throw ValueError(fmt::format("TreeShape::chain: got {}; expected a number of nodes", n));
  TreeShape shape;
  for (int64_t i = 0; i < n; ++i) shape.add(i, 0);
  return shape;
}

TreeShape TreeShape::cartesian(const std::vector<int64_t>& sizes) {
  TreeShape shape;
  int64_t first = 0;  // of the nodes of the depth above
  for (int64_t size : sizes) {
    if (size < 1) throw ValueError(fmt::format("TreeShape::cartesian: got a size of {}; expected at least 1", size));
    const int64_t end = shape.nodes();
    for (; first < end; ++first)
      for (int64_t rank = 0; rank < size; ++rank) shape.add(first, rank);
  }
  return shape;
}

std::vector<int64_t> TreeShape::path(int64_t node) const {
  std::vector<int64_t> ranks;
  for (int64_t each : path_to(parent_, node))
    if (each > 0) ranks.push_back(rank_[size_t(each)]);
  return ranks;
}

std::vector<std::vector<int64_t>> TreeShape::paths() const {
  std::vector<std::vector<int64_t>> all;
  for (int64_t i = 1; i < nodes(); ++i) all.push_back(path(i));
  return all;
}

std::vector<int64_t> TreeShape::widths() const {
  std::vector<int64_t> widths(size_t(depth()), 0);
  for (int64_t d : depth_)
    if (d > 0) ++widths[size_t(d - 1)];
  return widths;
}

std::vector<int64_t> TreeShape::tree_index(int64_t top_k) const {
  std::vector<int64_t> index{0};
  for (size_t i = 1; i < parent_.size(); ++i) {
    if (rank_[i] >= top_k)
      throw ValueError(
          fmt::format("tree_index: {} names a rank that is not among the top_k; got rank {}; expected less "
                      "than {}",
                      path_text(path(int64_t(i))), rank_[i], top_k));
    const int64_t before = checked_product("tree_index", top_k, depth_[i] - 1);  // of the heads above
    index.push_back(checked_sum("tree_index", before, rank_[i] + 1));
  }
  return index;
}

std::vector<std::vector<int64_t>> TreeShape::leaf_paths() const {
  const std::vector<std::vector<int64_t>> children = children_of(parent_);
  std::vector<std::vector<int64_t>> all;
  for (int64_t i = nodes() - 1; i >= 0; --i)
    if (children[size_t(i)].empty()) all.push_back(path_to(parent_, i));
  return all;
}

std::string TreeShape::picture() const {
  constexpr int64_t most = 200;
  const std::vector<std::vector<int64_t>> children = children_of(parent_);
  std::string text;
  std::vector<int64_t> open{0};  // nodes to be written, the next one last
  for (int64_t lines = 0; !open.empty(); ++lines) {
    if (lines == most) return text + fmt::format("... {} more nodes\n", nodes() - most);
    const int64_t node = open.back();
    open.pop_back();
    const std::string indent(size_t(2 * depth_[size_t(node)]), ' ');
    text += node == 0 ? "root\n" : fmt::format("{}{} (node {})\n", indent, rank_[size_t(node)], node);
    const std::vector<int64_t>& below = children[size_t(node)];
    open.insert(open.end(), below.rbegin(), below.rend());
  }
  return text;
}

}  // namespace ink
