// Lesson 09c, section 5: what selection is for. Two tasks, the same net with and without it.
#pragma once
#include <numeric>

#include "examples/09c_mamba/nets.h"

namespace ink::lesson {

struct Setup {
  int64_t seeds, steps, copy_steps, batch;
};
// What each length of run trains on.
struct TaskSizes {
  int64_t symbols, length, dim, state;
  double rate;
};
inline TaskSizes induction_sizes(Mode m) {
  if (m == Mode::tiny) return {.symbols = 4, .length = 6, .dim = 4, .state = 2, .rate = 5e-3};
  return {.symbols = 8, .length = 32, .dim = 16, .state = 8, .rate = 5e-3};
}
struct CopySizes {
  int64_t count, symbols, length, dim, state;
};
inline CopySizes copy_sizes(Mode m) {
  if (m == Mode::full) return {.count = 4, .symbols = 8, .length = 32, .dim = 32, .state = 16};
  if (m == Mode::quick) return {.count = 3, .symbols = 6, .length = 16, .dim = 16, .state = 8};
  return {.count = 1, .symbols = 2, .length = 4, .dim = 4, .state = 2};
}

// Accuracies at the end of every seed's run, and the curves.
struct Outcome {
  std::vector<Series> curves;
  std::vector<double> ends;
  std::vector<Trained> nets;
  double least() const { return *std::min_element(ends.begin(), ends.end()); }
  double most() const { return *std::max_element(ends.begin(), ends.end()); }
  double mean() const { return std::accumulate(ends.begin(), ends.end(), 0.) / double(ends.size()); }
};
inline Outcome over_seeds(Lesson& lesson, const std::string& name, Training t, const Setup& setup,
                          const std::function<Asked(int64_t, Generator&)>& test) {
  Outcome out;
  for (int64_t i = 0; i < setup.seeds; ++i) {
    t.seed = lesson.seed() + 10 * uint64_t(i);
    Trained net = train(lesson, i ? fmt::format("{}, seed {}", name, i + 1) : name, t, setup.batch);
    if (i) net.curve.name = "";  // one entry of the legend for all seeds
    Generator g(999);
    out.ends.push_back(accuracy(net.net, test(lesson.mode() == Mode::tiny ? 2 : 512, g)));
    out.curves.push_back(net.curve);
    out.nets.push_back(std::move(net));
  }
  return out;
}

inline std::vector<Series> together(const Outcome& a, const Outcome& b) {
  std::vector<Series> all = a.curves;
  for (Series s : b.curves) s.mark = Mark::dashed, all.push_back(s);
  return all;
}

// Accuracy on longer inputs than the net was trained on.
inline Series at_lengths(Lesson& lesson, const MambaNet& net, const TaskSizes& z, const std::string& name) {
  Series s{.name = name};
  Generator g(1234);
  const int64_t longest = lesson.mode() == Mode::full ? 32 * z.length : 8 * z.length;
  for (int64_t n = z.length; n <= longest; n *= 2) {
    s.x.push_back(double(n));
    s.y.push_back(accuracy(net, induction(n > 512 ? 32 : 128, n, z.symbols, g).on(lesson.device())));
  }
  return s;
}

inline void induction_heads(Lesson& lesson, const Setup& setup) {
  lesson.section("6. Induction heads: find what followed", R"(\ldots\; m\; s\; \ldots\; m \;\to\; s)",
                 "Olsson et al. 2022; Gu & Dao 2023, section 4.1.2");
  const TaskSizes z = induction_sizes(lesson.mode());
  const auto draw = [&](int64_t batch, Generator& g) {
    return induction(batch, z.length, z.symbols, g).on(lesson.device());
  };
  Training t{z.symbols, z.dim, z.state, {}, setup.steps, z.rate, 0, draw};
  const Outcome mamba = over_seeds(lesson, "selective", t, setup, draw);
  t.selection = kHeldConstant;
  const Outcome constant = over_seeds(lesson, "held constant", t, setup, draw);
  const double chance = 1. / double(z.symbols - 1);
  lesson.value("induction: parameters, selective", double(MambaNet(mamba.nets[0].net).num_parameters()));
  lesson.value("induction: parameters, held constant", double(MambaNet(constant.nets[0].net).num_parameters()));
  lesson.value("induction: chance", chance);
  if (lesson.mode() != Mode::tiny)
    lesson.plot("induction", together(mamba, constant),
                {.x = "step",
                 .y = "accuracy",
                 .y_low = 0,
                 .y_high = 1.02,
                 .references = {{chance, "chance"}},
                 .caption = fmt::format("{} tokens of {} symbols; the last is the marker. A line a seed.", z.length,
                                        z.symbols)});
  lesson.expect("induction: the selective net, least accuracy of the seeds", mamba.least(), Above{0.95},
                Needs::training);
  lesson.value("induction: accuracy, selective", mamba.mean());
  lesson.value("induction: accuracy, held constant", constant.mean());

  std::vector<Series> lengths;
  double selective = 1, fixed = 0;  // at four times the length
  for (size_t i = 0; i < mamba.nets.size(); ++i) {
    lengths.push_back(at_lengths(lesson, mamba.nets[i].net, z, i ? "" : "selective"));
    selective = std::min(selective, lengths.back().y[2]);
  }
  for (size_t i = 0; i < constant.nets.size(); ++i) {
    lengths.push_back(at_lengths(lesson, constant.nets[i].net, z, i ? "" : "held constant"));
    lengths.back().mark = Mark::dashed;
    fixed = std::max(fixed, lengths.back().y[2]);
  }
  lesson.plot("lengths", lengths,
              {.x = "tokens",
               .y = "accuracy",
               .log_x = true,
               .y_low = 0,
               .y_high = 1.02,
               .references = {{chance, "chance"}},
               .caption = fmt::format("Trained on {} tokens, asked over more. A line a seed.", z.length)});
  lesson.expect("induction: four times the length, the selective net, least accuracy", selective, Above{0.8},
                Needs::training);
  lesson.expect("induction: four times the length, held constant, largest accuracy", fixed, Below{0.5},
                Needs::training);
  lesson.value("induction: accuracy at the longest", lengths[0].y.back());
  lesson.value("induction: the longest", lengths[0].x.back());
}

// The steps of one text: for each channel log2 of delta over its mean. Shown are the channels whose steps differ most
// from token to token, of the layer that has the one with the most.
inline void delta_over_time(Lesson& lesson, const MambaNet& net, const CopySizes& z) {
  NoGrad guard;
  Generator g(77);
  const Asked many =
      selective_copying(lesson.mode() == Mode::tiny ? 2 : 64, z.length, z.count, z.symbols, g).on(lesson.device());
  Tensor picture;
  double most = -1;
  for (const Tensor& delta : net.deltas(many.ids)) {
    const Tensor steps = log2(delta.to(f64)), centred = steps - mean(steps, {0, 1}, true);
    const Tensor spread = sqrt(mean(square(centred), {0, 1}));  // of each channel, in doublings
    const double widest = max(spread).item();
    if (widest <= most) continue;
    most = widest;
    const Tensor shown = argsort(spread, -1, true).narrow(0, 0, std::min<int64_t>(24, spread.numel()));
    picture = index_select(transpose(centred[0], 0, 1), 0, shown);
  }
  std::vector<std::string> columns;
  for (int64_t id : many.ids[0].to_vector<int64_t>())
    columns.push_back(id > 1 ? std::to_string(id - 1) : id ? "m" : "_");
  lesson.heatmap("delta", picture,
                 {.x = "token (m: a marker, which asks)",
                  .y = "channel",
                  .map = ColourMap::diverging,
                  .low = -2,
                  .high = 2,
                  .columns = columns,
                  .caption = "log2 of a step over its channel's mean, in one input of the trained net."});
  lesson.expect("copying: spread of the steps over tokens, in doublings, where it is largest", most, Above{0.5},
                Needs::training);
}

// What if only the step is selected, or only what goes in and out?
inline void which_of_the_three(Lesson& lesson, Training t, const Setup& setup, double all, double none,
                               const std::function<Asked(int64_t, Generator&)>& draw) {
  t.selection = {.delta = true, .B = false, .C = false};
  const double delta = over_seeds(lesson, "only delta", t, setup, draw).mean();
  t.selection = {.delta = false, .B = true, .C = true};
  const double both = over_seeds(lesson, "only B and C", t, setup, draw).mean();
  lesson.bars("selected", {"nothing", "Δ", "B and C", "all three"}, {{.name = "", .y = {none, delta, both, all}}},
              {.y = "symbols right",
               .y_low = 0,
               .references = {{1. / double(t.symbols - 2), "chance"}},
               .caption = "What depends on the token; the mean over seeds."});
  lesson.value("copying: only delta selected", delta);
  lesson.value("copying: only B and C selected", both);
}

inline void copying(Lesson& lesson, const Setup& setup) {
  lesson.section("5. Selective copying: keep what matters",
                 R"(\_\; s_1\; \_\; \_\; s_2\; \_\; m\; m \;\to\; s_1\; s_2)", "Gu & Dao 2023, section 4.1.1");
  const CopySizes z = copy_sizes(lesson.mode());
  const auto draw = [&](int64_t batch, Generator& g) {
    return selective_copying(batch, z.length, z.count, z.symbols, g).on(lesson.device());
  };
  Training t{z.symbols + 2, z.dim, z.state, {}, setup.copy_steps, 5e-3, 0, draw};
  const Outcome mamba = over_seeds(lesson, "selective", t, setup, draw);
  t.selection = kHeldConstant;
  const Outcome constant = over_seeds(lesson, "held constant", t, setup, draw);
  const double chance = 1. / double(z.symbols);
  lesson.value("copying: accuracy, selective", mamba.least());
  lesson.value("copying: accuracy, held constant", constant.most());
  if (lesson.mode() != Mode::tiny)
    lesson.plot("copying", together(mamba, constant),
                {.x = "step",
                 .y = "symbols right",
                 .y_low = 0,
                 .y_high = 1.02,
                 .references = {{chance, "chance"}},
                 .caption =
                     fmt::format("{} of {} symbols among {} tokens. A line a seed.", z.count, z.symbols, z.length)});
  lesson.expect("copying: the selective net, least accuracy of the seeds", mamba.least(), Above{0.95}, Needs::full_run);
  lesson.expect("copying: what the net held constant lacks, at least", mamba.least() - constant.most(), Above{0.1},
                Needs::training);
  which_of_the_three(lesson, t, setup, mamba.mean(), constant.mean(), draw);
  delta_over_time(lesson, mamba.nets[0].net, z);
}

}  // namespace ink::lesson
