// Draws from a generator, and the walk through every outcome.
#include "nn/decoding/chance.h"

#include <fmt/format.h>

#include <cmath>

#include "tensor/error.h"
#include "tensor/math/philox.h"

namespace ink {

double uniform(Generator& generator) {
  const uint64_t seed = generator.state.seed;
  return uniform_from(philox_u64(seed, generator.advance(1)));
}

void check_distribution(std::string_view what, std::span<const double> p) {
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (!(p[i] >= 0) || std::isinf(p[i]))
      throw ValueError(fmt::format("{}: not a distribution; got {} for token {}; expected finite numbers of at least 0",
                                   what, p[i], i));
    total += p[i];
  }
  if (!(std::abs(total - 1) <= 1e-4))
    throw ValueError(fmt::format("{}: not a distribution; got {} tokens with a sum of {}; expected a sum of 1", what,
                                 p.size(), total));
}

int64_t draw(std::span<const double> p, Generator& generator) {
  check_distribution("draw", p);
  double total = 0;
  for (double each : p) total += each;
  const double below = uniform(generator) * total;
  double sum = 0;
  int64_t last = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) continue;
    last = int64_t(i), sum += p[i];
    if (sum > below) break;
  }
  return last;
}

int64_t EveryOutcome::decide(std::vector<double> p) {
  if (at_ == path_.size()) {
    int64_t first = 0;
    while (p[size_t(first)] == 0) ++first;
    path_.push_back({std::move(p), first});
  } else if (path_[at_].p != p) {
    throw ValueError(
        fmt::format("EveryOutcome: question {} differs from the one asked before after the same answers; hint: the "
                    "procedure must depend on this chance alone",
                    at_));
  }
  return path_[at_++].taken;
}

bool EveryOutcome::happens(double probability) {
  if (!(probability >= 0 && probability <= 1))
    throw ValueError(fmt::format("EveryOutcome: got a probability of {}; expected 0 .. 1", probability));
  return decide({1 - probability, probability}) == 1;
}

int64_t EveryOutcome::draw(std::span<const double> p) {
  check_distribution("EveryOutcome", p);
  return decide({p.begin(), p.end()});
}

double EveryOutcome::probability() const {
  double product = 1;
  for (size_t i = 0; i < at_; ++i) product *= path_[i].p[size_t(path_[i].taken)];
  return product;
}

bool EveryOutcome::next() {
  path_.resize(at_);  // decisions that this run did not come to belong to another
  at_ = 0;
  while (!path_.empty()) {
    Decision& last = path_.back();
    for (++last.taken; last.taken < int64_t(last.p.size()); ++last.taken)
      if (last.p[size_t(last.taken)] > 0) return true;
    path_.pop_back();
  }
  return false;
}

}  // namespace ink
