// CUDA graphs: capture of a step, and its replay with fresh numbers.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "tensor/capture.h"
#include "tensor/cuda.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/memory.h"
#include "tensor/error.h"
#include "tensor/raw.h"

namespace ink {

struct CudaGraph::State {
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

  explicit State(Device device) : device(device), pool(device.index) {}
  ~State() {
    if (executable) cudaGraphExecDestroy(executable);
  }

  Tensor add(int64_t bytes, std::unique_ptr<capture::Refresh> refresh) {
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
    s->live = static_cast<const uint64_t*>(add(2 * sizeof(uint64_t), std::move(refresh)).raw_data());
    return *s;
  }

  Device device;
  cuda::Pool pool;  // first in, last out: tensors of `lives` stand in it
  std::vector<Live> lives;
  std::vector<std::unique_ptr<Stream>> streams;
  cudaGraphExec_t executable = nullptr;
};

namespace {

thread_local CudaGraph::State* recording = nullptr;

// Between its ends the device's stream records, and memory comes from the graph's pool.
class Recording {
 public:
  explicit Recording(CudaGraph::State& s) : state_(s), device_(cuda::use(s.device.index)) {
    if (recording || cuda::capturing(device_)) throw CudaError("capture: a step is being captured already; hint: one at a time");
    cuda::synchronize(device_, "capture");
    cuda::check(cudaStreamBeginCapture(device_.stream, cudaStreamCaptureModeThreadLocal), "capture");
    state_.pool.begin();
    recording = &s;
  }
  ~Recording() {
    recording = nullptr;
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
    cuda::check(cudaStreamEndCapture(device_.stream, &graph), "capture");
    cudaError_t e = cudaGraphInstantiate(&state_.executable, graph, 0);
    cudaGraphDestroy(graph);
    cuda::check(e, "capture");
  }

 private:
  CudaGraph::State& state_;
  cuda::DeviceState& device_;
  bool ended_ = false;
};

}  // namespace

CudaGraph::CudaGraph(FunctionRef<void()> step, Device device) : state_(std::make_unique<State>(device)) {
  Recording r(*state_);
  step();
  r.end();
}
CudaGraph::~CudaGraph() = default;
CudaGraph::CudaGraph(CudaGraph&&) noexcept = default;
CudaGraph& CudaGraph::operator=(CudaGraph&&) noexcept = default;

void CudaGraph::replay() {
  if (!state_ || !state_->executable) throw CudaError("replay: the graph is empty; it was moved from");
  cuda::DeviceState& d = cuda::use(state_->device.index);
  for (auto& l : state_->lives) {
    (*l.refresh)(l.bytes.data());
    cuda::copy(l.memory.raw_data(), state_->device, l.bytes.data(), Device::cpu(), int64_t(l.bytes.size()), true);
  }
  cuda::check(cudaGraphLaunch(state_->executable, d.stream), "replay");
}

namespace capture {

bool active() { return recording != nullptr; }

Tensor live(int64_t bytes, std::unique_ptr<Refresh> refresh) { return recording->add(bytes, std::move(refresh)); }

Tensor number_of(const Tensor& bytes, const Options& options) {
  Tensor number = raw::as_strided(bytes, {}, {}, 0);
  number.impl()->dtype = f64;
  return raw::cast(number, options.dtype);
}

RandomKey random_key(Generator& g, int64_t n) {
  if (!recording) return {g.state.seed, g.advance(uint64_t(n))};
  const CudaGraph::State::Stream& s = recording->stream_of(g);
  return {g.state.seed, g.advance(uint64_t(n)) - s.start, s.live};
}

}  // namespace capture
}  // namespace ink
