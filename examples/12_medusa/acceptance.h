// Rules of acceptance, looked at exactly: every outcome of a small model with its probability, and counts of the large
// one.
#pragma once
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "nn/decoding/accept.h"

namespace ink::lesson {

// A language model of four tokens in a table: what follows depends on the last token alone.
struct TableModel {
  static constexpr int64_t kTokens = 4;
  std::array<std::vector<double>, kTokens> after = {
      {{0.4, 0.3, 0.2, 0.1}, {0.1, 0.6, 0.1, 0.2}, {0.25, 0.25, 0.25, 0.25}, {0.7, 0.1, 0.1, 0.1}}};
  std::vector<double> operator()(int64_t token) const { return after[size_t(token)]; }
};

using PairLaw = std::vector<double>;  // [first * kTokens + second]
inline PairLaw plain_law(const TableModel& model, int64_t root) {
  PairLaw law;
  for (int64_t a = 0; a < TableModel::kTokens; ++a)
    for (int64_t b = 0; b < TableModel::kTokens; ++b) law.push_back(model(root)[size_t(a)] * model(a)[size_t(b)]);
  return law;
}

// The exact law of the first two tokens of a text that is written in steps of drafts. `rule(chance)` accepts a draft
// below the root and says which tokens came; what the step does not give is drawn from the model.
template <class Rule> PairLaw law_of(const TableModel& model, const Rule& rule) {
  PairLaw law(size_t(TableModel::kTokens * TableModel::kTokens), 0.);
  EveryOutcome chance;
  do {
    std::vector<int64_t> tokens = rule(chance);
    if (tokens.size() < 2) tokens.push_back(chance.draw(model(tokens[0])));
    law[size_t(tokens[0] * TableModel::kTokens + tokens[1])] += chance.probability();
  } while (chance.next());
  return law;
}
inline std::vector<int64_t> tokens_of(const Draft& draft, const Accepted& accepted) {
  std::vector<int64_t> tokens;
  for (size_t i = 1; i < accepted.nodes.size(); ++i) tokens.push_back(draft.token[size_t(accepted.nodes[i])]);
  tokens.push_back(accepted.next);
  return tokens;
}
// Half the sum of the differences: the largest difference of the probabilities of any event.
inline double variation(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::abs(p[i] - q[i]) / 2;
  return sum;
}

// Counts of n draws against n p, tokens of fewer than 5 expected draws together: chi-square less its mean, over its
// standard deviation. A few when the draws are from p.
inline double surprise(const std::vector<double>& counts, const std::vector<double>& p) {
  double n = 0, chi = 0, cells = -1, rare_seen = 0, rare_expected = 0;
  for (double c : counts) n += c;
  for (size_t i = 0; i < p.size(); ++i) {
    if (n * p[i] < 5) {
      rare_seen += counts[i], rare_expected += n * p[i];
      continue;
    }
    chi += std::pow(counts[i] - n * p[i], 2) / (n * p[i]), ++cells;
  }
  if (rare_expected > 5) chi += std::pow(rare_seen - rare_expected, 2) / rare_expected, ++cells;
  return cells < 1 ? 0 : (chi - cells) / std::sqrt(2 * cells);
}

// The token after the root in n tries of a rule on one and the same draft.
template <class Rule>
std::vector<double> first_tokens(int64_t vocabulary, int64_t n, const Draft& draft, const Rule& rule) {
  std::vector<double> counts(size_t(vocabulary), 0.);
  for (int64_t i = 0; i < n; ++i) ++counts[size_t(tokens_of(draft, rule())[0])];
  return counts;
}

}  // namespace ink::lesson
