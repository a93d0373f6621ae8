// The table of this CPU level.
#include "tensor/cpu/table.h"

#include "tensor/cpu/pack/intrinsics.h"

namespace ink::INK_CPU_LEVEL {

const Kernels table = table_of_slots(kHasFma, false);

}  // namespace ink::INK_CPU_LEVEL
