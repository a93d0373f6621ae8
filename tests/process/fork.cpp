// fork() beside threads that allocate, compute, load batches and differentiate: the child goes on as if it were alone.
#include <atomic>
#include <vector>

#include "autograd/graph/engine.h"
#include "autograd/ops.h"
#include "nn/data/loader.h"
#include "nn/layers/linear.h"
#include "tensor/allocator.h"
#include "tensor/cuda.h"
#include "tensor/parallel.h"
#include "tests/process/cases.h"

using namespace ink;

// Of the cases beside threads, unused under AddressSanitizer.
#pragma GCC diagnostic ignored "-Wunused-function"

namespace {

constexpr int kForks = 40;

// Forks so many times while `busy` runs over and over in two threads; `child` must come to its end in each child.
template <class B, class C> void fork_beside(B busy, C child, int forks = kForks) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      while (!stop) busy(i);
    });
  for (int i = 0; i < forks; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      child();
      _exit(0);
    }
    const int end = test::end_of(pid, 20);
    if (end != 0) std::fprintf(stderr, "child %d ends with %d\n", i, end), std::_Exit(1);
  }
  stop = true;
  for (auto& t : threads) t.join();
}

void allocate_and_free() {
  std::vector<Tensor> kept;
  for (int64_t n = 1; n < 3000000; n = n * 3 + 1) kept.push_back(zeros({n}));
}
void compute() {
  Tensor x = ones({300, 300}).requires_grad_();
  (x + matmul(x, x)).sum().backward();
  EXPECT(x.grad().sum().item() > 0);
  EXPECT((to(abs(fft(ones({60}))), f32)).sum().item() == 60);
}

void beside_allocation() {
  fork_beside([](int) { allocate_and_free(); }, [] { allocate_and_free(), cpu_allocator().release_cached(); });
}
void beside_release() {
  fork_beside([](int) { allocate_and_free(), cpu_allocator().release_cached(); }, allocate_and_free);
}
void beside_computation() {
  fork_beside([](int) { compute(); }, compute);
}
void beside_products() {  // small ones: OpenBLAS is entered and left all the time
  Tensor a = ones({24, 24}), v = ones({24, 1});
  fork_beside([&](int) { matmul(a, a), matmul(a, v); }, [&] { EXPECT(matmul(a, a).sum().item() == 24 * 24 * 24); });
}
void beside_transforms() {  // plans are made and looked up under a lock
  std::atomic<int64_t> n = 2;
  fork_beside([&](int) { fft(ones({1 + n++ % 3000})); }, [&] { fft(ones({3001 + n % 1000})); });
}
void beside_modules() {  // modules are listed while they live
  fork_beside([](int) { Linear(2, 2); }, [] { Linear(2, 2); });
}
void beside_gradients() {  // additions to one parameter's gradient
  Linear net(8, 8);
  Tensor x = ones({4, 8});
  fork_beside([&](int) { net.forward(x).sum().backward(); }, [&] { net.forward(x).sum().backward(); });
}

// The pool's workers do not come along: the child starts its own, as many.
void pool_in_child() {
  set_num_threads(3);
  for (int i = 0; i < 30; ++i) {
    compute();
    const pid_t pid = fork();
    if (pid == 0) {
      EXPECT(num_threads() == 3);
      std::atomic<int> pieces = 0;
      parallel_for(100, 1, [&](int64_t, int64_t) { ++pieces; });
      EXPECT(pieces == 100);
      set_num_threads(2);
      compute();
      const pid_t grandchild = fork();
      if (grandchild == 0) compute(), _exit(0);
      _exit(test::end_of(grandchild));
    }
    EXPECT(test::end_of(pid) == 0);
  }
}

// Both go on with the batch that is next; the child's loader makes it with a thread of its own.
void loader_in_child() {
  for (int i = 0; i < 10; ++i) {
    DataLoader loader(TensorDataset({arange(0, 100, 1)}), {.batch_size = 10, .shuffle = true, .seed = 7});
    DataLoader same(TensorDataset({arange(0, 100, 1)}),
                    {.batch_size = 10, .shuffle = true, .prefetch = false, .seed = 7});
    for (int k = 0; k < 1 + i; ++k) (void)loader.next(), (void)same.next();
    auto go_on = [&] {
      for (int k = 0; k < 15; ++k) EXPECT(all(loader.next()[0] == same.next()[0]).item<bool>());
      loader.load_state_dict(same.state_dict());
      DataLoader moved = std::move(loader);
      EXPECT(all(moved.next()[0] == same.next()[0]).item<bool>());
    };
    const pid_t pid = fork();
    if (pid == 0) {
      go_on();
      _exit(0);
    }
    EXPECT(test::end_of(pid) == 0);
    go_on();
  }
}
void loader_unused_in_child() {  // its destructor waits for no thread of the parent
  auto* loader = new DataLoader(TensorDataset({arange(0, 100, 1)}), {.batch_size = 10});
  (void)loader->next();
  const pid_t pid = fork();
  if (pid == 0) {
    delete loader;
    _exit(0);
  }
  EXPECT(test::end_of(pid) == 0);
  delete loader;
}

// A simulated device is memory of the process like any other.
void device_in_child() {
  if (!cuda_is_simulated()) return;
  const Options there{f32, Device::cuda()};
  fork_beside([&](int i) { i == 0 ? (void)zeros({1000}, there) : allocate_and_free(); },
              [&] { EXPECT((ones({1000}, there) + 1).sum().item() == 2000); }, 10);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr test::Case cases[] = {
#ifndef __SANITIZE_ADDRESS__  // whose own allocator does not survive a fork beside a thread that allocates
      {"beside allocation", beside_allocation},
      {"beside release", beside_release},
      {"beside computation", beside_computation},
      {"beside products", beside_products},
      {"beside transforms", beside_transforms},
      {"beside modules", beside_modules},
      {"beside gradients", beside_gradients},
      {"device in child", device_in_child},
#endif
      {"pool in child", pool_in_child},
      {"loader in child", loader_in_child},
      {"loader unused in child", loader_unused_in_child}};
  return test::run_cases(argc, argv, cases);
}
