// From a model's logits to the distribution that the next token is drawn from, and to the most likely token.
#pragma once
#include "nn/decoding/chance.h"
#include "tensor/tensor.h"

namespace ink {

// What is done to the logits, in Hugging Face's order: repetition penalty, temperature, top-k, top-p, min-p, typical.
// Each filter sees what the one before left, with probabilities that sum to 1. The defaults change nothing.
struct SamplingOptions {
  // p ~ exp(logit / temperature): below 1 sharper, above 1 flatter. Finite, > 0; greedy decoding, the limit 0, is asked
  // for by leaving sampling out.
  double temperature = 1;
  // The k most likely tokens are kept; 0 keeps all. Fan et al. 2018, arXiv:1805.04833, section 5.
  int64_t top_k = 0;
  // The nucleus: the fewest most likely tokens whose probabilities sum to at least top_p are kept. In (0, 1]; 1 keeps
  // all. Holtzman et al. 2019, arXiv:1904.09751, section 3.1.
  double top_p = 1;
  // Tokens of at least min_p times the largest probability are kept. In [0, 1]; 0 keeps all. Nguyen et al. 2024,
  // arXiv:2407.01082, section 3.
  double min_p = 0;
  // Locally typical: the fewest tokens whose information -ln p lies nearest to the entropy of p and whose
  // probabilities sum to at least typical_p are kept. In (0, 1]; 1 keeps all. Meister et al. 2022, arXiv:2202.00666,
  // section 4.
  double typical_p = 1;
  // Before all others: logits of tokens seen before are divided by it where positive, multiplied where negative: above
  // 1 they become less likely, below 1 more. Finite, > 0. Keskar et al. 2019 (CTRL), arXiv:1909.05858, section 4.1.
  double repetition_penalty = 1;
};
// ValueError naming the option that is outside of its range.
void check(const SamplingOptions& options);

// The next token's distribution: f64, one probability a token, with the sum 1. Of equal tokens those of lower ids are
// kept first (where Hugging Face's top-k and typical filters keep all). Computed in f64 throughout.
//   logits  [vocabulary], as span or as a tensor of any floating dtype on any device. -inf is a token that is never
//           drawn; at least one must be finite
//   seen    the ids that repetition_penalty counts, in any order, also repeatedly
// ShapeError unless logits are [vocabulary] with vocabulary >= 1; DTypeError for a tensor without a floating dtype;
// ValueError naming the token for a logit of NaN or +inf, for logits that are all -inf, and as check() does; IndexError
// for a seen id outside of the vocabulary.
std::vector<double> next_distribution(std::span<const float> logits, const SamplingOptions& options = {},
                                      std::span<const int64_t> seen = {});
std::vector<double> next_distribution(const Tensor& logits, const SamplingOptions& options = {},
                                      std::span<const int64_t> seen = {});

// The token of the largest logit, the lowest id of equal ones. Logits and errors as above.
int64_t most_likely(std::span<const float> logits);
int64_t most_likely(const Tensor& logits);

// -sum p ln p in nats, with 0 ln 0 = 0.
double entropy(std::span<const double> p);

}  // namespace ink
