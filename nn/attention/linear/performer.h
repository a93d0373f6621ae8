// FAVOR+: softmax's kernel as a mean over random features, so that attention with it is linear in the number of tokens.
//
//   e^{q . k / sqrt(d)} = E_w[phi_w(q) phi_w(k)],   phi_w(x) = e^{w . x' - |x'|^2 / 2},   x' = x / d^{1/4}
//
// for w ~ N(0, I); Choromanski et al. 2021, lemma 1. With m draws the error falls as 1 / sqrt(m); orthogonal draws make
// it smaller (theorem 2).
#pragma once
#include "nn/attention/linear/linear.h"
#include "tensor/random.h"

namespace ink {

enum class RandomFeatures {
  positive,       // the above: no weight is negative
  trigonometric,  // e^{|x'|^2/2} (cos w.x', sin w.x'), 2 m; small weights may come out negative. Rahimi & Recht 2007
  relu,           // relu(w . x') + 1e-3: a kernel of its own, not softmax's ("generalised attention")
};

struct ProjectionOptions {
  // Rows of a block of d are orthogonal: Q of a QR, with signs that make it uniform. false: independent.
  bool orthogonal = true;
  // Orthogonal rows have length sqrt(d). false: that of a Gaussian vector, chi(d), so that each row alone is N(0, I).
  bool fixed_norm = false;
};
// w [features, d]. ValueError for sizes below 1.
Tensor random_projection(int64_t features, int64_t d, const ProjectionOptions& options = {}, const Options& tensor = {},
                         Generator* generator = nullptr);
int64_t favor_feature_count(int64_t d);  // d ln d, rounded, at least 1; Choromanski et al. 2021, theorem 4

// phi(x) / sqrt(m) for x [..., d] and w [m, d] -> [..., m or 2 m], as the formula has it: it may overflow for long x.
Tensor random_features(RandomFeatures kind, const Tensor& x, const Tensor& projection);

struct PerformerAttentionOptions {
  RandomFeatures kind = RandomFeatures::positive;  // ValueError for trigonometric: its denominators may be 0
  bool causal = false;
  LinearForm form = LinearForm::chunked;
  int64_t chunk = 0;  // as in LinearAttentionOptions
  // Added to every exponential, largest 1: where the large features of a query are the small ones of all keys, each
  // product could be 0 in f32. It mixes in a share of about eps of the mean of all values.
  double eps = 1e-6;
  Tensor key_mask = {};  // bool, broadcasts to [..., nk]: true where a key counts
};

// Attention by random features, q, k [..., n, d], v [..., nk, dv] -> [..., nq, dv]. The exponentials are taken of what
// lies below a maximum: for a query its own over the features (it cancels), for the keys that of each [...] alone;
// causal: its running value, M_i = max_{j <= i} max_w log phi_w(k_j), with weights e^{M_j - M_i} between
// (LinearFeatures::decay = -M). So no output depends on later tokens nor on other samples. The maxima are constants for
// the gradient: without eps the output does not depend on them.
Tensor performer_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& projection,
                           const PerformerAttentionOptions& options = {}, LinearState* state = nullptr);

}  // namespace ink
