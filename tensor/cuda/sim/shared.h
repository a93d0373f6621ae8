// The shared memory of simulated blocks: each array is a heap block of its own between two guards, so that
// AddressSanitizer sees what runs over; without it, the guards are looked at when the block ends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ink::sim {

inline constexpr size_t kMaxShared = size_t(227) << 10;   // of a launch that asks for it
inline constexpr size_t kPlainShared = size_t(48) << 10;  // without: static arrays, or both kinds

class SharedMemory {
 public:
  ~SharedMemory();
  void begin(size_t dynamic_bytes, uint8_t poison);  // a new block: arrays are filled with `poison` when first used
  std::string end();                                 // what was overrun, or ""
  void* find(const void* key, size_t bytes);         // null: over the limit
  std::string why_not(size_t bytes) const;           // the limit
  void* dynamic();
  bool contains(const void* p) const;

 private:
  struct Array {
    const void* key;
    char* memory;  // guard, bytes, guard
    size_t bytes, held;
  };
  char* known(const void* key) const;
  char* make(const void* key, size_t bytes);
  std::vector<Array> arrays_;  // their memory is kept from block to block
  size_t used_ = 0;            // the first `used_` are this block's
  size_t dynamic_bytes_ = 0, static_bytes_ = 0;
  uint8_t poison_ = 0xff;
};

}  // namespace ink::sim
