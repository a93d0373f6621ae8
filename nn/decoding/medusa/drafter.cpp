// Trees filled by Medusa's and by Hydra's heads.
#include "nn/decoding/medusa/drafter.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {
namespace {

// The guesses of each head that a shape needs.
int64_t ranks_needed(const TreeShape& shape) { return *std::max_element(shape.rank().begin(), shape.rank().end()) + 1; }
void check_shape_fits(const char* name, const TreeShape& shape, int64_t heads, const CausalLM& model) {
  if (shape.depth() > heads)
    throw ValueError(fmt::format("{}: the tree is deeper than there are heads; got depth {}; expected at most {}", name,
                                 shape.depth(), heads));
  if (ranks_needed(shape) > model.vocabulary())
    throw ValueError(fmt::format("{}: the tree has the rank {}; expected one below the vocabulary of {}", name,
                                 ranks_needed(shape) - 1, model.vocabulary()));
}
void check_drafts_for(const char* name, const TreeShape& shape, const CausalLM& own, const CausalLM& model) {
  if (model.dim() != own.dim() || model.vocabulary() != own.vocabulary())
    throw ValueError(fmt::format(
        "{}: the heads belong to another model; got one with dim {} and vocabulary {}; expected dim {} and {}", name,
        model.dim(), model.vocabulary(), own.dim(), own.vocabulary()));
  if (shape.depth() + 1 < shape.nodes() && !model.takes_places())
    throw NotSupported(
        fmt::format("{}: this model goes along one line of tokens; got a tree with branches; hint: "
                    "TreeShape::chain",
                    name));
}
// [requests, dim]
Tensor features_of(const std::vector<DraftRequest>& requests) {
  std::vector<Tensor> features;
  for (const DraftRequest& request : requests) features.push_back(request.feature);
  return stack(features);
}

}  // namespace

MedusaDrafter::MedusaDrafter(const MedusaHeads& heads, const TreeShape& shape) : heads_(&heads), shape_(shape) {
  check_shape_fits("MedusaDrafter", shape, heads.count(), heads.model());
}

void MedusaDrafter::begin(const CausalLM& model, int64_t) {
  check_drafts_for("MedusaDrafter", shape_, heads_->model(), model);
}

std::vector<Draft> MedusaDrafter::draft(const std::vector<DraftRequest>& requests) {
  const NoGrad guard;
  const int64_t rows = int64_t(requests.size()), depth = shape_.depth(), ranks = ranks_needed(shape_);
  std::vector<int64_t> best;  // [depth, rows, ranks]
  if (rows > 0 && depth > 0)
    best = std::get<1>(topk(heads_->first(depth, features_of(requests)), ranks)).to_vector<int64_t>();
  std::vector<Draft> drafts;
  for (int64_t b = 0; b < rows; ++b) {
    std::vector<std::vector<int64_t>> candidates;
    for (int64_t k = 0; k < depth; ++k) {
      const auto of_head = best.begin() + (k * rows + b) * ranks;
      candidates.emplace_back(of_head, of_head + ranks);
    }
    const DraftRequest& request = requests[size_t(b)];
    drafts.push_back(cut_below(make_draft(shape_, request.tokens->back(), candidates), request.most_depth));
  }
  return drafts;
}

HydraDrafter::HydraDrafter(const HydraHeads& heads, const TreeShape& shape) : heads_(&heads), shape_(shape) {
  check_shape_fits("HydraDrafter", shape, heads.count(), heads.model());
}

// The nodes of a depth, below those of the depth before: every path to one of the latter asks head depth - 1.
void HydraDrafter::add_depth(std::vector<Draft>& drafts, const Tensor& features, int64_t depth) const {
  const std::vector<int64_t>&depths = shape_.depths(), &parents = shape_.parent(), &rank = shape_.rank();
  const int64_t above = std::lower_bound(depths.begin(), depths.end(), depth - 1) - depths.begin(),
                begin = std::lower_bound(depths.begin(), depths.end(), depth) - depths.begin(),
                end = std::upper_bound(depths.begin(), depths.end(), depth) - depths.begin();
  const int64_t rows = int64_t(drafts.size()), paths = begin - above;
  const int64_t ranks = *std::max_element(rank.begin() + begin, rank.begin() + end) + 1;
  std::vector<int64_t> told;  // [rows, paths, depth]
  for (const Draft& draft : drafts)
    for (int64_t node = above; node < begin; ++node)
      for (const int64_t at : path_to(parents, node)) told.push_back(draft.token[size_t(at)]);
  const Tensor path = from_data(std::span<const int64_t>(told), {rows, paths, depth}).to(features.device());
  const Tensor h = features.unsqueeze(1).expand({rows, paths, features.size(1)});
  const std::vector<int64_t> best = std::get<1>(topk(heads_->logits(h, path, depth - 1), ranks)).to_vector<int64_t>();
  for (int64_t b = 0; b < rows; ++b)
    for (int64_t node = begin; node < end; ++node) {
      const int64_t parent = parents[size_t(node)];
      drafts[size_t(b)].add(parent, best[size_t((b * paths + parent - above) * ranks + rank[size_t(node)])]);
    }
}

void HydraDrafter::begin(const CausalLM& model, int64_t) {
  check_drafts_for("HydraDrafter", shape_, heads_->model(), model);
}

std::vector<Draft> HydraDrafter::draft(const std::vector<DraftRequest>& requests) {
  const NoGrad guard;
  std::vector<Draft> drafts;
  int64_t deepest = 0;
  for (const DraftRequest& request : requests) {
    drafts.push_back({.token = {request.tokens->back()}, .parent = {-1}});
    deepest = std::max(deepest, std::min(request.most_depth, shape_.depth()));
  }
  if (deepest == 0) return drafts;
  const Tensor features = features_of(requests);
  for (int64_t depth = 1; depth <= deepest; ++depth) add_depth(drafts, features, depth);
  for (size_t b = 0; b < drafts.size(); ++b) drafts[b] = cut_below(std::move(drafts[b]), requests[b].most_depth);
  return drafts;
}

}  // namespace ink
