// Exercise: the tree of guesses that expects the most tokens.
// Note: docs/notes/12_medusa.md, exercise 2
//
// accuracy[k][r] says how often the guess of rank r of head k is right. A node of a tree is a path of ranks; it is
// right if all guesses along it are, and if heads are taken as independent it is so with the product of their
// accuracies. A step gives one token and one more for each node that is right, so a tree expects (Cai et al. 2024,
// section 2.3.3)
//
//   E = 1 + sum over the nodes of the product along the node's path
//
// A node's parent (its path without the last rank) must be in the tree, or be the root, {}.
//
// With accuracy = {{.5, .2}, {.4, .1}} and n = 3:
//
//   {0}       .5              first
//   {1}       .2              next: as large as {0, 0}, .5 x .4 = .2, and shorter
//   {0, 0}    .2
//   E = 1.9
//
// Return the n nodes in the order in which the tree grows: at each step the path of the largest product among those
// whose parent is in the tree; of equal ones the shorter one, of equally long ones the lexicographically smaller.
//
// What the checks look at: one node; products; ties; depth (no more heads than there are); the largest sum (all trees
// of a size are tried).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
using Paths = std::vector<std::vector<int64_t>>;

// As many nodes as can be had, if there are fewer than n.
Paths grow(const std::vector<std::vector<double>>& accuracy, int64_t n) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Keep a list of candidates, each a product and a path. It begins with the guesses of head 0.
//]
//[ hint
// Take the best candidate out of the list and into the tree; then append its children: path + {r}, product *
// accuracy[path.size()][r], if there is a head of that depth.
//]
//[ hint
// std::max_element (or min_element) over std::tuple(-product, path.size(), path): tuples compare entry by entry.
//]

namespace solution {
//[ solution
Paths grow(const std::vector<std::vector<double>>& accuracy, int64_t n) {
  struct Candidate {
    double product;
    std::vector<int64_t> path;
    auto key() const { return std::tuple(-product, path.size(), path); }
  };
  std::vector<Candidate> open;
  const auto offer = [&](const Candidate& above) {
    if (above.path.size() == accuracy.size()) return;
    const auto& row = accuracy[above.path.size()];
    for (size_t r = 0; r < row.size(); ++r) {
      Candidate child{above.product * row[r], above.path};
      child.path.push_back(int64_t(r));
      open.push_back(child);
    }
  };
  offer({1, {}});
  Paths tree;
  while (int64_t(tree.size()) < n && !open.empty()) {
    const auto best = std::min_element(open.begin(), open.end(), [](auto& a, auto& b) { return a.key() < b.key(); });
    const Candidate taken = *best;
    open.erase(best);
    tree.push_back(taken.path);
    offer(taken);
  }
  return tree;
}
//]
}  // namespace solution

//[ wrong
namespace own_accuracy_only {
Paths grow(const std::vector<std::vector<double>>& accuracy, int64_t n) {
  std::vector<std::tuple<double, size_t, std::vector<int64_t>>> open;
  const auto offer = [&](const std::vector<int64_t>& path) {
    for (size_t r = 0; path.size() < accuracy.size() && r < accuracy[path.size()].size(); ++r) {
      std::vector<int64_t> child = path;
      child.push_back(int64_t(r));
      open.emplace_back(-accuracy[path.size()][r], child.size(), child);
    }
  };
  offer({});
  Paths tree;
  while (int64_t(tree.size()) < n && !open.empty()) {
    const auto best = std::min_element(open.begin(), open.end());
    const std::vector<int64_t> path = std::get<2>(*best);
    open.erase(best);
    tree.push_back(path);
    offer(path);
  }
  return tree;
}
}  // namespace own_accuracy_only
namespace level_by_level {
Paths grow(const std::vector<std::vector<double>>& accuracy, int64_t n) {
  Paths all = solution::grow(accuracy, 1 << 20);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  all.resize(std::min(all.size(), size_t(n)));
  return all;
}
}  // namespace level_by_level
namespace deeper_first {
Paths grow(const std::vector<std::vector<double>>& accuracy, int64_t n) {
  Paths tree = solution::grow(accuracy, n);
  const auto product = [&](const std::vector<int64_t>& path) {
    double p = 1;
    for (size_t k = 0; k < path.size(); ++k) p *= accuracy[k][size_t(path[k])];
    return p;
  };
  std::stable_sort(tree.begin(), tree.end(), [&](const auto& a, const auto& b) {
    return product(a) != product(b) ? product(a) > product(b) : a.size() > b.size();
  });
  return tree;
}
}  // namespace deeper_first
//]

namespace {

using Table = std::vector<std::vector<double>>;
using Function = decltype(&grow);

std::string words(const Paths& paths) {
  std::string text;
  for (const auto& path : paths) {
    text += text.empty() ? "{" : ", {";
    for (size_t i = 0; i < path.size(); ++i) text += (i ? ", " : "") + std::to_string(path[i]);
    text += "}";
  }
  return text;
}
std::string words(const Table& table) {
  std::string text;
  for (const auto& row : table) text += (text.empty() ? "" : "; ") + show(row);
  return text;
}

double sum_of(const Table& accuracy, const Paths& tree) {
  double sum = 1;
  for (const auto& path : tree) {
    double p = 1;
    for (size_t k = 0; k < path.size(); ++k) p *= accuracy[k][size_t(path[k])];
    sum += p;
  }
  return sum;
}

// The most that n nodes can bring: every open node is taken or left for good.
struct OpenNode {
  size_t depth;
  double product;
};
double most(const Table& accuracy, int64_t n, std::vector<OpenNode> open) {
  if (n == 0 || open.empty()) return n == 0 ? 0 : -INFINITY;
  const OpenNode node = open.back();
  open.pop_back();
  const double without = most(accuracy, n, open);
  if (node.depth < accuracy.size())
    for (double a : accuracy[node.depth]) open.push_back({node.depth + 1, node.product * a});
  return std::max(without, node.product + most(accuracy, n - 1, open));
}

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const Table& accuracy, int64_t n, const Paths& expected) {
    check.on(property, {{"accuracy", words(accuracy)}, {"n", double(n)}});
    const Paths got = f(accuracy, n);
    check.holds(got == expected, words(got), words(expected));
  };
  on("one node", {{.2, .5}}, 1, {{1}});
  on("products", {{.5, .2, .1}, {.6}}, 3, {{0}, {0, 0}, {1}});
  on("products", {{.3, .25}, {.9, .05}, {.9}}, 4, {{0}, {0, 0}, {1}, {0, 0, 0}});
  on("ties", {{.5, .2}, {.4, .1}}, 3, {{0}, {1}, {0, 0}});
  on("ties", {{.25, .25}, {.5, .5}}, 6, {{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {1, 1}});
  on("depth", {{.5}, {.5}}, 9, {{0}, {0, 0}});
  on("depth", {{.5}, {.5}}, 0, {});
  const Table table = {{.5, .2, .1}, {.4, .15, .05}, {.3, .1, .05}};
  for (int64_t n = 1; n <= 4; ++n) {
    check.on("the largest sum", {{"accuracy", words(table)}, {"n", double(n)}});
    check.close(sum_of(table, f(table, n)), 1 + most(table, n, {{1, .5}, {1, .2}, {1, .1}}), "E");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = grow,
              .solution = solution::grow,
              .wrong = {{"a node's own accuracy instead of the product", "products", own_accuracy_only::grow},
                        {"level by level", "products", level_by_level::grow},
                        {"of equal products the deeper node first", "ties", deeper_first::grow}}});
}
