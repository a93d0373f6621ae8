#include "tensor/parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;

namespace {

// How often each index was visited when [0, n) is cut in pieces of grain, and whether the pieces were as promised.
struct Visits {
  std::vector<std::atomic<int>> count;
  std::atomic<bool> pieces_ok{true};
  Visits(int64_t n, int64_t grain) : count(n) {
    parallel_for(n, grain, [&](int64_t b, int64_t e) {
      if (b % grain != 0 || e - b > grain || (e - b < grain && e != n)) pieces_ok = false;
      for (int64_t i = b; i < e; i++) count[i]++;
    });
  }
  bool once() const {
    for (auto& c : count)
      if (c != 1) return false;
    return pieces_ok;
  }
};

struct Threads {  // restores the number of threads
  int before = num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};

}  // namespace

TEST_CASE("every index is visited once, in pieces that start at multiples of the grain", "[parallel]") {
  for (int threads : {1, 2, 3, 8}) {
    Threads scope(threads);
    REQUIRE(num_threads() == threads);
    for (int64_t n : {0, 1, 7, 64, 65, 1000, 4099})
      for (int64_t grain : {1, 3, 64, 5000}) {
        CAPTURE(threads, n, grain);
        CHECK(Visits(n, grain).once());
      }
  }
}

TEST_CASE("a floating-point sum has the same bits for any number of threads", "[parallel]") {
  auto sum = [] {
    std::vector<float> partial(1000);
    parallel_for(100000, 100, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; i++) partial[b / 100] += 1.0f / float(i + 1);
    });
    float total = 0;
    for (float p : partial) total += p;
    return total;
  };
  std::vector<float> results;
  for (int threads : {1, 2, 5}) {
    Threads scope(threads);
    results.push_back(sum());
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("nested calls run serially on the same thread", "[parallel]") {
  Threads scope(3);
  std::atomic<int> moved{0}, visited{0};
  parallel_for(16, 1, [&](int64_t, int64_t) {
    auto outer = std::this_thread::get_id();
    parallel_for(10, 1, [&](int64_t, int64_t) {
      visited++;
      if (std::this_thread::get_id() != outer) moved++;
    });
  });
  CHECK(visited == 160);
  CHECK(moved == 0);
}

TEST_CASE("an exception reaches the caller and the pool goes on", "[parallel]") {
  for (int threads : {1, 4}) {
    Threads scope(threads);
    for (int repeat = 0; repeat < 50; repeat++) {
      auto failing = [&](int64_t b, int64_t) {
        if (b == 13) throw std::runtime_error("piece 13");
      };
      CHECK_THROWS_WITH(parallel_for(64, 1, failing), "piece 13");
    }
    CHECK(Visits(1000, 10).once());
  }
}

TEST_CASE("several user threads may call at once", "[parallel]") {
  Threads scope(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> users;
  for (int u = 0; u < 4; u++)
    users.emplace_back([&] {
      for (int i = 0; i < 200; i++)
        if (!Visits(257, 16).once()) wrong++;
    });
  for (auto& u : users) u.join();
  CHECK(wrong == 0);
}

TEST_CASE("workers that went to sleep come back", "[parallel]") {
  Threads scope(4);
  for (int i = 0; i < 20; i++) {
    CHECK(Visits(4096, 64).once());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST_CASE("the workers really take part", "[parallel]") {
  Threads scope(2);
  auto caller = std::this_thread::get_id();
  std::atomic<bool> helped{false};
  parallel_for(2, 1, [&](int64_t, int64_t) {  // the caller's piece ends only when a worker has begun the other one
    if (std::this_thread::get_id() != caller) helped = true;
    while (!helped) std::this_thread::yield();
  });
  CHECK(helped);
}

TEST_CASE("a forked child can use the pool", "[parallel]") {
  Threads scope(3);
  REQUIRE(Visits(1000, 10).once());
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(Visits(1000, 10).once() && num_threads() == 3 ? 0 : 1);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(Visits(1000, 10).once());
}

TEST_CASE("a number of threads outside the range is refused", "[parallel]") {
  CHECK_THROWS_AS(set_num_threads(0), ValueError);
  CHECK_THROWS_WITH(set_num_threads(-2), contains("set_num_threads") && contains("got -2"));
  Threads scope(2);
  std::atomic<int> refused{0};
  parallel_for(2, 1, [&](int64_t, int64_t) {
    try {
      set_num_threads(1);
    } catch (const ValueError&) { refused++; }
  });
  CHECK(refused == 2);
}
