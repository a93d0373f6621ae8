// Programs that end, fork or are killed: each case runs as a process of its own, within a time.
#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <thread>

extern char** environ;

namespace ink::test {

struct Case {
  const char* name;
  void (*run)();
};

// How long a case may take before it counts as one that hangs.
inline constexpr int kCaseSeconds = 100;

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::_Exit(1);
}
#define EXPECT(...) \
  if (!(__VA_ARGS__)) ::ink::test::fail(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " + #__VA_ARGS__)

// The exit code of a child process; -signal where one ended it, -SIGALRM where it had to be ended after its time.
inline int end_of(pid_t child, int seconds = kCaseSeconds) {
  int status = 0;
  for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; ++waited) {
    std::this_thread::sleep_for(std::chrono::milliseconds(waited < 100 ? 1 : 20));
    if (waited < 100 + 50 * seconds) continue;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -SIGALRM;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Without arguments: every case, each by this program with the case's name. 1 if one of them does not end well.
inline int run_cases(int argc, char** argv, std::span<const Case> cases) {
  if (argc == 2) {
    for (const Case& c : cases)
      if (std::strcmp(c.name, argv[1]) == 0) return c.run(), 0;
    std::fprintf(stderr, "no case '%s'\n", argv[1]);
    return 2;
  }
  int failed = 0;
  for (const Case& c : cases) {
    pid_t child = 0;
    char* args[] = {argv[0], const_cast<char*>(c.name), nullptr};
    if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, args, environ) != 0) return 2;
    const int end = end_of(child);
    if (end == 0) continue;
    ++failed;
    std::fprintf(stderr, "case '%s': %s %d\n", c.name,
                 end == -SIGALRM ? "still running, ended by signal"
                 : end < 0       ? "ended by signal"
                                 : "exit code",
                 std::abs(end));
  }
  std::printf("%zu cases, %d failed\n", cases.size(), failed);
  return failed != 0;
}

}  // namespace ink::test
