// Per-thread switches of autograd: whether ops are recorded, and who observes them.
#pragma once
#include <cstdint>

namespace ink {

struct Mode {
  bool grad = true;
  uint8_t observers = 0;  // bits of Observer; 0 on the fast path
};
enum Observer : uint8_t { kAutocast = 1, kAnomaly = 2, kProfile = 4, kTrace = 8, kTf32 = 16 };

inline constinit thread_local Mode thread_mode;
inline Mode& mode() { return thread_mode; }

inline bool grad_enabled() { return mode().grad; }

// Sets gradient recording for a scope: `NoGrad guard;`
class GradMode {
 public:
  explicit GradMode(bool on) : before_(mode().grad) { mode().grad = on; }
  ~GradMode() { mode().grad = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};
struct EnableGrad : GradMode {
  EnableGrad() : GradMode(true) {}
};

// Switches an observer on for a scope.
class ObserverScope {
 public:
  explicit ObserverScope(Observer bit, bool on = true) : before_(mode().observers) {
    mode().observers = uint8_t(on ? before_ | bit : before_ & ~bit);
  }
  ~ObserverScope() { mode().observers = before_; }
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;

 private:
  uint8_t before_;
};

// Checks every value an op or a gradient rule produces: the first one that is not finite throws a GradError naming it.
struct Anomaly : ObserverScope {
  Anomaly() : ObserverScope(kAnomaly) {}
};

}  // namespace ink
