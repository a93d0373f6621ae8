// The matrix recurrence in three forms. Within a stretch of steps that begins at S, with g_t the sum of log w up to
// step t, everything before t fades by e^{g_t - g_j} on its way from step j to t, and what step t reads, u_t =
// S_{t-1}^T r_t, follows from what earlier steps have read:
//
//   u_t = S^T (e^{g_{t-1}} r_t) + sum over j < t of (r_t . e^{g_{t-1} - g_j} p_j) u_j + (r_t . e^{g_{t-1} - g_j} k_j)
//   v_j o_t = S^T (e^{g_t} q_t) + sum over j <= t of (q_t . e^{g_t - g_j} p_j) u_j + (q_t . e^{g_t - g_j} k_j) v_j
//
// The first line is a triangular system, (I - M) U = ..., whose inverse is a product of log2 n factors, since M^n = 0
// (the WY form of Yang et al. 2024b is the case p = -beta k, r = k). Exponents are masked before they are taken: a pair
// that does not count may have a positive one.
#include "nn/ssm/matrix_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/recurrence.h"

namespace ink {
namespace {

// The steps of one stretch, or of many side by side ([..., n, d] with any dims in front).
struct Steps {
  Tensor q, k, v, log_decay, erase, read;
  bool per_key() const { return log_decay.defined() && log_decay.dim() == k.dim(); }
};

// Applies f to what is defined; decays per step get a last dim for the time being, so that all tensors have steps in
// dim -2.
template <class F> Steps each(const Steps& s, F f) {
  const auto on = [&](const Tensor& x) { return x.defined() ? f(x) : x; };
  Tensor decay = s.log_decay;
  if (decay.defined() && !s.per_key())
    decay = squeeze(f(unsqueeze(decay, -1)), -1);
  else
    decay = on(decay);
  return {f(s.q), f(s.k), f(s.v), decay, on(s.erase), on(s.read)};
}

// g as [..., n, 1 or dk], counted from the start of the stretch; undefined without a decay.
Tensor total_decay(const Steps& s) {
  if (!s.log_decay.defined()) return {};
  return cumsum(s.per_key() ? s.log_decay : unsqueeze(s.log_decay, -1), -2);
}
// The same for the step before: 0 at the first.
Tensor shifted(const Tensor& g) {
  if (!g.defined()) return g;
  return cat({zeros_like(slice(g, -2, 0, 1)), slice(g, -2, 0, g.size(-2) - 1)}, -2);
}
Tensor faded(const Tensor& x, const Tensor& g) { return g.defined() ? x * exp(g) : x; }

// [..., n, n]: x_t . e^{to_t - from_j} y_j for j <= t + diagonal, 0 elsewhere, with all n n dk products in memory.
Tensor pairs_one_by_one(const Tensor& x, const Tensor& y, const Tensor& to, const Tensor& from, int64_t diagonal) {
  const Tensor hidden = unsqueeze(logical_not(tri(x.size(-2), x.size(-2), diagonal)).to(x.device()), -1);
  const Tensor exponent = masked_fill(unsqueeze(to, -2) - unsqueeze(from, -3), hidden, -INFINITY);  // [..., t, j, dk]
  return sum(unsqueeze(x, -2) * unsqueeze(y, -3) * exp(exponent), -1);
}

// The same for a decay per key. In a block of 2 s steps, what the second half sees of the first fades up to the border
// between them and from there on, by factors of at most 1 each: a matrix product. Halves are cut until kLeaf steps are
// left (Yang et al. 2024, section 4.3, has two levels). All blocks of a size lie side by side in dim -3.
constexpr int64_t kLeaf = 4;
Tensor pairs_by_halves(const Tensor& x, const Tensor& y, const Tensor& to, const Tensor& from, int64_t diagonal) {
  const int64_t n = x.size(-2);
  int64_t whole = kLeaf;
  while (whole < n) whole *= 2;
  const auto blocks = [&](const Tensor& a, const Tensor& rest, int64_t size) {
    Shape shape = a.shape();
    shape[a.dim() - 2] = size;
    shape.insert(a.dim() - 2, whole / size);
    return reshape(whole > n ? cat({a, rest}, -2) : a, shape);
  };
  Shape more = x.shape(), faded = from.shape();
  more[x.dim() - 2] = faded[x.dim() - 2] = whole - n;
  const Tensor nothing = zeros(more, x.options()), end = expand(slice(from, -2, n - 1, n), faded);
  const auto cut = [&](int64_t size) {  // behind the last step: zeros, and no decay
    return std::array{blocks(x, nothing, size), blocks(y, nothing, size), blocks(to, end, size),
                      blocks(from, end, size)};
  };
  const auto leaf = cut(kLeaf);
  Tensor done = pairs_one_by_one(leaf[0], leaf[1], leaf[2], leaf[3], diagonal);  // [..., blocks, size, size]
  for (int64_t s = kLeaf; s < whole; s *= 2) {
    const auto [xs, ys, tos, froms] = cut(2 * s);
    const auto first = [s](const Tensor& a) { return slice(a, -2, 0, s); };
    const auto second = [s](const Tensor& a) { return slice(a, -2, s, 2 * s); };
    const Tensor border = slice(froms, -2, s - 1, s);
    const Tensor below =
        matmul(second(xs) * exp(second(tos) - border), transpose(first(ys) * exp(border - first(froms)), -2, -1));
    const Tensor upper = slice(done, -3, 0, done.size(-3), 2), lower = slice(done, -3, 1, done.size(-3), 2);
    done = cat({cat({upper, zeros_like(upper)}, -1), cat({below, lower}, -1)}, -2);
  }
  return slice(slice(squeeze(done, -3), -2, 0, n), -1, 0, n);
}

// [..., n, n]: x_t . e^{to_t - from_j} y_j for j <= t + diagonal, 0 elsewhere.
Tensor pairs(const Tensor& x, const Tensor& y, const Tensor& to, const Tensor& from, int64_t diagonal) {
  const int64_t n = x.size(-2);
  if (!to.defined()) return tril(matmul(x, transpose(y, -2, -1)), diagonal);
  if (to.size(-1) != 1 || x.size(-1) == 1)
    return n > kLeaf ? pairs_by_halves(x, y, to, from, diagonal) : pairs_one_by_one(x, y, to, from, diagonal);
  const Tensor hidden = logical_not(tri(n, n, diagonal)).to(x.device());
  const Tensor exponent = masked_fill(to - transpose(from, -2, -1), hidden, -INFINITY);
  return matmul(x, transpose(y, -2, -1)) * exp(exponent);  // (9.71)
}

// (I - M)^{-1} = (I + M)(I + M^2)(I + M^4) ... for a strictly lower triangular M.
Tensor inverse_of_unit_lower(const Tensor& M) {
  const Tensor one = eye(M.size(-1), M.options());
  Tensor product = one + M, power = M;
  for (int64_t w = 2; w < M.size(-1); w *= 2) {
    power = matmul(power, power);
    product = matmul(product, one + power);
  }
  return product;
}

// What does not depend on the state at the start of a stretch.
struct Stretch {
  Tensor out;         // o from S = 0
  Tensor from_state;  // o += from_state S
  Tensor add;         // S after the stretch from S = 0
  Tensor keep;        // log of what is left of S: [..., 1 or dk, 1]; undefined: all
  Tensor erase = {};  // S after += erase S, [..., dk, dk]; undefined: nothing
};

Stretch stretch_of(const Steps& s) {
  const Tensor g = total_decay(s), before = shifted(g),
               end = g.defined() ? slice(g, -2, g.size(-2) - 1, g.size(-2)) : g;
  // what is left of it after the stretch
  const auto to_end = [&](const Tensor& x) { return g.defined() ? x * exp(end - g) : x; };
  const auto turned = [](const Tensor& x) { return transpose(x, -2, -1); };
  const Tensor qk = pairs(s.q, s.k, g, g, 0);
  Stretch out{.out = matmul(qk, s.v),
              .from_state = faded(s.q, g),
              .add = matmul(turned(to_end(s.k)), s.v),
              .keep = end.defined() ? turned(end) : end};
  if (!s.erase.defined()) return out;
  const Tensor solved = inverse_of_unit_lower(pairs(s.read, s.erase, before, g, -1));
  const Tensor u = matmul(solved, matmul(pairs(s.read, s.k, before, g, -1), s.v));  // U = u + u_state S
  const Tensor u_state = matmul(solved, faded(s.read, before)), qp = pairs(s.q, s.erase, g, g, 0),
               p = turned(to_end(s.erase));
  out.out = out.out + matmul(qp, u);
  out.from_state = out.from_state + matmul(qp, u_state);
  out.add = out.add + matmul(p, u);
  out.erase = matmul(p, u_state);
  return out;
}

Tensor after(const Stretch& s, const Tensor& state) {
  Tensor next = s.keep.defined() ? exp(s.keep) * state + s.add : state + s.add;
  return s.erase.defined() ? next + matmul(s.erase, state) : next;
}

Tensor one_by_one(const Steps& s, Tensor& state) {
  std::vector<Tensor> out;
  for (int64_t t = 0; t < s.q.size(-2); ++t) {
    const Steps step = each(s, [t](const Tensor& x) { return slice(x, -2, t, t + 1); });
    const auto column = [](const Tensor& row) { return transpose(row, -2, -1); };
    Tensor next = state;
    if (step.log_decay.defined())
      next = exp(column(step.per_key() ? step.log_decay : unsqueeze(step.log_decay, -1))) * next;
    if (step.erase.defined()) next = next + matmul(column(step.erase), matmul(step.read, state));
    state = next + matmul(column(step.k), step.v);
    out.push_back(matmul(step.q, state));
  }
  return cat(out, -2);
}

// Stretches of `size` steps, dim -3 their number. Without erasing, the states at their starts follow from a linear
// recurrence; with it, each is multiplied by a matrix on the way, one after the other.
Tensor by_chunks(const Steps& s, Tensor& state, int64_t size) {
  const int64_t n = s.q.size(-2), chunks = (n + size - 1) / size;
  // steps of zeros behind the last change nothing: k = v = p = r = 0, log w = 0
  const Steps cut = each(s, [&](const Tensor& x) {
    Shape shape = x.shape(), extra = x.shape();
    extra[x.dim() - 2] = chunks * size - n;
    shape[x.dim() - 2] = size;
    shape.insert(x.dim() - 2, chunks);
    return reshape(extra[x.dim() - 2] ? cat({x, zeros(extra, x.options())}, -2) : x, shape);
  });
  const Stretch all = stretch_of(cut);
  const int at = all.add.dim() - 3;  // the dim of chunks
  Tensor starts;
  if (!all.erase.defined()) {
    const Tensor keep = all.keep.defined() ? exp(all.keep) : ones_like(slice(slice(all.add, -1, 0, 1), -2, 0, 1));
    const Tensor ends = linear_recurrence(keep, all.add, at, {.start = state});
    starts = cat({unsqueeze(state, at), slice(ends, at, 0, chunks - 1)}, at);
    state = select(ends, at, chunks - 1);
  } else {
    std::vector<Tensor> each_start;
    for (int64_t c = 0; c < chunks; ++c) {
      const auto one = [&](const Tensor& x) { return x.defined() ? select(x, at, c) : x; };
      each_start.push_back(state);
      state = after({one(all.out), one(all.from_state), one(all.add), one(all.keep), one(all.erase)}, state);
    }
    starts = stack(each_start, at);
  }
  Shape flat = s.v.shape();
  flat[s.v.dim() - 2] = chunks * size;
  return slice(reshape(all.out + matmul(all.from_state, starts), flat), -2, 0, n);
}

void check_matrix_state(const MatrixStateInputs& in, const Tensor& state, const MatrixStateOptions& o) {
  const auto text = [](const Tensor& x) { return x.defined() ? x.shape().str() : std::string("none"); };
  if (o.chunk < 1) throw ValueError(fmt::format("matrix_state: got a chunk of {} steps; expected at least 1", o.chunk));
  if (in.erase.defined() != in.read.defined())
    throw ValueError("matrix_state: erase and read belong together; got one of them; expected both or neither");
  const bool four = in.q.dim() == 4 && in.k.dim() == 4 && in.v.dim() == 4;
  const auto like_k = [&](const Tensor& x) { return !x.defined() || x.shape() == in.k.shape(); };
  const auto rows = [](const Tensor& x) { return Shape(x.shape().begin(), x.shape().end() - 1); };
  const bool fits =
      four && like_k(in.q) && like_k(in.erase) && like_k(in.read) && rows(in.k) == rows(in.v) &&
      (!in.log_decay.defined() || in.log_decay.shape() == rows(in.k) || in.log_decay.shape() == in.k.shape()) &&
      (!state.defined() || state.shape() == Shape{in.k.size(0), in.k.size(1), in.k.size(3), in.v.size(3)});
  if (!fits)
    throw ShapeError(fmt::format(
        "matrix_state: shapes do not fit; got q {}, k {}, v {}, log_decay {}, erase {}, read {}, state {}; expected "
        "[batch, heads, n, dk] (v: dv), log_decay with or without dk, state [batch, heads, dk, dv]",
        text(in.q), text(in.k), text(in.v), text(in.log_decay), text(in.erase), text(in.read), text(state)));
}

}  // namespace

Tensor matrix_state(const MatrixStateInputs& in, Tensor& state, const MatrixStateOptions& o) {
  check_matrix_state(in, state, o);
  const DType result = in.v.dtype();
  const Steps s{widened(in.q),         widened(in.k),     widened(in.v),
                widened(in.log_decay), widened(in.erase), widened(in.read)};
  state =
      state.defined() ? widened(state) : zeros({in.k.size(0), in.k.size(1), in.k.size(3), in.v.size(3)}, s.v.options());
  const int64_t n = in.q.size(2);
  if (n == 0) return in.v;
  Tensor out;
  if (o.form == StateForm::recurrent) {
    out = one_by_one(s, state);
  } else if (o.form == StateForm::parallel) {
    const Stretch all = stretch_of(s);
    out = all.out + matmul(all.from_state, state);
    state = after(all, state);
  } else {
    out = by_chunks(s, state, std::min(o.chunk, n));
  }
  return is_half(result) ? to(out, result) : out;
}

}  // namespace ink
