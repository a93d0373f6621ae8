// Rows rescaled as a whole: softmax, norms, and the losses that go with them. Floating point dtypes, which results
// keep; softmax, norms and cross entropy convert integers to f32, and refuse complex numbers (DTypeError). f16 and bf16
// are computed in f32 and rounded once; under autocast the results are f32.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// e^{x - m} / sum e^{x - m} along a dim, with m = max x, and the logarithm of that; x's shape. IndexError for a dim
// that is not there.
Tensor softmax(const Tensor& x, int64_t dim);
Tensor log_softmax(const Tensor& x, int64_t dim);
// softmax over the last dim of scores [.., queries, keys], where query i sees keys 0 .. i + keys - queries; others get
// 0. ShapeError below 2 dims.
Tensor causal_softmax(const Tensor& scores);

// y = (x - mean) / sqrt(var + eps) weight + bias, of x's shape; mean and var = mean (x - mean)^2 over
//   layer_norm: the last dim of x [.., d]; weight and bias [d]. Ba et al. 2016
//   group_norm: the channels of a group, and all dims behind them, of x [batch, channels, ..]; weight and bias
//               [channels]. Wu & He 2018
//   rms_norm:   as layer_norm, with 0 for the mean and no bias. Zhang & Sennrich 2019
// An undefined weight counts as 1, an undefined bias as 0. ShapeError for x without dims, a weight or bias of another
// shape, or channels that cannot be cut into so many groups.
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-6);
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {},
                  double eps = 1e-5);

// ---- losses
// What becomes of the losses of all elements or rows.
enum class Reduction {
  mean,  // their mean, []
  sum,   // their sum, []
  none,  // they stay: the shape of the elements, or [n] for rows
};
struct CrossEntropyOptions {
  Reduction reduction = Reduction::mean;  // the mean runs over the rows that count; NaN if none does
  double label_smoothing = 0;   // s: the target gets 1 - s, and every class s / classes more; Szegedy et al. 2016
  int64_t ignore_index = -100;  // rows with this target do not count
};
// -log softmax(logits)[target] for logits [n, classes] and targets of integers [n]. ShapeError for other shapes,
// IndexError for a target that is no class and not ignore_index, DTypeError for targets that are no integers,
// ValueError for a label_smoothing outside [0, 1].
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {});
// -log_probs[target], the same with logarithms of probabilities; -100 is ignored.
Tensor nll_loss(const Tensor& log_probs, const Tensor& target, Reduction reduction = Reduction::mean);

// Element by element, for x and target of one shape (ShapeError else; they do not broadcast).
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);  // (x - target)^2
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);   // |x - target|
// d^2 / 2 up to |d| = delta, from there delta (|d| - delta / 2), for d = x - target. ValueError unless delta > 0. Huber
// 1964.
Tensor huber_loss(const Tensor& x, const Tensor& target, double delta = 1, Reduction reduction = Reduction::mean);
// -t log p - (1 - t) log(1 - p) for probabilities p, each logarithm at least -100 as in PyTorch. NotSupported under
// autocast: a p in halves is 0 or 1 too early; use the form below.
Tensor binary_cross_entropy(const Tensor& p, const Tensor& target, Reduction reduction = Reduction::mean);
// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), without overflow.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        Reduction reduction = Reduction::mean);
// p (log p - log q), 0 where p is 0.
Tensor kl_div(const Tensor& log_q, const Tensor& p, Reduction reduction = Reduction::mean);

}  // namespace ink
