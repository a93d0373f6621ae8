// Lesson 11: one small net, each kind of attention in turn, trained to read by place and by content.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

// 16 tokens hold a key and a value each, 16 more ask. By place: token 16 + i asks for the value of token i, keys are
// blank. By content: it holds one of the keys, in another order, and asks for that key's value; places are not given.
enum class Reading { by_place, by_content };
struct Asked {
  Reading reading;
  Tensor keys, values;  // i64 [batch, 32]; 0 is a blank
  Tensor answers;       // i64 [batch, 16]
};
constexpr int64_t kPairs = 16, kKeys = 32, kValues = 16;

inline Asked ask(Reading reading, int64_t batch, Generator& g) {
  Tensor values = randint(1, kValues + 1, {batch, kPairs}, i64, &g), blank = zeros({batch, kPairs}, i64);
  auto shuffled = [&](int64_t n) { return argsort(rand({batch, n}, {}, &g), -1); };
  if (reading == Reading::by_place) return {reading, cat({blank, blank}, 1), cat({values, blank}, 1), values};
  Tensor keys = slice(shuffled(kKeys), 1, 0, kPairs) + 1, order = shuffled(kPairs);
  return {reading, cat({keys, gather(keys, 1, order)}, 1), cat({values, blank}, 1), gather(values, 1, order)};
}

struct ReadingNet : Module {  // one layer of attention of two heads, one feed-forward layer
  Embedding keys, values, places;
  LayerNorm norm1, norm2, norm3;
  MultiHeadAttention mix;
  Linear up, down, head;
  ReadingNet(int64_t dim, const KindChoice& kind)
      : keys(kKeys + 1, dim),
        values(kValues + 1, dim),
        places(2 * kPairs, dim),
        norm1(dim),
        norm2(dim),
        norm3(dim),
        mix({.dim = dim, .heads = 2, .kind = kind}),
        up(dim, 2 * dim),
        down(2 * dim, dim),
        head(dim, kValues + 1) {}
  Tensor forward(const Asked& a) const {  // -> [batch, 16, values + 1]
    Tensor x = keys.forward(a.keys) + values.forward(a.values);
    if (a.reading == Reading::by_place) x = x + places.forward(arange(0, 2 * kPairs, 1, {i64, x.device()}));
    x = x + mix.forward(norm1.forward(x));
    x = x + down.forward(gelu(up.forward(norm2.forward(x))));
    return head.forward(norm3.forward(slice(x, 1, kPairs, 2 * kPairs)));
  }
  void fields(Fields& f) override {
    f("keys", keys)("values", values)("places", places)("norm1", norm1)("norm2", norm2)("norm3", norm3);
    f("mix", mix)("up", up)("down", down)("head", head);
  }
};

// % right after `steps` steps.
inline double trained_accuracy(Lesson& lesson, const KindChoice& kind, Reading reading, int64_t steps, int64_t batch) {
  manual_seed(lesson.seed() + 9);
  Generator g(lesson.seed() + 10);
  ReadingNet net(32, kind);
  AdamW optimizer(net.parameters(), {.lr = 1e-2, .beta2 = 0.99});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(20, steps / 4), .floor = 0.05});
  for (int64_t step = 0; step < steps; ++step) {
    Asked a = ask(reading, batch, g);
    cross_entropy(net.forward(a).flatten(0, 1), a.answers.flatten()).backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step(), optimizer.zero_grad(), schedule.step();
  }
  NoGrad guard;
  Asked a = ask(reading, lesson.mode() == Mode::tiny ? 2 : 128, g);
  return 100 * (argmax(net.forward(a), -1) == a.answers).to(f64).mean().item();
}

inline void which_keep_their_quality(Lesson& lesson, const Setup& setup) {
  lesson.section("12. Which keep their quality when trained?",
                 R"(\text{8 of 32 keys, rows or buckets for each query})");
  struct Entry {
    std::string name;
    KindChoice kind;
  };
  std::vector<Entry> kinds{{"softmax", AttentionKind::softmax},
                           {"local 4", kinds::Local{.window = 4}},
                           {"atrous 4", kinds::Atrous{.stride = 4}},
                           {"LSH", kinds::Lsh{.bucket = 4, .rounds = 4}},
                           {"Linformer 8", kinds::Linformer{.length = 2 * kPairs, .rows = 8}}};
  if (lesson.mode() == Mode::tiny) kinds.erase(kinds.begin() + 1, kinds.end());
  if (lesson.mode() == Mode::full)
    kinds.insert(kinds.end(), {{"atrous 5", kinds::Atrous{.stride = 5}},
                               {"top 8", kinds::TopK{.keep = 8}},
                               {"Nystrom 8", kinds::Nystrom{.landmarks = 8}},
                               {"Performer", AttentionKind::performer},
                               {"linear", AttentionKind::linear}});
  std::vector<std::string> names;
  Series place{.name = "by place"}, content{.name = "by content"};
  Progress progress = lesson.progress("reading", int64_t(kinds.size()));
  for (const Entry& e : kinds) {
    names.push_back(e.name);
    for (auto [s, reading] : {std::pair(&place, Reading::by_place), std::pair(&content, Reading::by_content)}) {
      s->y.push_back(trained_accuracy(lesson, e.kind, reading, setup.reading_steps, setup.reading_batch));
      lesson.value(fmt::format("{}, {}", s->name, e.name), s->y.back(), "%");
    }
    progress.step();
  }
  lesson.bars("reading", names, {place, content},
              {.y = "% right",
               .references = {{100. / kValues, "guessing"}},
               .caption =
                   "A net of one layer, trained anew with each kind: to read the value 16 places back, and to read "
                   "the value of a key wherever it stands."});
  if (kinds.size() == 1) return;
  const Needs training = Needs::training;
  lesson.expect("softmax reads by place, % right", place.y[0], Above{98}, training);
  lesson.expect("a window of 4 cannot see 16 back", place.y[1], Below{12}, training);
  lesson.expect("every 4th key holds it", place.y[2], Above{95}, training);
  lesson.expect("but not a content: % less than LSH, whose keys are where they hash", content.y[3] - content.y[2],
                Above{40}, training);
  lesson.expect("LSH reads by content", content.y[3], Above{80}, training);
  if (kinds.size() > 5)
    lesson.expect("every 5th key does not hold what is 16 back", place.y[5], Below{12}, Needs::full_run);
}

}  // namespace ink::lesson
