#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "tests/bench/bench.h"

namespace bench {

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Timing measure(const Body& body, double seconds, const Body& wait) {
  body();
  body();
  std::vector<double> t;
  if (wait) {
    wait();
    double a = now();
    body(), wait();
    const int many = std::clamp(int(0.01 / (now() - a)), 1, 200);  // about 10 ms
    for (double start = now(); (now() - start < seconds || t.size() < 5) && t.size() < 20000;) {
      double from = now();
      for (int i = 0; i < many; ++i) body();
      wait();
      t.push_back((now() - from) / many);
    }
    std::sort(t.begin(), t.end());
    return {t[t.size() / 50], t[t.size() / 2], int(t.size()) * many};
  }
  double start = now();
  while ((now() - start < seconds || t.size() < 5) && t.size() < 20000) {
    double a = now();
    body();
    t.push_back(now() - a);
  }
  std::sort(t.begin(), t.end());
  return {t[t.size() / 50], t[t.size() / 2], int(t.size())};
}

Peer::Peer(const std::string& python, const std::string& script, int threads, bool fair, const std::string& device) {
  int to[2], from[2];
  if (pipe(to) != 0 || pipe(from) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    std::string n = std::to_string(threads);
    if (fair) {  // freed memory is kept, BLAS kernels are chosen by the CPU, BLAS threads equal torch's
      unsetenv("OPENBLAS_CORETYPE");
      unsetenv("OPENBLAS_L2_SIZE");
      setenv("OPENBLAS_NUM_THREADS", n.c_str(), 1);
      setenv("MALLOC_MMAP_THRESHOLD_", "4294967296", 1);
      setenv("MALLOC_TRIM_THRESHOLD_", "17179869184", 1);
      const char* dir =
          threads == 1 ? "/usr/lib/x86_64-linux-gnu/openblas-pthread" : "/usr/lib/x86_64-linux-gnu/openblas-openmp";
      if (access(dir, R_OK) == 0) setenv("LD_LIBRARY_PATH", dir, 1);
    }
    setenv("OMP_NUM_THREADS", n.c_str(), 1);
    execlp(python.c_str(), python.c_str(), "-u", script.c_str(), n.c_str(), device.c_str(),
           static_cast<char*>(nullptr));
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  in_ = to[1];
  out_ = from[0];
  signal(SIGPIPE, SIG_IGN);
  version_ = ask("version 0");
  if (version_.empty()) {
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
}

Peer::~Peer() {
  if (in_ >= 0) close(in_);
  if (out_ >= 0) close(out_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

std::string Peer::ask(const std::string& line) {
  std::string out = line + "\n";
  if (write(in_, out.data(), out.size()) != ssize_t(out.size())) return "";
  for (;;) {
    size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string answer = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return answer;
    }
    char chunk[4096];
    ssize_t n = read(out_, chunk, sizeof chunk);
    if (n <= 0) return "";
    buffer_.append(chunk, size_t(n));
  }
}

Timing Peer::measure(const std::string& name, double seconds) {
  if (pid_ <= 0) return {};
  std::string answer = ask(name + "\t" + std::to_string(seconds));
  Timing t;
  if (std::sscanf(answer.c_str(), "%lf %lf %d", &t.best, &t.median, &t.runs) != 3) return {};
  return t;
}

}  // namespace bench
