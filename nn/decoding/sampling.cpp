// The filters of sampling, one function each.
#include "nn/decoding/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/error.h"

namespace ink {
namespace {

void check_sampling_option(bool right, const char* name, double got, const char* expected) {
  if (!right) throw ValueError(fmt::format("sampling: {} is out of range; got {}; expected {}", name, got, expected));
}

std::vector<double> checked_logits(const char* op, const Tensor& logits) {
  if (!logits.defined() || logits.dim() != 1 || logits.numel() == 0)
    throw ShapeError(
        fmt::format("{}: logits of one token are needed; got {}; expected [vocabulary]; hint: one row of "
                    "the model's [batch, time, vocabulary]",
                    op, logits.defined() ? logits.shape().str() : "an undefined tensor"));
  if (!is_floating(logits.dtype()))
    throw DTypeError(fmt::format("{}: logits must be floating; got {}", op, name_of(logits.dtype())));
  return logits.detach().to_vector<double>();
}
std::vector<double> checked_logits(const char* op, std::span<const float> logits) {
  if (logits.empty()) throw ShapeError(fmt::format("{}: logits of one token are needed; got none", op));
  return {logits.begin(), logits.end()};
}

// The token of the largest logit, after all have been looked at.
int64_t largest_logit(const char* op, const std::vector<double>& logits) {
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<double>::infinity())
      throw ValueError(fmt::format("{}: got a logit of {} for token {}; expected numbers below inf", op, logits[i], i));
    if (logits[i] > logits[best]) best = i;
  }
  if (std::isinf(logits[best]))
    throw ValueError(fmt::format("{}: no token can be drawn; got {} logits that are all -inf", op, logits.size()));
  return int64_t(best);
}

void penalise_repetition(std::vector<double>& logits, double penalty, std::span<const int64_t> seen) {
  std::vector<bool> done(logits.size(), false);
  for (int64_t id : seen) {
    if (id < 0 || id >= int64_t(logits.size()))
      throw IndexError(
          fmt::format("next_distribution: a token seen before is not in the vocabulary; got {}; expected "
                      "0 .. {}",
                      id, logits.size() - 1));
    double& logit = logits[size_t(id)];
    if (!done[size_t(id)]) logit = logit > 0 ? logit / penalty : logit * penalty;
    done[size_t(id)] = true;
  }
}

// p ~ exp(logit / temperature). The largest is taken off first: its exponential is 1, the others' at most 1.
std::vector<double> softmax_at(const std::vector<double>& logits, double temperature) {
  const double largest = logits[size_t(largest_logit("next_distribution", logits))];
  std::vector<double> p(logits.size());
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) total += p[i] = std::exp((logits[i] - largest) / temperature);
  for (double& each : p) each /= total;
  return p;
}

using TokenIds = std::vector<int64_t>;

TokenIds possible_tokens(const std::vector<double>& p) {
  TokenIds ids;
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] > 0) ids.push_back(int64_t(i));
  return ids;
}
// The possible tokens, the most likely first.
TokenIds by_probability(const std::vector<double>& p) {
  TokenIds ids = possible_tokens(p);
  std::stable_sort(ids.begin(), ids.end(), [&](int64_t a, int64_t b) { return p[size_t(a)] > p[size_t(b)]; });
  return ids;
}
// p without all other tokens, with the sum 1.
void keep_only(std::vector<double>& p, std::span<const int64_t> ids) {
  std::vector<double> kept(p.size(), 0.);
  double total = 0;
  for (int64_t id : ids) total += p[size_t(id)];
  for (int64_t id : ids) kept[size_t(id)] = p[size_t(id)] / total;
  p = std::move(kept);
}
// As many of the first of `ids` as have at least that mass together.
std::span<const int64_t> first_with_mass(const std::vector<double>& p, const TokenIds& ids, double mass) {
  double sum = 0;
  size_t count = 0;
  while (count < ids.size() && sum < mass) sum += p[size_t(ids[count++])];
  return {ids.data(), count};
}

void keep_top_k(std::vector<double>& p, int64_t k) {
  const TokenIds ids = by_probability(p);
  keep_only(p, {ids.data(), std::min(ids.size(), size_t(k))});
}
void keep_top_p(std::vector<double>& p, double mass) { keep_only(p, first_with_mass(p, by_probability(p), mass)); }
void keep_min_p(std::vector<double>& p, double share) {
  const double least = share * *std::max_element(p.begin(), p.end());
  TokenIds ids = possible_tokens(p);
  std::erase_if(ids, [&](int64_t id) { return p[size_t(id)] < least; });
  keep_only(p, ids);
}
void keep_typical(std::vector<double>& p, double mass) {
  const double expected = entropy(p);
  TokenIds ids = possible_tokens(p);
  auto surprise = [&](int64_t id) { return std::abs(-std::log(p[size_t(id)]) - expected); };
  std::stable_sort(ids.begin(), ids.end(), [&](int64_t a, int64_t b) { return surprise(a) < surprise(b); });
  keep_only(p, first_with_mass(p, ids, mass));
}

std::vector<double> distribution_of(std::vector<double> logits, const SamplingOptions& options,
                                    std::span<const int64_t> seen) {
  check(options);
  largest_logit("next_distribution", logits);  // before anything is done to them
  penalise_repetition(logits, options.repetition_penalty, seen);
  std::vector<double> p = softmax_at(logits, options.temperature);
  if (options.top_k > 0) keep_top_k(p, options.top_k);
  if (options.top_p < 1) keep_top_p(p, options.top_p);
  if (options.min_p > 0) keep_min_p(p, options.min_p);
  if (options.typical_p < 1) keep_typical(p, options.typical_p);
  return p;
}

}  // namespace

void check(const SamplingOptions& o) {
  check_sampling_option(o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "repetition_penalty",
                        o.repetition_penalty, "a finite number > 0");
  check_sampling_option(o.temperature > 0 && std::isfinite(o.temperature), "temperature", o.temperature,
                        "a finite number > 0; hint: greedy decoding is asked for by leaving sampling out");
  check_sampling_option(o.top_k >= 0, "top_k", double(o.top_k), "a number of tokens, or 0 for all");
  check_sampling_option(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "a number in (0, 1]");
  check_sampling_option(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "a number in [0, 1]");
  check_sampling_option(o.typical_p > 0 && o.typical_p <= 1, "typical_p", o.typical_p, "a number in (0, 1]");
}

std::vector<double> next_distribution(std::span<const float> logits, const SamplingOptions& options,
                                      std::span<const int64_t> seen) {
  return distribution_of(checked_logits("next_distribution", logits), options, seen);
}
std::vector<double> next_distribution(const Tensor& logits, const SamplingOptions& options,
                                      std::span<const int64_t> seen) {
  return distribution_of(checked_logits("next_distribution", logits), options, seen);
}

int64_t most_likely(std::span<const float> logits) {
  return largest_logit("most_likely", checked_logits("most_likely", logits));
}
int64_t most_likely(const Tensor& logits) {
  return largest_logit("most_likely", checked_logits("most_likely", logits));
}

double entropy(std::span<const double> p) {
  double sum = 0;
  for (double each : p)
    if (each > 0) sum -= each * std::log(each);
  return sum;
}

}  // namespace ink
