// How often Medusa's heads are right, measured on text: what a tree of guesses is grown from, and what it then brings.
//
//   auto hit = head_hits(heads, held_out);               // or on self_written(model, prompts)
//   auto accuracy = rank_accuracy(hit, 10);              // accuracy[2][0]: how often head 2's first guess is right
//   GrownTree tree = grow_tree(accuracy, 63);            // by products of accuracies
//   tokens_per_step(tree.shape, hit);                    // by what hit together
#pragma once
#include "nn/decoding/medusa/heads.h"
#include "nn/decoding/medusa/hydra.h"

namespace ink {

struct HeadHitOptions {
  int64_t ranks = 10;  // guesses of each head that are looked at, the likeliest first
  // Places before this one are left out. For text that the model wrote after prompts of n tokens: n - 1, the first
  // place whose next token is the model's.
  int64_t first = 0;
};

// Where the tokens that came stand among the guesses: hit[step][k] is the number of head k's guess that is token
// t + k + 2 of a text, -1 if none is. A step is a place t of a text at which every head has a target: t = first .. time
// - count() - 2 of the first text, then of the second, and so on.
// Reads texts i64 [batch, time] as they are (teacher forcing), a few rows at a time; records nothing. Of guesses that
// are equally likely, the lowest token comes first. ShapeError unless ids is [batch, time] with batch >= 1 and first +
// count() + 2 <= time <= the model's context; ValueError unless 1 <= ranks <= vocabulary and first >= 0.
std::vector<std::vector<int64_t>> head_hits(const MedusaHeads& heads, const Tensor& ids,
                                            const HeadHitOptions& options = {});
// Hydra's heads, each told the tokens that the text has on the way: on the right path, that is what it is told.
std::vector<std::vector<int64_t>> head_hits(const HydraHeads& heads, const Tensor& ids,
                                            const HeadHitOptions& options = {});

// For each path of ranks (TreeShape::paths()) the share of steps where all of it is right: hit[step][k] = path[k] for
// every k. Heads are right and wrong together, so that this is not the product of their accuracies. ValueError for no
// steps, steps of different numbers of heads, a path that is empty or longer than there are heads, or a negative rank.
std::vector<double> path_accuracy(const std::vector<std::vector<int64_t>>& hit,
                                  const std::vector<std::vector<int64_t>>& paths);

}  // namespace ink
