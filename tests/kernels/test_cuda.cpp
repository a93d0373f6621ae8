// What a user does with a CUDA device: moving tensors, memory, errors, pinned copies, captured steps.
#include "tensor/cuda.h"

#include "autograd/ops.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/sequential.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tensor/allocator.h"
#include "tensor/capture.h"
#include "tests/catch.h"

#include <cmath>

using namespace ink;

namespace {

const Device gpu = Device::cuda();
void need_device() {
  if (!cuda_is_available()) skip_program(("no CUDA device: " + cuda_status()).c_str());
}
bool equal_values(const Tensor& a, const Tensor& b) { return equal(a.to(Device::cpu()), b.to(Device::cpu())); }

struct SwitchScope {  // restores the process's switches
  CudaOptions before = cuda_options();
  ~SwitchScope() { cuda_options() = before; }
};

}  // namespace

TEST_CASE("the device says what it is, and which do not exist", "[cuda]") {
  need_device();
  CHECK(cuda_device_count() >= 1);
  CHECK_THAT(cuda_status(), contains("cuda:0") && contains("GiB"));
  CHECK_THROWS_AS(zeros({2}, Device::cuda(15)), DeviceError);
  CHECK_THROWS_WITH(ones({2}).to(Device::cuda(15)),
                    contains("device: no such device; got cuda:15; expected cpu or cuda:0"));
  CHECK_THROWS_AS(memory_stats(Device::cuda(15)), DeviceError);
  Tensor a = ones({2}, Device::cpu()), b = ones({2}, gpu);
  CHECK_THROWS_WITH(a + b, contains("cpu") && contains("cuda:0"));
  CHECK_THROWS_WITH(matmul(ones({2, 2}, gpu), ones({2, 2}, Device::cpu())), contains("cpu") && contains("cuda:0"));
  CHECK_THROWS_AS(b.data<float>(), DeviceError);
  CHECK((b + b).sum().item() == 4);  // and the process goes on
}

TEST_CASE("tensors of every dtype and layout travel to the device and back", "[cuda]") {
  need_device();
  DefaultDevice cpu(Device::cpu());
  for (DType t : {f32, f64, f16, bf16, c64, c128, i64, i32, u8, boolean}) {
    Tensor x = (arange(0, 60, 1, f64) * 0.5).to(t).reshape({3, 4, 5});
    INFO(name_of(t));
    CHECK(equal_values(x.to(gpu), x));
    CHECK(equal_values(x.transpose(0, 2).to(gpu), x.transpose(0, 2)));
    CHECK(equal_values(x.to(gpu).transpose(0, 2).to(Device::cpu()), x.transpose(0, 2)));
    CHECK(x.to(gpu).device() == gpu);
  }
  CHECK(zeros({0, 3}, f32).to(gpu).to(Device::cpu()).shape() == Shape{0, 3});
  Tensor leaf = ones({3}).requires_grad_();  // a copy between devices has a gradient
  (leaf.to(gpu) * 2).sum().backward();
  CHECK(leaf.grad().device() == Device::cpu());
  CHECK(equal_values(leaf.grad(), full({3}, 2)));
}

TEST_CASE("pinned memory is copied without waiting", "[cuda]") {
  need_device();
  DefaultDevice cpu(Device::cpu());
  Tensor x = arange(0, 1000, 1, f32), pinned = pin_memory(x);
  CHECK(pinned.device() == Device::cpu());
  CHECK(equal_values(pinned, x));
  Tensor there = pinned.to(gpu, true), back = (there * 2).to(Device::cpu(), true);
  cuda_synchronize();
  CHECK(equal_values(back, x * 2));
  CHECK(pin_memory(zeros({0})).numel() == 0);
}

TEST_CASE("the device's memory is counted, kept, and runs out with a MemoryError", "[cuda][memory]") {
  need_device();
  allocator(gpu).release_cached();
  const int64_t live = memory_stats(gpu).live;
  allocator(gpu).reset_peak();
  {
    Tensor x = zeros({1 << 20}, gpu), y = x + 1;
    CHECK(memory_stats(gpu).live == live + (8 << 20));
  }
  CHECK(memory_stats(gpu).live == live);
  CHECK(memory_stats(gpu).peak >= live + (8 << 20));
  CHECK_THROWS_WITH(zeros({int64_t(1) << 40}, gpu), contains("cuda:0 has not enough memory") &&
                                                        contains("4398046511104 bytes") && contains("live") &&
                                                        contains("free"));
  CHECK(ones({4}, gpu).sum().item() == 4);
}

TEST_CASE("an index out of range is reported by the next synchronisation, by name", "[cuda][errors]") {
  need_device();
  SwitchScope scope;
  cuda_options().sync = false;
  Tensor x = arange(0, 6, 1, {f32, gpu}).reshape({3, 2}), bad = tensor({0, 3}, {i64, gpu});
  Tensor y;
  CHECK_NOTHROW(y = index_select(x, 0, bad));
  CHECK_THROWS_WITH(y.to(Device::cpu()), contains("index_select: index out of range; got 3; expected -3 to 2"));
  CHECK_NOTHROW(cuda_synchronize());                 // reported once
  CHECK(equal_values(y, tensor({{0, 1}, {0, 0}})));  // what was outside is read as 0
  CHECK_NOTHROW(gather(x, 0, tensor({{-4, 0}}, {i64, gpu})));
  CHECK_THROWS_AS(cuda_synchronize(), IndexError);
  cuda_options().sync = true;  // now the op itself throws
  CHECK_THROWS_WITH(index_select(x, 0, bad), contains("index_select: index out of range; got 3"));
  CHECK_THROWS_WITH(cross_entropy(x, tensor({0, 1, 2}, {i64, gpu})),
                    contains("a target is not a class; got 2 in row 2"));
  CHECK(x.sum().item() == 15);
}

TEST_CASE("uniform numbers are the CPU's, bit for bit", "[cuda][random]") {
  need_device();
  for (DType t : {f32, f64, f16, bf16})
    for (int64_t n : {1, 3, 1000}) {
      manual_seed(3);
      rand({1}, {f32, Device::cpu()});  // not at the start of the stream
      Generator::State before = default_generator().state;
      Tensor here = rand({n}, {t, Device::cpu()}), ints = randint(-5, 100, {n}, {i64, Device::cpu()});
      default_generator().state = before;
      CHECK(equal_values(rand({n}, {t, gpu}), here));
      CHECK(equal_values(randint(-5, 100, {n}, {i64, gpu}), ints));
    }
  manual_seed(3);
  Tensor here = randn({1001}, {f64, Device::cpu()});
  manual_seed(3);
  CHECK(allclose(randn({1001}, {f64, gpu}).to(Device::cpu()), here, 1e-12, 1e-12));
}

// A small net with dropout, trained in two ways that must agree bit for bit.
namespace {
struct Training {
  Sequential net{Linear(4, 16), Tanh(), Linear(16, 1)};
  Tensor x, y, loss;
  AdamW adam;
  Training() : adam((net.to(gpu), net.parameters()), {.lr = 1e-2}) {
    Generator g(5);
    x = randn({32, 4}, gpu, &g), y = randn({32, 1}, gpu, &g);
  }
  void step() {
    Tensor d = mse_loss(dropout(net.forward(x), 0.2), y);
    adam.zero_grad();
    d.backward();
    adam.step();
    loss = d.detach();
  }
};
}  // namespace

TEST_CASE("replays of a captured step are the steps they stand for", "[cuda][graph]") {
  need_device();
  manual_seed(1);
  Training eager;
  std::vector<double> losses;
  manual_seed(2);
  for (int i = 0; i < 8; ++i) {
    eager.adam.set_lr(0, 1e-2 / (1 + i));  // a schedule
    eager.step();
    losses.push_back(eager.loss.item());
  }
  manual_seed(1);
  Training captured;
  manual_seed(2);
  captured.adam.set_lr(0, 1e-2);
  captured.step();  // makes the optimizer's state
  CHECK(captured.loss.item() == losses[0]);
  CudaGraph graph([&] { captured.step(); });
  Tensor bystander = ones({1000}, gpu);  // memory made after the capture is not the graph's
  for (int i = 1; i < 8; ++i) {
    captured.adam.set_lr(0, 1e-2 / (1 + i));
    graph.replay();
    CHECK(captured.loss.item() == losses[size_t(i)]);
  }
  CHECK(bystander.sum().item() == 1000);
  Generator::State now = default_generator().state;
  eager.step();
  default_generator().state = now;
  captured.step();  // the program may go on without the graph
  CHECK(captured.loss.item() == eager.loss.item());
}

TEST_CASE("numbers that live outside a captured step are fresh in each replay", "[cuda][graph]") {
  need_device();
  double scale = 2;
  Tensor x = ones({3}, gpu), y, u;
  CudaGraph graph([&] {
    y = x * live_number([&] { return scale; }, gpu);
    u = rand({3}, gpu);
  });
  graph.replay();
  Tensor first = u.clone();
  CHECK(y.sum().item() == 6);
  scale = 5;
  x.fill_(10);
  graph.replay();
  CHECK(y.sum().item() == 150);
  CHECK_FALSE(equal(first, u));
  Tensor w = ones({2}, gpu).requires_grad_();
  SGD sgd({w}, {.lr = 1});
  (w * 3).sum().backward();
  sgd.step();
  CudaGraph step([&] { sgd.zero_grad(), (w * 3).sum().backward(), sgd.step(); });
  sgd.set_lr(0, 0.5);
  step.replay();
  CHECK(std::abs(w.detach().sum().item() + 7) < 1e-5);
}

TEST_CASE("what cannot be captured says so, and leaves the device usable", "[cuda][graph][errors]") {
  need_device();
  Tensor x = ones({3}, gpu);
  CHECK_THROWS_WITH(CudaGraph([&] { (void)x.sum().item(); }), contains("a captured step cannot wait for the device"));
  CHECK_THROWS_WITH(CudaGraph([&] { (void)ones({3}, Device::cpu()).to(gpu); }), contains("cannot copy from the CPU"));
  CHECK_THROWS_WITH(CudaGraph([&] { CudaGraph inner([&] { x.sum(); }); }), contains("being captured already"));
  Tensor w = ones({2}, gpu).requires_grad_();
  w.sum().backward();
  AdamW adam({w});
  CHECK_THROWS_WITH(CudaGraph([&] { adam.step(); }), contains("do one step before capturing"));
  CHECK(x.sum().item() == 3);
}
