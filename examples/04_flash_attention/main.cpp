// FlashAttention: the softmax ladder, tiles, two loop orders and their traffic, backward by recomputation, masks,
// training
#include <fmt/format.h>

#include <numeric>
#include <random>

#include "examples/04_flash_attention/library.h"
#include "examples/04_flash_attention/traffic.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void the_cost(Lesson& lesson, int64_t n) {
  lesson.section("1. Why: scores stand in slow memory", R"(S = Q K^\top, \quad P = \text{softmax}(S), \quad O = P V)",
                 "Vaswani et al. 2017");
  const int64_t d = 64;
  Slow slow;
  standard_attention(random_matrix(n, d, .3), random_matrix(n, d, .3), random_matrix(n, d), slow);
  lesson.listing(fmt::format("one head, N = {}, d = {}: {} numbers moved, {} of them scores and weights", n, d,
                             slow.moved(), 4 * n * n));
  lesson.expect("counted traffic is 4 N d + 4 N^2", slow.moved() == moved_by_standard(n, d));
  lesson.value("share of scores in the traffic", 4. * double(n * n) / double(slow.moved()));
  std::string table = "tokens   scores of one head in f32\n";
  for (int64_t t : {512, 2048, 8192, 32768}) table += fmt::format("{:>6}   {:>6} MiB\n", t, t * t * 4 >> 20);
  lesson.listing(table);
}

void the_ladder(Lesson& lesson, int64_t longest) {
  lesson.section("2. Three passes, two, one",
                 R"(m_k = \max(m_{k-1}, x_k), \quad l_k = l_{k-1} e^{m_{k-1} - m_k} + e^{x_k - m_k}, \quad )"
                 R"(o_k = o_{k-1} e^{m_{k-1} - m_k} + e^{x_k - m_k} v_k)",
                 "Milakov & Gimelshein 2018, algorithm 3; Ye 2023");
  key_by_key(lesson);
  Slow ignored;
  const Row large{100, 101, 99};
  lesson.expect("e^100 overflows f32, safe and online softmax do not care",
                std::isinf(std::exp(large[0])) && error_of(safe_softmax(large, ignored), exact_softmax(large)) < 1e-6 &&
                    error_of(online_softmax(large, ignored), exact_softmax(large)) < 1e-6);

  const int64_t n = 1024, d = 64;
  const Row x = random_matrix(1, n).values;
  const Matrix v = random_matrix(n, d);
  Slow three, two, one;
  const Row a = weighted_sum(safe_softmax(x, three), v, three), b = weighted_sum(online_softmax(x, two), v, two),
            c = fused_attention(x, v, one);
  const std::vector<double> p = exact_softmax(x);
  double worst[3] = {};
  for (int64_t e = 0; e < d; ++e) {
    double exact = 0;
    for (int64_t t = 0; t < n; ++t) exact += p[size_t(t)] * v[t][e];
    for (auto [rung, o] : {std::pair{0, &a}, {1, &b}, {2, &c}})
      worst[rung] = worse(worst[rung], std::abs((*o)[size_t(e)] - exact));
  }
  std::vector<Series> bars{{.name = "passes over the row"}, {.name = "numbers moved per score, beside V"}};
  std::string table = "softmax   passes   moved per score   flops per score   error of o\n";
  const char* names[] = {"safe", "online", "fused with V"};
  for (auto [rung, slow] : {std::pair{0, &three}, {1, &two}, {2, &one}}) {
    bars[0].y.push_back(double(slow->passes)), bars[1].y.push_back(double(slow->moved() - n * d) / double(n));
    table += fmt::format("{:<14} {:>3} {:>14.0f} {:>17.0f} {:>15.1e}\n", names[rung], slow->passes, bars[1].y.back(),
                         double(slow->flops) / double(n), worst[rung]);
    lesson.value(fmt::format("operations per score, {}", names[rung]), double(slow->flops) / double(n));
    lesson.expect(fmt::format("{}: error of attention against f64", names[rung]), worst[rung], Below{1e-6});
  }
  lesson.listing(table);
  lesson.bars("ladder", {"safe softmax, then V", "online softmax, then V", "fused with V"}, bars,
              {.y = "count",
               .caption = "The last of the passes is the weighted sum of V. In one pass no weight is ever stored."});
  lesson.expect("passes: softmax by 3 or 2 and one over V, or 1 in all",
                three.passes == 4 && two.passes == 3 && one.passes == 1);

  std::vector<Series> errors{{.name = "safe"}, {.name = "online"}};
  for (int64_t t = 1024; t <= longest; t *= 4) {
    const int rows = 8;
    double sum[2] = {};
    for (int r = 0; r < rows; ++r) {
      const Row row = random_matrix(1, t).values;
      const std::vector<double> exact = exact_softmax(row);
      sum[0] += error_of(safe_softmax(row, ignored), exact), sum[1] += error_of(online_softmax(row, ignored), exact);
    }
    for (size_t s : {0, 1}) errors[s].x.push_back(double(t)), errors[s].y.push_back(sum[s] / rows);
  }
  lesson.plot("errors", errors,
              {.x = "row length",
               .y = "largest relative error, mean of 8 rows",
               .log = true,
               .caption = "Both sum in f32, number after number: the error grows with the row, the same for both."});
  lesson.expect("the rescaled sum is as good as the plain one: error of online over safe at the longest row",
                errors[1].y.back() / errors[0].y.back(), Within{.4, 2.5});

  lesson.say(
      "Softmax itself cannot be had in one pass: its first weight depends on the last score. Only attention can, "
      "because o may be rescaled as l is.");
  Row hasty;  // every weight by the m and l of that moment
  float m = fn::lowest<float>(), l = 0;
  for (float s : x) {
    const float before = m;
    m = std::max(m, s), l = l * std::exp(before - m) + std::exp(s - m);
    hasty.push_back(std::exp(s - m) / l);
  }
  const double sum = std::accumulate(hasty.begin(), hasty.end(), 0.);
  lesson.value("sum of hasty weights", sum);
  lesson.expect("1,024 weights written in the first pass do not sum to 1", sum, Above{2});
  const Row early{2, 1, 0}, late{2, 1, 9};
  lesson.expect("equal scores but the last, and yet the first weight differs",
                safe_softmax(early, ignored)[0] > .6f && safe_softmax(late, ignored)[0] < .001f);
}

void the_merge(Lesson& lesson) {
  lesson.section("3. An associative merge",
                 R"(\hat m = \max(m, m'), \quad \hat l = l e^{m - \hat m} + l' e^{m' - \hat m}, \quad )"
                 R"(\hat o = o e^{m - \hat m} + o' e^{m' - \hat m})",
                 "Dao et al. 2022, section 3.1");
  const size_t n = 200, d = 4;
  std::mt19937_64 random(lesson.seed());
  std::normal_distribution<double> normal;
  std::vector<Partial<double>> parts;
  for (size_t t = 0; t < n; ++t) {
    parts.push_back({{30 * normal(random), 1}, {}});
    for (size_t c = 0; c < d; ++c) parts.back().o.push_back(normal(random));
  }
  auto answer = [](const Partial<double>& s) { return s.o[0] / s.sum.l; };
  Partial<double> in_order{{}, std::vector<double>(d, 0)};
  for (const auto& part : parts) in_order = merge(in_order, part);
  double worst = 0;
  for (int trial = 0; trial < 50; ++trial) {  // any neighbours or not, in any order, and now and then nothing at all
    std::vector<Partial<double>> left = parts;
    while (left.size() > 1) {
      std::swap(left[random() % left.size()], left.back());
      Partial<double> last = left.back(), none{{}, std::vector<double>(d, 0)};
      left.pop_back();
      Partial<double>& other = left[random() % left.size()];
      other = merge(other, random() % 4 ? last : merge(none, last));
    }
    worst = worse(worst, std::abs(answer(left[0]) - answer(in_order)));
  }
  lesson.expect("50 random orders and splits of 200 keys: largest difference in f64", worst, Below{1e-12});
  const Partial<double> none{{}, {0}};
  lesson.expect("nothing merged with nothing is nothing, not NaN",
                merge(none, none).sum.l == 0 && merge(none, none).o[0] == 0);
  const auto [first, second] = merges(lesson);
  const std::vector<double> p = exact_softmax({1, 3, 2, 5, 4, 0});
  double whole = 0;
  for (size_t t = 0; t < 6; ++t) whole += p[t] * 10 * double(t + 1);
  lesson.expect("four parts, two orders: largest difference from the whole row",
                worse(std::abs(first - whole), std::abs(second - whole)), Below{1e-12});
  lesson.say("So keys may be cut into tiles, shared out among cores or machines, or come from two lists.");
}

void the_tiles(Lesson& lesson) {
  lesson.section("4. Tile by tile",
                 R"(o \leftarrow e^{m_\text{old} - m}\, o + \sum_t e^{x_t - m}\, v_t, \quad \text{answer } o / l)",
                 "Dao 2023, algorithm 1");
  const Matrix answers = by_tiles(lesson);
  double worst = 0;
  for (int64_t i = 0; i < 2; ++i) {
    const std::vector<double> p = exact_softmax(i == 0 ? Row{1, 3, 2, 5, 4, 0} : Row{4, 1, 3, 2, 4, 3});
    double whole = 0;
    for (size_t t = 0; t < 6; ++t) whole += p[t] * 10 * double(t + 1);
    worst = worse(worst, std::abs(answers[i][0] - whole));
  }
  lesson.expect("two queries, three tiles: largest difference from the whole rows", worst, Below{1e-5});
}

void the_backward(Lesson& lesson, int64_t n) {
  lesson.section("6. Backward without stored weights",
                 R"(P = e^{S - \text{lse}}, \quad dS = P \odot (dO V^\top - \text{rowsum}(dO \odot O)))",
                 "Dao 2023, algorithm 2");
  const int64_t d = 16;
  const Matrix q = random_matrix(n, d, .5), k = random_matrix(n, d, .5), v = random_matrix(n, d),
               g = random_matrix(n, d);
  Slow slow;
  Row lse;
  const Matrix o = flash2(q, k, v, 2048, slow, lse);
  const Gradients ours = flash_backward(q, k, v, o, lse, g);
  Tensor tq = as_tensor(q).requires_grad_(), tk = as_tensor(k).requires_grad_(), tv = as_tensor(v).requires_grad_();
  Tensor p = softmax(matmul(tq, tk.t()), -1);
  matmul(p, tv).backward(as_tensor(g));
  double worst = 0;
  for (auto [mine, of] : {std::pair{&ours.q, &tq}, {&ours.k, &tk}, {&ours.v, &tv}})
    worst = worse(worst, (as_tensor(*mine) - of->grad()).abs().max().item());
  Tensor means = (p.detach() * matmul(as_tensor(g), as_tensor(v).t())).sum({1}),
         D = (as_tensor(g) * as_tensor(o)).sum({1});
  lesson.expect("the mean of a row of dP under P is dO . O: largest difference", (means - D).abs().max().item(),
                Below{1e-4});
  lesson.expect("dQ, dK, dV equal autograd's through the stored weights: largest difference", worst, Below{1e-4});
  lesson.listing(fmt::format("kept for the backward pass, N = {}, d = {}: {} numbers (O and lse) instead of {} (P)", n,
                             d, n * d + n, n * n));
  backward_by_keys(lesson);
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "04",
                 .name = "04_flash_attention",
                 .title = "FlashAttention",
                 .about = "Softmax attention without ever storing the scores: in one pass, tile by tile, with every "
                          "number that moves counted.",
                 .full_time = "2 min"});
  const int64_t counted =
      lesson.option("counted", Sizes{.full = 1024, .quick = 512, .tiny = 256, .least = 256, .multiple = 64},
                    "tokens, traffic");
  const int64_t row =
      lesson.option("row", Sizes{.full = 1 << 22, .quick = 1 << 18, .tiny = 1 << 12, .least = 1024, .most = 1 << 26},
                    "longest row");
  const int64_t masked =
      lesson.option("masked", Sizes{.full = 1024, .quick = 1024, .tiny = 128, .least = 64, .multiple = 64},
                    "tokens, masks");
  const int64_t tokens =
      lesson.option("tokens", Sizes{.full = 16384, .quick = 4096, .tiny = 256, .least = 8}, "tokens, memory");
  const int64_t steps = lesson.option("steps", Sizes{.full = 600, .quick = 150, .tiny = 2}, "of training");
  const int64_t context = lesson.option("context", Sizes{.full = 256, .quick = 128, .tiny = 128}, "of the model");
  const CharText text = lesson.text("opticks", context + 2);
  the_cost(lesson, counted);
  the_ladder(lesson, row);
  the_merge(lesson);
  the_tiles(lesson);
  the_traffic(lesson, counted);
  on_a_gpu(lesson);
  the_backward(lesson, counted / 4);
  the_masks(lesson, masked);
  memory_and_time(lesson, tokens);
  the_training(lesson, text, steps, context);
  return lesson.finish();
}
