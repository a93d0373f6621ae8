// Generators: seeds, positions in the stream, states.
#include "tensor/random.h"

namespace ink {

Generator& default_generator() {
  static Generator* generator = new Generator(0);  // never destroyed: usable to the last static destructor
  return *generator;
}
void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

}  // namespace ink
