// The nets of lesson 06: one that reads text, one that recalls pairs, and how they are trained.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/data/text.h"
#include "nn/models/transformer.h"

namespace ink::lesson {

// Transformer blocks with a causal kind of attention, and logits.
struct Stack : Module {
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;
  Stack(AttentionKind kind, int64_t dim, int64_t heads, int64_t layers, int64_t classes)
      : norm(dim), head(dim, classes, {.bias = false}) {
    for (int64_t i = 0; i < layers; ++i)
      blocks.emplace_back(MultiHeadAttentionOptions{.dim = dim, .heads = heads, .causal = true, .kind = kind});
  }
  Tensor forward(Tensor x) const {  // [batch, time, dim] -> [batch, time, classes]
    for (const TransformerBlock& b : blocks) x = b.forward(x);
    return head.forward(norm.forward(x));
  }
  Tensor step(Tensor x, std::vector<BlockState>& states) const {  // the new tokens only
    states.resize(blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) x = blocks[i].step(x, states[i]);
    return head.forward(norm.forward(x));
  }
  void fields(Fields& f) override { f("blocks", blocks)("norm", norm)("head", head); }
};

// A net over characters. It has no positions, so it can write on for ever; each character comes with the one before.
struct Reader : Module {
  static constexpr int64_t kDim = 64, kHeads = 4, kLayers = 2;
  Embedding now, before;
  Stack stack;
  Reader(AttentionKind kind, int64_t vocabulary)
      : now(vocabulary, kDim), before(vocabulary, kDim), stack(kind, kDim, kHeads, kLayers, vocabulary) {
    NoGrad guard;
    now.weight.mul_(0.3), before.weight.mul_(0.3);
  }
  struct State {
    Tensor last;  // what the last character says to the next, [batch, 1, dim]
    std::vector<BlockState> blocks;
    int64_t bytes() const {
      int64_t sum = last.nbytes();
      for (const BlockState& s : blocks) sum += s.bytes();
      return sum;
    }
  };
  Tensor forward(const Tensor& ids) const {  // i64 [batch, time] -> logits [batch, time, vocabulary]
    State fresh;
    return stack.forward(embed(ids, fresh));
  }
  Tensor step(const Tensor& ids, State& state) const { return stack.step(embed(ids, state), state.blocks); }
  void fields(Fields& f) override { f("now", now)("before", before)("stack", stack); }

 private:
  Tensor embed(const Tensor& ids, State& state) const {
    Tensor hints = before.forward(ids);
    if (!state.last.defined()) state.last = zeros_like(hints.narrow(1, 0, 1));
    Tensor shifted = cat({state.last, hints}, 1);
    state.last = shifted.narrow(1, ids.size(1), 1).clone();
    return now.forward(ids) + shifted.narrow(1, 0, ids.size(1));
  }
};

// Nats per character over random windows of 64.
inline Tensor text_loss(const Reader& net, const Tensor& ids, int64_t windows, Generator& places) {
  auto [inputs, targets] = random_windows(ids, windows, 64, places);
  return cross_entropy(net.forward(inputs).flatten(0, 1), targets.flatten());
}

// Writes on after `prompt`, and records what that takes.
struct Written {
  std::string text;
  Series bytes, times;  // of the state; per character, in ms
};
inline Written write_on(const Reader& net, const CharText& text, const std::string& prompt, int64_t length,
                        double temperature, uint64_t seed) {
  NoGrad guard;
  Generator generator(seed);
  Written w;
  Reader::State state;
  Tensor next = text.encode(prompt).unsqueeze(0).to(net.now.weight.device()), ids = next;
  const int64_t stretch = std::max<int64_t>(1, length / 10);
  while (ids.size(1) <= length) {
    auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < stretch; ++i) {
      Tensor logits = net.step(next, state).select(1, -1);  // [1, vocabulary]
      next = multinomial(softmax(logits / temperature, -1), 1, false, &generator);
      ids = cat({ids, next}, 1);
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    w.bytes.x.push_back(double(ids.size(1) - 1)), w.bytes.y.push_back(double(state.bytes()));
    w.times.x.push_back(double(ids.size(1) - 1)), w.times.y.push_back(seconds / double(stretch) * 1e3);
  }
  w.text = text.decode(ids[0]);
  return w;
}

// Pairs of a key and a value are shown, a token each; then every key once more, in another order: what was its value?
struct Recall {
  static constexpr int64_t kKeys = 64, kValues = 32, kDim = 16;
  Tensor keys, values, targets;  // i64 [batch, 2 pairs], a value of kValues asks; targets [batch, pairs]
  Recall(int64_t batch, int64_t pairs, Generator& g, Device device) {
    Options numbers{f32, device};
    Tensor key = argsort(rand({batch, kKeys}, numbers, &g)).narrow(1, 0, pairs);  // different ones
    Tensor value = randint(0, kValues, {batch, pairs}, {i64, device}, &g);
    Tensor order = argsort(rand({batch, pairs}, numbers, &g));
    keys = cat({key, gather(key, 1, order)}, 1);
    values = cat({value, full_like(value, kValues)}, 1);
    targets = gather(value, 1, order);
  }
};
struct RecallNet : Module {
  Embedding keys, values;
  Stack stack;
  explicit RecallNet(AttentionKind kind)
      : keys(Recall::kKeys, Recall::kDim),
        values(Recall::kValues + 1, Recall::kDim),
        stack(kind, Recall::kDim, 1, 2, Recall::kValues) {}
  Tensor forward(const Recall& task) const {  // logits at the questions, [batch, pairs, kValues]
    int64_t pairs = task.targets.size(1);
    return stack.forward(keys.forward(task.keys) + values.forward(task.values)).narrow(1, pairs, pairs);
  }
  void fields(Fields& f) override { f("keys", keys)("values", values)("stack", stack); }
};

// Trains `net` on what `loss` returns, a new batch at every call; the mean loss of each fortieth of the steps.
template <class Net, class Loss>
Series train(Lesson& lesson, const std::string& name, Net& net, int64_t steps, double rate, const Loss& loss) {
  AdamW optimizer(net.parameters(), {.lr = rate, .weight_decay = 0.01});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(50, steps / 4), .floor = 0.05});
  Series curve{.name = name};
  const int64_t every = std::max<int64_t>(1, steps / 40);
  double sum = 0;
  Progress progress = lesson.progress(name, steps);
  for (int64_t step = 1; step <= steps; ++step) {
    Tensor l = loss();
    l.backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step();
    optimizer.zero_grad();
    schedule.step();
    sum += l.item();
    if (step % every == 0) curve.x.push_back(double(step)), curve.y.push_back(sum / double(every)), sum = 0;
    progress.update(step, fmt::format("loss {:.3f}", l.item()));
  }
  return curve;
}

// A net of that kind, trained on tasks of all the sizes in turn; the share that it recalls of each.
inline Series recall_curve(Lesson& lesson, AttentionKind kind, const std::vector<int64_t>& sizes, int64_t steps,
                           int64_t batch, double rate) {
  default_generator() = Generator(lesson.seed());
  RecallNet net(kind);
  net.to(lesson.device());
  Generator tasks(lesson.seed()), tests(lesson.seed() + 1);
  size_t turn = 0;
  train(lesson, name_of(kind), net, steps, rate, [&] {
    Recall task(batch, sizes[turn++ % sizes.size()], tasks, lesson.device());
    return cross_entropy(net.forward(task).flatten(0, 1), task.targets.flatten());
  });
  NoGrad guard;
  Series s{.name = name_of(kind)};
  for (int64_t pairs : sizes) {
    Recall task(lesson.mode() == Mode::tiny ? 4 : 100, pairs, tests, lesson.device());
    s.x.push_back(double(pairs));
    s.y.push_back((argmax(net.forward(task), -1) == task.targets).to(f32).mean().item());
    lesson.value(fmt::format("recall, {}, {} pairs", s.name, pairs), s.y.back());
  }
  return s;
}

}  // namespace ink::lesson
