// Section 8 of lesson 09a: what systems of equal size can say of the past.
#include "examples/09a_hippo/delay.h"

#include <fmt/format.h>

namespace ink::lesson {

void a_delay_line(Lesson& lesson, int64_t samples, int64_t state) {
  lesson.section("8. What can be read back", R"(u(t - \text{delay}) \approx w^\top x(t))",
                 "Voelker et al. 2019; Gu et al. 2022");
  const Hippo h = hippo(HippoKind::legt, 6);
  Tensor x = unsqueeze(h.B, 1);
  double wanted = 1, worst = 0;
  for (int64_t k = 0; k < 12; ++k, wanted *= -1 / double(k)) {
    x = solve(h.A, x);
    const double moment = -matmul(hippo_basis(h, zeros({}, f64)), squeeze(x, 1)).item();
    worst = std::max(worst, std::abs(moment / wanted - 1));
  }
  lesson.expect("LegT with 6 numbers, read at its far end: the first 12 powers of e^-s, largest relative error", worst,
                Below{1e-6});
  lesson.value("numbers of state", double(state));
  std::vector<std::string> names;
  std::vector<Series> bars;
  for (const int64_t cycles : {10, 30}) {
    const DelayTask task{.samples = samples, .state = state, .seed = lesson.seed()};
    const Samples u = sampled(noise(cycles * samples / 1000, lesson.seed() + 3), samples, 0, 1);
    Series series{.name = fmt::format("below {} Hz", cycles)};
    names.clear();
    for (const DelayLine& line : delay_lines(task, u)) {
      names.push_back(line.name), series.y.push_back(std::min(1.2, delay_error(line, task, u)));
      lesson.value(fmt::format("{}, below {} Hz", line.name, cycles), series.y.back());
    }
    bars.push_back(series);
  }
  lesson.bars("delay", names, bars,
              {.y = "error / size of the signal",
               .y_low = 0,
               .caption = "Noise, half a second ago, from 64 numbers of state. 1: as good as "
                          "saying 0."});
  const Samples &slow = bars[0].y, &fast = bars[1].y;
  lesson.expect("LegT: error below 30 Hz", fast[0], Below{0.02}, Needs::training);
  lesson.expect("FouT of the note over FouT, below 10 Hz", slow[3] / slow[2], Above{3}, Needs::training);
  lesson.expect("FouT of the note over FouT, below 30 Hz", fast[3] / fast[2], Above{2}, Needs::training);
  lesson.expect("real poles alone (S4D-Real) and a random matrix, the better one below 10 Hz",
                std::min(slow[6], slow[7]), Above{0.8}, Needs::training);
}

}  // namespace ink::lesson
