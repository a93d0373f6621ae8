// Catch2 v2.13 (Debian 12) or v3, from one source.
#pragma once
#include <cstdio>
#include <cstdlib>

// Ends a test program that cannot run here: ctest lists it as skipped, and `why` says what is missing.
[[noreturn]] inline void skip_program(const char* why) {
  std::printf("skipped: %s\n", why);
  std::fflush(stdout);
  std::_Exit(77);
}

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // v2 has it in the global namespace
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
#else
#include <catch2/catch.hpp>
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif
