// Warnings: what is allowed and is most likely a mistake. They go to the standard error, unless somebody listens.
#pragma once
#include <string>
#include <vector>

namespace ink {

// Says `text` to the innermost Warnings of this thread, or prints it.
void warn(const std::string& text);
// The same for what a training loop would say at every step: of the texts that are equal up to the first ':' only the
// first is printed. Whoever listens hears all.
void warn_once(const std::string& text);

// Collects this thread's warnings while it lives, instead of having them printed.
class Warnings {
 public:
  Warnings();
  ~Warnings();
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;
  std::vector<std::string> texts;

 private:
  Warnings* outer_;
};

}  // namespace ink
