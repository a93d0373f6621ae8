// A step that is recorded once and replayed. Launching a kernel costs microseconds, a small training step launches
// hundreds of them; a CUDA graph launches all of them at once.
//
//   step();                                       // once as usual: optimizers make their state, libraries warm up
//   CudaGraph graph([&] { loss = step(); });      // records; nothing is computed
//   for (...) { input.copy_(batch); graph.replay(); }   // then loss.item() is this replay's
//
// A replay does what was recorded, on the same memory, whatever the host would decide now. What changes from step to
// step lives on the device and is refreshed by each replay: the place in the streams of random numbers, Adam's step
// count and learning rate, and every live_number.
#pragma once
#include <memory>
#include <utility>

#include "tensor/function_ref.h"
#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

class CudaGraph {
 public:
  // Records what step() launches on the device. CudaError if it needs a value on the host (item, nonzero, a copy from
  // the CPU), and the graph is then empty; DeviceError without such a device.
  explicit CudaGraph(FunctionRef<void()> step, Device device = Device::cuda());
  ~CudaGraph();
  CudaGraph(CudaGraph&&) noexcept;
  CudaGraph& operator=(CudaGraph&&) noexcept;
  void replay();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// ---- what ops with changing numbers ask for
struct RandomKey;  // tensor/backend/kernels.h

namespace capture {

bool active();  // is this thread recording a step?
// What fills a few bytes on the host before each replay; they are then copied to the device.
struct Refresh {
  virtual ~Refresh() = default;
  virtual void operator()(void* bytes) = 0;
};
template <class F> struct RefreshBy final : Refresh {
  F f;
  explicit RefreshBy(F f) : f(std::move(f)) {}
  void operator()(void* bytes) override { f(bytes); }
};
// Device memory (u8 [bytes]) refreshed before each replay. Only while active().
Tensor live(int64_t bytes, std::unique_ptr<Refresh> refresh);
template <class F> Tensor live(int64_t bytes, F f) {
  return live(bytes, std::unique_ptr<Refresh>(new RefreshBy<F>(std::move(f))));
}
// The next n positions of a generator; in a captured step they follow the generator at each replay.
RandomKey random_key(Generator& generator, int64_t n);
Tensor number_of(const Tensor& live_bytes, const Options& options);  // the f64 they hold, as a 0-dim tensor

}  // namespace capture

// A 0-dim tensor with the value f() has now and, when made inside a captured step, has before each replay: a learning
// rate, a loss scale.
template <class F> Tensor live_number(F f, const Options& options = {}) {
  if (!capture::active()) return Tensor(Scalar(double(f()))).to(options);
  Tensor bytes = capture::live(sizeof(double), [f = std::move(f)](void* out) { *static_cast<double*>(out) = f(); });
  return capture::number_of(bytes, options);
}

}  // namespace ink
