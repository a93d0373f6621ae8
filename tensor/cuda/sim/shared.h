// The shared memory of simulated blocks: each array is a heap block of its own between two guards, so that
// AddressSanitizer sees what runs over; without it, the guards are looked at when the block ends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ink::sim {

inline constexpr size_t kMaxStaticShared = size_t(48) << 10;

class SharedMemory {
 public:
  ~SharedMemory();
  void begin(size_t dynamic_bytes, uint8_t poison);  // a new block: arrays are filled with `poison` when first used
  std::string end();                                 // what was overrun, or ""
  void* find(const void* key, size_t bytes);         // null: over the limit
  void* dynamic(size_t* bytes);
  bool contains(const void* p) const;

 private:
  struct Array {
    const void* key;
    char* memory;  // guard, bytes, guard
    size_t bytes, held;
    bool used;
  };
  Array& array(const void* key, size_t bytes);
  void fill(Array& a, size_t bytes);
  std::vector<Array> arrays_;  // kept from block to block
  size_t dynamic_bytes_ = 0, static_bytes_ = 0;
  uint8_t poison_ = 0xff;
};

}  // namespace ink::sim
