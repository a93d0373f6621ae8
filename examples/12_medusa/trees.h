// Trees of guesses: all trees of a size, and a tree as a picture.
#pragma once
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "examples/support/plot/colours.h"
#include "examples/support/plot/svg.h"
#include "nn/decoding/tree_search.h"

namespace ink::lesson {

using Accuracy = std::vector<std::vector<double>>;  // [head][rank]

// The most that any tree of `nodes` nodes can expect, by trying all of them: `open` are the nodes that may come next,
// each taken or left for good.
struct OpenNode {
  size_t depth;
  double gain;
};
inline double best_by_trying(const Accuracy& accuracy, int64_t nodes, std::vector<OpenNode> open) {
  if (nodes == 0 || open.empty()) return nodes == 0 ? 0 : -INFINITY;
  const OpenNode first = open.back();
  open.pop_back();
  const double without = best_by_trying(accuracy, nodes, open);
  if (first.depth < accuracy.size())
    for (double a : accuracy[first.depth]) open.push_back({first.depth + 1, first.gain * a});
  return std::max(without, first.gain + best_by_trying(accuracy, nodes - 1, open));
}
inline double best_by_trying(const Accuracy& accuracy, int64_t nodes) {
  std::vector<OpenNode> open;
  for (double a : accuracy[0]) open.push_back({1, a});
  return 1 + best_by_trying(accuracy, nodes, open);
}

// For each node the share of passes in which it and all above it were right, from what heads hit together.
inline std::vector<double> shares_of(const TreeShape& shape, const std::vector<std::vector<int64_t>>& hit) {
  std::vector<double> shares;
  for (int64_t node = 0; node < shape.nodes(); ++node) {
    const std::vector<int64_t> path = shape.path(node);
    int64_t count = 0;
    for (const std::vector<int64_t>& h : hit) count += std::equal(path.begin(), path.end(), h.begin());
    shares.push_back(double(count) / double(hit.size()));
  }
  return shares;
}

// A row of nodes for each depth, a line to each parent, the share of hits as colour and, where there is room, as
// number.
inline std::string tree_picture(const TreeShape& shape, const std::vector<double>& shares) {
  const double width = 640, level = 76, top = 46, radius = 11;
  const int64_t n = shape.nodes();
  const auto children = children_of(shape.parent());
  std::vector<double> x(size_t(n), 0.);
  double leaves = 0;
  for (const auto& c : children) leaves += c.empty();
  const double step = (width - 2 * kMargin - 56) / std::max(1., leaves - 1);
  double next = kMargin + 46;
  const std::function<void(int64_t)> place = [&](int64_t node) {
    const auto& below = children[size_t(node)];
    for (int64_t child : below) place(child);
    if (below.empty()) {
      x[size_t(node)] = next, next += step;
    } else {
      x[size_t(node)] = x[size_t(below[0])];  // the likeliest guesses stand in one line
    }
  };
  place(0);
  const double height = top + level * double(shape.depth()) + 44;
  Svg svg(width, height, "a tree of guesses");
  const auto y = [&](int64_t node) { return top + level * double(shape.depths()[size_t(node)]); };
  for (int64_t d = 0; d <= shape.depth(); ++d)
    svg.text({kMargin - 8, top + level * double(d) + 4}, d == 0 ? "root" : "+" + std::to_string(d + 1),
             {.size = 12, .colour = kDim});
  for (int64_t i = 1; i < n; ++i) {
    const int64_t p = shape.parent()[size_t(i)];
    svg.line({x[size_t(p)], y(p)}, {x[size_t(i)], y(i)},
             {.fill = "", .stroke = "#9a9aa2", .width = 0.8 + 5 * shares[size_t(i)], .opacity = 0.8});
  }
  for (int64_t i = 0; i < n; ++i) {
    const double share = shares[size_t(i)], r = std::clamp(step * 0.45, 4., radius);
    const uint32_t colour = colour_at(ColourMap::heat, std::sqrt(share));
    svg.circle({x[size_t(i)], y(i)}, i == 0 ? radius : r, {.fill = hex(colour), .stroke = "#55555c"});
    if (share >= 0.1 || step > 30)
      svg.text({x[size_t(i)], y(i) + 24}, std::to_string(int64_t(std::lround(100 * share))),
               {.size = 11, .colour = kInk, .anchor = 'm', .halo = true});
  }
  return svg.str();
}

}  // namespace ink::lesson
