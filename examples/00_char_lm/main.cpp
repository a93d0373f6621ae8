// A language model over characters: a small GPT reads Newton's Opticks and writes on
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "autograd/observe/autocast.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/state.h"

using namespace ink;
using namespace ink::lesson;

namespace {

// Nats per character of the held-out text under counts of the training text, a tenth added to every count.
double unigram_loss(const Tensor& train, const Tensor& held, int64_t v) {
  Tensor counts = index_add(zeros({v}, f64), 0, train, ones({train.numel()}, f64)) + 0.1;
  return -log(counts / counts.sum()).index({held}).mean().item();
}
double bigram_loss(const Tensor& train, const Tensor& held, int64_t v) {
  auto pairs = [&](const Tensor& ids) { return ids.slice(0, 0, ids.numel() - 1) * v + ids.slice(0, 1, ids.numel()); };
  Tensor counts = index_add(zeros({v * v}, f64), 0, pairs(train), ones({train.numel() - 1}, f64)).reshape({v, v}) + 0.1;
  return -log(counts / counts.sum({1}, true)).flatten().index({pairs(held)}).mean().item();
}

// Losses of the whole held-out text cut into windows: nats of every character, [windows, context].
Tensor held_out_losses(const GPT& model, const Tensor& held, int64_t most) {
  NoGrad guard;
  const int64_t t = model.options.context, windows = std::min(most, (held.numel() - 1) / t), batch = 32;
  if (windows < 1)
    throw ValueError(fmt::format(
        "held_out_losses: the text is too short; got {} held-out characters; expected more than {}; hint: --context",
        held.numel(), t));
  Tensor inputs = held.slice(0, 0, windows * t).reshape({windows, t});
  Tensor targets = held.slice(0, 1, windows * t + 1).reshape({windows, t});
  std::vector<Tensor> losses;
  for (int64_t i = 0; i < windows; i += batch) {
    Tensor logits = model.forward(inputs.slice(0, i, i + batch)).to(f32);  // [batch, time, vocabulary]
    losses.push_back(
        cross_entropy(logits.flatten(0, 1), targets.slice(0, i, i + batch).flatten(), {.reduction = Reduction::none}));
  }
  return cat(losses).reshape({windows, t});
}

// Writes on after `prompt`: each character is drawn from softmax(logits / temperature). The cache keeps the keys and
// values of what was read, so a character costs one position; when the context is full, its last half is read again.
std::string sample(const GPT& model, const CharText& text, const std::string& prompt, int64_t length,
                   double temperature, Generator& generator) {
  NoGrad guard;
  Tensor ids = text.encode(prompt).unsqueeze(0).to(model.head.weight.device());  // [1, time]
  std::vector<BlockState> states;
  Tensor logits = model.step(ids.slice(1, -model.options.context, ids.size(1)), states);
  for (int64_t i = 0; i < length; ++i) {
    Tensor p = softmax(select(logits, 1, -1).to(f32) / temperature, -1);  // [1, vocabulary]
    Tensor next = multinomial(p, 1, false, &generator);                   // [1, 1]
    ids = cat({ids, next}, 1);
    bool full = states[0].time() == model.options.context;
    if (full) states.clear();
    logits = model.step(full ? ids.slice(1, -(model.options.context + 1) / 2, ids.size(1)) : next, states);
  }
  return text.decode(ids[0]);
}

void step_equals_forward(Lesson& lesson, const GPT& model, const Tensor& held) {
  lesson.section("4. Reading one character at a time",
                 "attention(q_t, [k_1 ... k_t], [v_1 ... v_t])  needs only the keys and values kept");
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
  changed.index_put_({0, last}, ids.index({0, 0}));
  Tensor before = whole.slice(1, 0, last), after = model.forward(changed).slice(1, 0, last);
  lesson.expect("no character sees a later one: largest change", (before - after).abs().max().item(),
                Below{bound / 10});
}

// All that a run consists of, so that one stopped and resumed equals one that was not.
struct Run {
  GPT model;
  AdamW optimizer;
  Scheduler schedule;
  Generator windows;  // where the training windows begin
  int64_t step = 0;

  Run(const GPTOptions& gpt, const Options& options, const AdamWOptions& adam, const Cosine& rate, uint64_t seed)
      : model(gpt), optimizer(model.parameters(), adam), schedule(optimizer, rate), windows(seed) {
    model.to(options.device), model.to(is_half(options.dtype) ? f32 : options.dtype);
  }
  void save(const std::string& path) {
    save_safetensors(path, merge_states({{"model", model.state_dict()},
                                         {"optimizer", optimizer.state_dict()},
                                         {"schedule", schedule.state_dict()},
                                         {"run",
                                          {{"windows", generator_state(windows)},
                                           {"random", generator_state(default_generator())},
                                           {"step", integer_state(step)}}}}));
  }
  void load(const std::string& path) {
    NamedTensors state = load_safetensors(path), run = state_part(state, "run");
    model.load_state_dict(state_part(state, "model"));
    optimizer.load_state_dict(state_part(state, "optimizer"));
    schedule.load_state_dict(state_part(state, "schedule"));
    windows = state_generator(run, "windows"), default_generator() = state_generator(run, "random");
    step = state_integer(run, "step");
  }
};

// Trains up to `steps`, saving now and then; the losses on the way.
std::pair<Series, Series> train_model(Lesson& lesson, Run& run, const Tensor& train, const Tensor& held, int64_t steps,
                                      int64_t batch, const std::string& checkpoint) {
  Series training{.name = "training"}, testing{.name = "held-out"};
  const int64_t every = std::max<int64_t>(1, steps / 40), first = run.step, context = run.model.options.context;
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
      lesson.option("context", Sizes{.full = 128, .quick = 64, .tiny = 16, .least = 2}, "characters the model sees");
  const int64_t dim = lesson.option("dim", Sizes{.full = 128, .quick = 96, .tiny = 16}, "width of the model");
  const int64_t layers =
      lesson.option("layers", Sizes{.full = 4, .quick = 2, .tiny = 1}, "blocks of attention and MLP");
  const int64_t heads = lesson.option("heads", Sizes{.full = 4, .quick = 4, .tiny = 2}, "of attention");
  const double lr = lesson.option("lr", 3e-3, "highest learning rate", Number::positive),
               dropout = lesson.option("dropout", 0.0, "share of values dropped in training", Number::share);
  const std::string prompt = lesson.option("prompt", std::string("The Light"), "what the samples start with");

  const std::string checkpoint =
      lesson.option("checkpoint", std::string(), "file to go on from if it exists, and to save the run in",
                    Path::output);
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

  lesson.section("1. The text", "L = -1/n sum_t log p(c_t | c_1 ... c_{t-1}),  in nats per character");
  auto [train, held] = split_text(text.ids(), 0.9);
  lesson.say(fmt::format("{} characters, {} different ones. The last tenth is held out.", text.ids().numel(),
                         text.vocabulary()));
  double uniform = std::log(double(text.vocabulary())), unigram = unigram_loss(train, held, text.vocabulary()),
         bigram = bigram_loss(train, held, text.vocabulary());
  lesson.value("uniform", uniform, "nats per character");
  lesson.value("unigram", unigram, "nats per character");
  lesson.value("bigram", bigram, "nats per character");
  train = train.to(lesson.device()), held = held.to(lesson.device());

  lesson.section("2. The model", "x <- x + Attention(LayerNorm(x)),   x <- x + MLP(LayerNorm(x))",
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

  lesson.section("3. Training", "AdamW,  lr: linear warm-up, then half a cosine;  |g| clipped to 1",
                 "Loshchilov & Hutter 2017, 2019; Pascanu et al. 2013");
  auto [training, testing] = train_model(lesson, run, train, held, steps, batch, checkpoint);
  if (!training.y.empty())
    lesson.plot(
        "loss", {training, testing},
        {.x = "step",
         .y = "nats per character",
         .references = {{unigram, "unigram"}, {bigram, "bigram"}},
         .caption = "Letter frequencies come first, then pairs; what lies below the bigram line needs a memory."});
  Tensor losses = held_out_losses(model, held, INT64_MAX);  // [windows, context]
  double final = losses.mean().item();
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

  step_equals_forward(lesson, model, held);

  lesson.section("5. Writing", "p_i = softmax(logits_i / T),  T -> 0: always the likeliest character");
  Generator generator(lesson.seed());
  for (double temperature : {0.3, 0.7, 1.0}) {
    lesson.say(fmt::format("T = {}:", temperature));
    lesson.listing(sample(model, text, prompt, 300, temperature, generator));
  }
  return lesson.finish();
}
