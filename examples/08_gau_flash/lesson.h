// The models of lesson 08: language models over characters whose layers are attention and feed-forward layer, gated
// attention units, or FLASH, all of one size; how they are trained and measured.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/observe/autocast.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/attention/gated/flash_gau.h"
#include "nn/data/text.h"

namespace ink::lesson {

// [batch, time, dim] -> the same.
struct Layer : Module {
  virtual Tensor forward(const Tensor& x) const = 0;
};

// Attention and feed-forward layer, each with a norm and a residual of its own.
struct AttentionAndFfn : Layer {
  TransformerBlock block;
  AttentionAndFfn(int64_t dim, int64_t heads) : block({.dim = dim, .heads = heads, .causal = true, .rotary = true}) {}
  Tensor forward(const Tensor& x) const override { return block.forward(x); }
  void fields(Fields& f) override { f("block", block); }
};

// x + unit(norm(x)), for GatedAttentionUnit and FlashGau.
template <class Unit, class UnitOptions> struct Gated : Layer {
  LayerNorm norm;
  Unit unit;
  explicit Gated(const UnitOptions& options) : norm(options.dim), unit(options) {}
  Tensor forward(const Tensor& x) const override { return x + unit.forward(norm.forward(x)); }
  Tensor step(const Tensor& x, AttentionState& state) const { return x + unit.step(norm.forward(x), state); }
  void fields(Fields& f) override { f("norm", norm)("unit", unit); }
};
using GauLayer = Gated<GatedAttentionUnit, GauOptions>;
using FlashLayer = Gated<FlashGau, FlashGauOptions>;

struct CharModel : Module {
  Embedding tokens;
  std::vector<std::unique_ptr<Layer>> layers;
  LayerNorm norm;
  Linear head;
  CharModel(int64_t vocabulary, int64_t dim) : tokens(vocabulary, dim), norm(dim), head(dim, vocabulary) {
    NoGrad guard;
    tokens.weight.mul_(0.1);  // what the layers add should count from the start
  }
  Tensor forward(const Tensor& ids) const {  // i64 [batch, time] -> logits [batch, time, vocabulary]
    Tensor x = tokens.forward(ids);
    for (const auto& layer : layers) x = layer->forward(x);
    return head.forward(norm.forward(x));
  }
  void fields(Fields& f) override { f("tokens", tokens)("layers", layers)("norm", norm)("head", head); }
};

// The e at which two gated units with their norms have the parameters of attention and feed-forward layer with theirs:
//   2 (3 dim e + dim s + 2 pairs s + biases 2 e + s + dim + norm 2 dim) = 12 dim^2 + 13 dim
inline int64_t fair_width(int64_t dim, int64_t s, int64_t pairs) {
  double half = double(12 * dim * dim + 13 * dim) / 2;
  return int64_t(std::lround((half - double(dim * s + 2 * pairs * s + s + 3 * dim)) / double(3 * dim + 2)));
}

struct Setup {
  int64_t dim, s, heads, blocks;  // a block is attention and feed-forward layer, or two gated units
  int64_t context, chunk, steps, batch;
  int64_t characters;  // of the held-out text that a loss is measured on
  int64_t longest;     // sequence whose memory is counted
};

inline Setup ask(Lesson& lesson) {
  auto size = [&](const char* name, int64_t full, int64_t quick, int64_t tiny, const char* help, int64_t least = 1,
                  int64_t multiple = 1) {
    return lesson.option(name, Sizes{full, quick, tiny, least, multiple}, help);
  };
  Setup s{};
  s.steps = size("steps", 800, 160, 2, "of training, for each of ten models");
  s.batch = size("batch", 12, 6, 2, "windows per step");
  s.context = size("context", 64, 64, 16, "characters in a window");
  s.dim = size("dim", 64, 64, 16, "width of the models");
  s.blocks = size("blocks", 2, 1, 1, "of attention and FFN, or of two gated units");
  s.s = size("s", 32, 32, 8, "width of queries and keys in gated units", 2, 2);
  s.heads = size("heads", 4, 4, 2, "of attention");
  s.chunk = size("chunk", 16, 16, 4, "of FLASH");
  s.characters = size("characters", 32768, 8192, 128, "of held-out text that losses are measured on");
  s.longest = size("longest", 4096, 2048, 256, "sequence whose memory is counted", 128);
  return s;
}

// The text; and whether layers of these sizes can be made, and losses be measured at four times the context.
inline CharText read_and_check(Lesson& lesson, const Setup& s) {
  lesson.checked("characters", [&] {
    if (s.characters < 4 * s.context)
      throw ValueError(fmt::format("got {}; expected at least 4 times --context {}", s.characters, s.context));
  });
  lesson.checked("heads", [&] { AttentionAndFfn layer(s.dim, s.heads); });
  lesson.checked("s", [&] { GauLayer layer({.dim = s.dim, .expansion = fair_width(s.dim, s.s, 2), .s = s.s}); });
  lesson.checked("s", [&] {
    FlashLayer layer({.dim = s.dim, .expansion = fair_width(s.dim, s.s, 4), .s = s.s, .chunk = s.chunk});
  });
  manual_seed(lesson.seed());                              // the layers above have drawn from it
  return lesson.text("opticks", 10 * (s.characters + 2));  // a tenth is held out
}

struct Trained {
  std::string name;
  CharModel model;
  Series curve;  // training loss
  double held_out = 0, seconds = 0, parameters = 0;
};

// Nats per character of held-out text cut into windows of `context`.
inline double held_out_loss(const CharModel& model, const Tensor& held, int64_t context, int64_t characters) {
  NoGrad guard;
  const int64_t windows = std::min(characters, held.numel() - 1) / context;
  const int64_t batch = std::max<int64_t>(1, 1024 / context);
  Tensor inputs = held.slice(0, 0, windows * context).reshape({windows, context});
  Tensor targets = held.slice(0, 1, windows * context + 1).reshape({windows, context});
  double sum = 0;
  for (int64_t i = 0; i < windows; i += batch) {
    Tensor logits = model.forward(inputs.slice(0, i, i + batch)).to(f32);
    sum += cross_entropy(logits.flatten(0, 1), targets.slice(0, i, i + batch).flatten(), {.reduction = Reduction::sum})
               .item();
  }
  return sum / double(windows * context);
}

// The text, and models trained on it: the same windows in the same order for each.
class Book {
 public:
  Book(Lesson& lesson, const CharText& text, const Setup& setup) : setup(setup), lesson_(lesson) {
    vocabulary = text.vocabulary();
    auto [train, test] = split_text(text.ids(), 0.9);
    Tensor from = train.slice(0, 0, train.numel() - 1), to = train.slice(0, 1, train.numel());
    Tensor pairs = (index_add(zeros({vocabulary * vocabulary}, {f64, train.device()}), 0, from * vocabulary + to,
                              ones({from.numel()}, {f64, train.device()})) +
                    0.1)
                       .reshape({vocabulary, vocabulary});
    Tensor of_pair = log(pairs / pairs.sum({1}, true)).flatten();
    Tensor seen = test.slice(0, 0, setup.characters) * vocabulary + test.slice(0, 1, setup.characters + 1);
    bigram = -of_pair.index({seen}).mean().item();
    train_ = train.to(lesson.device()), held = test.to(lesson.device());
    if (is_half(lesson.dtype())) half_.emplace(lesson.dtype());  // products in halves, parameters in f32
  }

  Trained untrained(const std::string& name) const {
    manual_seed(lesson_.seed());
    return {.name = name, .model = CharModel(vocabulary, setup.dim), .curve = {.name = name}};
  }
  Trained attention() const {
    Trained t = untrained("attention + FFN");
    for (int64_t i = 0; i < setup.blocks; ++i)
      t.model.layers.push_back(std::make_unique<AttentionAndFfn>(setup.dim, setup.heads));
    return trained(std::move(t));
  }
  Trained gau(const std::string& name, GauNormaliser normaliser, GauInit init = GauInit::ones,
              double eps = 1e-8) const {  // eps: AdamW's
    return trained(untrained_gau(name, normaliser, init), eps);
  }
  Trained untrained_gau(const std::string& name, GauNormaliser normaliser, GauInit init) const {
    Trained t = untrained(name);
    for (int64_t i = 0; i < 2 * setup.blocks; ++i)
      t.model.layers.push_back(std::make_unique<GauLayer>(GauOptions{.dim = setup.dim,
                                                                     .expansion = fair_width(setup.dim, setup.s, 2),
                                                                     .s = setup.s,
                                                                     .causal = true,
                                                                     .normaliser = normaliser,
                                                                     .rotary = true,
                                                                     .init = init}));
    return t;
  }
  Trained flash() const {
    Trained t = untrained("FLASH");
    for (int64_t i = 0; i < 2 * setup.blocks; ++i)
      t.model.layers.push_back(
          std::make_unique<FlashLayer>(FlashGauOptions{.dim = setup.dim,
                                                       .expansion = fair_width(setup.dim, setup.s, 4),
                                                       .s = setup.s,
                                                       .chunk = setup.chunk,
                                                       .causal = true,
                                                       .rotary = true}));
    return trained(std::move(t));
  }
  double loss_at(const Trained& t, int64_t context) const {
    return held_out_loss(t.model, held, context, setup.characters);
  }

  // Root mean square of the gradient of one batch's loss with respect to the gains g, for a model of gated units.
  double gain_gradient(Trained t) const {
    t.model.to(lesson_.device());
    Generator windows(lesson_.seed());
    auto [inputs, targets] = random_windows(train_, setup.batch, setup.context, windows);
    cross_entropy(t.model.forward(inputs).flatten(0, 1), targets.flatten()).backward();
    double sum = 0;
    for (const auto& layer : t.model.layers)
      sum += square(dynamic_cast<const GauLayer&>(*layer).unit.gain.grad()).mean().item();
    return std::sqrt(sum / double(t.model.layers.size()));
  }

  Setup setup;
  int64_t vocabulary = 0;
  double bigram = 0;  // nats per character of the held-out text by counted pairs
  Tensor held;

 private:
  Trained trained(Trained t, double eps = 1e-8) const {
    CharModel& model = t.model;
    t.parameters = double(model.num_parameters());
    model.to(lesson_.device()), model.to(is_half(lesson_.dtype()) ? f32 : lesson_.dtype());
    AdamW optimizer(model.parameters(), {.lr = 3e-3, .beta2 = 0.99, .eps = eps, .weight_decay = 0.1});
    Scheduler schedule(optimizer,
                       Cosine{.steps = setup.steps, .warmup = std::min<int64_t>(50, setup.steps / 4), .floor = 0.05});
    Generator windows(lesson_.seed());
    const int64_t every = std::max<int64_t>(1, setup.steps / 25);
    double sum = 0;
    Progress progress = lesson_.progress(t.name, setup.steps);
    auto begin = std::chrono::steady_clock::now();
    for (int64_t step = 1; step <= setup.steps; ++step) {
      auto [inputs, targets] = random_windows(train_, setup.batch, setup.context, windows);  // both [batch, time]
      Tensor loss = cross_entropy(model.forward(inputs).flatten(0, 1), targets.flatten());
      loss.backward();
      clip_grad_norm_(model.parameters(), 1);
      optimizer.step(), optimizer.zero_grad(), schedule.step();
      sum += loss.item();
      if (step % every == 0) {
        t.curve.x.push_back(double(step)), t.curve.y.push_back(sum / double(every)), sum = 0;
        progress.update(step, fmt::format("loss {:.3f}", t.curve.y.back()));
      }
    }
    t.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    t.held_out = loss_at(t, setup.context);
    return t;
  }

  Lesson& lesson_;
  Tensor train_;
  std::optional<Autocast> half_;
};

}  // namespace ink::lesson
