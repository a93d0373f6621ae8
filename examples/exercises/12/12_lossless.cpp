// Exercise: guesses that are kept by chance, so that the distribution stays what it was.
// Note: docs/notes/12_medusa.md, exercise 3
//
// A model says p, the distribution of the next token. Guesses for it stand in a list: the most likely tokens of a head,
// all different. One after the other is tried. Guess x is kept with probability p(x). If it is refused, x is no longer
// possible: p(x) becomes 0, p is rescaled to the sum 1, and the next guess is tried with this new p. If all are
// refused, the token is drawn from what is left of p. (Each guess is one drawn from a q that is 1 at x: min(1, p/q) =
// p(x), and max(0, p - q) is p without x. Leviathan et al. 2023; Miao et al. 2023.)
//
// p = (.5, .3, .2), guesses 1, 0:
//
//   1 is tried    kept with probability .3                                         token 1 in .3 of all cases
//   refused       p = (.5, 0, .2) / .7
//   0 is tried    kept with probability .5 / .7, in .7 of all cases                token 0 in .5 of all cases
//   refused       p = (0, 0, 1): drawn                                             token 2 in .2
//
// which is p again. Chance decides: chance.happens(probability) is true with that probability, chance.draw(p) draws a
// token. The checks give you one that walks through every outcome and sums probabilities up: they compare exactly.
//
// What the checks look at: no guess; one guess; several guesses; a guess of probability 0; a guess of probability 1;
// that guesses are kept as often as they can.
#include "examples/support/exercise/exercise.h"
#include "nn/decoding/chance.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct Result {
  int64_t token;
  bool guessed;  // whether the token is a guess that was kept
};

Result next_token(std::vector<double> p, const std::vector<int64_t>& guesses, Chance& chance) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// A loop over the guesses: if (chance.happens(p[x])) return {x, true}. Behind the loop: return {chance.draw(p), false}.
//]
//[ hint
// After a refusal: p[x] = 0, then divide all entries by their sum.
//]
//[ hint
// A guess with p(x) = 1 is never refused, so the sum is never 0 where it counts. Rounding can make p(x) a little more
// than 1: std::min(1., p[x]).
//]

namespace solution {
//[ solution
Result next_token(std::vector<double> p, const std::vector<int64_t>& guesses, Chance& chance) {
  for (int64_t x : guesses) {
    if (chance.happens(std::min(1., p[size_t(x)]))) return {x, true};
    p[size_t(x)] = 0;
    double sum = 0;
    for (double each : p) sum += each;
    for (double& each : p) each /= sum;
  }
  return {chance.draw(p), false};
}
//]
}  // namespace solution

//[ wrong
namespace draws_from_all {
Result next_token(std::vector<double> p, const std::vector<int64_t>& guesses, Chance& chance) {
  for (int64_t x : guesses)
    if (chance.happens(p[size_t(x)])) return {x, true};
  return {chance.draw(p), false};
}
}  // namespace draws_from_all
namespace not_rescaled {
Result next_token(std::vector<double> p, const std::vector<int64_t>& guesses, Chance& chance) {
  std::vector<double> rest = p;
  for (int64_t x : guesses) {
    if (chance.happens(p[size_t(x)])) return {x, true};
    rest[size_t(x)] = 0;
  }
  double sum = 0;
  for (double each : rest) sum += each;
  for (double& each : rest) each /= sum;
  return {chance.draw(rest), false};
}
}  // namespace not_rescaled
namespace typical {
Result next_token(std::vector<double> p, const std::vector<int64_t>& guesses, Chance& chance) {
  for (int64_t x : guesses)
    if (p[size_t(x)] > 0.09) return {x, true};
  return {chance.draw(p), false};
}
}  // namespace typical
namespace draws_first {
Result next_token(std::vector<double> p, const std::vector<int64_t>&, Chance& chance) {
  return {chance.draw(p), false};
}
}  // namespace draws_first
//]

namespace {

using Function = decltype(&next_token);

struct Law {
  std::vector<double> p;
  double guessed = 0;
};
Law law_of(Function f, const std::vector<double>& p, const std::vector<int64_t>& guesses) {
  Law law{std::vector<double>(p.size(), 0.)};
  EveryOutcome chance;
  do {
    const Result r = f(p, guesses, chance);
    law.p[size_t(r.token)] += chance.probability();
    if (r.guessed) law.guessed += chance.probability();
  } while (chance.next());
  return law;
}

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const std::vector<double>& p, const std::vector<int64_t>& guesses) {
    check.on(property, {{"p", p}, {"guesses", Samples(guesses.begin(), guesses.end())}});
    check.close(law_of(f, p, guesses).p, p, "distribution of the token");
  };
  on("no guess", {.5, .3, .2}, {});
  on("one guess", {.5, .3, .2}, {1});
  on("one guess", {.05, .05, .9}, {0});
  on("several guesses", {.5, .3, .2}, {1, 0});
  on("several guesses", {.4, .3, .2, .1}, {3, 1, 0});
  on("several guesses", {.25, .25, .25, .25}, {0, 1, 2, 3});
  on("a guess of probability 0", {0, .5, .5}, {0, 2});
  on("a guess of probability 1", {0, 1, 0}, {1});
  on("a guess of probability 1", {0, 1, 0}, {2, 1, 0});
  check.on("guesses are kept as often as they can", {{"p", Samples{.5, .3, .2}}, {"guesses", Samples{1, 0}}});
  check.close(law_of(f, {.5, .3, .2}, {1, 0}).guessed, .8, "share of kept guesses");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = next_token,
              .solution = solution::next_token,
              .wrong = {{"the last draw is from all of p", "one guess", draws_from_all::next_token},
                        {"p is not rescaled before the next guess", "several guesses", not_rescaled::next_token},
                        {"a threshold instead of chance", "one guess", typical::next_token},
                        {"no guess is ever kept", "guesses are kept as often as they can", draws_first::next_token}}});
}
