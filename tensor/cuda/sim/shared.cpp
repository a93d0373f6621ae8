#include "tensor/cuda/sim/shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace ink::sim {
namespace {

constexpr size_t kGuard = 128;
constexpr uint8_t kGuardByte = 0xa5;
constexpr char kDynamic = 0;  // the key of the dynamic array

void close_guards([[maybe_unused]] char* memory, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(memory, kGuard);
  __asan_poison_memory_region(memory + kGuard + bytes, kGuard);
#else
  std::memset(memory, kGuardByte, kGuard);
  std::memset(memory + kGuard + bytes, kGuardByte, kGuard);
#endif
}
void open_guards([[maybe_unused]] char* memory, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(memory, bytes + 2 * kGuard);
#endif
}

}  // namespace

SharedMemory::~SharedMemory() {
  for (Array& a : arrays_) {
    open_guards(a.memory, a.held);
    std::free(a.memory);
  }
}

void SharedMemory::begin(size_t dynamic_bytes, uint8_t poison) {
  dynamic_bytes_ = dynamic_bytes;
  static_bytes_ = 0;
  poison_ = poison;
  for (Array& a : arrays_) a.used = false;
}

void SharedMemory::fill(Array& a, size_t bytes) {
  open_guards(a.memory, a.held);
  if (a.held < bytes) {
    std::free(a.memory);
    a.held = (bytes + 127) / 128 * 128;
    a.memory = static_cast<char*>(std::aligned_alloc(128, a.held + 2 * kGuard));
    if (!a.memory) throw std::bad_alloc();
  }
  a.bytes = bytes;
  a.used = true;
  std::memset(a.memory + kGuard, poison_, bytes);
  close_guards(a.memory, bytes);
}

SharedMemory::Array& SharedMemory::array(const void* key, size_t bytes) {
  for (Array& a : arrays_)
    if (a.key == key) {
      if (!a.used) fill(a, bytes);
      return a;
    }
  arrays_.push_back({key, nullptr, 0, 0, false});
  fill(arrays_.back(), bytes);
  return arrays_.back();
}

void* SharedMemory::find(const void* key, size_t bytes) {
  for (Array& a : arrays_)  // the usual case: the block has it already
    if (a.key == key && a.used) return a.memory + kGuard;
  static_bytes_ += bytes;
  if (static_bytes_ > kMaxStaticShared) return nullptr;
  return array(key, bytes).memory + kGuard;
}

void* SharedMemory::dynamic(size_t* bytes) {
  if (bytes) *bytes = dynamic_bytes_;
  return array(&kDynamic, dynamic_bytes_).memory + kGuard;
}

bool SharedMemory::contains(const void* p) const {
  auto inside = [&](const Array& a) { return a.used && p >= a.memory && p < a.memory + a.bytes + 2 * kGuard; };
  return std::any_of(arrays_.begin(), arrays_.end(), inside);
}

std::string SharedMemory::end() {
#if !defined(__SANITIZE_ADDRESS__)
  for (const Array& a : arrays_) {
    if (!a.used) continue;
    for (size_t i = 0; i < kGuard; ++i) {
      if (uint8_t(a.memory[kGuard + a.bytes + i]) != kGuardByte)
        return fmt::format("a write past the end of shared memory: byte {} of an array of {} bytes", a.bytes + i, a.bytes);
      if (uint8_t(a.memory[kGuard - 1 - i]) != kGuardByte)
        return fmt::format("a write before shared memory: byte {} of an array of {} bytes", -int(i) - 1, a.bytes);
    }
  }
#endif
  return "";
}

}  // namespace ink::sim
