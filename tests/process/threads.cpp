// What docs/map.md says may be done from several threads ("Threads"), one case a line. CI runs this natively, under
// AddressSanitizer and under ThreadSanitizer.
#include <cmath>
#include <vector>

#include "autograd/graph/checkpoint.h"
#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/data/loader.h"
#include "nn/models/gpt.h"
#include "tensor/allocator.h"
#include "tensor/parallel.h"
#include "tests/process/cases.h"

using namespace ink;

namespace {

constexpr int kThreads = 3;

template <class F> void in_threads(F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&f, i] { f(i); });
  for (auto& t : threads) t.join();
}

// Ops on tensors that all read and nobody writes: the same numbers as alone.
void ops_on_shared_tensors() {
  set_num_threads(2);
  Tensor x = rand({130, 130});
  auto work = [&] { return (matmul(x, x) + softmax(x, -1) + exp(x)).sum().item(); };
  const double alone = work();
  in_threads([&](int) {
    for (int k = 0; k < 20; ++k) EXPECT(work() == alone);
  });
}

// Graphs of several threads meet in the parameters. Whole numbers: their sum is exact in any order.
void graphs_through_one_parameter() {
  constexpr int kPasses = 300;
  Tensor w = ones({8}).requires_grad_(), other = ones({8}).requires_grad_();
  in_threads([&](int i) {
    for (int k = 0; k < kPasses; ++k) {
      Tensor y = w * 2 + other;
      if (k % 3 == 0)
        (y * w).sum().backward();  // d/dw = 4 w + other + ... = 5, d/dother = w = 1
      else if (k % 3 == 1)
        y.sum().backward();  // 2 and 1
      else
        EXPECT(grad(y.sum(), w).sum().item() == 16);
    }
    (void)i;
  });
  EXPECT(all(w.grad() == kThreads * kPasses / 3 * 7).item<bool>());
  EXPECT(all(other.grad() == kThreads * kPasses / 3 * 2).item<bool>());
}

void second_derivatives_through_one_parameter() {
  Tensor w = full({4}, 2).requires_grad_();
  in_threads([&](int) {
    for (int k = 0; k < 50; ++k) {
      Tensor first = grad((w * w * w).sum(), w, {}, {.create_graph = true});
      EXPECT(grad(first.sum(), w).sum().item() == 4 * 12);
      backward({(w * w).sum()}, {}, {.create_graph = true});
    }
  });
  EXPECT(w.grad().sum().item() == kThreads * 50 * 4 * 4);
  w.zero_grad();  // a gradient with a graph leads back to its leaf
}

void gradients_read_set_and_forgotten() {
  Tensor w = ones({4}).requires_grad_();
  in_threads([&](int i) {
    for (int k = 0; k < 200; ++k) {
      (w * 3).sum().backward();
      Tensor g = w.grad();  // the handle; its elements are read when nobody adds to them
      if (i == 0 && k % 10 == 0) w.zero_grad();
      if (i == 1 && k % 10 == 0) w.set_grad(zeros({4}));
    }
  });
  w.zero_grad();
  (w * 3).sum().backward();
  EXPECT(w.grad().sum().item() == 12);
}

// One model, a copy of nothing: forward and backward of each thread's own batch.
void one_model() {
  GPT model({.vocabulary = 16, .context = 8, .dim = 16, .heads = 2, .layers = 2});
  auto loss = [&](int i) {
    return cross_entropy(model.forward(full({2, 8}, i, i64)).reshape({16, 16}), full({16}, i, i64));
  };
  std::vector<double> alone;
  for (int i = 0; i < kThreads; ++i) alone.push_back(loss(i).item());
  for (int i = 0; i < kThreads; ++i) loss(i).backward();
  std::vector<Tensor> expected;
  for (const Tensor& p : model.parameters()) expected.push_back(p.grad().clone()), p.zero_grad();
  in_threads([&](int i) {
    Tensor l = loss(i);
    EXPECT(l.item() == alone[size_t(i)]);
    l.backward();
  });
  size_t k = 0;
  for (const Tensor& p : model.parameters())
    EXPECT((p.grad() - expected[k++]).abs().max().item() < 1e-5);  // the order of three additions is open
}

// Copies of one state, each continued by a thread: whoever comes first goes on in the memory that they share.
void copies_of_a_state() {
  NoGrad guard;
  GPT model({.vocabulary = 16, .context = 32, .dim = 16, .heads = 2, .layers = 2});
  std::vector<BlockState> prompt;
  model.step(full({1, 5}, 3, i64), prompt);
  auto written = [&](int i) {
    NoGrad mine;
    std::vector<BlockState> states = prompt;
    Tensor logits;
    for (int64_t k = 0; k < 20; ++k) logits = model.step(full({1, 1}, (i + k) % 16, i64), states);
    return logits;
  };
  std::vector<Tensor> alone;
  for (int i = 0; i < kThreads; ++i) alone.push_back(written(i));
  for (int round = 0; round < 5; ++round) in_threads([&](int i) { EXPECT(equal(written(i), alone[size_t(i)])); });
}

// A graph belongs to one thread at a time; it may be handed on.
void graph_handed_over() {
  Tensor w = ones({4}).requires_grad_(), loss;
  std::thread([&] { loss = (exp(w) * w).sum(); }).join();
  std::thread([&] { loss.backward({}, true); }).join();
  std::thread([&] { loss = Tensor(); }).join();
  EXPECT(std::abs(w.grad().sum().item() - 4 * 2 * std::exp(1.0)) < 1e-5);
}

// What is switched for a scope is the thread's own.
void scopes() {
  Tensor w = ones({4}).requires_grad_();
  in_threads([&](int i) {
    for (int k = 0; k < 50; ++k) {
      if (i == 0) {
        NoGrad off;
        EXPECT(!(w * 2).requires_grad());
      } else {
        EXPECT((w * 2).requires_grad());
      }
    }
  });
}

// A generator serves one thread at a time; each thread draws from its own.
void generators() {
  std::vector<Tensor> alone;
  auto draw = [](int i) {
    Generator mine{uint64_t(i)};
    DefaultGenerator guard(mine);
    Tensor x = ones({64}).requires_grad_();
    auto noisy = [](const TensorList& in) { return dropout(in[0], 0.5, true) * in[0]; };
    Tensor y = checkpoint(noisy, {x});
    y.sum().backward();
    return cat({randn({8}), x.grad(), rand({8})}, 0);
  };
  for (int i = 0; i < kThreads; ++i) alone.push_back(draw(i));
  const Generator::State before = default_generator().state;
  in_threads([&](int i) {
    for (int k = 0; k < 20; ++k) EXPECT(all(draw(i) == alone[size_t(i)]).item<bool>());
  });
  EXPECT(default_generator().state == before);
}

void allocators() {
  in_threads([](int) {
    for (int k = 0; k < 20; ++k) {
      std::vector<Tensor> kept;
      for (int64_t n = 1; n < 100000; n = n * 3 + 1) kept.push_back(zeros({n}));
      if (k % 5 == 0) cpu_allocator().release_cached();
      (void)cpu_allocator().stats();
    }
  });
  // freed by another thread than the one that made it
  std::vector<Tensor> made;
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) made.push_back(zeros({i + 1}));
  }).join();
  std::thread([&] { made.clear(); }).join();
}

// A loader serves one thread; several of them may read one set of examples.
void loaders() {
  auto data = std::make_shared<const TensorDataset>(std::vector<Tensor>{arange(0, 100, 1)});
  in_threads([&](int) {
    DataLoader loader(data, {.batch_size = 7, .shuffle = true, .seed = 1});
    double sum = 0;
    for (const Batch& b : loader) sum += b[0].sum().item();
    EXPECT(sum == 4950);
  });
}

// Regions of several threads: one gets the pool, the others work alone.
void regions() {
  set_num_threads(3);
  in_threads([](int) {
    for (int k = 0; k < 200; ++k) {
      std::vector<int> seen(64, 0);
      parallel_for(64, 1, [&](int64_t b, int64_t e) {
        for (int64_t i = b; i < e; ++i) ++seen[size_t(i)];
      });
      for (int s : seen) EXPECT(s == 1);
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  constexpr test::Case cases[] = {{"ops on shared tensors", ops_on_shared_tensors},
                                  {"graphs through one parameter", graphs_through_one_parameter},
                                  {"second derivatives", second_derivatives_through_one_parameter},
                                  {"gradients read, set and forgotten", gradients_read_set_and_forgotten},
                                  {"one model", one_model},
                                  {"copies of a state", copies_of_a_state},
                                  {"graph handed over", graph_handed_over},
                                  {"scopes", scopes},
                                  {"generators", generators},
                                  {"allocators", allocators},
                                  {"loaders", loaders},
                                  {"regions", regions}};
  return test::run_cases(argc, argv, cases);
}
