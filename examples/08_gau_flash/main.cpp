// GAU and FLASH: feed-forward layer and attention in one, relu^2, the start that trains, mixed chunks; on a book
#include "examples/08_gau_flash/lesson.h"
#include "examples/08_gau_flash/probes.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void gated_linear_unit(Lesson& lesson) {
  lesson.section("1. From feed-forward layer to gated linear unit", "act(x W_1) W_2   ->   (act(x W_u) o x W_v) W_o",
                 "Shazeer 2020; Hua et al. 2022, section 2");
  lesson.say("A feed-forward layer widens x, bends it and narrows it. A GLU widens it twice and multiplies.");
  const int64_t d = 96;
  GatedLinearUnit glu({.dim = d, .bias = false});
  lesson.value("width of the GLU over dim", double(glu.out.weight.size(1)) / double(d));
  lesson.expect("weights of a GLU of width 8/3 dim over those of a feed-forward layer of width 4 dim",
                double(glu.num_parameters()) / double(2 * d * 4 * d), Equals{1});
}

void gated_attention_unit(Lesson& lesson) {
  lesson.section("2. Gated attention: attention and feed-forward layer in one",
                 "O = (U o A V) W_o,   U = silu(x W_u),  V = silu(x W_v),  Z = silu(x W_z),  A from Q = g_q o Z + b_q "
                 "and K = g_k o Z + b_k",
                 "Hua et al. 2022, section 2");
  lesson.say("Between gate and product a matrix A mixes the tokens. Without mixing, A = I, the layer is a GLU:");
  GatedAttentionUnit gau({.dim = 32, .expansion = 48, .s = 16, .normaliser = GauNormaliser::softmax});
  GatedLinearUnit glu({.dim = 32, .hidden = 48, .gate = Gate::silu, .value = Gate::silu});
  glu.uv.weight = gau.uvz.weight.slice(0, 0, 96), glu.uv.bias = gau.uvz.bias.slice(0, 0, 96), glu.out = gau.out;
  Tensor x = randn({2, 12, 32});
  lesson.expect("each token seeing itself alone, GAU equals GLU: largest difference",
                largest(gau.forward(x, eye(12) > 0) - glu.forward(x)), Below{1e-6});
  lesson.expect("parameters over 3 d e + d s + 4 s and biases",
                double(gau.num_parameters()) / (3 * 32 * 48 + 32 * 16 + 4 * 16 + 2 * 48 + 16 + 32), Equals{1});
  const double d = 768, e = 2 * d, s = 128, attention = 4 * d * d, ffn = 8 * d * d, one = 3 * d * e + d * s + 4 * s;
  lesson.bars("parameters", {"attention", "feed-forward", "both", "one GAU", "two GAU"},
              {{.y = {attention / 1e6, ffn / 1e6, (attention + ffn) / 1e6, one / 1e6, 2 * one / 1e6}}},
              {.y = "million weights",
               .caption = "dim 768, e = 1536, s = 128: two GAU take the place of attention and feed-forward layer."});
  lesson.expect("two GAU over attention and feed-forward layer, in weights at dim 768", 2 * one / (attention + ffn),
                Within{0.95, 1.05});
}

void weak_attention(Lesson& lesson, const Book& book, const Trained& relu, const Trained& softmax) {
  lesson.section("3. relu^2 instead of softmax",
                 "A_ij = relu(q_i.k_j)^2 / (s c_i)   or   softmax_j(q_i.k_j / sqrt(s)),   c_i: keys that i sees",
                 "Hua et al. 2022, section 2; So et al. 2021");
  lesson.say(
      "The gate picks by token and channel, so one head will do, and its weights need not be a softmax. Two models are "
      "trained on the book, and one window of it is read:");
  Tensor ids = book.held.slice(0, 0, book.setup.context);
  std::vector<Tensor> a = matrices(relu.model, ids), b = matrices(softmax.model, ids), pictures;
  for (const auto* of : {&a, &b})
    for (size_t i : {0, 1}) pictures.push_back((*of)[i] / clamp((*of)[i].max({1}, true), 1e-30));
  lesson.images(
      "attention", stack(pictures),
      {.map = ColourMap::heat, .per_row = 2, .caption = "Row i: what character i reads, each row on its own scale."},
      {"relu^2, layer 1", "relu^2, layer 2", "softmax, layer 1", "softmax, layer 2"});
  MatrixCount of_relu = count_of(a), of_softmax = count_of(b);
  lesson.value("relu^2: share of weights that are 0", of_relu.zeros);
  lesson.value("relu^2: mean sum of a row", of_relu.row_sum);
  lesson.expect("rows of the softmax sum to 1: off by", std::abs(of_softmax.row_sum - 1),
                Below{is_half(lesson.dtype()) ? 0.02 : 1e-4});
  lesson.expect("weights that are 0: share under relu^2 less that under softmax", of_relu.zeros - of_softmax.zeros,
                Above{0.02}, Needs::training);
}

void the_start(Lesson& lesson, const Book& book, const Trained& ones, const Trained& normal) {
  lesson.section("4. A start that trains", "g = 1, b = 0   or   g ~ N(0, 0.02), b = 0");
  lesson.say(
      "Two factors g of about 0.02 make a score 2,500 times smaller, and relu^2 squares that: A is nearly 0, and so "
      "are "
      "its gradients.");
  Tensor x = randn({1, 64, book.setup.dim});
  double sums[2];
  for (bool small : {false, true}) {
    GatedAttentionUnit gau(
        {.dim = book.setup.dim, .s = book.setup.s, .causal = true, .init = small ? GauInit::normal : GauInit::ones});
    sums[small] = count_of({gau.attention_matrix(x)[0]}).row_sum;
  }
  lesson.value("sum of a row at the start, g = 1", sums[0]);
  lesson.value("sum of a row at the start, g ~ N(0, 0.02)", sums[1]);
  lesson.expect("sum of a row with g = 1 over that with g ~ N(0, 0.02)", sums[0] / sums[1], Above{1e5});
  lesson.plot("start", {from_pairs_on(ones.curve, lesson, book), from_pairs_on(normal.curve, lesson, book)},
              {.x = "step",
               .y = "nats per character",
               .references = {{book.bigram, "counted pairs"}},
               .caption = "Without attention a model cannot do better than counted pairs."});
  lesson.value("held-out loss, g ~ N(0, 0.02)", normal.held_out, "nats per character");
  lesson.expect("held-out loss that the small start costs", normal.held_out - ones.held_out, Above{0.05},
                Needs::training);
}

void mixed_chunks(Lesson& lesson, int64_t longest) {
  lesson.section("5. Linear cost: mixed chunks",
                 "relu(Q K^T)^2 / (c s) V within a chunk,   Q' (sum of K'^T V over the g chunks before) / (g c)",
                 "Hua et al. 2022, section 3");
  const int64_t n = 24, c = 6;
  Tensor near = pattern(n, c, true, Part::quadratic), far = pattern(n, c, true, Part::linear), past = tri(n, n);
  lesson.images("chunks", pattern_pictures(n, c),
                {.map = ColourMap::heat,
                 .per_row = 3,
                 .caption = "24 tokens, chunks of 6: weighed pair by pair (yellow), through a sum (green), unseen."},
                {"quadratic, causal", "linear, causal", "both", "quadratic, full", "linear, full", "both"});
  lesson.expect("causal: the two parts share out the tokens so far",
                equal(near ^ far, past) && equal(near | far, past));
  Tensor got = reached(FlashGau({.dim = 16, .s = 8, .chunk = c, .causal = true}), n, 16);
  lesson.expect("gradients reach every token of the chunks before, and no later token",
                equal(got & far, far) && equal(got | past, past));  // relu(..)^2 = 0 in a chunk is no path

  lesson.say("Sums grow from chunk to chunk, so they are divided. By what?");
  auto [ours, constant] = divided_sums(FlashGau({.dim = 64, .s = 32, .chunk = 32, .causal = true}), 64, 64);
  lesson.plot("divisor", {ours, constant},
              {.x = "chunks before",
               .y = "root mean square of K'^T V",
               .log_y = true,
               .caption = "What a later chunk reads, by the divisor."});
  lesson.expect("divided by g c: last chunk over first", ours.y.back() / ours.y[0], Within{0.4, 1.2});
  lesson.expect("divided by c alone: last chunk over first", constant.y.back() / constant.y[0], Above{20});

  auto [pairs, sums, chunks] = memory_curves(longest);
  lesson.plot("memory", {pairs, sums, chunks},
              {.x = "tokens",
               .y = "MB",
               .log = true,
               .caption = "The peak of a forward and backward pass of one layer, dim 64, e = 128, s = 32."});
  auto doubling = [](const Series& s) { return s.y.back() / s.y[s.y.size() - 2]; };
  for (const Series* s : {&pairs, &sums, &chunks}) lesson.measured("memory: " + s->name, s->y.back(), "MB");
  lesson.expect("memory for twice the tokens, FLASH", doubling(chunks), Below{2.2}, Needs::training);
  lesson.expect("memory for twice the tokens, GAU", doubling(pairs), Above{2.5}, Needs::training);
  lesson.expect("memory of a sum at every token over that of FLASH", sums.y.back() / chunks.y.back(), Above{4},
                Needs::training);
}

void on_the_book(Lesson& lesson, const Book& book, const std::vector<const Trained*>& models) {
  lesson.section("6. On a book, with equal parameters",
                 "x + Attention(norm(x)), then + FFN(norm(x))   or   twice x + GAU(norm(x))");
  std::vector<Series> curves;
  std::string table = fmt::format("{:<18} {:>10} {:>10} {:>8}\n", "layers", "parameters", "held-out", "seconds");
  double most = 0, fewest = INFINITY;
  for (const Trained* t : models) {
    most = std::max(most, t->parameters), fewest = std::min(fewest, t->parameters);
    curves.push_back(from_pairs_on(t->curve, lesson, book));
    table += fmt::format("{:<18} {:>10} {:>10.3f} {:>8.1f}\n", t->name, t->parameters, t->held_out, t->seconds);
    lesson.value("held-out loss, " + t->name, t->held_out, "nats per character");
    lesson.measured("training time, " + t->name, t->seconds, "s");
    lesson.expect(t->name + ": below counted pairs by", book.bigram - t->held_out, Above{0}, Needs::training);
  }
  lesson.listing(table);
  lesson.value("counted pairs", book.bigram, "nats per character");
  lesson.expect("parameters, most over fewest", most / fewest, Below{1.02});
  lesson.plot("loss", curves,
              {.x = "step",
               .y = "nats per character",
               .references = {{book.bigram, "counted pairs"}},
               .caption = "Training loss of models of one size that read the same windows."});
  lesson.expect("held-out loss of GAU, relu^2, less that of attention + FFN", models[1]->held_out - models[0]->held_out,
                Below{0.05}, Needs::training);
  lesson.expect("held-out loss of FLASH less that of GAU, relu^2", models[3]->held_out - models[1]->held_out,
                Within{-0.1, 0.1}, Needs::training);
}

// models: count, length, square, ..., and FLASH last.
void longer_texts(Lesson& lesson, const Book& book, const std::vector<const Trained*>& models) {
  lesson.section("7. Longer than in training",
                 "relu^2 / (s c_i),   / (s n),   / n^2;   softmax_plus: scores times ln c_i / ln 512",
                 "Su, kexue.fm 9052");
  const int64_t t = book.setup.context;
  std::vector<Series> curves;
  std::string table = fmt::format("{:<20} {:>8} {:>8} {:>8}\n", "held-out loss at", t, 2 * t, 4 * t);
  for (const Trained* m : models) {
    curves.push_back({.name = m->name,
                      .x = {double(t), double(2 * t), double(4 * t)},
                      .y = {m->held_out, book.loss_at(*m, 2 * t), book.loss_at(*m, 4 * t)}});
    const std::vector<double>& y = curves.back().y;
    table += fmt::format("{:<20} {:>8.3f} {:>8.3f} {:>8.3f}\n", m->name, y[0], y[1], y[2]);
    lesson.value("rise at twice the length, " + m->name, y[1] - y[0], "nats per character");
    lesson.value("rise at four times the length, " + m->name, y[2] - y[0], "nats per character");
  }
  lesson.listing(table);
  lesson.plot("length", curves,
              {.x = "characters read at once",
               .y = "nats per character",
               .log_x = true,
               .caption = "Trained at the length on the left, read at two and four times it as they are.",
               .height = 460});
  auto rise = [&](size_t i, size_t at) { return curves[i].y[at] - curves[i].y[0]; };
  lesson.expect("at twice the length 1/n^2 loses more than 1/c_i, by", rise(2, 1) - rise(0, 1), Above{0.02},
                Needs::training);
  lesson.expect("at four times the length FLASH loses", rise(models.size() - 1, 2), Below{0.06}, Needs::training);
  lesson.expect("and less than GAU, relu^2 / c_i, by", rise(0, 2) - rise(models.size() - 1, 2), Above{0.05},
                Needs::training);
}

void decoding(Lesson& lesson, const Book& book, const Trained& flash) {
  lesson.section("8. Decoding", "state: keys and values of the unfinished chunk, and one sum of s x e numbers");
  NoGrad guard;
  Tensor ids = book.held.slice(0, 0, book.setup.context).unsqueeze(0);
  lesson.expect("FLASH step by step equals forward: largest difference of the logits",
                largest(read_stepwise(flash.model, ids) - flash.model.forward(ids)),
                Below{is_half(lesson.dtype()) ? 0.5 : 1e-3});
  const int64_t c = 32, s = 16, e = 64, n = 8 * c;
  FlashGau unit({.dim = 32, .expansion = e, .s = s, .chunk = c, .causal = true});
  GatedAttentionUnit gau({.dim = 32, .expansion = e, .s = s, .causal = true});
  Series bounded = state_sizes("FLASH", unit, n, 32), grows = state_sizes("GAU: every key and value", gau, n, 32);
  lesson.plot("state", {bounded, grows},
              {.x = "tokens read",
               .y = "numbers in the state",
               .y_low = 0,
               .caption = "s = 16, e = 64, c = 32: a full chunk is folded into the sum."});
  const double most = *std::max_element(bounded.y.begin(), bounded.y.end());
  lesson.expect("most numbers in the state of FLASH over (c - 1)(2 s + e) + s e",
                most / double((c - 1) * (2 * s + e) + s * e), Equals{1});
  lesson.expect("numbers in the state of GAU after n tokens over n (s + e)", grows.y.back() / double(n * (s + e)),
                Equals{1});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(
      argc, argv,
      {.note = "08",
       .name = "08_gau_flash",
       .title = "GAU and FLASH",
       .about = "Attention and feed-forward layer become one gated layer, then one of linear cost; measured on a book.",
       .full_time = "4 min"});
  const Setup setup = ask(lesson);
  const CharText text = read_and_check(lesson, setup);
  gated_linear_unit(lesson);
  gated_attention_unit(lesson);
  Book book(lesson, text, setup);
  Trained relu = book.gau("GAU, relu^2", GauNormaliser::count),
          softmax = book.gau("GAU, softmax", GauNormaliser::softmax);
  weak_attention(lesson, book, relu, softmax);
  the_start(lesson, book, relu, book.gau("g ~ N(0, 0.02)", GauNormaliser::count, GauInit::normal));
  mixed_chunks(lesson, setup.longest);
  Trained attention = book.attention(), flash = book.flash();
  on_the_book(lesson, book, {&attention, &relu, &softmax, &flash});
  Trained length = book.gau("GAU, relu^2 / n", GauNormaliser::length),
          square = book.gau("GAU, relu^2 / n^2", GauNormaliser::square),
          plus = book.gau("GAU, softmax_plus", GauNormaliser::softmax_plus),
          laplace = book.gau("GAU, laplace", GauNormaliser::laplace);
  longer_texts(lesson, book, {&relu, &length, &square, &softmax, &plus, &laplace, &attention, &flash});
  decoding(lesson, book, flash);
  return lesson.finish();
}
