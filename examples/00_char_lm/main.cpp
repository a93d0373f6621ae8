// A language model over characters: a small GPT reads Newton's Opticks and writes on
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "autograd/observe/autocast.h"
#include "examples/00_char_lm/counting.h"
#include "examples/00_char_lm/run.h"
#include "examples/00_char_lm/writing.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

using namespace ink;
using namespace ink::lesson;

namespace {

// The held-out text cut into windows, and the nats of every character in at most `most` of them, spread evenly:
// [windows, context].
Tensor held_out_losses(const GPT& model, const Tensor& held, int64_t most) {
  NoGrad guard;
  const int64_t t = model.options.context, all = (held.numel() - 1) / t, windows = std::min(most, all), batch = 32;
  if (windows < 1)
    throw ValueError(fmt::format(
        "held_out_losses: the text is too short; got {} held-out characters; expected more than {}; hint: --context",
        held.numel(), t));
  std::vector<int64_t> spread;
  for (int64_t i = 0; i < windows; ++i) spread.push_back(i * all / windows);
  const Tensor which = from_data(spread, {windows}).to(held.device());
  Tensor inputs = index_select(held.slice(0, 0, all * t).reshape({all, t}), 0, which);
  Tensor targets = index_select(held.slice(0, 1, all * t + 1).reshape({all, t}), 0, which);
  std::vector<Tensor> losses;
  for (int64_t i = 0; i < windows; i += batch) {
    Tensor logits = model.forward(inputs.slice(0, i, i + batch)).to(f32);  // [batch, time, vocabulary]
    losses.push_back(
        cross_entropy(logits.flatten(0, 1), targets.slice(0, i, i + batch).flatten(), {.reduction = Reduction::none}));
  }
  return cat(losses).reshape({windows, t});
}

void step_equals_forward(Lesson& lesson, const GPT& model, const CharText& text, const Tensor& held) {
  lesson.section("4. Reading one character at a time",
                 R"(o_t = \text{attention}(q_t, [k_1 \dots k_t], [v_1 \dots v_t]))");
  NoGrad guard;
  Tensor ids = held.slice(0, 0, model.options.context).unsqueeze(0);
  Tensor whole = model.forward(ids);
  std::vector<BlockState> states;
  std::vector<Tensor> single;
  for (const Tensor& id : ids.split(1, 1)) single.push_back(model.step(id, states));
  double bound = lesson.dtype() == f64 ? 1e-9 : lesson.dtype() == f32 ? 1e-3 : 0.5;
  lesson.expect("step by step equals forward: largest difference of the logits",
                (cat(single, 1) - whole).abs().max().item(), Below{bound});
  Tensor changed = ids.clone();
  int64_t last = model.options.context - 1;
  const int64_t id = ids.index({0, last}).item<int64_t>();  // becomes another one, whatever it is
  changed.index_put_({0, last}, full({}, (id + 1) % text.vocabulary(), ids.options()));
  Tensor difference = max((model.forward(changed) - whole).abs().to(f32), {0, 2});  // at each position
  lesson.expect("the last character is changed: the most that any position before it changes",
                difference.slice(0, 0, last).max().item(), Below{bound / 10});
  lesson.expect("and its own position", difference[last].item(), Above{is_half(lesson.dtype()) ? bound / 10 : bound});
  cache_step_by_step(lesson, model, text, held);
}

void lower_is_surer(Lesson& lesson, const GPT& model, const Tensor& held) {
  NoGrad guard;
  Tensor logits = model.forward(held.slice(0, 0, model.options.context).unsqueeze(0));
  auto entropy = [&](double temperature) {
    Tensor p = next_character(logits, temperature);
    return -(p * log(p + 1e-30)).sum().item();
  };
  lesson.expect("T = 0.3 is surer than T = 1: entropy of the next character, ratio", entropy(0.3) / entropy(1),
                Below{0.9}, Needs::training);
  lesson.expect("and T = 0.001 draws the likeliest: its probability", next_character(logits, 1e-3).max().item(),
                Above{0.99}, Needs::training);
}

// Trains up to `steps`, saving now and then; the losses on the way.
std::pair<Series, Series> train_model(Lesson& lesson, Run& run, const Tensor& train, const Tensor& held, int64_t steps,
                                      int64_t batch, const std::string& checkpoint) {
  Series training{.name = "training"}, testing{.name = "held-out"};
  const int64_t every = std::max<int64_t>(1, steps / 30), first = run.step, context = run.model.options.context;
  double sum = 0;
  Progress progress = lesson.progress("training", steps);
  auto begin = std::chrono::steady_clock::now();
  for (run.model.train(); run.step < steps;) {
    auto [inputs, targets] = random_windows(train, batch, context, run.windows);  // both [batch, time]
    Tensor logits = run.model.forward(inputs);                                    // [batch, time, vocabulary]
    Tensor loss = cross_entropy(logits.flatten(0, 1), targets.flatten());
    loss.backward();
    clip_grad_norm_(run.model.parameters(), 1);
    run.optimizer.step();
    run.optimizer.zero_grad();
    run.schedule.step();
    ++run.step;
    sum += loss.item();
    if (run.step % every == 0) {
      training.x.push_back(double(run.step)), training.y.push_back(sum / double(every)), sum = 0;
      run.model.eval();
      testing.x.push_back(double(run.step)), testing.y.push_back(held_out_losses(run.model, held, 32).mean().item());
      run.model.train();
      if (!checkpoint.empty()) run.save(checkpoint);
    }
    progress.update(run.step, fmt::format("loss {:.3f}", loss.item()));
  }
  if (!checkpoint.empty()) run.save(checkpoint);
  run.model.eval();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (run.step > first)
    lesson.measured("characters per second", double((run.step - first) * batch * context) / seconds, "1/s");
  return {training, testing};
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "00",
                 .name = "00_char_lm",
                 .title = "A language model over characters",
                 .about = "A small GPT learns to continue a book, and is measured against counting characters and "
                          "pairs of characters.",
                 .full_time = "3 min"});
  const int64_t steps = lesson.option("steps", Sizes{.full = 3000, .quick = 800, .tiny = 3}, "of training");
  const int64_t batch = lesson.option("batch", Sizes{.full = 8, .quick = 8, .tiny = 2}, "windows per step");
  const int64_t context =
      lesson.option("context", Sizes{.full = 128, .quick = 32, .tiny = 16, .least = 2}, "characters the model sees");
  const int64_t dim = lesson.option("dim", Sizes{.full = 128, .quick = 96, .tiny = 16}, "width of the model");
  const int64_t layers =
      lesson.option("layers", Sizes{.full = 4, .quick = 2, .tiny = 1}, "blocks of attention and MLP");
  const int64_t heads = lesson.option("heads", Sizes{.full = 4, .quick = 4, .tiny = 2}, "of attention");
  const double lr = lesson.option("lr", 3e-3, "highest learning rate", Number::positive),
               dropout = lesson.option("dropout", 0.0, "share of values dropped in training", Number::share);
  const std::string prompt = lesson.option("prompt", std::string("The Light"), "what the samples start with");

  const std::string checkpoint = lesson.option("checkpoint", std::string(),
                                               "file to go on from if it exists, and to save the run in", Path::output);
  const CharText text = lesson.text("opticks", 10 * (context + 2));  // a tenth is held out, one window at least
  lesson.checked("prompt", [&] {
    if (text.encode(prompt).numel() == 0) throw ValueError("the prompt is empty; expected at least one character");
  });
  Run run = lesson.checked("heads", [&] {
    return Run({.vocabulary = text.vocabulary(),
                .context = context,
                .dim = dim,
                .heads = heads,
                .layers = layers,
                .dropout = dropout},
               lesson.options(), {.lr = lr, .beta2 = 0.99, .weight_decay = 0.1},
               {.steps = steps, .warmup = std::min<int64_t>(100, steps / 4), .floor = 0.05}, lesson.seed());
  });
  const bool resumed = std::filesystem::exists(checkpoint);
  if (resumed) lesson.checked("checkpoint", [&] { run.load(checkpoint); });

  lesson.section("1. The text", R"(L = -\frac{1}{n} \sum_t \log p(c_t \mid c_1 \dots c_{t-1}))");
  auto [train, held] = split_text(text.ids(), 0.9);
  lesson.say(fmt::format("{} characters, {} different ones. The last tenth is held out.", text.ids().numel(),
                         text.vocabulary()));
  double uniform = std::log(double(text.vocabulary())), unigram = unigram_loss(train, held, text.vocabulary()),
         bigram = bigram_loss(train, held, text.vocabulary());
  lesson.value("uniform", uniform, "nats per character");
  lesson.value("unigram", unigram, "nats per character");
  lesson.value("bigram", bigram, "nats per character");
  counting_step_by_step(lesson);
  train = train.to(lesson.device()), held = held.to(lesson.device());

  lesson.section("2. The model",
                 R"(x \leftarrow x + \text{Attention}(\text{LN}(x)), \quad x \leftarrow x + \text{MLP}(\text{LN}(x)))",
                 "Vaswani et al. 2017; Radford et al. 2019");
  GPT& model = run.model;
  std::optional<Autocast> half;  // f16 and bf16 compute in halves, the parameters stay f32
  if (is_half(lesson.dtype())) half.emplace(lesson.dtype());
  lesson.value("parameters", double(model.num_parameters()));
  if (resumed) {
    lesson.say(fmt::format("Goes on from step {} of '{}'.", run.step, checkpoint));
  } else {
    double start = held_out_losses(model, held, 32).mean().item();
    lesson.expect("before training it knows nothing: loss over log(vocabulary)", start / uniform, Within{0.95, 1.05});
  }

  lesson.section("3. Training", R"(g \leftarrow g \min(1, 1 / \lVert g \rVert))",
                 "Loshchilov & Hutter 2017, 2019; Pascanu et al. 2013");
  auto [training, testing] = train_model(lesson, run, train, held, steps, batch, checkpoint);
  Tensor losses =
      held_out_losses(model, held, lesson.mode() == ink::lesson::Mode::tiny ? 64 : INT64_MAX);  // [windows, context]
  double final = losses.mean().item();
  if (!training.y.empty()) {
    testing.y.back() = final;  // of the whole text, like the number below
    auto level = [&](const char* name, double y) {
      return Series{.name = name, .x = {0, training.x.back()}, .y = {y, y}, .mark = Mark::dashed};
    };
    lesson.plot("loss", {training, testing, level("unigram", unigram), level("bigram", bigram)},
                {.x = "step",
                 .y = "nats per character",
                 .caption =
                     "Letter frequencies come first, then pairs; what lies below the bigram line needs a memory. "
                     "Held-out: 32 windows spread over the text, the last point all of it."});
  }
  lesson.value("held-out loss", final, "nats per character");
  lesson.value("held-out bits", final / std::log(2.), "bits per character");
  lesson.expect("held-out loss lies below the bigram baseline by", bigram - final, Above{0}, Needs::training);
  lesson.expect("held-out loss of a full run", final, Below{1.8}, Needs::full_run);
  std::vector<float> by_position = losses.mean({0}).to_vector<float>();
  lesson.plot("context", {{.name = "held-out", .y = {by_position.begin(), by_position.end()}}},
              {.x = "position in the window",
               .y = "nats per character",
               .references = {{bigram, "bigram"}},
               .caption = "The more the model has read, the better it guesses."});
  lesson.expect("a long context helps: loss at the first position less that of the second half",
                double(by_position[0]) - losses.slice(1, context / 2, context).mean().item(), Above{0.3},
                Needs::training);

  step_equals_forward(lesson, model, text, held);

  lesson.section("5. Writing", R"(p_i = \text{softmax}(z_i / T))");
  draw_step_by_step(lesson, model, text, prompt);
  lower_is_surer(lesson, model, held);
  Generator generator(lesson.seed());
  for (double temperature : {0.3, 0.7, 1.0}) {
    lesson.say(fmt::format("T = {}:", temperature));
    lesson.listing(
        sample(model, text, prompt, lesson.mode() == ink::lesson::Mode::tiny ? 30 : 300, temperature, generator));
  }
  return lesson.finish();
}
