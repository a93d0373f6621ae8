// Generators: a seed and a position in the Philox stream. Every random op takes the next stretch of positions, so the
// numbers do not depend on threads, and a saved state continues exactly.
#pragma once
#include <cstdint>

#include "tensor/device.h"

namespace ink {

struct Generator {
  struct State {
    uint64_t seed = 0, offset = 0;
    bool operator==(const State&) const = default;
  };
  State state;
  explicit Generator(uint64_t seed = 0) : state{seed, 0} {}
  void manual_seed(uint64_t seed) { state = {seed, 0}; }
  // Reserves `count` positions (rounded up to a multiple of 4) and returns the first.
  uint64_t advance(uint64_t count) {
    uint64_t at = state.offset;
    state.offset += (count + 3) & ~uint64_t(3);
    return at;
  }
};

// What ops draw from that are given none: one for the process, used by one thread at a time, unless this thread has set
// another.
Generator& default_generator();
// Sets the default generator of this thread for a scope: `Generator mine(seed); DefaultGenerator guard(mine);`
class DefaultGenerator {
 public:
  explicit DefaultGenerator(Generator& generator);
  ~DefaultGenerator();
  DefaultGenerator(const DefaultGenerator&) = delete;
  DefaultGenerator& operator=(const DefaultGenerator&) = delete;

 private:
  Generator* before_;
};
void manual_seed(uint64_t seed);  // of the default generator

}  // namespace ink
