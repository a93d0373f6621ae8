#include "examples/support/lesson/claim.h"

#include <fmt/format.h>

#include "examples/support/page/number.h"

namespace ink::lesson {

bool Bound::holds(double v) const {
  switch (kind) {
    case Kind::below:
      return v < high;
    case Kind::above:
      return v > low;
    case Kind::at_most:
      return v <= high;
    case Kind::at_least:
      return v >= low;
    case Kind::within:
      return v >= low && v <= high;
    default:
      return v == low;
  }
}

std::string Bound::str() const {
  static const char* signs[] = {"< ", "> ", "≤ ", "≥ ", "", "= "};
  if (kind == Kind::truth) return "holds";
  if (kind == Kind::within) return fmt::format("in [{}, {}]", brief(low, 6), brief(high, 6));
  return signs[int(kind)] + brief(low, 6);
}

const char* name_of(State state) {
  static const char* names[] = {"held", "failed", "skipped"};
  return names[int(state)];
}

Claim check_claim(std::string name, double value, const Bound& bound, bool skip) {
  State state = skip ? State::skipped : bound.holds(value) ? State::held : State::failed;
  return {std::move(name), value, bound, state};
}

}  // namespace ink::lesson
