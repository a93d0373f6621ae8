// Trees of guesses that one forward pass verifies: their shape, without tokens. A node is named by its path of ranks,
// Medusa's notation (Cai et al. 2024, arXiv:2401.10774, section 2.1.2): {0, 2} is the third guess of head 1 below the
// first guess of head 0. The root, of path {}, is the token that is decided already.
//
//   TreeShape shape = TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}});
//   shape.parent();      // -1 0 0 1 1 2 3
//   shape.mask();        // who sees whom: bool [7, 7]
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

// For any tree given by each node's parent, -1 of the root, parents before their children.
// How many steps each node lies below the root. ValueError unless every other node has a parent before it.
std::vector<int64_t> node_depths(std::span<const int64_t> parent);
// The nodes from the root to `node`, both of them in it. IndexError for a node that does not exist.
std::vector<int64_t> path_to(std::span<const int64_t> parent, int64_t node);
// The children of each node, in order.
std::vector<std::vector<int64_t>> children_of(std::span<const int64_t> parent);
// bool [nodes, nodes]: entry (i, j) says that j is i or an ancestor of i, so that i may see j.
Tensor tree_mask(std::span<const int64_t> parent, Device device = default_device());

class TreeShape {
 public:
  static constexpr int64_t max_nodes = 8192;  // with the root; more are a mistake, and a ValueError

  TreeShape() = default;  // the root alone: plain decoding
  // The nodes below the root, in any order. They are numbered by (length of path, path), the root is node 0. ValueError
  // naming the path: one that is given twice or empty, has a negative rank, is deeper than `heads`, or stands below a
  // path that is not given.
  static TreeShape from_paths(std::vector<std::vector<int64_t>> paths, std::optional<int64_t> heads = {});
  // One guess below the other, n of them: nodes 0 .. n. ValueError for n < 0.
  static TreeShape chain(int64_t n);
  // All paths with ranks below sizes[0], sizes[1], ..: 1 + s_0 + s_0 s_1 + .. nodes. ValueError for a size below 1.
  static TreeShape cartesian(const std::vector<int64_t>& sizes);

  int64_t nodes() const { return int64_t(parent_.size()); }       // with the root
  int64_t depth() const { return depth_.back(); }                 // of the deepest node: heads needed
  const std::vector<int64_t>& parent() const { return parent_; }  // -1 of the root
  const std::vector<int64_t>& depths() const { return depth_; }   // 0 of the root: positions after the root's
  const std::vector<int64_t>& rank() const { return rank_; }      // the last number of a path; -1 of the root
  std::vector<int64_t> path(int64_t node) const;                  // ranks; IndexError for no node
  std::vector<std::vector<int64_t>> paths() const;                // of all nodes but the root
  std::vector<int64_t> widths() const;                            // how many nodes of each depth, from 1 on
  // Where each node's token stands in the list (root, top_k of head 0, top_k of head 1, ..): 0 of the root, else
  // rank + top_k (depth - 1) + 1. ValueError if a rank is not below top_k, ShapeError for a
  // top_k that i64 cannot count up to.
  std::vector<int64_t> tree_index(int64_t top_k = 10) const;
  // The nodes from the root to each leaf, the last leaf first as Medusa lists them; each path has its own length.
  std::vector<std::vector<int64_t>> leaf_paths() const;
  Tensor mask(Device device = default_device()) const { return tree_mask(parent_, device); }
  // Text: a node a line, below its parent and indented, with its number and rank; at most 200 lines.
  std::string picture() const;

  bool operator==(const TreeShape& other) const { return parent_ == other.parent_ && rank_ == other.rank_; }

 private:
  void add(int64_t parent, int64_t rank);
  std::vector<int64_t> parent_{-1}, depth_{0}, rank_{-1};
};

}  // namespace ink
