// What a lesson claims about a number, and whether it held.
#pragma once
#include <string>

namespace ink::lesson {

struct Bound {
  // below: value < high; above: value > low; at_most, at_least: with equality; within: both; equals: value == low;
  // truth: a statement, 1 if it is true.
  enum class Kind { below, above, at_most, at_least, within, equals, truth } kind;
  double low, high;                // one of them counts, except for within
  bool holds(double value) const;  // never for NaN
  std::string str() const;         // "< 1e-06", "in [1.9, 2.1]", "= 7", "holds"; six digits
};

// `expect("largest difference", d, Below{1e-6})`
struct Below {
  double limit;
  operator Bound() const { return {Bound::Kind::below, limit, limit}; }
};
struct Above {
  double limit;
  operator Bound() const { return {Bound::Kind::above, limit, limit}; }
};
struct AtMost {
  double limit;
  operator Bound() const { return {Bound::Kind::at_most, limit, limit}; }
};
struct AtLeast {
  double limit;
  operator Bound() const { return {Bound::Kind::at_least, limit, limit}; }
};
struct Within {
  double low, high;
  operator Bound() const { return {Bound::Kind::within, low, high}; }
};
struct Equals {
  double value;
  operator Bound() const { return {Bound::Kind::equals, value, value}; }
};

struct Holds {
  operator Bound() const { return {Bound::Kind::truth, 1, 1}; }
};

enum class State { held, failed, skipped };
const char* name_of(State state);

struct Claim {
  std::string name;
  double value;
  Bound bound;
  State state;
};

// A claim is checked now, or skipped because this run is too short for it.
Claim check_claim(std::string name, double value, const Bound& bound, bool skip = false);

}  // namespace ink::lesson
