// Tensors, graphs and modules that are alive when a program or a thread ends: their destructors, and ops called there.
#include <vector>

#include "autograd/graph/checkpoint.h"
#include "autograd/graph/engine.h"
#include "autograd/graph/function.h"
#include "autograd/ops.h"
#include "nn/data/loader.h"
#include "nn/models/gpt.h"
#include "tensor/cuda.h"
#include "tests/process/cases.h"

using namespace ink;

namespace {

// Every op family that keeps something of its own, forward and backward.
Tensor work(Device device) {
  Tensor x = rand({4, 8, 8}, {f32, device}).requires_grad_();
  Tensor y = matmul(x, x) + softmax(x, -1);
  y = y + to(abs(fft(y)), f32) + dropout(y, 0.5, true);
  y = y + conv2d(y.unsqueeze(0), ones({4, 4, 3, 3}, {f32, device}), {}, {.padding = 1})[0];
  return y.square().sum();
}
void differentiate(Device device) {
  Tensor loss = work(device);
  loss.backward();
  EXPECT(loss.item() > 0);
}

struct Cube : Function<Cube> {
  Tensor forward(const TensorList& in) {
    save(in[0]);
    return in[0] * in[0] * in[0];
  }
  TensorList backward(const Tensor& g) override { return {g * 3 * square(saved(0))}; }
};

struct Net {
  std::unique_ptr<GPT> gpt;
  Tensor out;
};
Net net;  // made before anything of the library has been used

void net_with_output() {
  net.gpt = std::make_unique<GPT>(GPTOptions{.vocabulary = 16, .context = 8, .dim = 16, .heads = 2, .layers = 2});
  net.out = net.gpt->forward(zeros({2, 8}, i64));
}

std::vector<Tensor> losses;
void list_of_losses() {
  for (int i = 0; i < 3; ++i) losses.push_back(work(Device::cpu()));
  Tensor leaf = ones({4}).requires_grad_();
  losses.push_back(Cube::apply({leaf}).sum());
  losses.push_back(checkpoint([](const TensorList& in) { return exp(in[0]) * in[0]; }, {leaf}).sum());
  losses.push_back(checkpoint([](const TensorList& in) { return exp(in[0]) * in[0]; }, {leaf}).sum());
  losses.back().backward();
}

void long_chain() {  // freed without recursion, also at the end
  Tensor x = ones({1}).requires_grad_();
  for (int i = 0; i < 200000; ++i) x = x + 1;
  losses.push_back(x);
}

void backward_at_exit() {
  std::atexit([] { differentiate(Device::cpu()); });
  differentiate(Device::cpu());
}
struct AtEnd {
  ~AtEnd() {
    if (used) differentiate(Device::cpu());
  }
  bool used = false;
} at_end;
void first_use_at_exit() { at_end.used = true; }

// A thread's own variable that is older than what the library keeps for the thread.
struct OfThread {
  Tensor loss;
  bool work_at_end = false;
  ~OfThread() {
    if (work_at_end) differentiate(loss.defined() ? loss.device() : Device::cpu());
  }
};
thread_local OfThread of_thread;
void threads_with_graphs() {
  for (bool at_end : {false, true}) {
    std::thread first([&] {
      of_thread.work_at_end = at_end;
      of_thread.loss = work(Device::cpu());
    });
    first.join();
  }
  of_thread.work_at_end = true;
  of_thread.loss = work(Device::cpu());
}

std::unique_ptr<DataLoader> loader;
void loader_alive() {
  loader = std::make_unique<DataLoader>(TensorDataset({arange(0, 100, 1)}), LoaderOptions{.batch_size = 3});
  for (int i = 0; i < 5; ++i) (void)loader->next();
}

// ---- the same on a CUDA device
void device_graph() {
  if (!cuda_is_available()) return;
  losses.push_back(work(Device::cuda()));
  net.out = pin_memory(ones({8}));
  of_thread.loss = work(Device::cuda());
}
void device_at_exit() {
  if (!cuda_is_available()) return;
  std::atexit([] { differentiate(Device::cuda()); });
  device_graph();
  of_thread.work_at_end = true;
  std::thread([] {
    of_thread.loss = work(Device::cuda());
    of_thread.work_at_end = true;
  }).join();
}

}  // namespace

int main(int argc, char** argv) {
  constexpr test::Case cases[] = {{"net with its output", net_with_output},
                                  {"list of losses", list_of_losses},
                                  {"long chain", long_chain},
                                  {"backward at exit", backward_at_exit},
                                  {"first use at exit", first_use_at_exit},
                                  {"threads with graphs", threads_with_graphs},
                                  {"loader alive", loader_alive},
                                  {"device graph", device_graph},
                                  {"device at exit", device_at_exit}};
  return test::run_cases(argc, argv, cases);
}
