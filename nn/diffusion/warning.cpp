// Where warnings go.
#include "nn/diffusion/warning.h"

#include <cstdio>

namespace ink::diffusion {

static thread_local Warnings* innermost_listener = nullptr;

Warnings::Warnings() : outer_(innermost_listener) { innermost_listener = this; }
Warnings::~Warnings() { innermost_listener = outer_; }

void warn(const std::string& text) {
  if (innermost_listener)
    innermost_listener->texts.push_back(text);
  else
    std::fprintf(stderr, "warning: %s\n", text.c_str());
}

}  // namespace ink::diffusion
