// Counts what ran: calls, time, operations and bytes per op. `Profile p; ...; std::cout << p.table();`
#pragma once
#include <string>
#include <vector>

#include "autograd/graph/mode.h"

namespace ink {

struct Cost;

struct ProfileRow {
  std::string op;
  int64_t calls = 0;
  double seconds = 0;      // wall time of the forward functions
  int64_t bytes = 0;       // written: of the outputs, but of views none
  int64_t bytes_read = 0;  // of the inputs, each once
  double flops = 0;        // by the op's row: autograd/observe/cost.h
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
  void add(const char* op, double seconds, const Cost& cost);

 private:
  std::vector<ProfileRow> rows_;
  Profile* outer_;
  ObserverScope on_;
};

}  // namespace ink
