// Saves that are killed: the file is always one that was saved whole, and what a killed save leaves is removed by the
// next one in its folder.
#include <sys/mman.h>

#include <atomic>
#include <filesystem>

#include "autograd/ops.h"
#include "nn/layers/linear.h"
#include "nn/state.h"
#include "optim/adam.h"
#include "tensor/io.h"
#include "tests/process/cases.h"
#include "tests/support/temporary.h"

using namespace ink;

namespace {

constexpr int kKills = 40;
constexpr int64_t kSize = 20000;

int temporaries(const std::string& folder) {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    n += entry.path().filename().string().find("ink-save") != std::string::npos;
  return n;
}

// save(path, k) over and over in a child that is killed; load(path) must give the k of a whole file.
template <class S, class L> void kill_saves(S save, L load) {
  test::TemporaryFolder folder;
  const std::string path = folder / "file";
  const auto begin = std::chrono::steady_clock::now();
  save(path, 1);
  const auto one = std::chrono::steady_clock::now() - begin;  // of this machine, as busy as it is
  auto* saves =
      static_cast<std::atomic<int>*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int64_t newest = 1;
  for (int i = 0; i < kKills; ++i) {
    const pid_t child = fork();
    if (child == 0)
      for (int64_t k = newest;; ++*saves) save(path, ++k);
    const int before = *saves;
    while (*saves == before) std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::this_thread::sleep_for(one * (i * 7 % 20) / 10);
    kill(child, SIGKILL);
    EXPECT(test::end_of(child) == -SIGKILL);
    const int64_t got = load(path);
    EXPECT(got >= newest);
    newest = got;
  }
  EXPECT(newest > kKills);
  EXPECT(temporaries(folder / "") <= 1);
  save(path, newest + 1);
  EXPECT(temporaries(folder / "") == 0);
  EXPECT(load(path) == newest + 1);
}

int64_t whole(const Tensor& x) {
  EXPECT(x.numel() == kSize && all(x == x[0]).item<bool>());
  return x[0].item<int64_t>();
}

void npy() {
  kill_saves([](const std::string& p, int64_t k) { save_npy(p, full({kSize}, k, i64)); },
             [](const std::string& p) { return whole(load_npy(p)); });
}
void npz() {
  kill_saves(
      [](const std::string& p, int64_t k) {
        save_npz(p, {{"a", full({kSize}, k, i64)}, {"b", full({3}, k, i64)}});
      },
      [](const std::string& p) {
        NamedTensors t = load_npz(p);
        EXPECT(t.size() == 2 && t[1].second[0].item<int64_t>() == whole(t[0].second));
        return whole(t[0].second);
      });
}
void safetensors() {
  kill_saves(
      [](const std::string& p, int64_t k) {
        save_safetensors(p, {{"a", full({kSize}, k, i64)}});
      },
      [](const std::string& p) { return whole(load_safetensors(p).at(0).second); });
}
void run() {  // of a model and its optimizer: both of one step
  kill_saves(
      [](const std::string& p, int64_t k) {
        Linear model(30, 30);
        Adam optimizer(model.parameters());
        model.forward(ones({2, 30})).sum().backward();
        optimizer.step();
        NamedTensors state = merge_states({{"model", model.state_dict()}, {"optimizer", optimizer.state_dict()}});
        state.emplace_back("step", integer_state(k));
        save_safetensors(p, state);
      },
      [](const std::string& p) {
        Linear model(30, 30);
        Adam optimizer(model.parameters());
        int64_t step = 0;
        load_run(load_safetensors(p), {{"model", model}, {"optimizer", optimizer}, {"step", step}});
        return step;
      });
}

}  // namespace

int main(int argc, char** argv) {
  constexpr test::Case cases[] = {{"npy", npy}, {"npz", npz}, {"safetensors", safetensors}, {"run", run}};
  return test::run_cases(argc, argv, cases);
}
