// The table of this CPU level.
#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {

const Kernels table = table_of_slots(false);

}  // namespace ink::INK_CPU_LEVEL
