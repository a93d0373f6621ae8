// Drafts by heads that look ahead: a tree of a fixed shape is filled with the likeliest tokens of each head.
//
//   MedusaDrafter medusa(heads, grow_tree(rank_accuracy(head_hits(heads, text), 10), 63).shape);
//   Generation g = generate(model, {prompt}, {.max_tokens = 200}, medusa);
#pragma once
#include "nn/decoding/drafter.h"
#include "nn/decoding/medusa/heads.h"
#include "nn/decoding/medusa/hydra.h"
#include "nn/decoding/tree.h"

namespace ink {

// A node of rank r at depth d holds the token that head d - 1 finds likely in place r, given the feature of the token
// before the root. Of tokens that are equally likely the lowest comes first. Depths beyond a request's most_depth are
// left out. Cai et al. 2024, arXiv:2401.10774, section 2.1.2.
class MedusaDrafter final : public Drafter {
 public:
  // The heads must outlive it. ValueError for a shape that is deeper than there are heads, or has a rank that the
  // vocabulary has not.
  MedusaDrafter(const MedusaHeads& heads, const TreeShape& shape);
  MedusaDrafter(const MedusaHeads&& heads, const TreeShape& shape) = delete;
  void begin(const CausalLM& model, int64_t rows) override;  // NotSupported for branches and a model without places
  // One pass of the heads for all requests together. ShapeError for features that are not [dim].
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override;
  const TreeShape& shape() const { return shape_; }

 private:
  const MedusaHeads* heads_;
  TreeShape shape_;
};

// The same by Hydra's heads, depth after depth: a node's guesses follow from the tokens of its path, so that the second
// guess below one node is another than below its sibling.
class HydraDrafter final : public Drafter {
 public:
  HydraDrafter(const HydraHeads& heads, const TreeShape& shape);  // as MedusaDrafter
  HydraDrafter(const HydraHeads&& heads, const TreeShape& shape) = delete;
  void begin(const CausalLM& model, int64_t rows) override;
  std::vector<Draft> draft(const std::vector<DraftRequest>& requests) override;
  const TreeShape& shape() const { return shape_; }

 private:
  void add_depth(std::vector<Draft>& drafts, const Tensor& features, int64_t depth) const;
  const HydraHeads* heads_;
  TreeShape shape_;
};

}  // namespace ink
