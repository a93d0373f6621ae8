// Exercise: the buffers of a tree of guesses.
// Note: docs/notes/12_medusa.md, exercise 1
//
// A node of a tree is named by the ranks along its path: {0, 1} is the second guess of head 1 below the first guess of
// head 0. One pass of the model takes all nodes as a row of tokens; for it a list of paths becomes four buffers (Cai et
// al. 2024, section 2.1.2). Node 0 is the root; then nodes come by the length of their paths, those of one length in
// lexicographic order.
//
//   index     where the node's token stands in the list: root, 10 guesses of head 0, 10 of head 1, ..
//             0 of the root, else (the last rank of the path) + 10 (length of the path - 1) + 1
//   position  tokens after the root: the length of the path
//   mask      mask[i][j]: j is i, or above i
//   leaves    for each node without children, in the order of the nodes: the nodes from the root to it
//
// The paths {0}, {1}, {0, 0}, {1, 2}, as nodes 1, 2, 3, 4:
//
//   index     0 1 2 11 13          mask   1....     leaves   0 1 3
//   position  0 1 1 2 2                   11...              0 2 4
//                                         1.1..
//                                         11.1.
//                                         1.1.1
//
// The paths come in any order; each one's parent (the path without its last rank) is in the list too.
//
// What the checks look at: the order of the nodes; index; position; mask; leaves; the root alone.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct TreeBuffers {
  std::vector<int64_t> index, position;
  std::vector<std::vector<bool>> mask;
  std::vector<std::vector<int64_t>> leaves;
};

TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Add the empty path, which is the root's, and sort by (size, path): std::sort with a comparison of your own; <
// compares vectors in lexicographic order.
//]
//[ hint
// Node j is i or above i if path j is the beginning of path i: std::equal, after a look at the sizes. So the mask needs
// no parents.
//]
//[ hint
// Row i of the mask, read from left to right, is the path of nodes from the root to i. A node is a leaf if no other
// row has a 1 in its column.
//]

namespace solution {
//[ solution
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  paths.push_back({});
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; });
  TreeBuffers t;
  const size_t n = paths.size();
  std::vector<bool> has_child(n, false);
  for (size_t i = 0; i < n; ++i) {
    const auto& path = paths[i];
    t.position.push_back(int64_t(path.size()));
    t.index.push_back(path.empty() ? 0 : path.back() + 10 * (int64_t(path.size()) - 1) + 1);
    t.mask.emplace_back(n, false);
    for (size_t j = 0; j <= i; ++j)
      t.mask[i][j] = paths[j].size() <= path.size() && std::equal(paths[j].begin(), paths[j].end(), path.begin());
    for (size_t j = 0; j < i; ++j)
      if (t.mask[i][j]) has_child[j] = true;
  }
  for (size_t i = 0; i < n; ++i) {
    if (has_child[i]) continue;
    std::vector<int64_t> nodes;
    for (size_t j = 0; j <= i; ++j)
      if (t.mask[i][j]) nodes.push_back(int64_t(j));
    t.leaves.push_back(nodes);
  }
  return t;
}
//]
}  // namespace solution

//[ wrong
namespace lexicographic_order {
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  paths.push_back({});
  std::sort(paths.begin(), paths.end());
  TreeBuffers t;
  for (const auto& path : paths) {
    t.position.push_back(int64_t(path.size()));
    t.index.push_back(path.empty() ? 0 : path.back() + 10 * (int64_t(path.size()) - 1) + 1);
  }
  t.mask = solution::tree_buffers({paths.begin() + 1, paths.end()}).mask;
  return t;
}
}  // namespace lexicographic_order
namespace one_list_of_guesses {
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  TreeBuffers t = solution::tree_buffers(paths);
  for (size_t i = 1; i < t.index.size(); ++i) t.index[i] -= 10 * (t.position[i] - 1);
  return t;
}
}  // namespace one_list_of_guesses
namespace a_place_for_each_node {
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  TreeBuffers t = solution::tree_buffers(paths);
  for (size_t i = 0; i < t.position.size(); ++i) t.position[i] = int64_t(i);
  return t;
}
}  // namespace a_place_for_each_node
namespace causal_mask {
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  TreeBuffers t = solution::tree_buffers(paths);
  for (size_t i = 0; i < t.mask.size(); ++i)
    for (size_t j = 0; j <= i; ++j) t.mask[i][j] = true;
  return t;
}
}  // namespace causal_mask
namespace paths_filled_up {
TreeBuffers tree_buffers(std::vector<std::vector<int64_t>> paths) {
  TreeBuffers t = solution::tree_buffers(paths);
  size_t longest = 0;
  for (const auto& path : t.leaves) longest = std::max(longest, path.size());
  for (auto& path : t.leaves) path.resize(longest, 0);
  return t;
}
}  // namespace paths_filled_up
//]

namespace {

using Function = decltype(&tree_buffers);
using Paths = std::vector<std::vector<int64_t>>;

std::string words(const std::vector<int64_t>& list) {
  std::string text;
  for (int64_t i : list) text += (text.empty() ? "" : " ") + std::to_string(i);
  return text;
}
std::string words(const Paths& paths) {
  std::string text;
  for (const auto& path : paths) text += (text.empty() ? "{" : ", {") + words(path) + "}";
  return text;
}
std::string words(const std::vector<std::vector<bool>>& mask) {
  std::string text;
  for (const auto& row : mask) {
    text += '\n';
    for (bool seen : row) text += seen ? '1' : '.';
  }
  return text;
}

struct Expected {
  std::string index, position, mask, leaves;
};
void checks(Check& check, Function f) {
  const auto on = [&](const Paths& paths, const Expected& e) {
    const auto look = [&](const char* property, auto part, const std::string& expected) {
      check.on(property, {{"paths", words(paths)}});
      const std::string got = words(part(f(paths)));
      check.holds(got == expected, got, expected);
    };
    look(
        "position", [](const TreeBuffers& t) { return t.position; }, e.position);
    look(
        "index", [](const TreeBuffers& t) { return t.index; }, e.index);
    look(
        "mask", [](const TreeBuffers& t) { return t.mask; }, e.mask);
    look(
        "leaves", [](const TreeBuffers& t) { return t.leaves; }, e.leaves);
  };
  check.on("the order of the nodes", {{"paths", "{0}, {1}, {0 0}"}});
  const std::string order = words(f({{0}, {1}, {0, 0}}).index);
  check.holds(order != "0 1 11 2", order, "all paths of length 1 before those of length 2");
  const Expected small{"0 1 2 11 13", "0 1 1 2 2", "\n1....\n11...\n1.1..\n11.1.\n1.1.1", "{0 1 3}, {0 2 4}"};
  on({{0}, {1}, {0, 0}, {1, 2}}, small);
  on({{1, 2}, {0, 0}, {1}, {0}}, small);
  on({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}},
     {"0 1 2 11 12 11 21", "0 1 1 2 2 2 3", "\n1......\n11.....\n1.1....\n11.1...\n11..1..\n1.1..1.\n11.1..1",
      "{0 1 4}, {0 2 5}, {0 1 3 6}"});
  on({}, {"0", "0", "\n1", "{0}"});
  on({{9}}, {"0 10", "0 1", "\n1.\n11", "{0 1}"});
}

}  // namespace

int main(int argc, char** argv) {
  return run(
      argc, argv, checks,
      {.yours = tree_buffers,
       .solution = solution::tree_buffers,
       .wrong = {{"nodes in lexicographic order alone", "the order of the nodes", lexicographic_order::tree_buffers},
                 {"all heads in one list of ten", "index", one_list_of_guesses::tree_buffers},
                 {"siblings behind each other", "position", a_place_for_each_node::tree_buffers},
                 {"every node sees all before it", "mask", causal_mask::tree_buffers},
                 {"short paths filled up with 0", "leaves", paths_filled_up::tree_buffers}}});
}
