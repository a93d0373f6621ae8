// The devices' memory, which is the host's. With INK_SIM_GUARD=1 the host pays for touching it as it would on a GPU:
// all of it lies in one range of addresses, which is open only while the device does something.
#pragma once
#include <cstddef>

namespace ink::sim {

// Device memory may be touched while one of these exists, on any thread.
class Touch {
 public:
  Touch();
  ~Touch();
  Touch(const Touch&) = delete;
};

size_t total_memory();            // INK_SIM_MEMORY
void* host_memory(size_t bytes);  // aligned to 256; null if there is none

}  // namespace ink::sim
