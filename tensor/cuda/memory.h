// The private memory of a captured graph.
#pragma once
#include <memory>

namespace ink::cuda {

// Between begin() and end() the device's allocations come from this pool. What it has handed out goes back to it, and is
// never used for anything else: a replay writes there again.
class Pool {
 public:
  struct Blocks;
  explicit Pool(int device);
  void begin();
  void end();

 private:
  int device_;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace ink::cuda
