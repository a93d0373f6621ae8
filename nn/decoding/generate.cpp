// The loop of generation: ask for drafts, run them, accept, keep.
#include "nn/decoding/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/decoding/stop.h"
#include "tensor/batch_invariant.h"

namespace ink {
namespace {

using DecodingClock = std::chrono::steady_clock;
double seconds_since(DecodingClock::time_point t) {
  return std::chrono::duration<double>(DecodingClock::now() - t).count();
}

// The step of splitmix64: Steele et al. 2014.
uint64_t mixed(uint64_t seed, uint64_t place) {
  uint64_t z = seed + (place + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
// A generator for each row of each call: it depends on the call's place in the stream of the generator given, and on
// the row, but not on how many rows there are.
Generator stream_of_row(uint64_t seed, uint64_t at, int64_t row) {
  return Generator(mixed(mixed(seed, at), uint64_t(row)));
}

void check_generate(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts, const GenerateOptions& o) {
  if (prompts.empty()) throw ValueError("generate: got no prompts; expected at least one");
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty())
      throw ValueError(fmt::format("generate: prompt {} is empty; expected at least one token", i));
    if (int64_t(prompts[i].size()) > model.context())
      throw ValueError(fmt::format("generate: prompt {} has {} tokens; expected at most the context, {}", i,
                                   prompts[i].size(), model.context()));
    for (int64_t token : prompts[i])
      if (token < 0 || token >= model.vocabulary())
        throw IndexError(
            fmt::format("generate: prompt {} has the token {}; expected 0 to {}", i, token, model.vocabulary() - 1));
  }
  for (int64_t token : o.stop_tokens)
    if (token < 0 || token >= model.vocabulary())
      throw IndexError(fmt::format("generate: got the stop token {}; expected 0 to {}", token, model.vocabulary() - 1));
  if (o.max_tokens < 0) throw ValueError(fmt::format("generate: got max_tokens {}; expected at least 0", o.max_tokens));
  if (o.sampling) check(*o.sampling);
  if (o.acceptance == Acceptance::typical) {
    check(o.typical);
    if (!o.sampling)
      throw ValueError(
          "generate: typical acceptance compares probabilities at a temperature; hint: .sampling, or "
          "Acceptance::exact for greedy decoding");
  }
  if (!o.stop_strings.empty() && !o.bytes)
    throw ValueError("generate: stop strings are looked for in the text; hint: .bytes = token_bytes(..)");
}

// One prompt and its text.
struct Sequence {
  int64_t row = 0;              // the number of the prompt
  std::vector<int64_t> tokens;  // prompt and text; the cache has seen all but the last
  Generated text;
  Generator generator;
  StopStrings watch;
  Tensor feature;  // of the last token that the cache has seen
};

// Some of the prompts, decoded side by side.
class Decoding {
 public:
  Decoding(const CausalLM& model, const GenerateOptions& options, Drafter& drafter, GenerationListener* listener,
           Generation& result)
      : model_(model), options_(options), drafter_(drafter), listener_(listener), result_(result), cache_(model) {}

  void run(std::vector<Sequence> sequences) {
    active_ = std::move(sequences);
    read_prompts();
    leave();
    while (!active_.empty()) {
      step();
      leave();
    }
  }

 private:
  void read_prompts();
  void step();
  std::vector<Draft> drafts();
  Accepted accept(const Sequence& s, const Draft& draft, const Tensor& logits, Chance& chance) const;
  int64_t choose(const Tensor& logits, const Sequence& s, Chance& chance) const;
  int64_t room(const Sequence& s) const;
  void take(Sequence& s, std::vector<int64_t> tokens);
  void leave();

  const CausalLM& model_;
  const GenerateOptions& options_;
  Drafter& drafter_;
  GenerationListener* listener_;
  Generation& result_;
  SequenceCache cache_;
  std::vector<Sequence> active_;  // row b of the cache
};

Tensor on_host(const Tensor& logits) { return logits.to(is_half(logits.dtype()) ? f32 : logits.dtype()).to(Device{}); }

// The token after a prompt.
int64_t Decoding::choose(const Tensor& logits, const Sequence& s, Chance& chance) const {
  if (!options_.sampling) return most_likely(logits);
  return chance.draw(next_distribution(logits, *options_.sampling, s.tokens));
}

void Decoding::read_prompts() {
  std::vector<std::vector<int64_t>> prompts;
  for (const Sequence& s : active_) prompts.push_back(s.tokens);
  const auto start = DecodingClock::now();
  const Tensor features = cache_.begin(prompts), logits = on_host(model_.logits(features));
  result_.prefill_seconds += seconds_since(start);
  for (size_t b = 0; b < active_.size(); ++b) {
    Sequence& s = active_[b];
    RandomChance chance(s.generator);
    s.feature = features[int64_t(b)];
    take(s, {choose(logits[int64_t(b)], s, chance)});
  }
}

// How many tokens of a draft may stand below its root.
int64_t Decoding::room(const Sequence& s) const {
  const int64_t seen = int64_t(s.tokens.size()) - 1;
  return std::min(model_.context() - seen - 1, options_.max_tokens - int64_t(s.text.tokens.size()) - 1);
}

std::vector<Draft> Decoding::drafts() {
  const auto start = DecodingClock::now();
  std::vector<DraftRequest> requests;
  std::vector<RandomChance> chances;
  chances.reserve(active_.size());
  for (Sequence& s : active_) {
    chances.emplace_back(s.generator);
    requests.push_back({s.row, &s.tokens, s.feature, room(s), &chances.back()});
  }
  std::vector<Draft> all = drafter_.draft(requests);
  if (all.size() != active_.size())
    throw ValueError(fmt::format("generate: the drafter returned {} drafts; expected {}", all.size(), active_.size()));
  for (size_t b = 0; b < all.size(); ++b) {
    check(all[b], model_.vocabulary());
    all[b] = cut_below(std::move(all[b]), requests[b].most_depth);
    if (all[b].token[0] != active_[b].tokens.back())
      throw ValueError(fmt::format("generate: the root of a draft is the last token of the text; got {}; expected {}",
                                   all[b].token[0], active_[b].tokens.back()));
  }
  result_.draft_seconds += seconds_since(start);
  return all;
}

Accepted Decoding::accept(const Sequence& s, const Draft& draft, const Tensor& logits, Chance& chance) const {
  if (!options_.sampling) return accept_greedy(draft, [&](int64_t node) { return most_likely(logits[node]); });
  auto distribution = [&](int64_t node) {
    std::vector<int64_t> seen = s.tokens;  // the root is the last of them
    for (int64_t n = node; n > 0; n = draft.parent[size_t(n)]) seen.push_back(draft.token[size_t(n)]);
    return next_distribution(logits[node], *options_.sampling, seen);
  };
  return options_.acceptance == Acceptance::typical ? accept_typical(draft, distribution, chance, options_.typical)
                                                    : accept_lossless(draft, distribution, chance);
}

void Decoding::step() {
  const std::vector<Draft> all = drafts();
  const auto start = DecodingClock::now();
  const Tensor features = cache_.run(all), logits = on_host(model_.logits(features));
  result_.network_seconds += seconds_since(start);
  std::vector<std::vector<int64_t>> kept;
  for (size_t b = 0; b < active_.size(); ++b) {
    Sequence& s = active_[b];
    RandomChance chance(s.generator);
    const Tensor mine = logits[int64_t(b)].slice(0, 0, int64_t(all[b].token.size()));
    const Accepted accepted = accept(s, all[b], mine, chance);
    if (listener_) listener_->on_step({s.row, &all[b], &accepted, mine});
    std::vector<int64_t> tokens;
    for (size_t i = 1; i < accepted.nodes.size(); ++i) tokens.push_back(all[b].token[size_t(accepted.nodes[i])]);
    tokens.push_back(accepted.next);
    s.feature = features[int64_t(b)][accepted.nodes.back()];
    const size_t before = s.text.tokens.size();
    take(s, std::move(tokens));
    s.text.gained.push_back(int64_t(s.text.tokens.size() - before));
    kept.push_back(accepted.nodes);
  }
  const auto keeping = DecodingClock::now();
  cache_.keep(kept);
  result_.network_seconds += seconds_since(keeping);
}

// Adds tokens to a text up to the one that ends it.
void Decoding::take(Sequence& s, std::vector<int64_t> tokens) {
  StopReason& stop = s.text.stop;
  size_t count = 0;
  while (count < tokens.size() && stop == StopReason::running) {
    if (int64_t(s.text.tokens.size()) >= options_.max_tokens) {
      stop = StopReason::length;
      break;
    }
    const int64_t token = tokens[count++];
    s.tokens.push_back(token);
    s.text.tokens.push_back(token);
    if (std::find(options_.stop_tokens.begin(), options_.stop_tokens.end(), token) != options_.stop_tokens.end())
      stop = StopReason::token;
    if (stop == StopReason::running && !options_.stop_strings.empty()) {
      s.watch.push(options_.bytes->of(token));
      if (s.watch.found()) stop = StopReason::string;
    }
  }
  tokens.resize(count);
  if (listener_ && count > 0 && !listener_->on_tokens(s.row, tokens) && stop == StopReason::running)
    stop = StopReason::listener;
  if (stop == StopReason::running && int64_t(s.text.tokens.size()) >= options_.max_tokens) stop = StopReason::length;
  if (stop == StopReason::running && int64_t(s.tokens.size()) > model_.context()) stop = StopReason::context;
}

// Finished sequences leave the batch.
void Decoding::leave() {
  std::vector<int64_t> rows;
  std::vector<Sequence> going;
  for (size_t b = 0; b < active_.size(); ++b)
    if (active_[b].text.stop == StopReason::running) {
      rows.push_back(int64_t(b));
      going.push_back(std::move(active_[b]));
    } else {
      result_.rows[size_t(active_[b].row)] = std::move(active_[b].text);
    }
  if (!rows.empty() && rows.size() < active_.size()) cache_.select_rows(rows);
  active_ = std::move(going);
}

}  // namespace

double Generation::tokens_per_step() const {
  int64_t tokens = 0, passes = 0;
  for (const Generated& row : rows) {
    passes += int64_t(row.gained.size());
    for (int64_t gained : row.gained) tokens += gained;
  }
  return passes > 0 ? double(tokens) / double(passes) : 0;
}
double Generation::tokens_per_second() const {
  int64_t tokens = 0;
  for (const Generated& row : rows)
    for (int64_t gained : row.gained) tokens += gained;
  const double time = seconds - prefill_seconds;
  return time > 0 ? double(tokens) / time : 0;
}

Generation generate(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts,
                    const GenerateOptions& options, Drafter& drafter, GenerationListener* listener) {
  check_generate(model, prompts, options);
  const auto start = DecodingClock::now();
  NoGrad no_grad;
  std::optional<BatchInvariant> invariant;
  if (options.batch_invariant) invariant.emplace();
  Generator& source = options.generator ? *options.generator : default_generator();
  const uint64_t at = source.advance(4);
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < prompts.size(); ++i) {
    Sequence s;
    s.row = int64_t(i);
    s.tokens = prompts[i];
    s.generator = stream_of_row(source.state.seed, at, s.row);
    s.watch = StopStrings(options.stop_strings);
    sequences.push_back(std::move(s));
  }
  Generation result;
  result.rows.resize(prompts.size());
  drafter.begin(model, int64_t(prompts.size()));
  if (model.takes_places()) {
    Decoding(model, options, drafter, listener, result).run(std::move(sequences));
  } else {
    for (Sequence& s : sequences) {
      std::vector<Sequence> one;
      one.push_back(std::move(s));
      Decoding(model, options, drafter, listener, result).run(std::move(one));
    }
  }
  result.seconds = seconds_since(start);
  return result;
}
Generation generate(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts,
                    const GenerateOptions& options, GenerationListener* listener) {
  PlainDrafter plain;
  return generate(model, prompts, options, plain, listener);
}

}  // namespace ink
