// Who guesses the next tokens, so that the model can check several of them in one pass. The ways to guess that need no
// training stand here; Medusa's heads in nn/decoding/medusa/.
#pragma once
#include "nn/decoding/cache.h"
#include "nn/decoding/chance.h"
#include "nn/decoding/sampling.h"

#include <optional>

namespace ink {

// What is known of a sequence when a draft is wanted.
struct DraftRequest {
  int64_t row = 0;  // the number of the prompt
  // The prompt and the text so far. The last token is the root of the draft: it is decided, but the model has not read
  // it.
  const std::vector<int64_t>* tokens = nullptr;
  Tensor feature;            // [dim]: the model's, of the token before the root
  int64_t most_depth = 0;    // the draft may have so many tokens below one another, the root not counted
  Chance* chance = nullptr;  // for drafts that are drawn
};

struct Drafter {
  virtual ~Drafter() = default;
  // A new generation of so many prompts by a model: what was remembered is void. Throws if its drafts are none for that
  // model.
  virtual void begin(const CausalLM& model, int64_t rows) { (void)model, (void)rows; }
  // A draft for each request, with node 0 its root. Nodes deeper than most_depth are cut off.
  virtual std::vector<Draft> draft(const std::vector<DraftRequest>& requests) = 0;
};

// No guesses: the root alone, hence one token a pass.
struct PlainDrafter final : Drafter {
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override;
};

// A small model of the same vocabulary writes `length` tokens ahead: the likeliest ones, or drawn ones, with the
// distribution they were drawn from. Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318.
struct ModelDrafterOptions {
  int64_t length = 4;                            // ValueError below 1
  std::optional<SamplingOptions> sampling = {};  // none: the likeliest token
};
class ModelDrafter final : public Drafter {
 public:
  explicit ModelDrafter(const CausalLM& model, const ModelDrafterOptions& options = {});  // which must outlive it
  explicit ModelDrafter(const CausalLM&& model, const ModelDrafterOptions& options = {}) = delete;
  void begin(const CausalLM& model, int64_t rows) override;  // ValueError for a model of another vocabulary
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override;

 private:
  struct Row {
    std::optional<SequenceCache> cache;
    std::vector<int64_t> seen;  // by the cache
  };
  Draft draft_row(const DraftRequest& request);
  Tensor read(Row& row, const std::vector<int64_t>& tokens) const;
  const CausalLM* model_;
  ModelDrafterOptions options_;
  std::vector<Row> rows_;
};

// What followed the last time that the same tokens stood in the text: for texts that repeat their prompt. The longest
// run of at most `longest` last tokens that occurs before is looked up, of equal ones the latest place. "Prompt
// lookup".
struct LookupDrafterOptions {
  int64_t length = 4;                 // tokens of a draft
  int64_t longest = 3, shortest = 1;  // runs that are looked for; ValueError unless 1 <= shortest <= longest
};
class LookupDrafter final : public Drafter {
 public:
  explicit LookupDrafter(const LookupDrafterOptions& options = {});
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override;

 private:
  LookupDrafterOptions options_;
};

}  // namespace ink
