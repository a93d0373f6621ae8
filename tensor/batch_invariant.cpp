// The guard under which rows do not depend on each other, and whether one is set.
#include "tensor/batch_invariant.h"

namespace ink {

static thread_local constinit bool guarded = false;

bool batch_invariant() { return guarded; }
BatchInvariant::BatchInvariant() : before_(guarded) { guarded = true; }
BatchInvariant::~BatchInvariant() { guarded = before_; }

}  // namespace ink
