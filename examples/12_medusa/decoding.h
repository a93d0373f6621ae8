// Decoding with one drafter or another: the text, passes, seconds; and what the heads' hits say beforehand.
#pragma once
#include <string>
#include <vector>

#include "examples/12_medusa/models.h"
#include "nn/decoding/generate.h"
#include "nn/decoding/medusa/drafter.h"
#include "nn/decoding/tree_search.h"

namespace ink::lesson {

struct Decoded {
  std::string name;
  std::vector<Generated> rows = {};
  int64_t tokens = 0, passes = 0;
  double seconds = 0, network = 0, draft = 0;
  double per_step() const { return double(tokens) / double(std::max<int64_t>(1, passes)); }
  double per_second() const { return double(tokens) / seconds; }
};

// One prompt after the other, since several side by side would hide what a pass costs.
inline Decoded decode(const std::string& name, const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts,
                      const GenerateOptions& options, Drafter& drafter) {
  Decoded all{.name = name};
  for (const std::vector<int64_t>& prompt : prompts) {
    Generation g = generate(model, {prompt}, options, drafter);
    for (int64_t gained : g.rows[0].gained) all.tokens += gained, ++all.passes;
    all.seconds += g.seconds - g.prefill_seconds;
    all.network += g.network_seconds, all.draft += g.draft_seconds;
    all.rows.push_back(std::move(g.rows[0]));
  }
  return all;
}

inline int64_t different_texts(const Decoded& a, const Decoded& b) {
  int64_t count = 0;
  for (size_t i = 0; i < a.rows.size(); ++i) count += a.rows[i].tokens != b.rows[i].tokens;
  return count;
}

// Prompt and text in one list.
inline std::vector<int64_t> whole_text(const std::vector<int64_t>& prompt, const Generated& text) {
  std::vector<int64_t> all = prompt;
  all.insert(all.end(), text.tokens.begin(), text.tokens.end());
  return all;
}

// Greedy decoding without running it: hits of the heads at every place of a text say how far each step comes, and where
// the next one begins. The tokens that each step gains, as long as the text tells.
inline std::vector<int64_t> walk(const TreeShape& shape, const std::vector<std::vector<int64_t>>& hit) {
  const auto children = children_of(shape.parent());
  std::vector<int64_t> gained;
  for (size_t at = 0; at < hit.size(); at += size_t(gained.back())) {
    int64_t tokens = 1, node = 0;  // the root's successor is the model's own choice
    for (bool found = true; found;) {
      found = false;
      for (int64_t child : children[size_t(node)])
        if (!found && shape.rank()[size_t(child)] == hit[at][size_t(shape.depths()[size_t(node)])])
          node = child, ++tokens, found = true;
    }
    gained.push_back(tokens);
  }
  return gained;
}

// Tells of every step: what a page colours.
inline double mean_nats(const CausalLM& model, const std::vector<std::vector<int64_t>>& prompts, const Decoded& d) {
  NoGrad guard;
  double sum = 0;
  int64_t count = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int64_t> all = whole_text(prompts[i], d.rows[i]);
    const int64_t first = int64_t(prompts[i].size()), n = std::min<int64_t>(int64_t(all.size()), model.context());
    const Tensor ids =
        from_data(all, {1, int64_t(all.size())}).to(const_cast<CausalLM&>(model).parameters()[0].device());
    const Tensor logits = model.forward(ids.narrow(1, 0, n - 1)).to(f32).narrow(1, first - 1, n - first);
    sum += cross_entropy(logits.flatten(0, 1), ids.narrow(1, first, n - first).flatten(), {.reduction = Reduction::sum})
               .item();
    count += n - first;
  }
  return sum / double(count);
}

}  // namespace ink::lesson
