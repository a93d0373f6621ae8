// Writing on: a model continues prompts, one token a pass, or several where a drafter guesses them and the model
// agrees. All ways of decoding are this one loop with another drafter and another rule of acceptance.
//
//   Generation g = generate(model, {prompt}, {.max_tokens = 200, .sampling = SamplingOptions{.top_p = 0.9}});
//   MedusaDrafter medusa(heads, tree);
//   Generation same = generate(model, {prompt}, {.max_tokens = 200}, medusa);   // greedy: the same text, fewer passes
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "nn/decoding/accept.h"
#include "nn/decoding/drafter.h"

namespace ink {

// Which tokens of a draft are kept.
enum class Acceptance {
  exact,    // the text, or its distribution, is that of plain decoding: accept_greedy, accept_lossless
  typical,  // what is not too unlikely: accept_typical; another distribution. It needs sampling
};

// The bytes of a token.
struct TokenBytes {
  virtual ~TokenBytes() = default;
  virtual std::string of(int64_t token) const = 0;
};
// f(int64_t) -> std::string, such as a tokenizer's decode: token_bytes([t](int64_t id) { return t.decode({id}); })
template <class F> std::shared_ptr<const TokenBytes> token_bytes(F f) {
  struct Of final : TokenBytes {
    F f;
    explicit Of(F f) : f(std::move(f)) {}
    std::string of(int64_t token) const override { return f(token); }
  };
  return std::make_shared<Of>(std::move(f));
}

enum class StopReason {
  running,   // not yet
  length,    // max_tokens
  context,   // the model's longest sequence
  token,     // a stop token, which is the last one of the text
  string,    // a stop string, which ends in the last token of the text
  listener,  // the listener wanted no more
};

// One pass of the model, as a listener sees it.
struct DecodingStep {
  int64_t row;
  const Draft* draft;
  const Accepted* accepted;
  Tensor logits;  // [nodes, vocabulary], on the host
};

// Who is told while a text is written.
struct GenerationListener {
  virtual ~GenerationListener() = default;
  // New tokens of a row, in order, as soon as they are certain; false ends the row.
  virtual bool on_tokens(int64_t row, const std::vector<int64_t>& tokens) { return (void)row, (void)tokens, true; }
  virtual void on_step(const DecodingStep& step) { (void)step; }
};

struct GenerateOptions {
  int64_t max_tokens = 128;                      // new ones, of each row
  std::optional<SamplingOptions> sampling = {};  // none: greedy, the likeliest token always
  Acceptance acceptance = Acceptance::exact;
  TypicalOptions typical = {};
  std::vector<int64_t> stop_tokens = {};
  std::vector<std::string> stop_strings = {};  // they need `bytes`
  std::shared_ptr<const TokenBytes> bytes = {};
  Generator* generator = nullptr;  // null: the thread's default one. Each row draws from a stream of its own
  // Products and attention by BatchInvariant, so that drafts do not change a bit of what plain decoding computes.
  bool batch_invariant = true;
};

struct Generated {
  std::vector<int64_t> tokens;  // without the prompt
  std::vector<int64_t> gained;  // tokens that each pass after the prompt's brought, which gives the first
  StopReason stop = StopReason::running;
};
struct Generation {
  std::vector<Generated> rows;
  double prefill_seconds = 0, network_seconds = 0, draft_seconds = 0, seconds = 0;  // the last: all, prefill included

  double tokens_per_step() const;    // mean over the passes of all rows, that of the prompt not counted; 0 for none
  double tokens_per_second() const;  // of all rows together, after the prefill
};

// Continues each prompt until it stops. Rows go side by side, and finished ones leave, if the model takes places
// (CausalLM::takes_places), else one after another; a row's text does not depend on the other rows. The model decides
// alone: with Acceptance::exact drafts change the speed, not the text (greedy: token for token, with batch_invariant
// bit for bit in the logits) nor its distribution (sampling). A model with a recurrence takes drafts without branches;
// its logits are those of plain decoding up to rounding. ValueError for no prompts, an empty prompt, one longer than
// the context, max_tokens below 0, typical acceptance without sampling, stop strings without bytes or empty; IndexError
// for tokens outside of the vocabulary; and what drafter and options refuse: all of that before the first
// pass. The model should be in eval mode. A text may end with one token that stands beyond the context, since it need
// not be read. What only a pass can tell ends the generation with the error it throws: logits that are NaN, a draft
// that makes no sense, angles of rotary positions that change with the length (dynamic) where steps end.
Generation generate(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts,
                    const GenerateOptions& options, Drafter& drafter, GenerationListener* listener = nullptr);
Generation generate(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts,
                    const GenerateOptions& options = {}, GenerationListener* listener = nullptr);

}  // namespace ink
