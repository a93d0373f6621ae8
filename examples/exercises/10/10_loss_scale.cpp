// Exercise: the rules of a dynamic loss scale.
// Note: docs/notes/10_mixed_precision.md, exercise 2
//
// A loss scale S grows while all goes well and backs off when a gradient overflows:
//
//   good step (all gradients finite): count it; after `interval` good steps in a row S doubles, and the count begins
//   anew
//   bad step: S is halved, and the count begins anew
//
// S never grows beyond `ceiling`. Below `floor` it makes no sense: then the step is reported by std::nullopt, and S and
// the count stay as they are. With S = 8 and an interval of 3, o for good and x for bad:
//
//   step    o  o  o   o   x  o  o  o   x
//   S       8  8  16  16  8  8  8  16  8
//   count   1  2  0   1   0  1  2  0   0
//
// What the checks look at: growth; back-off; good steps in a row; the ceiling; the floor.
#include <optional>

#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct LossScale {
  double scale;
  int64_t interval;
  double floor, ceiling;
  int64_t good = 0;
};

// The scale after one more step, or nothing if it would fall below the floor.
std::optional<double> update(LossScale& s, bool finite) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Two cases. A bad step: if half the scale is below the floor return std::nullopt, else halve it and set good = 0.
//]
//[ hint
// A good step: raise good by one; only if it has reached the interval set it to 0 and double the scale, unless that is
// above the ceiling.
//]

namespace solution {
//[ solution
std::optional<double> update(LossScale& s, bool finite) {
  if (!finite) {
    if (s.scale / 2 < s.floor) return std::nullopt;
    s.good = 0;
    return s.scale /= 2;
  }
  if (++s.good < s.interval) return s.scale;
  s.good = 0;
  if (2 * s.scale <= s.ceiling) s.scale *= 2;
  return s.scale;
}
//]
}  // namespace solution

//[ wrong
namespace counts_all {
std::optional<double> update(LossScale& s, bool finite) {
  if (!finite) {
    if (s.scale / 2 < s.floor) return std::nullopt;
    return s.scale /= 2;
  }
  if (++s.good < s.interval) return s.scale;
  s.good = 0;
  if (2 * s.scale <= s.ceiling) s.scale *= 2;
  return s.scale;
}
}  // namespace counts_all
namespace grows_always {
std::optional<double> update(LossScale& s, bool finite) {
  if (!finite) {
    if (s.scale / 2 < s.floor) return std::nullopt;
    s.good = 0;
    return s.scale /= 2;
  }
  if (++s.good >= s.interval && 2 * s.scale <= s.ceiling) s.scale *= 2;
  return s.scale;
}
}  // namespace grows_always
namespace no_floor {
std::optional<double> update(LossScale& s, bool finite) {
  if (!finite) {
    s.good = 0;
    return s.scale /= 2;
  }
  if (++s.good < s.interval) return s.scale;
  s.good = 0;
  if (2 * s.scale <= s.ceiling) s.scale *= 2;
  return s.scale;
}
}  // namespace no_floor
//]

namespace {

using Function = decltype(&update);

// The scales after each step of "ooxo", written down by hand; -1 for nothing.
void checks(Check& check, Function f) {
  auto on = [&](const char* property, LossScale s, const std::string& steps, const Samples& expected) {
    check.on(property,
             {{"scale", Samples{s.scale}}, {"interval", Samples{double(s.interval)}}, {"expected", expected}});
    Samples got;
    for (char c : steps) got.push_back(f(s, c == 'o').value_or(-1));
    for (size_t i = 0; i < expected.size(); ++i)
      check.close(got[i], expected[i], "the scale after step " + std::to_string(i + 1) + " of " + steps);
  };
  const double inf = INFINITY;
  on("growth", {8, 3, 1, inf}, "oooo", {8, 8, 16, 16});
  on("growth", {8, 2, 1, inf}, "oooooo", {8, 16, 16, 32, 32, 64});
  on("growth", {8, 1, 1, inf}, "oo", {16, 32});
  on("back-off", {8, 3, 1, inf}, "xx", {4, 2});
  on("good steps in a row", {8, 3, 1, inf}, "ooxooo", {8, 8, 4, 4, 4, 8});
  on("good steps in a row", {8, 3, 1, inf}, "oooxooox", {8, 8, 16, 8, 8, 8, 16, 8});
  on("the ceiling", {8, 1, 1, 16}, "ooo", {16, 16, 16});
  on("the ceiling", {8, 2, 1, 8}, "oooox", {8, 8, 8, 8, 4});
  on("the floor", {2, 2, 1, inf}, "xxxoo", {1, -1, -1, 1, 2});
  on("the floor", {2, 3, 2, inf}, "ooxo", {2, 2, -1, 4});
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = update,
              .solution = solution::update,
              .wrong = {{"good steps are counted, not those in a row", "good steps in a row", counts_all::update},
                        {"after the first interval it grows at every step", "growth", grows_always::update},
                        {"there is no floor", "the floor", no_floor::update}}});
}
