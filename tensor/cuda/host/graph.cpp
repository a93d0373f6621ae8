// CUDA graphs: capture of a step, and its replay with fresh numbers.
#include "tensor/cuda/host/graph.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "tensor/cuda/host/device.h"
#include "tensor/cuda/host/memory.h"
#include "tensor/error.h"
#include "tensor/raw/raw.h"

namespace ink::cuda {
namespace {

struct Captured final : CudaGraph::State {
  struct Live {
    Tensor memory;  // u8, on the device
    std::vector<char> bytes;
    std::unique_ptr<capture::Refresh> refresh;
  };
  struct Stream {  // a generator as the step uses it
    Generator* generator;
    uint64_t start;  // where it stood when the step first asked
    uint64_t count;  // how many positions a step takes
    const uint64_t* live;
  };

  explicit Captured(Device device) : device(device), pool(device.index) {}
  ~Captured() override {
    if (executable) cudaGraphExecDestroy(executable);
  }

  Tensor live(int64_t bytes, std::unique_ptr<capture::Refresh> refresh) override {
    pool.end();  // a block of the pool may have served, and be written by, what was recorded before
    lives.push_back({raw::empty({bytes}, {u8, device}), std::vector<char>(size_t(bytes)), std::move(refresh)});
    pool.begin();
    return lives.back().memory;
  }

  Stream& stream_of(Generator& g) {
    for (auto& s : streams)
      if (s->generator == &g) return *s;
    Stream* s = streams.emplace_back(std::make_unique<Stream>(Stream{&g, g.state.offset, 0, nullptr})).get();
    auto now = [s](void* out) {
      uint64_t* key = static_cast<uint64_t*>(out);
      key[0] = s->generator->state.seed;
      key[1] = s->generator->advance(s->count);
    };
    auto refresh = std::make_unique<capture::RefreshBy<decltype(now)>>(now);
    s->live = static_cast<const uint64_t*>(live(2 * sizeof(uint64_t), std::move(refresh)).raw_data());
    return *s;
  }

  RandomKey random_key(Generator& g, int64_t n) override {
    const Stream& s = stream_of(g);
    return {g.state.seed, g.advance(uint64_t(n)) - s.start, s.live};
  }

  void replay() override {
    DeviceState& d = use(device.index);
    for (auto& l : lives) {
      (*l.refresh)(l.bytes.data());
      copy(l.memory.raw_data(), device, l.bytes.data(), Device::cpu(), int64_t(l.bytes.size()), true);
    }
    check(cudaGraphLaunch(executable, d.stream), "replay");
  }

  Device device;
  Pool pool;  // first in, last out: tensors of `lives` stand in it
  std::vector<Live> lives;
  std::vector<std::unique_ptr<Stream>> streams;
  cudaGraphExec_t executable = nullptr;
};

// Between its ends the device's stream records, and memory comes from the graph's pool.
class Recording {
 public:
  explicit Recording(Captured& s) : state_(s), device_(use(s.device.index)) {
    if (capture::recording || capturing(device_))
      throw CudaError("capture: a step is being captured already; hint: one at a time");
    synchronize(device_, "capture");
    check(cudaStreamBeginCapture(device_.stream, cudaStreamCaptureModeThreadLocal), "capture");
    state_.pool.begin();
    capture::recording = &s;
  }
  ~Recording() {
    capture::recording = nullptr;
    state_.pool.end();
    for (auto& s : state_.streams) {  // recording draws nothing
      s->count = s->generator->state.offset - s->start;
      s->generator->state.offset = s->start;
    }
    if (ended_) return;
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(device_.stream, &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
  }
  void end() {
    ended_ = true;
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(device_.stream, &graph), "capture");
    cudaError_t e = cudaGraphInstantiate(&state_.executable, graph, 0);
    cudaGraphDestroy(graph);
    check(e, "capture");
  }

 private:
  Captured& state_;
  DeviceState& device_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<CudaGraph::State> capture_step(FunctionRef<void()> step, Device device) {
  auto captured = std::make_unique<Captured>(device);
  Recording recording(*captured);
  step();
  recording.end();
  return captured;
}

}  // namespace ink::cuda
