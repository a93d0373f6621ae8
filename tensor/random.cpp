// Generators: seeds, positions in the stream, states.
#include "tensor/random.h"

#include <utility>

namespace ink {

static constinit thread_local Generator* of_this_thread = nullptr;

Generator& default_generator() {
  if (of_this_thread) return *of_this_thread;
  static Generator* generator = new Generator(0);  // never destroyed: usable to the last static destructor
  return *generator;
}
DefaultGenerator::DefaultGenerator(Generator& generator) : before_(std::exchange(of_this_thread, &generator)) {}
DefaultGenerator::~DefaultGenerator() { of_this_thread = before_; }
void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

}  // namespace ink
