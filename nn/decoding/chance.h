// Decisions by chance: the next token, whether a drafted token is kept. What decides by chance asks a Chance, which
// draws from a generator, or walks through every outcome, so that probabilities are summed up instead of estimated.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/random.h"

namespace ink {

// The next number of a stream, uniform on [0, 1) in steps of 2^-53: the one that rand({1}, f64) would give.
double uniform(Generator& generator);

// ValueError, beginning with `what`, unless p has at least one entry, all are finite and at least 0, and they sum to 1
// within 1e-4 (p may have been computed in f32).
void check_distribution(std::string_view what, std::span<const double> p);

// A token by inversion: the first i with p_0 + .. + p_i > u (p_0 + .. + p_last), from one uniform u. Never one of
// probability 0. ValueError unless p is a distribution.
int64_t draw(std::span<const double> p, Generator& generator);

class Chance {
 public:
  virtual ~Chance() = default;
  virtual bool happens(double probability) = 0;         // whether an event of that probability occurs
  virtual int64_t draw(std::span<const double> p) = 0;  // a token from a distribution
};

// By numbers of a generator, one a decision, also where only one outcome is possible. The generator must outlive it.
class RandomChance final : public Chance {
 public:
  explicit RandomChance(Generator& generator) : generator_(generator) {}
  bool happens(double probability) override { return uniform(generator_) < probability; }
  int64_t draw(std::span<const double> p) override { return ink::draw(p, generator_); }

 private:
  Generator& generator_;
};

// Every outcome of a procedure once, with its probability: the exact law of what it returns. Outcomes of probability 0
// are left out.
//
//   EveryOutcome chance;
//   do {
//     auto result = procedure(chance);
//     law[result] += chance.probability();
//   } while (chance.next());
class EveryOutcome final : public Chance {
 public:
  bool happens(double probability) override;
  int64_t draw(std::span<const double> p) override;
  // Of the decisions since the last next(): the product of the probabilities of what was decided.
  double probability() const;
  // Turns to the next outcome, the last decision that has another one first; false when all have been seen. The
  // procedure must ask the same questions where the same was answered before.
  bool next();

 private:
  struct Decision {
    std::vector<double> p;  // of its outcomes
    int64_t taken;
  };
  int64_t decide(std::vector<double> p);
  std::vector<Decision> path_;
  size_t at_ = 0;  // the next decision
};

}  // namespace ink
