// Sliding-window maximum: five algorithms and their comparisons, the layer and its gradient, dilated pictures, streams
#include "examples/01_sliding_window_max/lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/01_sliding_window_max/pairs.h"
#include "examples/01_sliding_window_max/pictures.h"
#include "examples/01_sliding_window_max/steps.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

using namespace ink;
using namespace ink::lesson;

namespace {

std::string row_of(const Samples& x) { return fmt::format("{}", fmt::join(x, " ")); }

void the_problem(Lesson& lesson, const Samples& x) {
  lesson.section("1. The problem", R"(\text{out}_i = \max(x_i, \dots, x_{i+k-1}))", "LeetCode 239");
  lesson.say(
      "A window of k samples moves along a line; report its maximum at every stop. Five algorithms, one answer:");
  bool all = true;
  for (const Algorithm& a : kAlgorithms) {
    Compare c;
    Samples out = a.run(x, 3, c);
    lesson.listing(fmt::format("{:<12} [{}]  {} comparisons", a.name, row_of(out), c.count));
    all = all && out == Samples{3, 3, 5, 5, 6, 7} && a.run({1}, 1, c) == Samples{1};
  }
  lesson.expect("[1,3,-1,-3,5,3,6,7] with k = 3 gives [3,3,5,5,6,7], and [1] with k = 1 gives [1], by all five", all);
}

void the_deque(Lesson& lesson, const Samples& x) {
  lesson.section("2. The heap and the deque",
                 R"(\text{keep } i \iff i > \text{now} - k \text{ and no later } x_j > x_i)");
  const int64_t in_heap = heap_step_by_step(lesson, {x.rbegin(), x.rend()}, 3),
                in_deque = deque_step_by_step(lesson, x, 3);
  lesson.say(
      fmt::format("{} comparisons by the heap, on the line read backwards; {} by the deque.", in_heap, in_deque));
  lesson.say("Each index enters once and leaves once: less than two comparisons a sample on average, whatever k.");
  lesson.expect("k = 63, a large sample after 63 falling ones: comparisons of its push, k - 1",
                double(dearest_push(63)), Equals{62});
}

void the_blocks(Lesson& lesson) {
  lesson.section("3. Blocks instead of a queue", R"(\text{out}_i = \max(R_i, L_{i+k-1}))",
                 "van Herk 1992; Gil & Werman 1993");
  blocks_step_by_step(lesson, {1, 3, -1, -3, 5, 3, 6, 7}, 3);
  doubling_step_by_step(lesson, {1, 3, -1, -3, 5, 3, 6, 7}, 5);
  const size_t k = 6, n = 24;
  Samples x = randn({int64_t(n)}).to_vector<float>();
  Compare c;
  auto larger = [&](float a, float b) { return c.max(a, b); };
  Samples left = since_block_start(x, k, larger), right = until_block_end(x, k, larger), slow = brute_force(x, k, c);
  bool split = true;
  for (size_t i = 0; i < slow.size(); ++i) split = split && slow[i] == std::max(right[i], left[i + k - 1]);
  lesson.plot("blocks",
              {by_block("L: maximum since its block began", left, k),
               by_block("R: maximum until its block ends", right, k),
               {.name = "x", .y = {x.begin(), x.end()}, .mark = Mark::points}},
              {.x = "i", .y = "value", .caption = "Four blocks of six: L climbs to the right, R to the left."});
  lesson.expect("every window's maximum, by brute force, is the larger of one R and one L", split);
}

void the_count(Lesson& lesson, int64_t n) {
  lesson.section("4. Comparisons per sample",
                 R"(k - 1, \quad 2 - \frac{2}{k}, \quad 3 - \frac{3}{k}, \quad \lceil \log_2 k \rceil)");
  std::vector<Stream> all = streams(randn({n}).to_vector<float>());
  std::vector<Series> curves;
  for (const Algorithm& a : kAlgorithms) {
    Series s{.name = a.name};
    double off = 0;  // the largest relative distance from the formula
    for (int k : {3, 7, 15, 31, 63, 127, 255}) {
      double counted = comparisons_per_sample(a, all[0].samples, size_t(k));
      s.x.push_back(k), s.y.push_back(counted);
      if (a.expected) off = std::max(off, std::abs(counted / a.expected(k) - 1));
    }
    curves.push_back(s);
    lesson.value(fmt::format("{} at k = 255", s.name), s.y.back(), "comparisons per sample");
    if (a.expected) lesson.expect(s.name + ": off the formula at most by the share", off, Below{0.02}, Needs::training);
  }
  lesson.plot(
      "comparisons", curves,
      {.x = "window k",
       .y = "comparisons per sample",
       .log = true,
       .caption =
           "Random samples. Deque and van Herk do not grow with k; doubling pays one per pass, brute force k - 1."});
  std::vector<std::string> names;
  std::vector<Series> bars{{.name = "heap"}, {.name = "deque"}, {.name = "van Herk"}};
  bool agree = true;
  double worst_deque = 0, worst_herk = 0;
  for (const Stream& s : all) {
    names.push_back(s.name);
    for (int a = 1; a <= 3; ++a) bars[size_t(a - 1)].y.push_back(comparisons_per_sample(kAlgorithms[a], s.samples, 63));
    worst_deque = std::max(worst_deque, bars[1].y.back()), worst_herk = std::max(worst_herk, bars[2].y.back());
    Compare c;
    Samples slow = brute_force(s.samples, 63, c);
    for (const Algorithm& a : kAlgorithms) agree = agree && a.run(s.samples, 63, c) == slow;
  }
  lesson.bars("streams", names, bars,
              {.y = "comparisons per sample",
               .caption = "k = 63. The deque's work depends on the data, within 2 on average; van Herk's does not."});
  lesson.expect("all five agree on random, rising, falling, constant and sawtooth samples", agree);
  lesson.expect("deque: most comparisons per sample on any of them", worst_deque, AtMost{2});
  lesson.expect("van Herk: most comparisons per sample on any of them", worst_herk, Below{3});
}

void the_layer(Lesson& lesson, const Samples& samples) {
  lesson.section("5. The layer and its gradient",
                 R"(\frac{dL}{dx_j} = \sum_{i:\, j = \text{argmax of window } i} \frac{dL}{d\,\text{out}_i})");
  gradient_step_by_step(lesson, samples, 3);
  Tensor x = from_data(samples, {8}).to(lesson.options()).requires_grad_();
  Tensor y = sliding_window_max(x, 3);
  y.sum().backward();
  lesson.show("sliding_window_max(x, 3)", y);
  lesson.show("gradient of its sum", x.grad());
  lesson.expect("x_j gets one for every window it wins",
                equal(x.grad(), tensor({0, 2, 0, 0, 2, 0, 1, 1}, lesson.options())));

  Tensor ties = ones({6}, lesson.options()).requires_grad_();
  sliding_window_max(ties, 3).sum().backward();
  lesson.show("gradient when all samples are equal", ties.grad());
  lesson.expect("at a tie the first maximum takes it all",
                equal(ties.grad(), tensor({1, 1, 1, 1, 0, 0}, lesson.options())));

  lesson.say("The slow reference writes every window out, [..., n - k + 1, k], and takes the maximum of the last dim.");
  Tensor a = randint(0, 9, {4, 32, 32}).to(lesson.options()).requires_grad_(), b = a.detach().clone().requires_grad_();
  bool same = true;
  for (int64_t dim = 0; dim < 3; ++dim) {
    Tensor fast = sliding_window_max(a, 3, dim), slow = max(unfold(b, dim, 3, 1), {-1});
    Tensor weights = randint(-4, 5, fast.shape()).to(lesson.options());  // exact in every dtype
    a.zero_grad(), b.zero_grad();
    (fast * weights).sum().backward(), (slow * weights).sum().backward();
    same = same && equal(fast, slow) && equal(a.grad(), b.grad());
  }
  lesson.expect("value and gradient equal the reference's along every dim, ties included", same);
  GradcheckResult check = gradcheck1([](const Tensor& t) { return sliding_window_max(t, 5, 1); }, randn({3, 12}, f64));
  lesson.expect("its gradient equals central differences", check.ok);
}

void the_picture(Lesson& lesson, const Tensor& eight) {
  lesson.section("6. Pictures: rows, then columns",
                 R"(\max_{a, b} x_{i+a, j+b} = \max_a \big( \max_b x_{i+a, j+b} \big))");
  rows_then_columns(lesson);
  Tensor digits = eight.unsqueeze(0).to(lesson.options());
  Tensor x = pad(upsample_nearest2d(digits, 4)[0], {4, 4, 4, 4});  // [8, 40, 40]
  Tensor wide = dilate(x, 5), thin = erode(x, 5);
  lesson.images("dilation", cat({x, wide, thin, wide - thin}),
                {.per_row = 8,
                 .caption = "Rows: digits, dilated by 5 x 5, eroded, and their difference, which draws the outline."});
  Tensor padded = pad(x, {2, 2, 2, 2}, PadMode::constant, -INFINITY);
  lesson.expect("two passes of 5 equal one 5 x 5 window",
                equal(wide, max(unfold(unfold(padded, 1, 5, 1), 2, 5, 1), {-2, -1})));
  lesson.say(
      "A square of k x k costs k^2 - 1 comparisons a pixel when looked at whole, 2 (3 - 3/k) in two passes: 224 "
      "against 5.6 at k = 15.");
}

void the_bridge(Lesson& lesson) {
  lesson.section("7. A sum can be un-added, a maximum cannot",
                 R"((m, \ell) \oplus (m', \ell') = (M,\; \ell e^{m - M} + \ell' e^{m' - M}), \quad M = \max(m, m'))",
                 "the merge of online softmax: Milakov & Gimelshein 2018");
  Compare c;
  Samples one = brute_force({5, 1, 0, 2}, 3, c), two = brute_force({5, 4, 0, 2}, 3, c);
  lesson.listing(fmt::format("5 1 0 | 2   ->  {}\n5 4 0 | 2   ->  {}", row_of(one), row_of(two)));
  lesson.say(
      "Both windows have maximum 5, both lose a 5 and gain a 2, and yet their next maxima differ: no rule can update "
      "the maximum alone.");
  lesson.expect("same maximum, same sample out, same sample in, different next maximum",
                one[0] == two[0] && one[1] != two[1]);

  lesson.say(
      "What can be merged need not be un-added. Windowed softmax needs log sum e^x over each window; one large sample "
      "shows why un-adding fails in f32.");
  un_adding_step_by_step(lesson);
  const size_t n = 160, k = 32;
  Samples x = randn({int64_t(n)}).to_vector<float>();
  x[64] = 30;
  std::vector<double> exact = log_sum_exp(x, k), merged = log_sum_exp_merged(x, k), unadded = log_sum_exp_unadded(x, k);
  double worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) worst = std::max(worst, std::abs(merged[i] - exact[i]));
  lesson.plot("unadding",
              {{.name = "merged pairs", .y = merged}, {.name = "un-added", .y = unadded, .mark = Mark::dashed}},
              {.x = "window",
               .y = "log sum e^x",
               .caption = "A sample of 30 enters at window 33 and leaves at 65. The merged pairs come back; the "
                          "un-added sum has lost every digit below it. Where its line is missing, it is 0 or negative "
                          "and has no logarithm."});
  lesson.expect("largest error of the merged pairs", worst, Below{1e-5});
  lesson.expect("the un-added sum is off after the large sample has left",
                !(std::abs(unadded.back() - exact.back()) < 1));
}

void the_stream(Lesson& lesson, int64_t n) {
  lesson.section("8. A stream", R"(\mathbb{E}[\text{samples kept}] = 1 + \frac{1}{2} + \dots + \frac{1}{k})");
  lesson.say(
      "Push a sample, read the maximum of the last k. The deque holds the records of the window seen from its end.");
  Samples x = rand({n}).to_vector<float>();
  Series time{.name = "push and read"};
  for (size_t k : {4, 16, 64, 256, 1024}) {
    MonotonicDeque window(k);
    Compare c;
    double kept = 0, harmonic = 0;
    for (float v : x) window.push(v, c), kept += double(window.size());
    for (size_t j = 1; j <= k; ++j) harmonic += 1. / double(j);
    lesson.expect(fmt::format("k = {}: average length of the deque over 1 + 1/2 + ... + 1/k", k),
                  kept / double(n) / harmonic, Within{0.95, 1.05}, Needs::training);
    time.x.push_back(double(k)), time.y.push_back(nanoseconds_per_sample(x, k));
  }
  lesson.measured("time at k = 1024", time.y.back(), "ns per sample");
  lesson.plot("stream-time", {time},
              {.x = "window k",
               .y = "ns per sample",
               .log_x = true,
               .y_low = 0,
               .caption = "The time per sample does not grow with the window."});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "01",
                 .name = "01_sliding_window_max",
                 .title = "Sliding-window maximum",
                 .about =
                     "The maximum of every k neighbours: counted, drawn, differentiated, in pictures and in streams.",
                 .full_time = "15 s"});
  int64_t n =
      lesson.option("samples", Sizes{.full = 1000000, .quick = 100000, .tiny = 2000, .least = 1000}, "of the streams");
  const Tensor digits = lesson.checked("data", [&] { return read_digits(lesson); });
  const Samples x = {1, 3, -1, -3, 5, 3, 6, 7};
  the_problem(lesson, x);
  the_deque(lesson, x);
  the_blocks(lesson);
  the_count(lesson, n);
  the_layer(lesson, x);
  the_picture(lesson, digits);
  the_bridge(lesson);
  the_stream(lesson, n);
  return lesson.finish();
}
