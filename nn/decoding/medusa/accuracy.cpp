// Ranks of the tokens that came, and shares of paths.
#include "nn/decoding/medusa/accuracy.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {
namespace {

void check_head_hits(const CausalLM& model, int64_t heads, const Tensor& ids, const HeadHitOptions& o) {
  if (o.ranks < 1 || o.ranks > model.vocabulary() || o.first < 0)
    throw ValueError(fmt::format("head_hits: got ranks {}, first {}; expected 1 to {} ranks and first >= 0", o.ranks,
                                 o.first, model.vocabulary()));
  const int64_t needed = heads + 2;
  if (ids.dim() != 2 || ids.size(0) < 1 || ids.size(1) < needed || o.first > ids.size(1) - needed ||
      ids.size(1) > model.context())
    throw ShapeError(
        fmt::format("head_hits: got ids {}, first {}; expected [batch, time] with {} tokens from there on, and at "
                    "most {} in all",
                    ids.shape().str(), o.first, needed, model.context()));
}

// The rank of each target [batch, steps] among the guesses [batch, steps, ranks], -1 if it is none of them.
std::vector<int64_t> ranks_of(const Tensor& guesses, const Tensor& target) {
  const std::vector<int64_t> guess = guesses.to_vector<int64_t>(), wanted = target.to_vector<int64_t>();
  const int64_t ranks = guesses.size(-1);
  std::vector<int64_t> found;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto row = guess.begin() + int64_t(i) * ranks;
    const int64_t rank = std::find(row, row + ranks, wanted[i]) - row;
    found.push_back(rank < ranks ? rank : -1);
  }
  return found;
}

// logits(text, features, k) [batch, steps, vocabulary]: of head k at the places first .. first + steps - 1 of text.
template <class F>
std::vector<std::vector<int64_t>> hits_by(const CausalLM& model, int64_t heads, const Tensor& ids,
                                          const HeadHitOptions& o, F logits) {
  check_head_hits(model, heads, ids, o);
  const NoGrad guard;
  const int64_t batch = ids.size(0), time = ids.size(1), steps = time - o.first - heads - 1;
  const int64_t logits_at_once = int64_t(1) << 22;
  const int64_t rows = std::max(int64_t(1), logits_at_once / time / model.vocabulary());
  std::vector<std::vector<int64_t>> hit(size_t(batch * steps), std::vector<int64_t>(size_t(heads)));
  for (int64_t b = 0; b < batch; b += rows) {
    const Tensor text = ids.narrow(0, b, std::min(rows, batch - b));
    const Tensor features = model.features(text).narrow(1, o.first, steps);
    for (int64_t k = 0; k < heads; ++k) {
      const Tensor said = logits(text, features, k);
      if (any(isnan(said)).item<bool>()) throw ValueError(fmt::format("head_hits: the logits of head {} are NaN", k));
      const Tensor guesses = std::get<1>(topk(said, o.ranks));
      const std::vector<int64_t> rank = ranks_of(guesses, text.narrow(1, o.first + k + 2, steps));
      for (size_t i = 0; i < rank.size(); ++i) hit[size_t(b * steps) + i][size_t(k)] = rank[i];
    }
  }
  return hit;
}

}  // namespace

std::vector<std::vector<int64_t>> head_hits(const MedusaHeads& heads, const Tensor& ids, const HeadHitOptions& o) {
  return hits_by(heads.model(), heads.count(), ids, o,
                 [&](const Tensor&, const Tensor& features, int64_t k) { return heads.logits(features, k); });
}
std::vector<std::vector<int64_t>> head_hits(const HydraHeads& heads, const Tensor& ids, const HeadHitOptions& o) {
  return hits_by(heads.model(), heads.count(), ids, o, [&](const Tensor& text, const Tensor& features, int64_t k) {
    return heads.logits(features, paths_of_text(text, o.first, features.size(1), k), k);
  });
}

std::vector<double> path_accuracy(const std::vector<std::vector<int64_t>>& hit,
                                  const std::vector<std::vector<int64_t>>& paths) {
  const size_t heads = hit.empty() ? 0 : hit[0].size();
  if (hit.empty() || !std::all_of(hit.begin(), hit.end(), [&](const auto& h) { return h.size() == heads; }))
    throw ValueError(fmt::format(
        "path_accuracy: got {} steps; expected at least one, and the same number of heads in each", hit.size()));
  std::vector<double> accuracy;
  for (const std::vector<int64_t>& path : paths) {
    if (path.empty() || path.size() > heads || *std::min_element(path.begin(), path.end()) < 0)
      throw ValueError(
          fmt::format("path_accuracy: got path [{}]; expected 1 to {} ranks from 0", fmt::join(path, ", "), heads));
    const auto right = [&](const auto& h) { return std::equal(path.begin(), path.end(), h.begin()); };
    accuracy.push_back(double(std::count_if(hit.begin(), hit.end(), right)) / double(hit.size()));
  }
  return accuracy;
}

}  // namespace ink
