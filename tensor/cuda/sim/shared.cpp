// Shared memory of a simulated block, in heap blocks with guards.
#include "tensor/cuda/sim/shared.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "tensor/cuda/sim/asan.h"

namespace ink::sim {
namespace {

constexpr size_t kGuard = 128;
constexpr uint8_t kGuardByte = 0xa5;
constexpr char kDynamic = 0;  // the key of the dynamic array

}  // namespace

SharedMemory::~SharedMemory() {
  for (Array& a : arrays_) {
    if (a.memory) asan::allow(a.memory, a.held + 2 * kGuard);
    std::free(a.memory);
  }
}

void SharedMemory::begin(size_t dynamic_bytes, uint8_t poison) {
  dynamic_bytes_ = dynamic_bytes;
  static_bytes_ = used_ = 0;
  poison_ = poison;
}

char* SharedMemory::make(const void* key, size_t bytes) {
  if (used_ == arrays_.size()) arrays_.push_back({});
  Array& a = arrays_[used_];
  if (a.memory) asan::allow(a.memory, a.held + 2 * kGuard);
  if (!a.memory || a.held < bytes) {
    std::free(a.memory);
    a.held = (bytes + 127) / 128 * 128;
    a.memory = static_cast<char*>(std::aligned_alloc(128, a.held + 2 * kGuard));
    if (!a.memory) throw std::bad_alloc();
  }
  a.key = key;
  a.bytes = bytes;
  ++used_;
  char* p = a.memory + kGuard;
  std::memset(a.memory, kGuardByte, kGuard);
  std::memset(p, poison_, bytes);
  std::memset(p + bytes, kGuardByte, kGuard);
  asan::forbid(a.memory, kGuard);
  asan::forbid(p + bytes, kGuard);
  return p;
}

char* SharedMemory::known(const void* key) const {
  for (size_t i = 0; i < used_; ++i)
    if (arrays_[i].key == key) return arrays_[i].memory + kGuard;
  return nullptr;
}

void* SharedMemory::find(const void* key, size_t bytes) {
  if (char* p = known(key)) return p;
  static_bytes_ += bytes;
  const size_t most = dynamic_bytes_ > kPlainShared ? kMaxShared : kPlainShared;
  return static_bytes_ > kPlainShared || static_bytes_ + dynamic_bytes_ > most ? nullptr : make(key, bytes);
}

void* SharedMemory::dynamic() {
  char* p = known(&kDynamic);
  return p ? p : make(&kDynamic, dynamic_bytes_);
}

std::string SharedMemory::why_not(size_t bytes) const {
  return fmt::format(
      "{} bytes is too much, with {} bytes in other arrays and {} dynamic; all static arrays may hold {}, "
      "with dynamic ones {}, or {} if the dynamic ones alone are larger than {}",
      bytes, static_bytes_ - bytes, dynamic_bytes_, kPlainShared, kPlainShared, kMaxShared, kPlainShared);
}

bool SharedMemory::contains(const void* p) const {
  for (size_t i = 0; i < used_; ++i)
    if (p >= arrays_[i].memory && p < arrays_[i].memory + arrays_[i].bytes + 2 * kGuard) return true;
  return false;
}

std::string SharedMemory::end() {
  for (size_t i = 0; i < used_ && !asan::kOn; ++i) {
    const Array& a = arrays_[i];
    const char* what = a.key == &kDynamic ? "dynamic" : "static";
    for (size_t k = 0; k < kGuard; ++k) {
      if (uint8_t(a.memory[kGuard + a.bytes + k]) != kGuardByte)
        return fmt::format("a write past the end of {} shared memory: byte {} of an array of {} bytes", what,
                           a.bytes + k, a.bytes);
      if (uint8_t(a.memory[kGuard - 1 - k]) != kGuardByte)
        return fmt::format("a write before {} shared memory: byte {} of an array of {} bytes", what, -int(k) - 1,
                           a.bytes);
    }
  }
  return "";
}

}  // namespace ink::sim
