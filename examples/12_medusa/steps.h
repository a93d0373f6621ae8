// What lesson 12 shows step by step: how a tree grows, its buffers, one step of decoding, one lossless acceptance.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/12_medusa/acceptance.h"
#include "examples/12_medusa/models.h"
#include "examples/12_medusa/trees.h"
#include "nn/data/text.h"
#include "nn/decoding/cache.h"
#include "tensor/batch_invariant.h"

namespace ink::lesson {

// A character for a cell: those that cannot be seen have a sign.
inline std::string shown(const CharText& text, int64_t id) {
  const std::string c = text.decode(from_data(std::vector<int64_t>{id}, {1}));
  return c == " " ? "␣" : c == "\n" ? "⏎" : c;
}
inline std::vector<std::string> shown(const CharText& text, const std::vector<int64_t>& ids) {
  std::vector<std::string> cells;
  for (int64_t id : ids) cells.push_back(shown(text, id));
  return cells;
}
inline std::string path_name(const std::vector<int64_t>& path) { return fmt::format("({})", fmt::join(path, ", ")); }

inline Tensor table_of(const Accuracy& accuracy) {
  std::vector<double> all;
  for (const auto& row : accuracy) all.insert(all.end(), row.begin(), row.end());
  return from_data(all, {int64_t(accuracy.size()), int64_t(accuracy[0].size())});
}

// The tree takes the candidate of the largest product, and offers that node's children.
inline void a_tree_grows(Lesson& lesson, const Accuracy& accuracy, const GrownTree& tree) {
  if (!lesson.wants_frames()) return;
  lesson.player("a tree grows");
  double expected = 1;
  for (size_t n = 0; n <= tree.added.size(); ++n) {
    std::vector<std::vector<int64_t>> in(tree.added.begin(), tree.added.begin() + int64_t(n));
    std::vector<std::pair<double, std::string>> open;
    std::vector<std::vector<int64_t>> above = in;
    above.insert(above.begin(), std::vector<int64_t>{});
    for (const auto& path : above) {
      if (path.size() == accuracy.size()) continue;
      for (int64_t r = 0; r < int64_t(accuracy[path.size()].size()); ++r) {
        std::vector<int64_t> child = path;
        child.push_back(r);
        if (std::find(in.begin(), in.end(), child) != in.end()) continue;
        double product = 1;
        for (size_t k = 0; k < child.size(); ++k) product *= accuracy[k][size_t(child[k])];
        open.push_back({product, path_name(child)});
      }
    }
    std::stable_sort(open.begin(), open.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    open.resize(std::min<size_t>(open.size(), 8));
    std::vector<std::string> names, inside;
    std::vector<double> products;
    for (const auto& [p, name] : open) products.push_back(p), names.push_back(name);
    for (const auto& path : in) inside.push_back(path_name(path));
    if (inside.empty()) inside.push_back("root");
    std::vector<Place> used;
    if (n)
      for (size_t k = 0; k < in.back().size(); ++k) used.push_back({int64_t(k), in.back()[k]});
    if (n) expected += tree.gain[n - 1];
    lesson.frame(n ? "node " + std::to_string(n) + ": " + path_name(in.back()) : "the root alone",
                 {{"accuracy: head by rank", table_of(accuracy), used},
                  {"in the tree", inside, {{0, int64_t(inside.size()) - 1}}},
                  {"candidates", names},
                  {"their products", products},
                  {"tokens per step expected", expected}},
                 n == 0
                     ? "One token a step is certain: the model's own. Candidates are the guesses of head 0."
                     : fmt::format("{} had the largest product, {:.3g}: the share of steps in which it and all above "
                                   "it are right. So much it adds. Its children become candidates.",
                                   path_name(in.back()), tree.gain[n - 1]));
  }
}

// The rows of the mask, one node after the other.
inline void a_mask_fills(Lesson& lesson, const TreeShape& shape) {
  if (!lesson.wants_frames()) return;
  lesson.player("who sees whom");
  const int64_t n = shape.nodes();
  const std::vector<int64_t> index = shape.tree_index(), &depths = shape.depths();
  const Tensor mask = shape.mask().to(f32), so_far = full({n, n}, NAN, f32);
  for (int64_t i = 0; i < n; ++i) {
    so_far[i].copy_(mask[i]);
    const std::vector<int64_t> path = shape.path(i);
    std::vector<std::string> sees;
    std::vector<Place> marks;
    for (int64_t node : path_to(shape.parent(), i)) sees.push_back(std::to_string(node)), marks.push_back({i, node});
    lesson.frame(i ? fmt::format("node {}: {}", i, path_name(path)) : "node 0: the root",
                 {{"mask: row sees column", so_far, marks},
                  {"tree index", std::vector<int64_t>(index.begin(), index.begin() + i + 1)},
                  {"position after the prefix", std::vector<int64_t>(depths.begin(), depths.begin() + i + 1)},
                  {"path of nodes", sees}},
                 i == 0
                     ? "The root sees the whole prefix, like every node, and itself."
                     : fmt::format("Rank {} of head {} below node {}: its parent's row, and itself. Siblings stand at "
                                   "the same position, {} after the prefix, and do not see each other.",
                                   path.back(), path.size() - 1, shape.parent()[size_t(i)], path.size()));
  }
}

// One step: prefix, root, draft, one pass, the walk down, the cache.
struct StepToShow {
  const CharText& text;
  const Models& models;
  std::vector<int64_t> prefix;
  TreeShape shape;
};
inline void one_step(Lesson& lesson, const StepToShow& s) {
  if (!lesson.wants_frames()) return;
  lesson.player("one step of decoding");
  NoGrad guard;
  const GPT& model = s.models.model;
  SequenceCache cache(model);
  const Tensor feature = cache.begin({s.prefix})[0];
  const int64_t root = most_likely(model.logits(feature));
  const std::vector<int64_t> tail(s.prefix.end() - std::min<int64_t>(12, int64_t(s.prefix.size())), s.prefix.end());
  lesson.frame("the model's own head", {{"read so far, its end", shown(s.text, tail)}, {"root", shown(s.text, root)}},
               "From the features of the last character the model's head chooses the next one. That much every decoder "
               "knows after a pass; it is certain, and becomes the root of the draft.");
  const int64_t ranks = std::max<int64_t>(4, *std::max_element(s.shape.rank().begin(), s.shape.rank().end()) + 1);
  std::vector<std::vector<int64_t>> candidates;
  std::vector<Shot> guesses{{"root", shown(s.text, root)}};
  for (int64_t k = 0; k < s.models.heads.count(); ++k) {
    candidates.push_back(std::get<1>(topk(s.models.heads.logits(feature, k), ranks)).to_vector<int64_t>());
    guesses.push_back({fmt::format("head {}: {} on, likeliest first", k, k + 2), shown(s.text, candidates.back())});
    lesson.frame(fmt::format("head {}", k), guesses,
                 fmt::format("Head {} reads the same features and guesses the character {} places on. It does not know "
                             "what stands between: heads guess independently of each other.",
                             k, k + 2));
  }
  const Draft draft = make_draft(s.shape, root, candidates);
  lesson.frame(
      "the draft",
      {{"node's character", shown(s.text, draft.token)}, {"parent", draft.parent}, {"mask", s.shape.mask().to(f32)}},
      "The tree says which ranks are combined: each path from the root is one way to go on.");
  const Tensor logits = model.logits(cache.run({draft}))[0].to(f32);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < draft.nodes(); ++i) chosen.push_back(most_likely(logits[i]));
  lesson.frame(
      "one pass for all nodes",
      {{"node's character", shown(s.text, draft.token)},
       {"the model's choice after it", shown(s.text, chosen)},
       {"columns in the cache", int64_t(s.prefix.size()) + draft.nodes()}},
      "All nodes go through the model together, each seeing the prefix and its ancestors. What the model would "
      "write after each of them is now known.");
  const Accepted accepted = accept_greedy(draft, [&](int64_t node) { return chosen[size_t(node)]; });
  std::vector<Place> marks;
  for (size_t i = 0; i < accepted.nodes.size(); ++i) {
    const int64_t node = accepted.nodes[i];
    marks.push_back({0, node});
    const bool last = i + 1 == accepted.nodes.size();
    lesson.frame(fmt::format("at node {}", node),
                 {{"node's character", shown(s.text, draft.token), marks},
                  {"the model's choice after it", shown(s.text, chosen), {{0, node}}},
                  {"accepted so far", int64_t(i)}},
                 last ? fmt::format("After '{}' the model wants '{}', and no child holds it: here the walk ends. The "
                                    "choice itself is right all the same, and is the root of the next step.",
                                    shown(s.text, draft.token[size_t(node)]), shown(s.text, chosen[size_t(node)]))
                      : fmt::format("After '{}' the model wants '{}', and a child holds it: the guess is accepted.",
                                    shown(s.text, draft.token[size_t(node)]), shown(s.text, chosen[size_t(node)])));
  }
  std::vector<std::string> columns, kept;
  for (int64_t i = 0; i < draft.nodes(); ++i) columns.push_back(shown(s.text, draft.token[size_t(i)]));
  for (int64_t node : accepted.nodes) kept.push_back(shown(s.text, draft.token[size_t(node)]));
  cache.keep({accepted.nodes});
  lesson.frame("the cache is compacted",
               {{"columns of the draft", columns, marks},
                {"columns that stay, side by side", kept},
                {"columns in the cache", cache.length(0)}},
               "Keys and values of the accepted nodes move next to the prefix, the rest is forgotten.");
  lesson.frame("what the step brought", {{"new characters", shown(s.text, tokens_of(draft, accepted))}, {"passes", 1}},
               "The accepted guesses, and the choice after the last of them. Its features are there too: the heads can "
               "guess again.");
}

// Two guesses tried one after the other, and both refused.
inline void one_acceptance(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("guesses tried in order");
  std::vector<double> p = {0.4, 0.3, 0.2, 0.1};
  lesson.frame("p", {{"p, of tokens 0 .. 3", p}, {"guesses", std::vector<int64_t>{1, 0}}},
               "What the model would draw from, and two children, guessed without chance: tokens 1 and 0.");
  std::vector<double> given = {0, 0, 0, 0};
  double left = 1;
  for (int64_t guess : {1, 0}) {
    const double keep = keep_probability(p, guess);
    given[size_t(guess)] += left * keep;
    lesson.frame(fmt::format("token {} is tried", guess),
                 {{"p", p, {{0, guess}}}, {"kept with probability", keep}, {"given out so far", given, {{0, guess}}}},
                 fmt::format("Kept with probability p({}) = {:.4g}: over all, with probability {:.4g}.", guess, keep,
                             given[size_t(guess)]));
    left *= 1 - keep;
    refuse(p, guess);
    lesson.frame("if it is refused",
                 {{"p", p, {{0, guess}}}, {"probability of being here", left}, {"given out so far", given}},
                 "What is left of p without that token, rescaled to the sum 1.");
  }
  for (size_t i = 0; i < 4; ++i) given[i] += left * p[i];
  lesson.frame("all are refused: a token is drawn from the rest", {{"p", p}, {"given out, all in all", given}},
               "Token 0 and 1 came out as guesses, 2 and 3 by this draw: each with the probability it had in p.");
}

}  // namespace ink::lesson
