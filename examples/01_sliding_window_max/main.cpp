// Sliding-window maximum: five algorithms and their comparisons, the layer and its gradient, dilated pictures, streams
#include "examples/01_sliding_window_max/lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

using namespace ink;
using namespace ink::lesson;

namespace {

std::string row_of(const Samples& x) { return fmt::format("{}", fmt::join(x, " ")); }

void the_problem(Lesson& lesson, const Samples& x) {
  lesson.section("1. The problem", "out_i = max(x_i, ..., x_{i+k-1})", "LeetCode 239");
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
  lesson.section("2. The monotonic deque, step by step", "keep i  iff  no later x_j > x_i,  and  i > now - k");
  lesson.say("value@index: indices rise and values fall from left to right. The front is the maximum.");
  MonotonicDeque window(3);
  Compare c;
  std::string drawn = fmt::format("{:>4}  {:>4}   {:<18} {}\n", "step", "new", "deque", "maximum");
  for (size_t i = 0; i < x.size(); ++i) {
    float m = window.push(x[i], c);
    drawn += fmt::format("{:>4}  {:>4}   {:<18} {}\n", i, x[i], window.str(), i < 2 ? "" : fmt::format("{}", m));
  }
  lesson.listing(drawn);
  lesson.say("Each index enters once and leaves once: at most two comparisons per sample, whatever k.");
}

void the_blocks(Lesson& lesson) {
  lesson.section("3. Blocks instead of a queue", "out_i = max(R_i, L_{i+k-1})", "van Herk 1992; Gil & Werman 1993");
  const size_t k = 6, n = 24;
  Samples x = randn({int64_t(n)}).to_vector<float>();
  Compare c;
  auto larger = [&](float a, float b) { return c.max(a, b); };
  Samples left = since_block_start(x, k, larger), right = until_block_end(x, k, larger), out = blocks(x, k, larger);
  bool split = true;
  for (size_t i = 0; i < out.size(); ++i) split = split && out[i] == std::max(right[i], left[i + k - 1]);
  auto by_block = [&](const char* name, const Samples& y) {  // a gap between blocks
    Series s{.name = name};
    for (size_t i = 0; i < n; ++i) {
      if (i && i % k == 0) s.x.push_back(double(i) - 0.5), s.y.push_back(NAN);
      s.x.push_back(double(i)), s.y.push_back(double(y[i]));
    }
    return s;
  };
  lesson.plot("blocks",
              {by_block("L: maximum since its block began", left),
               by_block("R: maximum until its block ends", right),
               {.name = "x", .y = {x.begin(), x.end()}, .mark = Mark::points}},
              {.x = "i", .y = "value", .caption = "Four blocks of six: L climbs to the right, R to the left."});
  lesson.expect("every window maximum is one R and one L", split);
}

void the_count(Lesson& lesson, int64_t n) {
  lesson.section("4. Comparisons per sample", "k - 1,   2 - 2/k,   3 - 3/k,   ceil(log2 k)");
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
  lesson.plot("comparisons", curves,
              {.x = "window k",
               .y = "comparisons per sample",
               .log = true,
               .caption = "Random samples. Deque and van Herk do not care about k; doubling pays log2 k."});
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
               .caption = "k = 63. The deque's work depends on the data, within its bound of 2; van Herk's does not."});
  lesson.expect("all five agree on random, rising, falling, constant and sawtooth samples", agree);
  lesson.expect("deque: most comparisons per sample on any of them", worst_deque, AtMost{2});
  lesson.expect("van Herk: most comparisons per sample on any of them", worst_herk, Below{3});
}

void the_layer(Lesson& lesson, const Samples& samples) {
  lesson.section("5. The layer and its gradient",
                 "dL/dx_j = sum of dL/dout_i over the windows i whose first maximum is x_j");
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

// Grey-scale dilation by a k x k square: each pixel becomes the maximum of its surroundings. x [n, height, width], k
// odd.
Tensor dilate(const Tensor& x, int64_t k) {
  int64_t r = k / 2;
  Tensor rows = sliding_window_max(pad(x, {r, r, r, r}, PadMode::constant, -INFINITY), k, -1);
  return sliding_window_max(rows, k, -2);
}
Tensor erode(const Tensor& x, int64_t k) { return -dilate(-x, k); }

// Eight pictures [8, height, width] of the shipped digits.
Tensor read_digits(const Lesson& lesson) {
  const std::string file = lesson.data("digits-images");
  Tensor images = load_idx(file);
  if (images.dim() != 3 || images.size(0) < 8)
    throw ShapeError(file + ": got shape " + images.shape().str() + "; expected at least 8 images");
  return images.slice(0, 0, 8);
}

void the_picture(Lesson& lesson, const Tensor& eight) {
  lesson.section("6. Pictures: rows, then columns", "max over a square = max over rows of (max over columns)");
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
      "A square of k x k costs k^2 - 1 comparisons a pixel when looked at whole, 2 (3 - 2/k) in two passes: 224 "
      "against 5.7 at k = 15.");
}

void the_bridge(Lesson& lesson) {
  lesson.section("7. A sum can be un-added, a maximum cannot",
                 "s' = s - x_old + x_new;   (m, l) + (m', l') = (M, l e^{m-M} + l' e^{m'-M}),  M = max(m, m')",
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
               .caption = "A sample of 30 enters and leaves. The merged pairs come back; the un-added sum has lost "
                          "every digit below it."});
  lesson.expect("largest error of the merged pairs", worst, Below{1e-5});
  lesson.expect("the un-added sum is off after the large sample has left",
                !(std::abs(unadded.back() - exact.back()) < 1));
}

void the_stream(Lesson& lesson, int64_t n) {
  lesson.section("8. A stream", "E[samples kept] = 1 + 1/2 + ... + 1/k");
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
  Lesson lesson(
      argc, argv,
      {.note = "01",
       .name = "01_sliding_window_max",
       .title = "Sliding-window maximum",
       .about = "The maximum of every k neighbours: counted, drawn, differentiated, in pictures and in streams.",
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
