// What lesson 08 measures beside losses: which tokens are reached, how large sums become, memory, states.
#pragma once
#include <array>
#include <vector>

#include "examples/08_gau_flash/lesson.h"

namespace ink::lesson {

inline double largest(const Tensor& x) { return x.abs().max().item(); }

// A curve without its fall from the first losses, which says little and hides the rest; all of it in a tiny run.
inline Series from_pairs_on(Series curve, const Lesson& lesson, const Book& book) {
  for (double& loss : curve.y)
    if (lesson.mode() != Mode::tiny && loss > book.bigram + 0.6) loss = NAN;
  return curve;
}

// The attention matrices of all layers of a model of gated attention units, each [time, time], for one text [time].
inline std::vector<Tensor> matrices(const CharModel& model, const Tensor& ids) {
  NoGrad guard;
  Tensor x = model.tokens.forward(ids.unsqueeze(0));
  std::vector<Tensor> all;
  for (const auto& any : model.layers) {
    const auto& layer = dynamic_cast<const GauLayer&>(*any);
    all.push_back(layer.unit.attention_matrix(layer.norm.forward(x))[0].to(f32));
    x = layer.forward(x);
  }
  return all;
}
// The share of zeros on and below the diagonal, the mean sum of a row, and how far a sum is from 1 at most.
struct MatrixCount {
  double zeros = 0, row_sum = 0, off_one = 0;
};
inline MatrixCount count_of(const std::vector<Tensor>& matrices) {
  MatrixCount c;
  for (const Tensor& a : matrices) {
    const double n = double(a.size(0)), layers = double(matrices.size());
    c.zeros += (1 - count_nonzero(a).item() / (n * (n + 1) / 2)) / layers;
    c.row_sum += a.sum().item() / n / layers;
    c.off_one = std::max(c.off_one, largest(a.sum({1}) - 1));
  }
  return c;
}

// What a gated unit makes of x [time, dim], by its definition: U, V [time, e] and the images of Z [time, s].
struct Parts {
  Tensor u, v;
  std::vector<Tensor> affine;
};
inline Parts parts_of(const GatedUnit& unit, const Tensor& x) {
  auto uvz = split(silu(unit.uvz.forward(x)), {unit.e, unit.e, unit.s}, -1);
  Parts p{uvz[0], uvz[1], {}};
  for (int64_t pair = 0; pair < unit.gain.size(0); ++pair)
    p.affine.push_back(uvz[2] * unit.gain[pair] + unit.offset[pair]);
  return p;
}

// The weight that GatedAttentionUnit gives a single token with s = 1 and this score.
inline double weight_of(GauNormaliser kind, double score) {
  NoGrad guard;
  GatedAttentionUnit unit({.dim = 1, .expansion = 1, .s = 1, .normaliser = kind});
  unit.to(f64);
  unit.gain.zero_(), unit.offset.fill_(1), unit.offset.narrow(0, 0, 1).fill_(score);  // q = score, k = 1
  return unit.attention_matrix(ones({1, 1, 1}, f64)).item();
}

// Which pairs the two parts of mixed chunk attention join: bool [n, n].
enum class Part { quadratic, linear };
inline Tensor pattern(int64_t n, int64_t c, bool causal, Part part) {
  Tensor i = arange(n).unsqueeze(1), j = arange(n).unsqueeze(0), of_i = floor_divide(i, c), of_j = floor_divide(j, c);
  if (part == Part::quadratic) return causal ? (of_i == of_j) & (j <= i) : of_i == of_j;
  return causal ? of_j < of_i : ones({n, n}, boolean);
}
// Both parts and their union, causal and full, as pictures [6, n, n]: 1 for pairs, 0.5 for sums.
inline Tensor pattern_pictures(int64_t n, int64_t c) {
  std::vector<Tensor> all;
  for (bool causal : {true, false}) {
    Tensor pairs = pattern(n, c, causal, Part::quadratic).to(f32),
           sums = 0.5 * pattern(n, c, causal, Part::linear).to(f32);
    all.insert(all.end(), {pairs, sums, maximum(pairs, sums)});
  }
  return stack(all);
}
// Whether output i depends on token j, by the gradient: bool [n, n]. Z is lifted above 0, so that every score is
// positive and no path is closed by relu.
inline Tensor reached(FlashGau unit, int64_t n, int64_t dim) {
  {
    NoGrad guard;
    unit.uvz.bias.narrow(0, 2 * unit.e, unit.s).fill_(4);
  }
  Tensor x = randn({1, n, dim}).requires_grad_(), y = unit.forward(x);
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < n; ++i) {
    Tensor out[] = {y.select(1, i).sum()}, in[] = {x};
    rows.push_back(grad(out, in, {}, {.create_graph = false, .retain_graph = true})[0][0].abs().sum({1}) > 0);
  }
  return stack(rows);
}
// FLASH's output for x [n, dim] with every weight written out, n x n: what the chunks save.
inline Tensor pair_by_pair(const FlashGau& unit, const Tensor& x) {
  const FlashGauOptions& o = unit.options;
  const int64_t n = x.size(0);
  const Parts p = parts_of(unit, x);
  Tensor near = pattern(n, o.chunk, o.causal, Part::quadratic).to(f32),
         far = pattern(n, o.chunk, o.causal, Part::linear).to(f32);
  Tensor quadratic = square(relu(matmul(p.affine[0], p.affine[1].t()))) / double(o.chunk * o.s) * near;
  Tensor linear = matmul(p.affine[2], p.affine[3].t()) * far / clamp(far.sum({1}, true), 1);  // a mean over those seen
  return unit.out.forward(p.u * matmul(quadratic + linear, p.v));
}

// The root mean square of the sum of K'^T V over the first 1, 2, ... chunks of a random sequence, divided in two ways.
struct DividedSums {
  Series by_tokens, by_chunk;
};
inline DividedSums divided_sums(const FlashGau& unit, int64_t chunks, int64_t dim) {
  NoGrad guard;
  const double c = double(unit.options.chunk);
  Tensor x = randn({chunks, unit.options.chunk, dim});
  auto parts = split(silu(unit.uvz.forward(x)), {unit.e, unit.e, unit.s}, -1);  // U, V, and Z = Q = K as g = 1, b = 0
  Tensor sums = cumsum(matmul(transpose(parts[2], 1, 2), parts[1]), 0);         // [chunks, s, e]
  DividedSums y{{.name = "g c: the tokens in them"}, {.name = "c alone"}};
  for (double size : sqrt(square(sums).mean({1, 2})).to_vector<double>()) {
    for (Series* s : {&y.by_tokens, &y.by_chunk}) s->x.push_back(double(s->x.size() + 1));
    y.by_tokens.y.push_back(size / (c * y.by_tokens.x.back())), y.by_chunk.y.push_back(size / c);
  }
  return y;
}

// The most bytes that a forward and backward pass of one layer needs.
template <class Unit> double peak_bytes(Unit& unit, const Tensor& x) {
  Allocator& memory = allocator(x.device());
  unit.zero_grad();
  memory.reset_peak();
  const int64_t before = memory.stats().live;
  unit.forward(x).sum().backward();
  return double(memory.stats().peak - before);
}

// In MB, for sequences of 128 tokens up to `longest`: GAU, FLASH with a sum at every token, FLASH with chunks.
struct MemoryCurves {
  Series pairs, sums, chunks;
};
inline MemoryCurves memory_curves(int64_t longest) {
  GatedAttentionUnit gau({.dim = 64, .s = 32, .causal = true});
  FlashGau each({.dim = 64, .s = 32, .chunk = 1, .causal = true}),
      mixed({.dim = 64, .s = 32, .chunk = 64, .causal = true});
  MemoryCurves m{{.name = "GAU: every pair, n²"}, {.name = "a sum at every token, n s e"}, {.name = "FLASH, c = 64"}};
  for (int64_t length = 128; length <= longest; length *= 2) {
    Tensor x = randn({1, length, 64});
    for (Series* s : {&m.pairs, &m.sums, &m.chunks}) s->x.push_back(double(length));
    m.pairs.y.push_back(peak_bytes(gau, x) / 1e6), m.sums.y.push_back(peak_bytes(each, x) / 1e6);
    m.chunks.y.push_back(peak_bytes(mixed, x) / 1e6);
  }
  return m;
}

// How many numbers the state holds after 1, 2, ... tokens.
template <class Unit> Series state_sizes(const char* name, const Unit& unit, int64_t tokens, int64_t dim) {
  NoGrad guard;
  AttentionState state;
  Series numbers{.name = name};
  for (int64_t i = 1; i <= tokens; ++i) {
    unit.step(randn({1, 1, dim}), state);
    const Tensor& any = state.value.defined() ? state.value : state.sum;
    numbers.x.push_back(double(i)), numbers.y.push_back(double(state.bytes() / size_of(any.dtype())));
  }
  return numbers;
}

// The logits of a text [1, time], read one character at a time by a model of FLASH layers.
inline Tensor read_stepwise(const CharModel& model, const Tensor& ids) {
  std::vector<AttentionState> states(model.layers.size());
  std::vector<Tensor> logits;
  for (const Tensor& id : ids.split(1, 1)) {
    Tensor x = model.tokens.forward(id);
    for (size_t i = 0; i < states.size(); ++i) x = dynamic_cast<const FlashLayer&>(*model.layers[i]).step(x, states[i]);
    logits.push_back(model.head.forward(model.norm.forward(x)));
  }
  return cat(logits, 1);
}

}  // namespace ink::lesson
