// Which guesses of a draft are kept: three rules, all of which walk down the tree from the root. They ask for what the
// model says after a node by a callable, for the nodes they come to alone: with a repetition penalty that depends on
// the path (path_to, nn/decoding/tree.h).
//
//   RandomChance chance(generator);
//   Accepted a = accept_lossless(draft, [&](int64_t node) { return next_distribution(logits[node], options); },
//   chance);
#pragma once
#include "nn/decoding/chance.h"
#include "nn/decoding/draft.h"
#include "tensor/function_ref.h"

namespace ink {

struct Accepted {
  std::vector<int64_t> nodes;  // the root, and the accepted path below it
  int64_t next = 0;            // the token after the last of them: root of the next step
};

// The token that decoding without a draft would choose after a node.
using NodeChoice = FunctionRef<int64_t(int64_t node)>;
// The distribution [vocabulary] that sampling without a draft would draw from after a node.
using NodeDistribution = FunctionRef<std::vector<double>(int64_t node)>;

// All three: ValueError as check(draft) does, for a distribution that is none or of another size than the first one
// asked for, and for a choice below 0.

// Follows the child that holds the chosen token, as far as there is one; next is the token chosen after the last. The
// text is the one of greedy decoding, token by token. Asks once for each node of the path.
Accepted accept_greedy(const Draft& draft, NodeChoice choice);

// How unlikely a typical guess may be. In the public code the defaults of the two stand in each other's place in some
// functions, while the function that users call passes those of the paper.
struct TypicalOptions {
  double epsilon = 0.09;  // no guess above it is refused; in [0, 1]
  double delta = 0.3;     // sqrt(epsilon) in the paper; finite, >= 0. Below 1 the most likely token always passes
  bool draw_next = true;  // next is drawn; false: the most likely token
};
// ValueError naming the option that is outside of its range.
void check(const TypicalOptions& options);
// min(epsilon, delta exp(-H(p))), H in nats: where the model is unsure, less is enough.
double typical_threshold(std::span<const double> p, const TypicalOptions& options = {});

// Medusa's typical acceptance: a guess x passes if p(x) > typical_threshold(p), p at the temperature. The longest path
// of guesses that pass is kept, of equally long ones that of the largest sum of ln p. Cai et al. 2024,
// arXiv:2401.10774, section 2.3.1. DOES NOT PRESERVE THE DISTRIBUTION: guesses that pass are kept always, however
// improbable, so the text is more like the guesses than p is. Asks once for each node that passes and has children, and
// once more for the last.
Accepted accept_typical(const Draft& draft, NodeDistribution distribution, Chance& chance,
                        const TypicalOptions& options = {});

// Speculative sampling: the text has exactly the distribution that sampling without a draft has. The children of a node
// are tried in order: guess x, drawn from q, is kept with probability min(1, p(x) / q(x)); where it is refused, p
// becomes the rest max(0, p - q), rescaled to the sum 1, for the next child. Where all are refused or there are none,
// next is drawn from what is left of p. A guess chosen without chance is one drawn from a q that is 1 at x: kept with
// probability p(x), else p(x) = 0. Leviathan et al. 2023, arXiv:2211.17192, and Chen et al. 2023, arXiv:2302.01318, for
// one guess; Miao et al. 2023 (SpecInfer), arXiv:2305.09781, for several; Jeon et al. 2024, arXiv:2402.14160, for
// several without replacement.
//
// Why it is exact, for any number of children: whatever was drawn and refused before, the next guess has the law q that
// its node names, so a token y comes out of this trial with probability min(p(y), q(y)), and all later trials together
// have to give the rest p(y) - min(p(y), q(y)), which is what they aim at. This asks of a draft that q is the law of a
// guess given its earlier siblings, which check(draft) holds it to.
//
// Asks once for each node of the path. One decision by chance for each child tried, and one for next.
Accepted accept_lossless(const Draft& draft, NodeDistribution distribution, Chance& chance);

// The two halves of a trial; an empty q is 1 at x. IndexError for an x outside of p, ShapeError for a q of another
// size.
double keep_probability(std::span<const double> p, int64_t x, std::span<const double> q = {});  // min(1, p(x) / q(x))
// p <- norm(max(0, p - q)). Where nothing is left, p and q differ by rounding alone: p stays.
void refuse(std::vector<double>& p, int64_t x, std::span<const double> q = {});

}  // namespace ink
