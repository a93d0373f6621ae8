// Mistakes that public code makes, made on purpose: what they change.
#pragma once
#include <vector>

#include "examples/12_medusa/decoding.h"
#include "examples/12_medusa/setup.h"
#include "examples/12_medusa/steps.h"

namespace ink::lesson {

// Greedy decoding as it goes wrong when short paths are filled up with a token that a text may hold. What the model
// says "after" such a place is read from the last node of the tree.
struct PadTrouble {
  int64_t accepted = 0;      // zeros that were taken for guesses
  int64_t different = 0;     // texts that are not those of plain decoding
  std::string right, wrong;  // of the first of them, from shortly before the place where they part
};

struct PaddedStep {
  std::vector<int64_t> nodes;  // really accepted
  int64_t fillers = 0, next = 0;
};
inline PaddedStep accept_padded(const TreeShape& shape, const Draft& draft, const std::vector<int64_t>& choice,
                                int64_t filler) {
  PaddedStep best{.nodes = {0}, .next = choice[0]};
  for (const std::vector<int64_t>& path : shape.leaf_paths()) {
    PaddedStep step{.nodes = {0}, .next = choice[0]};
    for (int64_t d = 1; d <= shape.depth(); ++d) {
      const bool pad = d >= int64_t(path.size());
      const int64_t node = pad ? draft.nodes() - 1 : path[size_t(d)];  // index -1 is the last node
      if ((pad ? filler : draft.token[size_t(node)]) != step.next) break;
      pad ? void(++step.fillers) : step.nodes.push_back(node);
      step.next = choice[size_t(node)];
    }
    if (int64_t(step.nodes.size()) + step.fillers > int64_t(best.nodes.size()) + best.fillers) best = step;
  }
  return best;
}

inline std::vector<int64_t> decode_padded(const Models& m, const std::vector<int64_t>& prompt, const TreeShape& shape,
                                          int64_t count, int64_t filler, PadTrouble& trouble) {
  NoGrad guard;
  BatchInvariant invariant;
  SequenceCache cache(m.model);
  MedusaDrafter drafter(m.heads, shape);
  Tensor feature = cache.begin({prompt})[0];
  std::vector<int64_t> tokens = prompt;
  tokens.push_back(most_likely(m.model.logits(feature)));
  const auto room = [&] { return count + int64_t(prompt.size()) - int64_t(tokens.size()); };
  while (room() > shape.depth() + 1) {
    const Draft draft = drafter.draft({{.tokens = &tokens, .feature = feature, .most_depth = shape.depth()}})[0];
    const Tensor features = cache.run({draft})[0], logits = m.model.logits(features);
    std::vector<int64_t> choice;
    for (int64_t i = 0; i < draft.nodes(); ++i) choice.push_back(most_likely(logits[i]));
    const PaddedStep step = accept_padded(shape, draft, choice, filler);
    cache.keep({step.nodes});
    for (size_t i = 1; i < step.nodes.size(); ++i) tokens.push_back(draft.token[size_t(step.nodes[i])]);
    feature = features[step.fillers ? draft.nodes() - 1 : step.nodes.back()];
    for (int64_t i = 0; i < step.fillers;
         ++i) {  // with keys of their own: the public code copies those of another token
      cache.run({Draft{.token = {filler}, .parent = {-1}}});
      cache.keep({{0}});
      tokens.push_back(filler);
    }
    trouble.accepted += step.fillers;
    tokens.push_back(step.next);
  }
  return {tokens.begin() + int64_t(prompt.size()), tokens.end()};
}

inline PadTrouble padded_paths(const Models& m, const CharText& text, const std::vector<std::vector<int64_t>>& prompts,
                               const Decoded& plain, const TreeShape& shape, int64_t filler) {
  PadTrouble trouble;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int64_t>& right = plain.rows[i].tokens;
    const std::vector<int64_t> wrong = decode_padded(m, prompts[i], shape, int64_t(right.size()), filler, trouble);
    const size_t at = size_t(std::mismatch(wrong.begin(), wrong.end(), right.begin()).first - wrong.begin());
    if (at == wrong.size()) continue;
    ++trouble.different;
    if (!trouble.right.empty()) continue;
    const auto part = [&](const std::vector<int64_t>& tokens) {
      std::string line;
      for (size_t j = at - std::min<size_t>(at, 12); j < std::min(tokens.size(), at + 24); ++j)
        line += shown(text, tokens[j]);
      return line;
    };
    trouble.right = part(right), trouble.wrong = part(wrong);
  }
  return trouble;
}

inline void traps(Lesson& lesson, const Setup& s) {
  lesson.section("8. Where public code differs");
  PlainDrafter none;
  const Decoded plain = decode("plain", s.models.model, s.prompts, {.max_tokens = s.tokens}, none);
  const TreeShape shape = TreeShape::from_paths({{0}, {1}, {2}, {3}, {1, 0}, {1, 1}, {1, 0, 0}});
  const auto with = [&](const std::string& name, int64_t filler) {
    const PadTrouble trouble = padded_paths(s.models, s.text, s.prompts, plain, shape, filler);
    lesson.value(fmt::format("fillers accepted, {}", name), double(trouble.accepted));
    lesson.value(fmt::format("texts changed by padding, {}", name), double(trouble.different));
    return trouble;
  };
  with("token 0", 0);
  const PadTrouble space = with("the space", s.text.encode(" ")[0].item<int64_t>());
  lesson.expect("short paths filled up with the space: share of texts that change",
                double(space.different) / double(s.prompts.size()), Above{0}, Needs::training);
  if (!space.right.empty())
    lesson.listing("plain decoding:         " + space.right + "\npadded with the space:  " + space.wrong);
}

}  // namespace ink::lesson
