// Attention without softmax: associativity, weighted means, rank, a state that does not grow, and what it forgets
#include "examples/06_linear_attention/lesson.h"

#include <fmt/format.h>

#include <cmath>

#include "examples/06_linear_attention/favor.h"
#include "examples/06_linear_attention/nets.h"
#include "examples/06_linear_attention/steps.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void the_order(Lesson& lesson, const Options& numbers) {
  lesson.section("1. Take the softmax away", R"((Q K^\top) V = Q (K^\top V))", "Su 2020, kexue.fm 7546");
  const int64_t d = 32;
  Series pairs{.name = "(Q K^T) V"}, sums{.name = "Q (K^T V)"};
  double worst = 0;
  for (int64_t n : {16, 32, 64, 128, 256, 512}) {
    Tensor q = randn({n, d}, numbers), k = randn({n, d}, numbers), v = randn({n, d}, numbers), a, b;
    pairs.x.push_back(double(n)), sums.x.push_back(double(n));
    pairs.y.push_back(flops([&] { a = matmul(matmul(q, k.t()), v); }));
    sums.y.push_back(flops([&] { b = matmul(q, matmul(k.t(), v)); }));
    worst = std::max(worst, largest(a - b) / largest(a));
  }
  const std::string caption = "Counted, d = 32: 4 n² d against 4 n d². They meet at n = d.";
  lesson.plot("flops", {pairs, sums}, {.x = "tokens n", .y = "operations", .log = true, .caption = caption});
  lesson.expect("the same numbers: largest difference over the largest number", worst, Below{1e-4});
  lesson.expect("operations at n = 512: the first over the second, n / d", pairs.y.back() / sums.y.back(), Equals{16});
  a_product_cell_by_cell(lesson, numbers);
}

void weighted_means(Lesson& lesson, const Options& numbers) {
  lesson.section(
      "2. Is it still attention?",
      R"(o_i = \frac{\sum_j \text{sim}(q_i, k_j)\, v_j}{\sum_j \text{sim}(q_i, k_j)}, \quad \text{sim} \ge 0)",
      "Katharopoulos et al. 2020, eq. 2-4; Shen et al. 2021; Su 2020");
  lesson.say("q . k may be negative, and its sum 0. Any sim >= 0 gives a mean; one that is a product is linear.");
  const std::string text = "a mean of all that was read";
  Tensor x = random_vectors(text, 16, numbers);
  lesson.expect("with nothing in softmax's place: the least weight q . k", matmul(x, x.t()).min().item(), Below{0});
  std::vector<Tensor> pictures;
  std::vector<std::string> names;
  std::vector<double> keys;
  double least = INFINITY, off = 0;
  for (const Candidate& c : kCandidates) {
    Tensor w = c.weights(x, x);
    least = std::min(least, w.min().item()), off = std::max(off, largest(w.sum({1}) - 1));
    keys.push_back(exp(-(w * log(w + 1e-30)).sum({1})).mean().item());  // e^entropy: so many keys share a row
    lesson.value(fmt::format("keys per query, {}", c.name), keys.back());
    pictures.push_back(w / w.max()), names.push_back(c.name);
  }
  std::string caption = fmt::format(
      "Who attends whom in \"{}\": a random vector per letter, q = k. Each picture is divided by its largest weight.",
      text);
  lesson.images("weights", stack(pictures), {.low = 0, .high = 1, .per_row = 4, .caption = caption}, names);
  lesson.expect("all four: the least weight", least, AtLeast{0});
  lesson.expect("all four: how far the sum of a row is from 1", off, Below{1e-4});
  Tensor phi = feature_map(FeatureMap::taylor, x);
  lesson.expect("Taylor: the largest 1 + cos", matmul(phi, phi.t()).max().item(), AtMost{2 + 1e-5});
  lesson.expect("softmax is the sharpest: keys per query, the sharpest other's over its",
                *std::min_element(keys.begin() + 1, keys.end()) / keys[0], Above{1.2});
}

void the_rank(Lesson& lesson) {
  lesson.section("3. What was given up: rank", R"(\text{rank}\,(\phi(Q) \phi(K)^\top) \le \text{number of features})");
  const int64_t n = 48, d = 8, bounds[] = {n, d, d, d + 1};
  Tensor q = randn({n, d}, f64), k = randn({n, d}, f64);
  std::vector<Series> curves;
  for (size_t i = 0; i < 4; ++i) {
    Tensor s = singular_values(kCandidates[i].weights(q, k)), share = s / s.max();
    int64_t rank = count_nonzero(share > 1e-9).item<int64_t>();
    lesson.expect(fmt::format("rank of {}", kCandidates[i].name), double(rank), Equals{double(bounds[i])});
    curves.push_back({.name = kCandidates[i].name, .y = share.narrow(0, 0, rank).to_vector<double>()});
  }
  lesson.plot("rank", curves,
              {.x = "singular value",
               .y = "share of the largest",
               .log_y = true,
               .caption = "48 tokens, d = 8. Softmax has all 48; the others end after d, or d + 1, for any n."});
}

void the_net(Lesson& lesson, const Options& numbers) {
  lesson.section("4. Causal: a recurrent net",
                 R"(S_i = S_{i-1} + \phi(k_i) v_i^\top, \quad z_i = z_{i-1} + \phi(k_i), \quad )"
                 R"(o_i = \frac{S_i^\top \phi(q_i)}{\phi(q_i) \cdot z_i})",
                 "Katharopoulos et al. 2020, eq. 16-20");
  const Shape shape{1, 1, 100, 16};
  Tensor q = randn(shape, numbers), k = randn(shape, numbers), v = randn(shape, numbers);
  auto run = [&](LinearForm form, int64_t chunk = 0) {
    return linear_attention(q, k, v, {.causal = true, .form = form, .chunk = chunk});
  };
  Tensor all_pairs = run(LinearForm::parallel);
  auto off = [&](const Tensor& y) { return largest(y - all_pairs); };
  lesson.expect("token by token equals all pairs: largest difference", off(run(LinearForm::recurrent)), Below{1e-4});
  double chunks = 0;
  for (int64_t c : {0, 1, 7, 64, 100}) chunks = std::max(chunks, off(run(LinearForm::chunked, c)));
  lesson.expect("and so do chunks of 1, 7, 64 and 100, and the kernel's", chunks, Below{1e-4});
  Tensor fq = feature_map(FeatureMap::elu_plus_one, q), fk = feature_map(FeatureMap::elu_plus_one, k);
  Tensor states = cumsum(unsqueeze(fk, -1) * unsqueeze(v, -2), 2);  // S_1 ... S_n, [1, 1, n, d, d]
  Tensor sums = (fq * cumsum(fk, 2)).sum({-1}, true) + 1e-6;
  lesson.expect("and the cumulative sum of all states", off(matmul(unsqueeze(fq, -2), states).squeeze(-2) / sums),
                Below{1e-4});
  LinearState state;
  auto part = [&](int64_t a, int64_t b) {
    return linear_attention(q.slice(2, a, b), k.slice(2, a, b), v.slice(2, a, b), {.causal = true}, &state);
  };
  lesson.expect("and a sequence stopped after 37 tokens and resumed", off(cat({part(0, 37), part(37, 100)}, 2)),
                Below{1e-4});
  token_by_token(lesson, numbers);
  lesson.show("S after 100 tokens", state.sum[0][0]);
  lesson.value("numbers in the state", double(state.sum.numel() + state.norm.numel()));
  lesson.value("numbers in all states", double(states.numel()));
}

const char* const kPrompt = "The Light";

void writing(Lesson& lesson, const CharText& text, const std::vector<AttentionKind>& kinds, int64_t steps,
             int64_t length) {
  lesson.section("5. Writing with a flat state", R"(d d_v + d \;\text{ numbers per head, against }\; (d + d_v)\, n)");
  auto [training, held] = split_text(text.ids().to(lesson.device()), 0.9);
  std::vector<Series> losses, bytes, times;
  for (AttentionKind kind : kinds) {
    const std::string name = name_of(kind);
    default_generator() = Generator(lesson.seed());
    Reader net(kind, text.vocabulary());
    net.to(lesson.device());
    Generator places(lesson.seed()), tests(lesson.seed() + 1);
    losses.push_back(
        train(lesson, name, net, steps, 4e-3, [&, &t = training] { return text_loss(net, t, 12, places); }));
    NoGrad guard;
    double loss = text_loss(net, held, lesson.mode() == ink::lesson::Mode::tiny ? 2 : 128, tests).item();
    lesson.value(fmt::format("held-out loss, {}", name), loss, "nats per character");
    lesson.expect(fmt::format("{}: held-out loss", name), loss, Below{2.3}, Needs::training);
    if (bytes.size() == 2) continue;
    Tensor ids = held.narrow(0, 0, 40).unsqueeze(0);
    Reader::State state;
    std::vector<Tensor> single;
    for (const Tensor& id : ids.split(1, 1)) single.push_back(net.step(id, state));
    lesson.expect(fmt::format("{}: character by character equals all at once", name),
                  largest(cat(single, 1) - net.forward(ids)), Below{1e-3});
    Written w = write_on(net, text, kPrompt, length, 0.6, lesson.seed());
    lesson.listing(w.text);
    w.bytes.name = w.times.name = name;
    bytes.push_back(w.bytes), times.push_back(w.times);
  }
  if (losses[0].y.size() > 2)
    lesson.plot("loss", losses,
                {.x = "step", .y = "nats per character", .y_high = 3.2, .caption = "Two blocks of width 64, 4 heads."});
  lesson.plot("state", bytes, {.x = "characters read", .y = "bytes kept", .y_low = 0, .caption = "All keys, or sums."});
  lesson.plot("writing-time", times, {.x = "characters read", .y = "ms per character", .y_low = 0});
  auto growth = [&](const Series& s) { return (s.y.back() - s.y.front()) / (s.x.back() - s.x.front()); };
  lesson.expect("softmax: bytes more per character, 2 x 64 f32 in 2 layers", growth(bytes[0]), Equals{1024});
  lesson.expect("linear: bytes more per character", growth(bytes[1]), Equals{0});
  lesson.value("bytes of the linear state", bytes[1].y.back());
}

void forgetting(Lesson& lesson, const std::vector<AttentionKind>& kinds, int64_t steps, int64_t batch, double rate) {
  lesson.section("6. What a sum forgets",
                 R"(S^\top \phi(k_i) = |\phi(k_i)|^2 v_i + \sum_{j \ne i} (\phi(k_i) \cdot \phi(k_j))\, v_j)");
  lesson.say("Pairs of a key and a value are read; then each key is asked for its value. d dims hold d keys apart.");
  std::vector<Series> curves;
  for (AttentionKind kind : kinds) curves.push_back(recall_curve(lesson, kind, {4, 8, 16, 32, 64}, steps, batch, rate));
  lesson.plot("recall", curves,
              {.x = "pairs",
               .y = "share recalled",
               .log_x = true,
               .y_low = 0,
               .y_high = 1.02,
               .references = {{1. / Recall::kValues, "guessing"}},
               .caption = "Two layers, one head of d = 16. Softmax finds the key that fits; a sum mixes all."});
  const std::vector<double>&exact = curves[0].y, &sum = curves[1].y;
  lesson.expect("softmax: least share recalled", *std::min_element(exact.begin(), exact.end()), Above{0.97},
                Needs::training);
  lesson.expect("linear: share recalled of 4 pairs", sum[0], Above{0.7}, Needs::training);
  lesson.expect("linear: what 64 pairs lose against 4", sum[0] - sum[4], Above{0.4}, Needs::training);
}

void crossover(Lesson& lesson, const Options& numbers, int64_t longest) {
  lesson.section("7. When is it faster?", R"(n d^2 \quad \text{against} \quad n^2 d)");
  NoGrad guard;
  std::vector<Series> curves{
      {.name = "linear"}, {.name = "linear, causal"}, {.name = "softmax, flash"}, {.name = "softmax, naive"}};
  for (int64_t n = 64; n <= longest; n *= 2) {
    const std::array<double, 4> ms = times_at(n, 64, numbers);
    for (size_t i = 0; i < 4; ++i) curves[i].x.push_back(double(n)), curves[i].y.push_back(ms[i]);
  }
  lesson.plot("time", curves, {.x = "tokens n", .y = "ms", .log = true, .caption = "One head of d = 64, forward."});
  for (const Series& s : curves) lesson.measured(fmt::format("time of the longest, {}", s.name), s.y.back(), "ms");
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "06",
                 .name = "06_linear_attention",
                 .title = "Attention without softmax",
                 .about = "Without softmax the order of the products is free: attention linear in the number of "
                          "tokens, a recurrent net with a state that does not grow, and what it forgets.",
                 .full_time = "3 min"});
  const int64_t steps = lesson.option("steps", Sizes{.full = 800, .quick = 250, .tiny = 2}, "of training on text");
  const int64_t length =
      lesson.option("length", Sizes{.full = 1500, .quick = 400, .tiny = 12, .least = 12}, "characters to write");
  const int64_t trials = lesson.option("trials", Sizes{.full = 1200, .quick = 400, .tiny = 1}, "steps on recall");
  const int64_t batch = lesson.option("batch", Sizes{.full = 32, .quick = 16, .tiny = 1}, "recall tasks per step");
  const int64_t longest =
      lesson.option("longest", Sizes{.full = 8192, .quick = 2048, .tiny = 128, .least = 64}, "tokens timed");
  const int64_t features = lesson.option("features", Sizes{.full = 1024, .quick = 1024, .tiny = 64, .least = 16},
                                         "random draws of features, at most");
  const int64_t draws = lesson.option("draws", Sizes{.full = 100, .quick = 40, .tiny = 1}, "of random features");
  const double rate = lesson.option("lr", 1e-2, "highest learning rate on recall", Number::positive);
  const Options numbers{is_half(lesson.dtype()) ? f32 : lesson.dtype(), lesson.device()};
  std::vector<AttentionKind> kinds{AttentionKind::softmax, AttentionKind::linear};
  if (lesson.mode() == ink::lesson::Mode::full)
    kinds.insert(kinds.end(), {AttentionKind::taylor, AttentionKind::efficient});
  const CharText text = lesson.text("opticks", 2000);  // windows of 128 characters of a tenth that is held out
  lesson.checked("data", [&] { return text.encode(kPrompt); });
  the_order(lesson, numbers);
  weighted_means(lesson, numbers);
  the_rank(lesson);
  the_net(lesson, numbers);
  writing(lesson, text, kinds, steps, length);
  forgetting(lesson, kinds, trials, batch, rate);
  crossover(lesson, numbers, longest);
  random_features_of_softmax(lesson, features, draws);
  return lesson.finish();
}
