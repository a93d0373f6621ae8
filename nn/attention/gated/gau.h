// Gated linear units (Shazeer 2020, "GLU variants improve transformer") and the gated attention unit, which is
// attention and feed-forward layer in one (Hua et al. 2022, "Transformer quality in linear time", section 2).
//
//   GatedAttentionUnit gau({.dim = 256, .causal = true});  // e = 512, s = 128
//   y = x + gau.forward(norm.forward(x));
//
// Two of them weigh about as much as attention (4 dim^2) and a feed-forward layer (8 dim^2).
#pragma once
#include "nn/attention/core.h"
#include "nn/layers/linear.h"

namespace ink {

// The function that one of the two factors of a gated linear unit goes through, and the unit's name with it.
enum class Gate {
  none,     // bilinear
  sigmoid,  // GLU
  silu,     // SwiGLU
  gelu,     // GEGLU
  relu,     // ReGLU
};

struct GatedLinearUnitOptions {
  int64_t dim;
  int64_t hidden = 0;  // width of U and V; 0: 8/3 dim rounded up, the weights of a feed-forward layer of 4 dim
  Gate gate = Gate::silu, value = Gate::none;  // act of U, and of V
  bool bias = true;
};

// (act(x W_u) o act(x W_v)) W_o for x [..., dim].
struct GatedLinearUnit : Module {
  GatedLinearUnitOptions options;
  Linear uv, out;  // uv holds both projections side by side
  explicit GatedLinearUnit(const GatedLinearUnitOptions& options);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("uv", uv)("out", out); }
};

// How scores q.k become weights. `visible` is the number of keys that the query sees: i + 1 for a causal query i.
enum class GauNormaliser {
  count,         // relu(q.k)^2 / (s visible)
  length,        // relu(q.k)^2 / (s n), n the number of keys that anybody sees
  square,        // relu(q.k / n)^2, what the paper's listing amounts to
  softmax,       // softmax(q.k / sqrt(s))
  softmax_plus,  // softmax(q.k / sqrt(s) ln(max(visible, 16)) / ln 512), so that sharpness keeps up with length
                 // (GAU-alpha)
  laplace,       // laplace(q.k / sqrt(s)) / visible: near relu^2 for scores below 1, and never above 1 (Ma et al. 2022,
                 // Mega)
};

// Start of the gains g of the affine pairs; offsets start at 0.
enum class GauInit {
  ones,    // g = 1, so Q = K = Z at first
  normal,  // N(0, 0.02) as published: q.k is about 10^-4 times as large, relu^2 of it 10^-8, and learning starts late
           // (lesson 08 measures it)
};

// What the two gated attention units share. From x [batch, time, dim]: the gate U and the values V [batch, time, e],
// and a small Z [batch, time, s] whose images under affine pairs are queries and keys; at the end (U o mixed) W_o.
struct GatedUnit : Module {
  using State = AttentionState;
  int64_t e, s;
  Linear uvz, out;     // uvz holds the three projections side by side
  Param gain, offset;  // [pairs, s]: query, key, (query, key)
  void fields(Fields& f) override { f("uvz", uvz)("out", out)("gain", gain)("offset", offset); }

 protected:
  struct Sizes {
    int64_t dim, e, s;
    bool bias, rotary;
    GauInit init;
  };
  struct Parts {
    Tensor u, v;
    std::vector<Tensor> affine;  // one [batch, time, s] for each pair
  };
  GatedUnit(const char* name, const Sizes& sizes, int64_t pairs);
  Parts project(const Tensor& x, int64_t past) const;  // past: tokens before x, for rotary
  // The mask as [batch or 1, rows, keys]; DTypeError unless bool, ShapeError unless it broadcasts to that.
  Tensor checked_mask(const Tensor& mask, int64_t batch, int64_t rows, int64_t keys) const;
  // ShapeError if a state's tensor (may be undefined) was made for another batch than x.
  void check_state(const Tensor& kept, const Tensor& x) const;
  const char* name_;

 private:
  int64_t dim_;
  bool rotary_;
};

struct GauOptions {
  int64_t dim;
  int64_t expansion = 0;  // e, the width of U and V; 0: 2 dim
  int64_t s = 128;        // width of Z, hence of queries and keys
  bool causal = false;
  GauNormaliser normaliser = GauNormaliser::count;
  bool bias = true;
  bool rotary = false;  // rotate Q and K by their positions; needs an even s
  GauInit init = GauInit::ones;
};

// O = (U o (A V)) W_o with one head; A as the normaliser says. 3 dim e + dim s + 4 s parameters, and biases.
struct GatedAttentionUnit : GatedUnit {
  GauOptions options;
  explicit GatedAttentionUnit(const GauOptions& options);
  // x [batch, time, dim] -> the same. `mask` (bool, broadcast to [batch, time, time]) is true where a key may be seen;
  // for padding [batch, 1, time]. A V is 0 for a query that sees no key.
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;
  // The next tokens of a sequence: the same as the last rows of forward() over all of it. The state keeps keys and
  // values. NotSupported unless causal, and for length and square: they divide by a length that is not known yet.
  Tensor step(const Tensor& x, AttentionState& state) const;
  // A [batch, time, time], written out: for pictures and tests.
  Tensor attention_matrix(const Tensor& x, const Tensor& mask = {}) const;
};

// Two small parts that published code puts in front of these layers.

// g x / (|x| / sqrt(dim)) with a single g; Nguyen & Salazar 2019. |x| / sqrt(dim) counts as at least eps.
struct ScaleNorm : Module {
  Param weight;  // [1]
  double eps;
  explicit ScaleNorm(double eps = 1e-5);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight); }
};

// The first half of the channels comes from the token before: x [batch, time, dim] -> the same. `before` [batch, 1,
// dim] is the token ahead of x's first; undefined: zeros.
Tensor token_shift(const Tensor& x, const Tensor& before = {});

}  // namespace ink
