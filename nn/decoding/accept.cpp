// The three rules of acceptance.
#include "nn/decoding/accept.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "nn/decoding/sampling.h"
#include "tensor/error.h"

namespace ink {
namespace {

// What the model says after nodes, checked: the first answer tells the size of the vocabulary.
class NodeAnswers {
 public:
  NodeAnswers(const Draft& draft, NodeDistribution distribution) : draft_(draft), distribution_(distribution) {}
  std::vector<double> after(int64_t node) {
    std::vector<double> p = distribution_(node);
    check_distribution(fmt::format("accept: the distribution after node {}", node), p);
    if (!vocabulary_) check(draft_, vocabulary_ = int64_t(p.size()));
    if (int64_t(p.size()) != *vocabulary_)
      throw ValueError(fmt::format("accept: the distribution after node {} is of another size; got {}; expected {}",
                                   node, p.size(), *vocabulary_));
    return p;
  }

 private:
  const Draft& draft_;
  NodeDistribution distribution_;
  std::optional<int64_t> vocabulary_;
};

int64_t largest_probability(const std::vector<double>& p) {
  return std::max_element(p.begin(), p.end()) - p.begin();  // the first of equal ones
}

int64_t child_with_token(const Draft& draft, const std::vector<int64_t>& children, int64_t token) {
  for (int64_t child : children)
    if (draft.token[size_t(child)] == token) return child;
  return -1;
}

void check_trial(std::span<const double> p, int64_t x, std::span<const double> q) {
  if (x < 0 || x >= int64_t(p.size()))
    throw IndexError(fmt::format("accept: no such token; got {}; expected 0 .. {}", x, int64_t(p.size()) - 1));
  if (!q.empty() && q.size() != p.size())
    throw ShapeError(fmt::format("accept: p and q have different sizes; got {} and {}", p.size(), q.size()));
}

std::span<const double> proposal_span(const Draft& draft, int64_t node) {
  if (draft.proposal.empty()) return {};
  return draft.proposal[size_t(node)];
}

}  // namespace

Accepted accept_greedy(const Draft& draft, NodeChoice choice) {
  check(draft);
  const std::vector<std::vector<int64_t>> children = children_of(draft.parent);
  Accepted out;
  for (int64_t node = 0; node >= 0; node = child_with_token(draft, children[size_t(node)], out.next)) {
    out.nodes.push_back(node);
    out.next = choice(node);
    if (out.next < 0)
      throw ValueError(fmt::format("accept_greedy: no token was chosen after node {}; got {}", node, out.next));
  }
  return out;
}

void check(const TypicalOptions& o) {
  if (!(o.epsilon >= 0 && o.epsilon <= 1))
    throw ValueError(fmt::format("accept_typical: epsilon is out of range; got {}; expected 0 .. 1", o.epsilon));
  if (!(o.delta >= 0) || std::isinf(o.delta))
    throw ValueError(
        fmt::format("accept_typical: delta is out of range; got {}; expected a finite number of at least 0", o.delta));
}

double typical_threshold(std::span<const double> p, const TypicalOptions& options) {
  return std::min(options.epsilon, options.delta * std::exp(-entropy(p)));  // (12.10)
}

Accepted accept_typical(const Draft& draft, NodeDistribution distribution, Chance& chance,
                        const TypicalOptions& options) {
  check(options);
  check(draft);
  NodeAnswers answers(draft, distribution);
  const std::vector<std::vector<int64_t>> children = children_of(draft.parent);
  const std::vector<int64_t> depth = node_depths(draft.parent);
  std::vector<bool> passes(draft.token.size(), false);
  std::vector<double> score(draft.token.size(), 0.);  // the sum of ln p along the path
  passes[0] = true;
  int64_t best = 0;
  for (int64_t node = 0; node < draft.nodes(); ++node) {
    if (!passes[size_t(node)]) continue;
    if (std::pair(depth[size_t(node)], score[size_t(node)]) > std::pair(depth[size_t(best)], score[size_t(best)]))
      best = node;
    if (children[size_t(node)].empty()) continue;
    const std::vector<double> p = answers.after(node);
    const double threshold = typical_threshold(p, options);
    for (int64_t child : children[size_t(node)]) {
      const double guess = p[size_t(draft.token[size_t(child)])];
      passes[size_t(child)] = guess > threshold;
      score[size_t(child)] = score[size_t(node)] + std::log(guess);
    }
  }
  const std::vector<double> last = answers.after(best);
  return {path_to(draft.parent, best), options.draw_next ? chance.draw(last) : largest_probability(last)};
}

double keep_probability(std::span<const double> p, int64_t x, std::span<const double> q) {
  check_trial(p, x, q);
  const double wanted = p[size_t(x)], proposed = q.empty() ? 1 : q[size_t(x)];
  return wanted < proposed ? wanted / proposed : 1;  // (12.9)
}

void refuse(std::vector<double>& p, int64_t x, std::span<const double> q) {
  check_trial(p, x, q);
  std::vector<double> rest = p;
  double total = 0;
  if (q.empty())
    rest[size_t(x)] = 0;
  else
    for (size_t i = 0; i < p.size(); ++i) rest[i] = std::max(0., p[i] - q[i]);  // (12.9)
  for (double each : rest) total += each;
  if (total == 0) return;
  for (double& each : rest) each /= total;
  p = std::move(rest);
}

Accepted accept_lossless(const Draft& draft, NodeDistribution distribution, Chance& chance) {
  check(draft);
  NodeAnswers answers(draft, distribution);
  const std::vector<std::vector<int64_t>> children = children_of(draft.parent);
  Accepted out;
  std::vector<double> p;
  for (int64_t node = 0; node >= 0;) {
    out.nodes.push_back(node);
    p = answers.after(node);
    int64_t kept = -1;
    for (int64_t child : children[size_t(node)]) {
      const int64_t guess = draft.token[size_t(child)];
      const std::span<const double> q = proposal_span(draft, child);
      if (chance.happens(keep_probability(p, guess, q))) {
        kept = child;
        break;
      }
      refuse(p, guess, q);
    }
    node = kept;
  }
  out.next = chance.draw(p);
  return out;
}

}  // namespace ink
