// GAU and FLASH: feed-forward layer and attention in one, relu^2, the start that trains, mixed chunks; on a book
#include "examples/08_gau_flash/lesson.h"
#include "examples/08_gau_flash/longer.h"
#include "examples/08_gau_flash/probes.h"
#include "examples/08_gau_flash/start.h"
#include "examples/08_gau_flash/steps.h"
#include "nn/attention/multihead.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void gated_linear_unit(Lesson& lesson) {
  lesson.section("1. From feed-forward layer to gated linear unit",
                 R"(\text{act}(x W_1) W_2 \;\to\; (\text{act}(x W_u) \odot x W_v) W_o)",
                 "Shazeer 2020; Hua et al. 2022, section 2");
  lesson.say("A feed-forward layer widens x, bends it and narrows it. A GLU widens it twice and multiplies.");
  const int64_t d = 96;
  GatedLinearUnit glu({.dim = d, .bias = false});
  Linear up(d, 4 * d, {.bias = false}), down(4 * d, d, {.bias = false});
  lesson.value("width of the GLU over dim", double(glu.out.weight.size(1)) / double(d));
  lesson.expect("a GLU as wide as it is by default weighs what a feed-forward layer of width 4 d weighs",
                glu.num_parameters() == up.num_parameters() + down.num_parameters());
}

void gated_attention_unit(Lesson& lesson) {
  lesson.section("2. Gated attention: attention and feed-forward layer in one",
                 R"(O = (U \odot A V) W_o, \quad U, V, Z = \text{silu}(x W_{u, v, z}), \quad )"
                 R"(Q = g_q \odot Z + b_q, \; K = g_k \odot Z + b_k)",
                 "Hua et al. 2022, section 2");
  lesson.say("Between gate and product a matrix A mixes the tokens. Without mixing, A = I, the layer is a GLU:");
  GatedAttentionUnit gau({.dim = 32, .expansion = 48, .s = 16, .normaliser = GauNormaliser::softmax});
  GatedLinearUnit glu({.dim = 32, .hidden = 48, .gate = Gate::silu, .value = Gate::silu});
  glu.uv.weight = gau.uvz.weight.slice(0, 0, 96), glu.uv.bias = gau.uvz.bias.slice(0, 0, 96), glu.out = gau.out;
  Tensor x = randn({2, 12, 32});
  lesson.expect("each token seeing itself alone, GAU equals GLU: largest difference",
                largest(gau.forward(x, eye(12) > 0) - glu.forward(x)), Below{1e-6});
  attention_row_by_row(lesson);
  const int64_t d = lesson.mode() == ink::lesson::Mode::tiny ? 96 : 768, e = 2 * d, s = d / 6;
  GatedAttentionUnit unit({.dim = d, .s = s});
  auto weight = [](auto&& layer) { return double(layer.num_parameters()); };
  const double attention = weight(MultiHeadAttention({.dim = d, .heads = 12})), ffn = weight(FeedForward(d, 4 * d));
  lesson.expect("a GAU has 3 d e + d s + 4 s weights and 2 e + s + d biases",
                unit.num_parameters() == 3 * d * e + d * s + 4 * s + 2 * e + s + d);
  lesson.bars(
      "parameters", {"attention", "feed-forward", "both", "one GAU", "two GAU"},
      {{.y = {attention / 1e6, ffn / 1e6, (attention + ffn) / 1e6, weight(unit) / 1e6, 2 * weight(unit) / 1e6}}},
      {.y = "million parameters",
       .caption = fmt::format("Counted on built layers, d = {}, e = {}, s = {}: two GAU take the place of "
                              "attention and feed-forward layer.",
                              d, e, s)});
  lesson.expect("two GAU over attention and feed-forward layer, in parameters", 2 * weight(unit) / (attention + ffn),
                Within{0.95, 1.05});
}

void weak_attention(Lesson& lesson, const Book& book, const Trained& relu, const Trained& softmax) {
  lesson.section(
      "3. relu² instead of softmax",
      R"(A_{ij} = \frac{\text{relu}(q_i \cdot k_j)^2}{s\, c_i}, \quad c_i \text{ keys that } i \text{ sees})",
      "Hua et al. 2022, section 2; So et al. 2021; Ma et al. 2022");
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
      {"relu², layer 1", "relu², layer 2", "softmax, layer 1", "softmax, layer 2"});
  MatrixCount of_relu = count_of(a), of_softmax = count_of(b);
  lesson.value("relu²: share of weights that are 0", of_relu.zeros);
  lesson.value("relu²: mean sum of a row", of_relu.row_sum);
  lesson.expect("a row of the softmax sums to 1: furthest off", of_softmax.off_one,
                Below{is_half(lesson.dtype()) ? 0.02 : 1e-4});
  lesson.expect("weights that are 0: share under relu² less that under softmax", of_relu.zeros - of_softmax.zeros,
                Above{0.02}, Needs::training);
  Series squares{.name = "relu(x)²"}, smooth{.name = "Laplace"};
  for (double x = -1; x < 1.6; x += 0.05)
    for (Series* f : {&squares, &smooth})
      f->x.push_back(x), f->y.push_back(weight_of(f == &smooth ? GauNormaliser::laplace : GauNormaliser::count, x));
  lesson.plot("laplace", {squares, smooth},
              {.x = "score x",
               .y = "weight, s = c = 1",
               .references = {{1, "1"}},
               .caption = "They touch at x = 0.71 with the same slope; then one grows on, the other ends at 1."});
  double apart = 0;  // in value and slope at sqrt(1/2)
  auto gap = [](double x) { return weight_of(GauNormaliser::laplace, x) - weight_of(GauNormaliser::count, x); };
  const double at = std::sqrt(0.5), h = 1e-4;
  apart = std::max(std::abs(gap(at)), std::abs(gap(at + h) - gap(at - h)) / (2 * h));
  lesson.expect("Laplace less relu² at the root of 1/2, the larger of value and slope", apart, Below{1e-5});
  scores_that_grow(lesson);
}

void mixed_chunks(Lesson& lesson, int64_t longest) {
  lesson.section("5. Linear cost: mixed chunks",
                 R"(O_g = \frac{\text{tril}(\text{relu}(Q K^\top)^2)}{c\, s} V + \frac{Q' S_g}{g\, c}, \quad )"
                 R"(S_g = \sum_{h < g} K_h'^\top V_h)",
                 "Hua et al. 2022, section 3");
  chunk_by_chunk(lesson);
  const int64_t n = 24, c = 6;
  Tensor past = tri(n, n);
  lesson.images("chunks", pattern_pictures(n, c),
                {.map = ColourMap::heat,
                 .per_row = 3,
                 .caption =
                     "24 tokens, chunks of 6. Bright: weighed pair by pair; middle: through a sum; dark: unseen."},
                {"quadratic, causal", "linear, causal", "both", "quadratic, full", "linear, full", "both"});
  FlashGau causal({.dim = 16, .s = 8, .chunk = c, .causal = true}), whole({.dim = 16, .s = 8, .chunk = c});
  lesson.expect("causal: gradients reach all tokens so far and no later one", equal(reached(causal, n, 16), past));
  lesson.expect("not causal: they reach all", equal(reached(whole, n, 16), ones({n, n}, boolean)));
  double off = 0;
  for (FlashGau* unit : {&causal, &whole}) {
    NoGrad guard;
    mix_up(*unit, 4);
    Tensor x = randn({n + 2, 16});  // the last chunk is not full
    off = std::max(off, largest(unit->forward(x.unsqueeze(0))[0] - pair_by_pair(*unit, x)));
  }
  lesson.expect("both equal their n x n weights written out: largest difference", off,
                Below{is_half(lesson.dtype()) ? 0.02 : 1e-5});

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
  lesson.section(
      "6. On a book, with equal parameters",
      R"(x + \text{Attention}(x), \text{ then } x + \text{FFN}(x) \quad\text{or}\quad \text{twice } x + \text{GAU}(x))");
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
  lesson.expect("held-out loss of GAU, relu², less that of attention + FFN", models[1]->held_out - models[0]->held_out,
                Below{0.05}, Needs::training);
  lesson.expect("held-out loss of FLASH less that of GAU, relu²", models[3]->held_out - models[1]->held_out,
                Within{-0.1, 0.1}, Needs::training);
}

void decoding(Lesson& lesson, const Book& book, const Trained& flash) {
  lesson.section("8. Decoding", R"((c - 1)(2 s + e) + s\, e \;\text{ numbers at most})");
  NoGrad guard;
  Tensor ids = book.held.slice(0, 0, book.setup.context).unsqueeze(0);
  lesson.expect("FLASH step by step equals forward: largest difference of the logits",
                largest(read_stepwise(flash.model, ids) - flash.model.forward(ids)),
                Below{is_half(lesson.dtype()) ? 0.5 : 1e-3});
  token_by_token(lesson);
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
  Trained relu = book.gau("GAU, relu²", GauNormaliser::count),
          softmax = book.gau("GAU, softmax", GauNormaliser::softmax);
  weak_attention(lesson, book, relu, softmax);
  the_start(lesson, book, relu);
  mixed_chunks(lesson, setup.longest);
  Trained attention = book.attention(), flash = book.flash();
  on_the_book(lesson, book, {&attention, &relu, &softmax, &flash});
  Trained length = book.gau("GAU, relu² / n", GauNormaliser::length),
          square = book.gau("GAU, relu² / n²", GauNormaliser::square),
          plus = book.gau("GAU, softmax_plus", GauNormaliser::softmax_plus),
          laplace = book.gau("GAU, laplace", GauNormaliser::laplace);
  longer_texts(lesson, book, {&relu, &length, &square, &softmax, &plus, &laplace, &attention, &flash});
  decoding(lesson, book, flash);
  return lesson.finish();
}
