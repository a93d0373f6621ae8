// Drafts without training: none, a small model's, and what stood in the text before.
#include "nn/decoding/drafter.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {
namespace {

Draft only_root(const DraftRequest& request) { return {.token = {request.tokens->back()}, .parent = {-1}}; }
void add_to_chain(Draft& draft, int64_t token, std::vector<double> proposal = {}) {
  draft.add(draft.nodes() - 1, token, std::move(proposal));
}

}  // namespace

std::vector<Draft> PlainDrafter::draft(const std::vector<DraftRequest>& requests) {
  std::vector<Draft> drafts;
  for (const DraftRequest& request : requests) drafts.push_back(only_root(request));
  return drafts;
}

ModelDrafter::ModelDrafter(const CausalLM& model, const ModelDrafterOptions& options)
    : model_(&model), options_(options) {
  if (options.length < 1)
    throw ValueError(fmt::format("ModelDrafter: got length {}; expected at least 1", options.length));
  if (options.sampling) check(*options.sampling);
}

void ModelDrafter::begin(const CausalLM& model, int64_t rows) {
  if (model.vocabulary() != model_->vocabulary())
    throw ValueError(fmt::format("ModelDrafter: the model that drafts has another vocabulary; got {}; expected {}",
                                 model_->vocabulary(), model.vocabulary()));
  rows_.assign(size_t(rows), {});
}

std::vector<Draft> ModelDrafter::draft(const std::vector<DraftRequest>& requests) {
  std::vector<Draft> drafts;
  for (const DraftRequest& request : requests) drafts.push_back(draft_row(request));
  return drafts;
}

// Reads tokens behind what the row has seen: logits [vocabulary] after the last.
Tensor ModelDrafter::read(Row& row, const std::vector<int64_t>& tokens) const {
  Tensor feature;
  if (!row.cache) {
    row.cache.emplace(*model_);
    feature = row.cache->begin({tokens})[0];
  } else {
    Draft line{.token = {tokens.front()}, .parent = {-1}};
    for (size_t i = 1; i < tokens.size(); ++i) add_to_chain(line, tokens[i]);
    std::vector<int64_t> all(tokens.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
    feature = row.cache->run({line}).select(1, int64_t(tokens.size()) - 1)[0];
    row.cache->keep({all});
  }
  row.seen.insert(row.seen.end(), tokens.begin(), tokens.end());
  return model_->logits(feature);
}

Draft ModelDrafter::draft_row(const DraftRequest& request) {
  if (request.row < 0 || request.row >= int64_t(rows_.size()))
    throw ValueError(
        fmt::format("ModelDrafter: got row {}; expected one of the {} that begin() named", request.row, rows_.size()));
  const std::vector<int64_t>& tokens = *request.tokens;
  Draft draft = only_root(request);
  const int64_t room = model_->context() - int64_t(tokens.size());
  const int64_t length = std::min({options_.length, request.most_depth, room + 1});
  if (length < 1) return draft;
  NoGrad guard;
  Row& row = rows_[size_t(request.row)];
  if (row.seen.size() >= tokens.size() || !std::equal(row.seen.begin(), row.seen.end(), tokens.begin())) row = {};
  Tensor logits = read(row, {tokens.begin() + int64_t(row.seen.size()), tokens.end()});
  Row ahead = row;  // guesses are read by a copy, which is forgotten
  for (int64_t i = 0; i < length; ++i) {
    std::vector<double> proposal;
    int64_t next = 0;
    if (options_.sampling) {
      proposal = next_distribution(logits, *options_.sampling, ahead.seen);
      next = request.chance->draw(proposal);
    } else {
      next = most_likely(logits);
    }
    add_to_chain(draft, next, std::move(proposal));
    if (i + 1 < length) logits = read(ahead, {next});
  }
  return draft;
}

LookupDrafter::LookupDrafter(const LookupDrafterOptions& o) : options_(o) {
  if (o.length < 1 || o.shortest < 1 || o.shortest > o.longest)
    throw ValueError(fmt::format(
        "LookupDrafter: got length {}, shortest {}, longest {}; expected at least 1, and shortest <= longest", o.length,
        o.shortest, o.longest));
}

std::vector<Draft> LookupDrafter::draft(const std::vector<DraftRequest>& requests) {
  std::vector<Draft> drafts;
  for (const DraftRequest& request : requests) {
    const std::vector<int64_t>& tokens = *request.tokens;
    const int64_t n = int64_t(tokens.size());
    Draft draft = only_root(request);
    for (int64_t run = std::min(options_.longest, n - 1); run >= options_.shortest && draft.token.size() == 1; --run) {
      // The latest place before the end where the last `run` tokens stand as well.
      const auto found = std::find_end(tokens.begin(), tokens.end() - 1, tokens.end() - run, tokens.end());
      if (found == tokens.end() - 1) continue;
      const int64_t after = found - tokens.begin() + run;
      const int64_t count = std::min({options_.length, request.most_depth, n - after});
      for (int64_t i = 0; i < count; ++i) add_to_chain(draft, tokens[size_t(after + i)]);
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

}  // namespace ink
