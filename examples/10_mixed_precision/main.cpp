// Mixed precision: formats bit by bit, sums that stall, updates that vanish, and gradients that a scale brings back
#include "examples/10_mixed_precision/beyond.h"
#include "examples/10_mixed_precision/bits.h"
#include "examples/10_mixed_precision/digits.h"
#include "examples/10_mixed_precision/steps.h"
#include "examples/10_mixed_precision/sums.h"
#include "examples/10_mixed_precision/training.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void the_formats(Lesson& lesson) {
  lesson.section("1. A number as bits", R"(x = (-1)^s\, 2^{E - \text{bias}} \left(1 + \frac{F}{2^f}\right))",
                 "IEEE 754-2019, 3.4");
  std::string table;
  for (const FloatFormat& f : kFormats)
    table += fmt::format("{:<5} {:>2} bits  largest {:<11.5g} smallest {:<11.5g} 0.1 is {}\n", f.name, f.bits(),
                         f.largest(), f.smallest(), fields_of(f, f.encode(0.1)));
  lesson.listing(table);
  std::vector<Series> gaps;
  for (const FloatFormat& f : kFormats) {
    Series s{.name = f.name};
    for (double e = -34; e <= 34; e += 0.5) {
      const double x = std::exp2(e);
      s.x.push_back(x), s.y.push_back(x > f.largest() || x < f.smallest() ? NAN : f.spacing(x) / x);
    }
    gaps.push_back(std::move(s));
  }
  lesson.plot("spacing", gaps,
              {.x = "x",
               .y = "distance to the next number, over x",
               .log = true,
               .caption =
                   "Teeth of the same height at every size, until a format ends: to the right in infinity, to the "
                   "left in the subnormal numbers, which lose a bit with every octave."});
  lesson.value("0.1 in f16", fmt::format("{:.10g}", formats::f16.round(0.1)));
  lesson.expect("f16: 65519.99 is still 65504", formats::f16.round(65519.99), Equals{65504});
  lesson.expect("f16: 65520 is infinite", std::isinf(formats::f16.round(65520)));
  lesson.expect("f16: 2^-25 is a tie, and becomes 0", formats::f16.round(0x1p-25), Equals{0});
  lesson.expect("f16: the smallest number above it that is kept becomes 2^-24, times 2^24",
                formats::f16.round(std::nextafter(0x1p-25, 1)) * 0x1p24, Equals{1});
  const double above_a_tie = 1 + 0x1p-11 + 0x1p-40;
  lesson.expect("1 + 2^-11 + 2^-40 goes up, by way of f32 it would go down",
                formats::f16.round(above_a_tie) > 1 && formats::f16.round(double(float(above_a_tie))) == 1);
  int64_t same = 0;
  for (uint64_t c = 0; c < 65536; ++c) {
    const double x = formats::f16.decode(c);
    same += std::isnan(x) || formats::f16.encode(x) == c;
  }
  lesson.expect("codes of f16 that survive the way to a number and back", double(same), Equals{65536});
  if (!lesson.wants_frames()) return;
  rounding_step_by_step(lesson, formats::f16, 0.1, "0.1");
  rounding_step_by_step(lesson, formats::bf16, 0.1, "0.1");
  rounding_step_by_step(lesson, formats::e4m3, 300, "300");
}

void sums(Lesson& lesson, int64_t most, const Options& numbers) {
  lesson.section("2. Sums that stall", R"(s \leftarrow \text{round}(s + x_i))", "Higham 1993");
  std::vector<Series> growth;
  for (const FloatFormat& f : {formats::f32, formats::f16, formats::bf16, formats::e4m3}) {
    Series s{.name = f.name};
    double sum = 0;
    for (int64_t n = 1; n <= 4096; ++n) {
      sum = f.round(sum + 1);
      if ((n & (n - 1)) == 0 || n % 512 == 0) s.x.push_back(double(n)), s.y.push_back(sum);
    }
    growth.push_back(std::move(s));
  }
  lesson.plot("stall", growth,
              {.x = "ones added",
               .y = "sum",
               .log = true,
               .caption = "1 + 1 + ... ends where the spacing is 2: at 2048 in f16, at 256 in bf16, at 16 in e4m3."});
  const Tensor one = ones({4096}, numbers);
  lesson.expect("4096 ones in f16", sum_in(one, formats::f16), Equals{2048});
  lesson.expect("4096 ones in bf16", sum_in(one, formats::bf16), Equals{256});
  lesson.expect("f16 tensors of the library add in f32: sum of 4096 ones", sum(one.to(f16)).item(), Equals{4096});
  const Tensor row = ones({1, 4096}, numbers);
  {
    Emulate machine({.numbers = formats::f16});
    lesson.expect("a product on a machine that rounds every step", matmul(row, row.t()).item(), Equals{2048});
  }
  {
    Emulate machine({.numbers = formats::f16, .sums = formats::f32});
    lesson.expect("the same with an accumulator of f32", matmul(row, row.t()).item(), Equals{4096});
  }
  // dot products of uniform numbers: errors against the length
  Series plain{.name = "f16"}, tree{.name = "f16, pairwise"}, kahan{.name = "f16, Kahan"}, low{.name = "bf16"},
      wide{.name = "f32 sum, rounded to f16"};
  Generator generator(lesson.seed() + 2);
  for (int64_t n = 16; n <= most; n *= 2) {
    const std::vector<double> a = rounded(rand({n}, f64, &generator), formats::f16).to_vector<double>();
    double exact = 0;
    for (double v : a) exact += v;
    auto error = [&](double s) { return std::abs(s - exact) / exact + 1e-8; };
    for (Series* s : {&plain, &tree, &kahan, &low, &wide}) s->x.push_back(double(n));
    plain.y.push_back(error(plain_sum(a, formats::f16)));
    tree.y.push_back(error(pairwise_sum(a.data(), a.size(), formats::f16)));
    kahan.y.push_back(error(kahan_sum(a, formats::f16)));
    low.y.push_back(error(plain_sum(a, formats::bf16)));
    wide.y.push_back(error(formats::f16.round(plain_sum(a, formats::f32))));
  }
  lesson.expect("f16, one after the other: relative error at the largest length", plain.y.back(), Above{0.05});
  lesson.expect("f16, Kahan's sum there", kahan.y.back(), Below{0x1p-10});
  lesson.expect("f32 inside, rounded once", wide.y.back(), Below{0x1p-10});
  lesson.plot("sums", {low, plain, tree, kahan, wide},
              {.x = "terms",
               .y = "relative error",
               .log = true,
               .caption = "Uniform numbers of [0, 1). In order, the error grows with the length; in a tree or with "
                          "Kahan's carry it does not, and an f32 accumulator makes it one rounding."});
  if (lesson.wants_frames()) a_sum_that_stalls(lesson, formats::e4m3, 19);
}

void updates(Lesson& lesson, const Options& numbers) {
  lesson.section("3. Updates that vanish", R"(w - \eta g = w \text{ if } |\eta g| \le 2^{-12} |w| \text{ in f16})",
                 "Micikevicius et al. 2018, 3.1");
  const int64_t steps = 400;
  auto walk = [&](DType t, double step, bool masters_stay, Rounding rounding) {
    Tensor w = ones({64}, {t, numbers.device}).requires_grad_();
    MasterWeights masters({w});
    SGD optimizer(masters.parameters(), {.lr = step});
    Series path;
    for (int64_t i = 0; i < steps; ++i) {
      w.set_grad(full({64}, -1, w.options()));
      masters.collect();
      optimizer.step(), optimizer.zero_grad();
      masters.publish(rounding);
      if (!masters_stay) masters.load_state_dict({{"0", w.detach().to(f32)}});
      if (i % 20 == 0) path.x.push_back(double(i)), path.y.push_back(w.detach().to(f64).mean().item());
    }
    return path;
  };
  manual_seed(lesson.seed());
  const double step = 0x1p-13;
  Series gone = walk(f16, step, false, Rounding::nearest), kept = walk(f16, step, true, Rounding::nearest),
         chance = walk(f16, step, false, Rounding::stochastic);
  gone.name = "f16 alone", kept.name = "f32 masters", chance.name = "f16, stochastic rounding (mean of 64)";
  lesson.expect("f16 alone: the weight after 400 steps of 2^-13", gone.y.back(), Equals{1});
  lesson.expect("with f32 masters: its distance from 1 + n 2^-13", std::abs(kept.y.back() - 1 - 381 * step),
                AtMost{0x1p-11});
  lesson.expect("by chance: distance of the mean of 64", std::abs(chance.y.back() - 1 - 381 * step), Below{0.004});
  lesson.plot("vanish", {gone, kept, chance},
              {.x = "steps",
               .y = "weight",
               .caption = "Every step adds 2^-13 to a weight of 1, whose neighbour is 2^-10 away. Rounded to nearest, "
                          "nothing happens, ever; masters remember, and chance is right on average."});
}

void the_scale(Lesson& lesson, const TensorDataset& digits, const Options& numbers) {
  lesson.section("4. Gradients crowd near zero", R"(\text{flushed} \iff |g|\, S \le 2^{-25})",
                 "Micikevicius et al. 2018, 3.2");
  const DigitsRun first = train_digits(digits, {"f32"}, 1, lesson.seed() + 1, numbers);
  histogram(lesson, first.gradients);
  std::vector<Tensor> flat;
  for (const Tensor& g : first.gradients) flat.push_back(g.flatten());
  const Tensor all_gradients = cat(flat);
  auto lost = [&](double scale, const FloatFormat& f) { return count_values(all_gradients, f, scale).lost(); };
  lesson.value("lost without a scale, %", 100 * lost(1, formats::f16));
  lesson.expect("f16 without a scale: share of the first layer's gradients that become 0",
                count_values(first.gradients[0], formats::f16).lost(), Above{0.5});
  lesson.expect("with S = 2^20: share of all that is lost", lost(0x1p20, formats::f16), Below{0.02});
  lesson.expect("bf16 loses nothing: its exponent is f32's", lost(1, formats::bf16), Equals{0});
  scale_slider(lesson, all_gradients);
  // exact: log-uniform numbers
  std::vector<double> even;
  for (int e = -40; e < 0; ++e)
    for (int i = 0; i < 8; ++i) even.push_back(std::exp2(e + (i + 0.5) / 8));
  const Tensor g = from_data(std::span<const double>(even), {int64_t(even.size())});
  lesson.expect("numbers spread evenly from 2^-40 to 1: flushed at S = 2^10, (40 - 35) / 40",
                count_values(g, formats::f16, 0x1p10).lost(), Equals{0.125});
}

void the_machine(Lesson& lesson, const Options& numbers) {
  lesson.section("5. The scale, kept by itself",
                 R"(S \leftarrow 2S \text{ after } n \text{ good steps},\quad )"
                 R"(S \leftarrow S / 2 \text{ after a bad one})",
                 "PyTorch, torch.amp.GradScaler");
  const std::vector<double> scales = scaler_step_by_step(lesson, numbers);
  lesson.expect("the scale after each of twelve steps is that of the rules",
                scales == std::vector<double>{8, 8, 16, 16, 16, 8, 8, 8, 16, 8, 4, 4});
  Tensor w = ones({1}, numbers).requires_grad_();
  SGD optimizer({w}, {.lr = 1});
  GradScaler scaler({.scale = 2, .floor = 1});
  scaler.name({{"embedding.weight", w}});
  std::string said;
  for (int i = 0; i < 8 && said.empty(); ++i) try {
      w.set_grad(full({1}, NAN, numbers));
      scaler.step(optimizer);
      scaler.update();
    } catch (const ValueError& e) { said = e.what(); }
  lesson.listing(said);
  lesson.expect("a NaN that no scale cures ends at the floor, by name",
                said.find("embedding.weight has nan") != std::string::npos);
  lesson.expect("and has changed no weight", w.item(), Equals{1});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "10",
                 .name = "10_mixed_precision",
                 .title = "Mixed precision",
                 .about = "What 16 bits lose, and three techniques that bring it back.",
                 .full_time = "1 min"});
  const int64_t steps =
      lesson.option("steps", Sizes{.full = 2000, .quick = 800, .tiny = 3, .most = 100000}, "steps of the curve's net");
  const int64_t digit_steps = lesson.option("digit-steps", Sizes{.full = 600, .quick = 300, .tiny = 2, .most = 100000},
                                            "steps of the digits' net");
  const int64_t seeds =
      lesson.option("seeds", Sizes{.full = 5, .quick = 1, .tiny = 1, .most = 20}, "runs of each kind");
  const int64_t terms =
      lesson.option("terms", Sizes{.full = 65536, .quick = 65536, .tiny = 16384, .least = 16384, .most = 1 << 22},
                    "terms of the longest sum");
  const int64_t width = lesson.option("width", Sizes{.full = 64, .quick = 64, .tiny = 8, .multiple = 4, .most = 512},
                                      "of the language model whose step is measured");
  const Options numbers{f32, lesson.device()};  // every section chooses its own formats
  const TensorDataset digits = lesson.checked("data", [&] {
    const std::filesystem::path file = lesson.data("digits-images");
    return load_idx_images(file.parent_path(), "digits");
  });
  the_formats(lesson);
  sums(lesson, terms, numbers);
  updates(lesson, numbers);
  the_scale(lesson, digits, numbers);
  the_machine(lesson, numbers);
  fail_and_recover(lesson, steps, seeds, numbers);
  the_digits(lesson, digits, digit_steps, std::min<int64_t>(seeds, 3), numbers);
  memory_and_time(lesson, width, numbers);
  beyond_f16(lesson, numbers);
  return lesson.finish();
}
