// The CUDA simulator (tensor/cuda/sim): its runtime here, its language in tests/sim/language.cu, and kernels with a
// mistake, each of which must be caught with a text that leads to it.
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "tensor/cuda/sim/block.h"
#include "tensor/error.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/sim/broken.h"
#include "tests/sim/buffer.h"

using namespace ink;
using cuda::launch;

namespace {

__global__ void add(int* y, int value) { y[blockIdx.x * blockDim.x + threadIdx.x] += value; }
__global__ void reverse(int* y) {
  INK_SHARED(int[64], tile);
  tile[threadIdx.x] = y[blockIdx.x * 64 + threadIdx.x];
  __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = tile[63 - threadIdx.x] + 1;
}

// What the CudaError of a broken kernel says.
std::string error_of(const char* name) {
  for (const Broken& b : broken_kernels()) {
    if (std::string(b.name) != name) continue;
    try {
      b.run();
    } catch (const CudaError& e) { return e.what(); }
    return "nothing was found";
  }
  return "no such kernel";
}

// What a process of its own says when it runs the kernel.
std::string output_of(const std::string& name, const std::string& settings = "") {
  std::string out;
  FILE* child = popen((settings + " '" INK_BROKEN_KERNEL "' " + name + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, child)) out.append(buffer, n);
  const bool ended_well = pclose(child) == 0;
  return out + (ended_well ? "ended well" : "died");
}

struct Settings {  // restores the simulator's, and the number of CPU threads
  sim::Options before = sim::options();
  int threads = num_threads();
  ~Settings() {
    sim::set_options(before);
    set_num_threads(threads);
  }
};

}  // namespace

TEST_CASE("a broken kernel fails with its place and what is wrong", "[sim]") {
  auto says = [](const char* name, std::initializer_list<const char*> parts) {
    const std::string text = error_of(name);
    INFO(name);
    for (const char* part : parts) CHECK_THAT(text, contains(part));
  };
  const char* someone = ", block (";  // which depends on the seed and the number of CPU threads
  says("some_return", {"some_return: kernel some_return, block (", "barrier not reached by all: 20 threads",
                       "__syncthreads at broken.cu:", "; 12 have ended", "cudaErrorLaunchFailure"});
  says("two_barriers", {"two_barriers", someone, "__syncthreads at broken.cu:", ", while thread (",
                        "waits in __syncthreads at broken.cu:", "every thread must reach the same barrier"});
  says("barrier_and_shuffle",
       {"barrier not reached by all: ", "__syncthreads at broken.cu", "__shfl_sync at broken.cu"});
  says("not_in_own_mask", {someone, "__shfl_sync at broken.cu:", " is not in its own mask 0x0000ffff"});
  says("lane_never_comes", {"barrier not reached by all: 31 threads", "wait in __shfl_sync at broken.cu:",
                            "with mask 0xffffffff; 1 have ended, thread (7, 0, 0)"});
  says("mask_beyond_block",
       {"__any_sync at broken.cu:", "mask 0xffffffff names lanes that do not exist; the warp has 20"});
  says("other_intrinsic", {"barrier not reached by all: 16 threads", "__any_sync", "__all_sync"});
  says("from_outside_mask", {someone, "a shuffle reads a lane that its mask does not name, at broken.cu:"});
  says("misaligned", {someone, "misaligned vector access, at broken.cu:"});
  says("misaligned_copy", {someone, "cp.async: an address is not a multiple of 16, at broken.cu:"});
  says("throws", {"thread (5, 0, 0): an exception left the kernel: no good"});
  says("too_much_shared", {someone, "static shared memory of 80000 bytes is too much", "at broken.cu:"});
  says("launches", {"a kernel cannot launch another one"});
  says("too_many_threads", {"too_many_threads: the launch is beyond the device's limits",
                            "40 x 1 x 1 blocks of 64 x 32 x 1 threads with 1000 bytes"});
  says("too_many_blocks", {"1 x 70000 x 1 blocks"});
}

TEST_CASE("docs/kernels/simulator.md quotes what broken kernels really say", "[sim]") {
  Settings scope;
  sim::set_options({});
  set_num_threads(1);
  std::ifstream page(INK_SOURCE_DIR "/docs/kernels/simulator.md");
  int quoted = 0;
  for (std::string line; std::getline(page, line);) {
    size_t begin = line.find(" | kernel ");
    if (!line.starts_with("| ") || begin == std::string::npos || line.find("AddressSanitizer") != std::string::npos)
      continue;
    std::string message = line.substr(begin + 3, line.rfind(" |") - begin - 3);
    message = message.substr(0, message.find("..."));
    const std::string name = message.substr(7, message.find(',') - 7);
#ifdef __SANITIZE_ADDRESS__
    if (name == "static_overrun") continue;
#endif
    CHECK_THAT(error_of(name.c_str()), contains(message));
    ++quoted;
  }
  CHECK(quoted >= 8);
}

TEST_CASE("overruns are seen", "[sim]") {
#ifdef __SANITIZE_ADDRESS__
  for (const char* name : {"static_overrun", "dynamic_overrun"}) {
    const std::string out = output_of(name);
    CHECK_THAT(out, contains("AddressSanitizer: use-after-poison"));
    CHECK_THAT(out, contains(std::string("kernel ") + name + ", block ("));
    CHECK_THAT(out, contains("died"));
  }
  CHECK_THAT(output_of("past_the_end", "INK_SIM_GUARD=0"), contains("AddressSanitizer: heap-buffer-overflow"));
  CHECK_THAT(output_of("past_the_end", "INK_SIM_GUARD=0"), contains(", 0, 0), thread (255, 0, 0):"));
  CHECK_THAT(output_of("past_the_end", "INK_SIM_GUARD=0"), contains("in past_the_end"));
  CHECK_THAT(output_of("after_free", "INK_SIM_GUARD=0"), contains("AddressSanitizer: heap-use-after-free"));
  CHECK_THAT(output_of("past_the_end", "INK_SIM_GUARD=1"), contains("AddressSanitizer: use-after-poison"));
  CHECK_THAT(output_of("after_free", "INK_SIM_GUARD=1"), contains("AddressSanitizer: use-after-poison"));
#else
  CHECK_THAT(error_of("static_overrun"),
             contains("a write past the end of static shared memory: byte 128 of an array of 128"));
  CHECK_THAT(error_of("dynamic_overrun"),
             contains("a write past the end of dynamic shared memory: byte 124 of an array of 124"));
  WARN("built without AddressSanitizer: overruns of global memory are not checked");
#endif
}

TEST_CASE("host code that touches device memory dies when asked to", "[sim]") {
  const std::string guarded = output_of("host_touch", "INK_SIM_GUARD=1");
  CHECK_THAT(guarded, contains("host code touched device memory at 0x"));
  CHECK_THAT(guarded, contains("died"));
  CHECK_THAT(output_of("host_touch", "INK_SIM_GUARD=0"), contains("nothing was found\nended well"));
  CHECK_THAT(output_of("some_return", "INK_SIM_GUARD=1"), contains("barrier not reached by all"));
}

TEST_CASE("what nobody wrote shows in the result", "[sim]") {
  Settings scope;
  for (auto kernel : {unwritten_shared, copy_without_wait}) {
    sim::set_options({0, 0xff});
    const auto one = kernel(), again = kernel();
    sim::set_options({0, 0x55});
    CHECK(one == again);
    CHECK(one != kernel());
  }
}

TEST_CASE("a missing barrier shows in the result, and blocks that count on an order", "[sim]") {
  Settings scope;
  set_num_threads(1);
  std::set<std::vector<uint32_t>> right, wrong, blocks;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    sim::set_options({seed, 0xff});
    right.insert(no_barrier_missing());
    wrong.insert(missing_barrier());
    blocks.insert(block_order());
  }
  CHECK(right.size() == 1);
  CHECK(wrong.size() > 1);
  CHECK(blocks.size() == 2);
}

TEST_CASE("after a failed launch everything works as before", "[sim]") {
  Buffer<int> y(std::vector<int>(64 * 20));
  for (int round = 0; round < 100; ++round) {
    CHECK_THAT(error_of(round % 2 ? "two_barriers" : "lane_never_comes"), contains("cudaErrorLaunchFailure"));
    launch("reverse", reverse, 20, 64, 0, y.data());
  }
  CHECK(y.host() == std::vector<int>(64 * 20, 100));
}

TEST_CASE("launches from several threads at once, and from inside a loop", "[sim]") {
  for (int round = 0; round < 3; ++round) {
    std::vector<int> results[2];
    auto work = [&](int k) {
      Buffer<int> y(std::vector<int>(64 * 8));
      for (int i = 0; i < 50; ++i) launch("reverse", reverse, 8, 64, 0, y.data());
      results[k] = y.host();
    };
    std::thread one(work, 0), two(work, 1);  // new ones each time: what they kept goes with them
    one.join(), two.join();
    for (const auto& r : results) CHECK(r == std::vector<int>(64 * 8, 50));
  }
  std::vector<int> results[4];
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      Buffer<int> y(std::vector<int>(64 * 8));
      launch("reverse", reverse, 8, 64, 0, y.data());
      results[k] = y.host();
    }
  });
  for (const auto& r : results) CHECK(r == std::vector<int>(64 * 8, 1));
}

TEST_CASE("streams and events", "[sim]") {
  cudaStream_t stream;
  cudaEvent_t begin, end;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  REQUIRE(cudaEventCreate(&begin) == cudaSuccess);
  REQUIRE(cudaEventCreate(&end) == cudaSuccess);
  Buffer<int> y(std::vector<int>(32));
  CHECK(cudaEventRecord(begin, stream) == cudaSuccess);
  CHECK(cudaMemsetAsync(y.data(), 1, 32 * sizeof(int), stream) == cudaSuccess);
  CHECK(cudaEventRecord(end, stream) == cudaSuccess);
  CHECK(cudaEventSynchronize(end) == cudaSuccess);
  CHECK(cudaEventQuery(end) == cudaSuccess);
  float ms = -1;
  CHECK(cudaEventElapsedTime(&ms, begin, end) == cudaSuccess);
  CHECK(ms >= 0);
  CHECK(y.host() == std::vector<int>(32, 0x01010101));
  CHECK(cudaEventDestroy(begin) == cudaSuccess);
  CHECK(cudaEventDestroy(end) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("a captured stream does nothing until it is replayed", "[sim]") {
  cudaStream_t stream = cuda::stream();
  Buffer<int> x(std::vector<int>(64, 5)), y(std::vector<int>(64));
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK(cuda::capturing(cuda::current()));
  cudaMemcpyAsync(y.data(), x.data(), 64 * sizeof(int), cudaMemcpyDeviceToDevice, stream);
  for (int value = 1; value <= 3; ++value) launch("add", add, 2, 32, 0, y.data(), value);
  launch("reverse", reverse, 1, 64, 0, y.data());
  int calls = 0;
  sim::enqueue(stream, [&] { ++calls; });
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
  cudaGraph_t graph;
  cudaGraphExec_t step;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK_FALSE(cuda::capturing(cuda::current()));
  REQUIRE(cudaGraphInstantiate(&step, graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(y.host() == std::vector<int>(64, 0));
  for (int round = 1; round <= 2; ++round) {
    CHECK(cudaGraphLaunch(step, stream) == cudaSuccess);
    CHECK(y.host() == std::vector<int>(64, 5 + 1 + 2 + 3 + 1));
    CHECK(calls == round);
  }
  CHECK(cudaGraphExecDestroy(step) == cudaSuccess);
}

TEST_CASE("the devices' memory has an end", "[sim]") {
  size_t free = 0, total = 0;
  REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
  CHECK(free <= total);
  void* p = &free;
  CHECK(cudaMalloc(&p, free + 1) == cudaErrorMemoryAllocation);
  CHECK(p == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaFree(&total) == cudaErrorInvalidValue);
  cudaGetLastError();
}
