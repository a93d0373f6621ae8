// Linear RNNs: LRU, RetNet, RWKV and the delta rule as one recurrence in three forms; what each remembers, and a race
#include <fmt/format.h>

#include <cmath>

#include "examples/09d_linear_rnn/forms.h"
#include "examples/09d_linear_rnn/memory.h"
#include "examples/09d_linear_rnn/recall.h"
#include "examples/09d_linear_rnn/shootout.h"
#include "examples/09d_linear_rnn/steps.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void no_nonlinearity(Lesson& lesson, const Options& numbers) {
  lesson.section("1. A recurrence without a nonlinearity", R"(h_t = \lambda \odot h_{t-1} + u_t)",
                 "Orvieto et al. 2023; Su 2023, kexue.fm 9554");
  const int64_t n = 1000;
  const Tensor u = randn({1, n, 4}, numbers), factor = full({4}, 0.9, numbers);
  const Tensor steps = linear_recurrence(factor, u, 1);
  double furthest = 0;
  for (auto algorithm : {ScanAlgorithm::hillis_steele, ScanAlgorithm::blelloch, ScanAlgorithm::chunked})
    furthest = std::max(furthest, largest(linear_recurrence(factor, u, 1, {.algorithm = algorithm}) - steps));
  lesson.expect("step by step equals every scan: largest difference", furthest, Below{1e-4});
  const Tensor by_sums = scaled_running_sum(u, 0.9);
  const Tensor finite = all(isfinite(by_sums), {0, 2});
  const int64_t first_bad = argmin(finite.to(i64)).item<int64_t>();
  lesson.expect("the running sum of u / lambda^t agrees for 100 steps", largest((by_sums - steps).narrow(1, 0, 100)),
                Below{1e-3});
  lesson.value("overflow", double(first_bad));
  if (numbers.dtype == f32)
    lesson.expect("and overflows a float for lambda = 0.9 at step", double(first_bad), Within{810, 843});
  lesson.expect("LRU: three forms, largest difference", forms_differ(SsmKind::lru, numbers).worst(), Below{1e-4});
  lesson.expect("SLRU: three forms, largest difference", forms_differ(SsmKind::slru, numbers).worst(), Below{1e-4});
}

void retention(Lesson& lesson, const Options& numbers) {
  lesson.section("2. RetNet: a sum that fades", R"(S_t = \gamma S_{t-1} + k_t v_t^\top, \quad o_t = S_t^\top q_t)",
                 "Sun et al. 2023, eq. 5-7");
  const FormDifferences before = retention_before_norm(numbers);
  lesson.expect("parallel and recurrent, before the norm: largest difference", before.parallel, Below{1e-4});
  lesson.expect("chunked and recurrent, before the norm: largest difference", before.chunked, Below{1e-4});
  chunk_by_chunk(lesson, numbers);
  const std::vector<double> eps{0, 1e-6, 1e-5};
  std::vector<double> off;
  for (double e : eps) off.push_back(scale_seen_through_norm(e, numbers));
  lesson.expect("another scale of o, seen through the norm with eps = 0: largest difference", off[0], Below{1e-4});
  lesson.expect("with eps = 1e-5", off[2], Above{0.01});
  lesson.value("scale through the norm, 1e-6", 100 * off[1], "%");
  lesson.value("scale through the norm, 1e-5", 100 * off[2], "%");
}

void one_recurrence(Lesson& lesson, const Options& numbers) {
  lesson.section("3. One recurrence for all",
                 R"(S_t = \operatorname{diag}(w_t) S_{t-1} + p_t (r_t^\top S_{t-1}) + k_t v_t^\top)");
  std::vector<std::string> names;
  Series parallel{.name = "parallel"}, chunked{.name = "chunked"};
  double worst = 0;
  for (SsmKind kind : all_ssm_kinds()) {
    const FormDifferences d = forms_differ(kind, numbers);
    names.push_back(name_of(kind));
    // on a logarithmic scale, from 1e-9 up
    parallel.y.push_back(std::log10(std::max(d.parallel, 1e-9))),
        chunked.y.push_back(std::log10(std::max(d.chunked, 1e-9)));
    worst = std::max(worst, d.worst());
    lesson.value(fmt::format("parallel, {}", names.back()), d.parallel);
    lesson.value(fmt::format("chunked, {}", names.back()), d.chunked);
  }
  lesson.expect("every kind, parallel and chunked against step by step: largest difference", worst, Below{1e-3});
  lesson.expect("pieces of 1, 7 and 29 tokens against the whole, all kinds: largest difference", pieces_differ(numbers),
                Below{1e-3});
}

void in_log_space(Lesson& lesson, const Options& numbers) {
  lesson.section(
      "4. RWKV: means in log space",
      R"(\text{wkv}_t = \frac{\sum_{i<t} e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t}{\sum_{i<t} e^{(t-1-i) w + k_i} + e^{u + k_t}})",
      "Peng et al. 2023, eq. 16");
  wkv_in_log_space(lesson, numbers);
  const WkvTrial small = wkv_trial(3, numbers), large = wkv_trial(numbers.dtype == f64 ? 3000 : 300, numbers);
  lesson.expect("small keys: log space against the definition, largest difference", small.difference, Below{1e-4});
  lesson.expect("large keys: the definition is finite in so many outputs (%)", large.plain_finite, Below{50});
  lesson.expect("large keys: log space is finite in (%)", large.stable_finite, Equals{100});
  lesson.expect("large keys: furthest output outside [min v, max v]", large.outside, AtMost{1e-5});
  lesson.expect("500 added to every key: largest change", large.shifted, Below{1e-3});
  lesson.expect("RWKV-7: least and largest decay lie in (0.545, 1)", rwkv7_decays_lie_inside(numbers));
}

void the_delta_rule(Lesson& lesson, const Options& numbers) {
  lesson.section("5. The delta rule: write what is missing",
                 R"(S_t = S_{t-1} - \beta_t \nabla_S \tfrac12 \lvert S^\top k_t - v_t \rvert^2)",
                 "Widrow & Hoff 1960; Schlag et al. 2021; Su 2025, kexue.fm 11033");
  keys_written_again(lesson, numbers);
  const int64_t d = 8;
  const Tensor keys = eye(d, numbers).unsqueeze(0), first = randn({1, d, d}, numbers), then = randn({1, d, d}, numbers);
  const auto rewritten = [&](const MemoryRule& r) { return written(r, keys, then, written(r, keys, first))[0]; };
  lesson.expect("orthonormal keys written twice, delta: read - last value, largest",
                largest(rewritten(kRules[2]) - then[0]), Below{1e-5});
  lesson.expect("adding: read - sum of both values, largest", largest(rewritten(kRules[0]) - first[0] - then[0]),
                Below{1e-5});
  lesson.expect("n steps at once by a triangular system against one after the other: largest difference",
                forms_differ(SsmKind::delta_net, numbers).worst(), Below{1e-4});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "09",
                 .name = "09d_linear_rnn",
                 .title = "Linear RNNs: RetNet, RWKV, the delta rule",
                 .about =
                     "Recurrent nets whose step is linear: the same numbers all pairs at once, step by step, or in "
                     "chunks; and what a state of fixed size remembers when keys are written again.",
                 .full_time = "6 min"});
  const int64_t draws = lesson.option("draws", Sizes{.full = 200, .quick = 40, .tiny = 2}, "random memories");
  const int64_t recall_steps = lesson.option("trials", Sizes{.full = 600, .quick = 300, .tiny = 1}, "steps on recall");
  const double rate = lesson.option("lr", 1e-2, "highest learning rate on recall", Number::positive);
  const int64_t steps = lesson.option("steps", Sizes{.full = 600, .quick = 60, .tiny = 1}, "of training on text");
  const int64_t longest =
      lesson.option("longest", Sizes{.full = 4096, .quick = 512, .tiny = 128, .least = 128}, "characters read");
  const Options numbers{is_half(lesson.dtype()) ? f32 : lesson.dtype(), lesson.device()};
  const bool full = lesson.mode() == ink::lesson::Mode::full, tiny = lesson.mode() == ink::lesson::Mode::tiny;
  const CharText text = lesson.text("opticks", 2000);
  const LmSizes z{.steps = steps, .windows = tiny ? 1 : 12, .length = tiny ? 8 : 64, .tests = tiny ? 1 : 128};
  const RecallSizes recall{.steps = recall_steps,
                           .batch = tiny ? 1 : 32,
                           .keys = tiny   ? 2
                                   : full ? 8
                                          : 4,
                           .writes = tiny   ? 4
                                     : full ? 32
                                            : 12,
                           .tests = tiny ? 1 : 256,
                           .rate = rate};
  std::vector<Racer> racers{racer(KindChoice(AttentionKind::softmax)), racer(SsmKind::lru), racer(SsmKind::retnet),
                            racer(SsmKind::rwkv4)};
  if (full)
    for (SsmKind kind : {SsmKind::slru, SsmKind::mamba, SsmKind::rwkv7, SsmKind::gated_delta_net})
      racers.push_back(racer(kind));
  if (tiny) racers.resize(2);
  no_nonlinearity(lesson, numbers);
  retention(lesson, numbers);
  one_recurrence(lesson, numbers);
  in_log_space(lesson, numbers);
  the_delta_rule(lesson, numbers);
  without_training(lesson, numbers, draws);
  trained_to_recall(lesson, recall, full ? 3 : 1, {f32, lesson.device()});
  the_race(lesson, text, racers, z);
  what_they_cost(lesson, racers, z, text.vocabulary(), longest);
  return lesson.finish();
}
