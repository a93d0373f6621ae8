// scratch
#include "examples/09c_mamba/nets.h"
#include <chrono>
using namespace ink; using namespace ink::lesson;
int main(int argc, char** argv) {
  std::string task = argv[1]; bool sel = atoi(argv[2]); int64_t steps = atoi(argv[3]); double lr = atof(argv[4]); int seed = atoi(argv[5]);
  int64_t L = atoi(argv[6]), vocab = atoi(argv[7]), D = atoi(argv[8]), N = atoi(argv[9]), layers = atoi(argv[10]), batch = atoi(argv[11]), count = argc > 12 ? atoi(argv[12]) : 8;
  manual_seed(seed);
  Generator g(seed + 1), gt(999);
  auto make = [&](int64_t b, int64_t len, Generator& g) { return task == "ind" ? induction(b, len, vocab, g) : selective_copying(b, len, count, vocab, g); };
  MambaNet net(task == "ind" ? vocab : vocab + 2, D, N, layers, sel ? Selection{} : kHeldConstant);
  AdamW opt(net.parameters(), {.lr = lr, .weight_decay = 0.01});
  Scheduler sch(opt, Cosine{.steps = steps, .warmup = std::min<int64_t>(100, steps / 4), .floor = 0.05});
  auto t0 = std::chrono::steady_clock::now();
  double s = 0; int every = std::max<int64_t>(1, steps / 20);
  for (int64_t i = 1; i <= steps; ++i) {
    Asked b = make(batch, L, g);
    Tensor l = cross_entropy(net.forward(b).flatten(0, 1), b.targets.flatten());
    l.backward(); clip_grad_norm_(net.parameters(), 1); opt.step(); opt.zero_grad(); sch.step();
    s += l.item();
    if (i % every == 0) { fmt::print("{} loss {:.3f} acc {:.3f} {:.1f}s\n", i, s / every, accuracy(net, make(128, L, gt)), std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count()); s = 0; fflush(stdout); }
  }
  fmt::print("params {}\n", net.num_parameters());
  for (int64_t len = L; len <= 2048 && steps >= 300; len *= 2) fmt::print("len {} acc {:.3f}\n", len, accuracy(net, make(len > 512 ? 16 : 64, len, gt)));
}
