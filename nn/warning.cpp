// Where warnings go.
#include "nn/warning.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace ink {
namespace {

thread_local Warnings* innermost_listener = nullptr;

bool is_first(const std::string& text) {
  static std::mutex& lock = *new std::mutex;  // never destroyed: destructors may warn
  static std::set<std::string>& told = *new std::set<std::string>;
  const std::lock_guard guard(lock);
  return told.insert(text.substr(0, text.find(':'))).second;
}

}  // namespace

Warnings::Warnings() : outer_(innermost_listener) { innermost_listener = this; }
Warnings::~Warnings() { innermost_listener = outer_; }

void warn(const std::string& text) {
  if (innermost_listener)
    innermost_listener->texts.push_back(text);
  else
    std::fprintf(stderr, "warning: %s\n", text.c_str());
}
void warn_once(const std::string& text) {
  if (innermost_listener || is_first(text)) warn(text);
}

}  // namespace ink
