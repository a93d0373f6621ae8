// Counts what ran: calls, time and bytes written per op. `Profile p; ...; std::cout << p.table();`
#pragma once
#include <string>
#include <vector>

#include "autograd/graph/mode.h"

namespace ink {

struct ProfileRow {
  std::string op;
  int64_t calls = 0;
  double seconds = 0;  // wall time of the forward functions
  int64_t bytes = 0;   // bytes of the outputs
  double flops = 0;    // of matrix products and convolutions; 0 for other ops
};

// Profiles the ops of this thread while it lives. Profiles may nest; the innermost counts.
class Profile {
 public:
  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  std::vector<ProfileRow> rows() const;  // by falling time
  std::string table() const;
  void add(const char* op, double seconds, int64_t bytes, double flops);

 private:
  std::vector<ProfileRow> rows_;
  Profile* outer_;
  ObserverScope on_;
};

}  // namespace ink
