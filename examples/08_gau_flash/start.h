// How large scores and gradients are at the start of a gated attention unit, by the size of the gains g.
#pragma once
#include <cmath>

#include "examples/08_gau_flash/probes.h"

namespace ink::lesson {

// Root mean squares over pairs of tokens of the scores q.k = sum_f g_f g'_f z_f z'_f of one unit as it is built.
struct ScoreSizes {
  double ones;      // g = 1
  double drawn;     // over draws of g, g' ~ N(0, 0.02), measured
  double expected;  // the same by (8.7)
};
inline ScoreSizes score_sizes(int64_t dim, int64_t s, int64_t draws) {
  NoGrad guard;
  GatedAttentionUnit unit({.dim = dim, .s = s});
  unit.to(f64);
  const int64_t n = 16;
  Tensor z = silu(unit.uvz.forward(randn({n, dim}, f64))).narrow(1, 2 * unit.e, s);  // [n, s]
  auto size = [](const Tensor& t) { return std::sqrt(square(t).mean().item()); };
  Tensor gains = randn({2, draws, 1, s}, f64) * 0.02;
  Tensor scores = matmul(z * gains[0], transpose(z * gains[1], -2, -1));          // [draws, n, n]
  Tensor expected = matmul(square(z), square(z).t()).mean() * std::pow(0.02, 4);  // (8.7)
  return {size(matmul(z, z.t())), size(scores), std::sqrt(expected.item())};
}

// The sum of a row of A, mean over the rows of a random text.
inline double row_sum_at_start(int64_t dim, int64_t s, GauInit init) {
  GatedAttentionUnit gau({.dim = dim, .s = s, .causal = true, .init = init});
  return count_of({gau.attention_matrix(randn({1, 64, dim}))[0]}).row_sum;
}
// The lesson's section 4: from both starts, and why AdamW does not make them equal.
inline void the_start(Lesson& lesson, const Book& book, const Trained& ones) {
  lesson.section(
      "4. A start that trains",
      R"(q \cdot k = \sum_f g_f g'_f\, z_f z'_f, \quad g = 1 \;\text{ or }\; g, g' \sim \mathcal{N}(0, 0.02))");
  lesson.say("A factor g g' of about 0.0004 and of either sign on every product: a score shrinks by more than 2,500.");
  const ScoreSizes size = score_sizes(book.setup.dim, book.setup.s, 1000);
  lesson.value("score, g = 1, over that with g ~ N(0, 0.02)", size.ones / size.drawn);
  lesson.expect("size of a score over draws of g, over (8.7)", size.drawn / size.expected, Within{0.85, 1.15});
  const double sums[] = {row_sum_at_start(book.setup.dim, book.setup.s, GauInit::ones),
                         row_sum_at_start(book.setup.dim, book.setup.s, GauInit::normal)};
  lesson.value("sum of a row at the start, g = 1", sums[0]);
  lesson.value("sum of a row at the start, g ~ N(0, 0.02)", sums[1]);
  lesson.expect("sum of a row with g = 1 over that with g ~ N(0, 0.02)", sums[0] / sums[1], Above{1e6});
  const double eps = 1e-8;
  auto gradient = [&](GauInit init) {
    return book.gain_gradient(book.untrained_gau("at the start", GauNormaliser::count, init));
  };
  const double of_ones = gradient(GauInit::ones), of_normal = gradient(GauInit::normal);
  lesson.value("gradient of g at the start over eps, g = 1", of_ones / eps);
  lesson.value("gradient of g at the start over eps, g ~ N(0, 0.02)", of_normal / eps);
  lesson.expect("small start: AdamW's eps is larger than the gradient of g, times", eps / of_normal, Above{3},
                Needs::training);
  lesson.expect("g = 1: the gradient is larger than eps, times", of_ones / eps, Above{1000}, Needs::training);
  const Trained normal = book.gau("g ~ N(0, 0.02)", GauNormaliser::count, GauInit::normal, eps),
                rescued = book.gau("g ~ N(0, 0.02), eps 1e-12", GauNormaliser::count, GauInit::normal, 1e-12);
  std::vector<Series> curves;
  for (const Trained* t : {&ones, &rescued, &normal}) curves.push_back(from_pairs_on(t->curve, lesson, book));
  curves[0].name = "g = 1", curves[2].name += ", eps 1e-8";
  lesson.plot("start", curves,
              {.x = "step",
               .y = "nats per character",
               .references = {{book.bigram, "counted pairs"}},
               .caption = "Without attention a model cannot do better than counted pairs."});
  lesson.value("held-out loss, g ~ N(0, 0.02)", normal.held_out, "nats per character");
  lesson.value("held-out loss, g ~ N(0, 0.02), eps 1e-12", rescued.held_out, "nats per character");
  lesson.expect("held-out loss that the small start costs", normal.held_out - ones.held_out, Above{0.05},
                Needs::training);
  lesson.expect("of it an eps of 1e-12 gives back", normal.held_out - rescued.held_out, Above{0.005}, Needs::training);
}

}  // namespace ink::lesson
