// Timing of ops and training steps. A case is a name and a function that prepares its data and returns what is timed;
// the peer (peer.py) has a case of the same name.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace bench {

using Body = std::function<void()>;
struct Case {
  std::string name;
  double flop = 0, byte = 0;  // per call; for the rate column
  std::function<Body()> prepare;
  double wanted = 0;         // peer time / our time that is aimed at; 0: no aim
  std::string against = {};  // a case of ours that takes the peer's place
};
struct Timing {
  double best = 0, median = 0;  // seconds; best is the 2nd percentile
  int runs = 0;
};

std::vector<Case> op_cases();
std::vector<Case> attention_cases();
std::vector<Case> step_cases();
// State space models: scans and steps of LegS, layers and decoding, S4D and its convolution.
std::vector<Case> scan_cases();
std::vector<Case> ssm_cases();
std::vector<Case> s4_cases();
std::vector<Case> diffusion_cases();
std::vector<Case> decoding_cases();         // passes, the loop of generation, a checkpoint
std::vector<Case> batch_invariant_cases();  // a few rows within BatchInvariant against the same without
std::vector<Case> precision_cases();        // 16 bits against f32
std::vector<Case> cuda_cases();  // sizes that fill a GPU; the first is the device copy that others are compared with

// Runs body for about `seconds`, at least 5 times after two warm-up calls. On a device that works while the program
// goes on, `wait` waits for it: then calls are timed by the many, with one wait.
Timing measure(const Body& body, double seconds, const Body& wait = {});

// A PyTorch process that times the case of the same name on request; empty when there is none.
class Peer {
 public:
  Peer(const std::string& python, const std::string& script, int threads, bool fair, const std::string& device = "cpu");
  ~Peer();
  Peer(const Peer&) = delete;
  bool running() const { return pid_ > 0; }
  std::string version() const { return version_; }
  Timing measure(const std::string& name, double seconds);  // runs = 0: no such case

 private:
  std::string ask(const std::string& line);
  int pid_ = 0, in_ = -1, out_ = -1;
  std::string buffer_, version_;
};

}  // namespace bench
