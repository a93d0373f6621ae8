#include "tensor/runtime/blas.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;

namespace {

// What `body` writes, run in a child process that has opened no library yet; standard error included.
template <class Body> std::string in_child(Body body) {
  int out[2];
  REQUIRE(pipe(out) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(out[1], STDERR_FILENO);
    std::string text = body();
    bool whole = write(out[1], text.data(), text.size()) == ssize_t(text.size());
    _exit(whole ? 0 : 1);
  }
  close(out[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  close(out[0]);
  waitpid(child, nullptr, 0);
  return text;
}

}  // namespace

// Runs first (Catch2 keeps the order of the file): the children must find the library unopened.
TEST_CASE("the core type is chosen by what the CPU can do, whatever the environment says", "[blas]") {
  auto core_with = [](const char* inherited, const char* ours) {
    return in_child([=] {
      inherited ? setenv("OPENBLAS_CORETYPE", inherited, 1) : unsetenv("OPENBLAS_CORETYPE");
      ours ? setenv("INK_BLAS_CORETYPE", ours, 1) : unsetenv("INK_BLAS_CORETYPE");
      setenv("OPENBLAS_VERBOSE", "2", 1);
      return blas::core_name();
    });
  };
  std::string chosen = core_with(nullptr, nullptr);
  CHECK_FALSE(chosen.empty());
  CHECK(core_with("Prescott", nullptr) == chosen);
#if defined(__x86_64__)
  if (__builtin_cpu_supports(
          "avx2"))  // not one of the cores before AVX, which OpenBLAS takes for a model it does not know
    for (const char* old : {"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Atom", "Opteron"})
      CHECK(chosen != old);
#endif
  std::string unknown = core_with(nullptr, "NoSuchCore");  // some core of OpenBLAS' own, and nothing on standard error
  CHECK_FALSE(unknown.empty());
  CHECK(std::all_of(unknown.begin(), unknown.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; }));
  std::string asked = core_with("Haswell", "Prescott");
  CHECK((asked == "Prescott" || asked == chosen));  // a build for one core only has no choice
}

TEST_CASE("opening leaves the environment as it was and is safe from several threads", "[blas]") {
  std::string seen = in_child([] {
    setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    unsetenv("OPENBLAS_L2_SIZE");
    std::vector<std::thread> threads;
    std::vector<void*> found(4);
    for (auto& f : found) threads.emplace_back([&f] { f = blas::symbol("sgemm"); });
    for (auto& t : threads) t.join();
    for (void* f : found)
      if (!f || f != found[0]) return std::string("different");
    return std::string(getenv("OPENBLAS_CORETYPE")) + (getenv("OPENBLAS_L2_SIZE") ? "?" : "");
  });
  CHECK(seen == "Haswell");
}

TEST_CASE("BLAS and LAPACK functions can be called", "[blas]") {
  REQUIRE(blas::available());
  CHECK_THAT(blas::library(), contains("openblas"));
  CHECK_THAT(blas::version(), contains("OpenBLAS 0."));
  int n = 2, one = 1, info = -1, pivots[2];
  double a[] = {2, 1, 1, 3}, b[] = {3, 5};  // 2x + y = 3, x + 3y = 5
  auto* dgesv = blas::function<void(int*, int*, double*, int*, int*, double*, int*, int*)>("dgesv");
  dgesv(&n, &one, a, &n, pivots, b, &n, &info);
  CHECK(info == 0);
  CHECK(std::abs(b[0] - 0.8) < 1e-15);
  CHECK(std::abs(b[1] - 1.4) < 1e-15);
  for (const char* name : {"sgemm", "dgemm", "cgemm", "zgemm", "sgemv", "sgetrf", "sgeqrf", "sorgqr", "spotrf",
                           "ssyevd", "zheevd", "strsm", "sgesdd"})
    CHECK(blas::symbol(name) != nullptr);
}

TEST_CASE("a missing function is NotSupported with a hint", "[blas]") {
  CHECK_THROWS_AS(blas::symbol("no_such_function"), NotSupported);
  CHECK_THROWS_WITH(blas::symbol("no_such_function"), contains("no_such_function: ") && contains("apt install"));
}
