// What AddressSanitizer is told: of stacks that are switched, and of memory that nobody may touch. Nothing without it.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace ink::sim::asan {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kOn = true;
inline void forbid(const void* p, size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void allow(const void* p, size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
inline void on_report(void (*f)(const char* report)) { __asan_set_error_report_callback(f); }
inline void start_switch(void** fake, const void* bottom, size_t size) {
  __sanitizer_start_switch_fiber(fake, bottom, size);
}
inline void finish_switch(void* fake, const void** bottom, size_t* size) {
  __sanitizer_finish_switch_fiber(fake, bottom, size);
}
#else
inline constexpr bool kOn = false;
inline void forbid(const void*, size_t) {}
inline void allow(const void*, size_t) {}
inline void on_report(void (*)(const char*)) {}
inline void start_switch(void**, const void*, size_t) {}
inline void finish_switch(void*, const void**, size_t*) {}
#endif

}  // namespace ink::sim::asan
