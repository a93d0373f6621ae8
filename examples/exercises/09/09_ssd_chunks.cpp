// Exercise: state space duality in chunks, without an overflow.
// Note: docs/notes/09c_mamba.md, exercise 3
//
// One head of Mamba-2: a state S [N, p] that fades by one number per token, a_t = delta_t A <= 0 being its logarithm,
//
//   S_t = e^{a_t} S_{t-1} + B_t v_t^T,   y_t = C_t^T S_t        (v_t stands for delta_t x_t)
//
// is masked attention as well (Dao & Gu 2024):
//
//   Y = (L o C B^T) V,   L_ij = e^{a_{j+1} + ... + a_i} for j <= i, else 0
//
// In chunks both are used. With s_i the sum of a from the chunk's first token to i, in each chunk of c tokens:
//
//   Y = (L o C B^T) V + (e^{s_i} C_i)_i S          pairs inside, and what the state S before the chunk adds
//   S <- e^{s_c} S + (e^{s_c - s_j} B_j)_j^T V     the state after it
//
// L_ij is e^{s_i - s_j}. Above the diagonal that exponent is positive and may be large: e^{large} is infinite, and a
// mask that multiplies it by 0 afterwards makes NaN. So hide those exponents first (-infinity), then take e. For the
// same reason e^{s_i} / e^{s_j} will not do.
//
// With c = 2, N = p = 1, B = C = 1, v = 1 1 1 and a = -ln 2 throughout, y = 1, 1.5, 1.75: the last chunk has one token,
// whose own value is 1, and the state 1.5 fades to 0.75.
//
// What the checks look at: one chunk; the state between chunks; a last chunk that is not full; large decays; memory (no
// n x n matrix).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// a [n], B and C [n, N], v [n, p] -> y [n, p]. chunk >= 1 may be larger than n, and need not divide it.
struct Head {
  Tensor a, B, C, v;
};

Tensor ssd_chunks(const Head& head, int64_t chunk) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Let `start` run over 0, chunk, 2 chunk, ... below n; a chunk's rows are x.narrow(0, start, length) with length =
// std::min(chunk, n - start), and s = cumsum(a of the chunk, 0).
//]
//[ hint
// s.unsqueeze(1) - s.unsqueeze(0) holds s_i - s_j in row i, column j. masked_fill(x, logical_not(tri(length, length)),
// -INFINITY) hides what lies above the diagonal; exp makes 0 of it.
//]
//[ hint
// The last entry, s.narrow(0, length - 1, 1), is s_c. The state is read before the chunk's own tokens go into it.
//]

namespace solution {
//[ solution
Tensor ssd_chunks(const Head& head, int64_t chunk) {
  const int64_t n = head.v.size(0);
  Tensor state = zeros({head.B.size(1), head.v.size(1)}, head.v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t length = std::min(chunk, n - start);
    const auto rows = [&](const Tensor& x) { return x.narrow(0, start, length); };
    const Tensor B = rows(head.B), C = rows(head.C), v = rows(head.v), s = cumsum(rows(head.a), 0);
    const Tensor hidden = logical_not(tri(length, length));
    const Tensor L = exp(masked_fill(s.unsqueeze(1) - s.unsqueeze(0), hidden, -INFINITY));
    out.push_back(matmul(L * matmul(C, B.t()), v) + matmul(exp(s).unsqueeze(1) * C, state));
    const Tensor end = s.narrow(0, length - 1, 1);
    state = exp(end) * state + matmul((exp(end - s).unsqueeze(1) * B).t(), v);
  }
  return cat(out, 0);
}
//]
}  // namespace solution

//[ wrong
namespace mask_after {
Tensor ssd_chunks(const Head& head, int64_t chunk) {
  Tensor state = zeros({head.B.size(1), head.v.size(1)}, head.v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < head.v.size(0); start += chunk) {
    const int64_t length = std::min(chunk, head.v.size(0) - start);
    const auto rows = [&](const Tensor& x) { return x.narrow(0, start, length); };
    const Tensor B = rows(head.B), C = rows(head.C), v = rows(head.v), s = cumsum(rows(head.a), 0);
    const Tensor L = exp(s.unsqueeze(1) - s.unsqueeze(0)) * tri(length, length).to(f64);
    out.push_back(matmul(L * matmul(C, B.t()), v) + matmul(exp(s).unsqueeze(1) * C, state));
    const Tensor end = s.narrow(0, length - 1, 1);
    state = exp(end) * state + matmul((exp(end - s).unsqueeze(1) * B).t(), v);
  }
  return cat(out, 0);
}
}  // namespace mask_after
namespace no_state {
Tensor ssd_chunks(const Head& h, int64_t chunk) {
  std::vector<Tensor> out;
  for (int64_t start = 0; start < h.v.size(0); start += chunk) {
    const int64_t length = std::min(chunk, h.v.size(0) - start);
    const auto rows = [&](const Tensor& x) { return x.narrow(0, start, length); };
    out.push_back(solution::ssd_chunks({rows(h.a), rows(h.B), rows(h.C), rows(h.v)}, length));
  }
  return cat(out, 0);
}
}  // namespace no_state
namespace full_chunks_only {
Tensor ssd_chunks(const Head& h, int64_t chunk) {
  const int64_t full = h.v.size(0) / chunk * chunk, rest = h.v.size(0) - full;
  if (full == 0) return zeros_like(h.v);
  const auto head = [&](const Tensor& x) { return x.narrow(0, 0, full); };
  return cat({solution::ssd_chunks({head(h.a), head(h.B), head(h.C), head(h.v)}, chunk),
              zeros({rest, h.v.size(1)}, h.v.options())},
             0);
}
}  // namespace full_chunks_only
namespace fades_a_token_late {
Tensor ssd_chunks(const Head& h, int64_t chunk) {
  const int64_t n = h.v.size(0);
  return solution::ssd_chunks({cat({zeros({1}, f64), h.a.narrow(0, 0, n - 1)}, 0), h.B, h.C, h.v}, chunk);
}
}  // namespace fades_a_token_late
namespace one_matrix {
Tensor ssd_chunks(const Head& h, int64_t) { return solution::ssd_chunks(h, h.v.size(0)); }
}  // namespace one_matrix
//]

namespace {

using Function = decltype(&ssd_chunks);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Head& h, int64_t chunk) {
    check.on(property, {{"a", h.a}, {"B", h.B}, {"C", h.C}, {"v", h.v}, {"chunk", double(chunk)}});
    Tensor S = zeros({h.B.size(1), h.v.size(1)}, f64);
    std::vector<Tensor> y;
    for (int64_t t = 0; t < h.v.size(0); ++t) {
      S = exp(h.a[t]) * S + h.B.select(0, t).unsqueeze(1) * h.v.select(0, t);
      y.push_back(sum(h.C.select(0, t).unsqueeze(1) * S, 0));
    }
    check.close(f(h, chunk), stack(y, 0), {1e-9, 1e-9}, "y");
  };
  const auto halving = [](int64_t n) {
    return Head{full({n}, -std::log(2.), f64), ones({n, 1}, f64), ones({n, 1}, f64), ones({n, 1}, f64)};
  };
  const auto random = [](int64_t n, double fade) {
    return Head{-rand({n}, f64) * fade, randn({n, 3}, f64), randn({n, 3}, f64), randn({n, 2}, f64)};
  };
  on("one chunk", halving(1), 1);
  on("one chunk", random(4, 1), 4);
  on("the state between chunks", halving(4), 2);
  on("the state between chunks", random(6, 1), 2);
  on("the state between chunks", random(3, 1), 1);
  on("a last chunk that is not full", halving(3), 2);
  on("a last chunk that is not full", random(2, 1), 5);
  on("a last chunk that is not full", random(37, 1), 8);
  on("large decays", random(16, 1000), 8);

  NoGrad guard;
  const int64_t n = 1024, n_by_n = n * n * 8;
  const Head h = random(n, 1);
  check.on("memory", {{"B, C, v", "1024 rows"}, {"chunk", 32}});
  const int64_t bytes = peak_bytes([&] { f(h, 32); });
  check.holds(bytes < n_by_n / 8, std::to_string(bytes) + " bytes at the peak",
              "less than an eighth of an n x n matrix, " + std::to_string(n_by_n / 8) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = ssd_chunks,
              .solution = solution::ssd_chunks,
              .wrong = {{"a token fades by the step before its own", "one chunk", fades_a_token_late::ssd_chunks},
                        {"every chunk starts from nothing", "the state between chunks", no_state::ssd_chunks},
                        {"the rest after the last full chunk is 0", "a last chunk that is not full",
                         full_chunks_only::ssd_chunks},
                        {"the mask comes after the exponential", "large decays", mask_after::ssd_chunks},
                        {"one matrix of all pairs", "memory", one_matrix::ssd_chunks}}});
}
