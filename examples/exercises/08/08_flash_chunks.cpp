// Exercise: FLASH's mixed chunks: squares along the diagonal, a running sum beyond.
// Note: docs/notes/08_gau_flash.md, exercise 2
//
// FLASH (Hua et al. 2022, section 3) makes the gated attention unit's cost linear. It cuts the tokens into chunks of c.
// A token is weighed against its own chunk pair by pair, as in GAU, and against all chunks before by one sum S of
// theirs. In a causal layer, for chunk g counted from 0 with rows Q, K, Q', K', V:
//
//   O = tril(relu(Q K^T)^2) V / (c s)  +  Q' S_g / (g c)          S_g = sum of K'^T V over the chunks before g
//
// g c is the number of tokens in S_g: with it, what a chunk reads keeps its size whatever its place in the text. Chunk
// 0 has no chunk before it and reads no sum; look out for 0 / 0. The last chunk may have fewer than c tokens, its
// divisors stay c s and g c.
//
// c = 2, s = e = 1, all q = k = q' = k' = 1, v = 1 2 3 4 5:
//
//   chunk 0    quadratic 1/2, (1 + 2)/2       linear none             O = 0.5, 1.5
//   chunk 1    quadratic 3/2, (3 + 4)/2       S = 3, 3 / 2 = 1.5      O = 3, 5
//   chunk 2    quadratic 5/2                  S = 10, 10 / 4 = 2.5    O = 5
//
// What the checks look at: one chunk; the sum before a chunk; the divisor g c; a last chunk that is not full;
// causality; memory.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k for pairs inside a chunk, q2, k2 (Q', K' above) for the sum: each [n, s]. v [n, e].
struct Mixed {
  Tensor q, k, q2, k2, v;
};

// O [n, e] for chunks of `chunk` tokens, causal.
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// A loop over chunks, as in 06_chunked_linear: x.narrow(0, start, length) with length = std::min(chunk, n - start), S
// begins as zeros({s, e}, v.options()), cat(rows, 0) at the end.
//]
//[ hint
// g c is just `start`, the number of tokens before the chunk. Add the linear part only if start > 0.
//]
//[ hint
// Read S first, then S = S + matmul(k2.t(), v) of this chunk: the pairs inside the chunk are the quadratic part's.
//]

namespace solution {
//[ solution
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  const int64_t n = in.q.size(0), s = in.q.size(1);
  Tensor sum_before = zeros({s, in.v.size(1)}, in.v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    auto rows = [&](const Tensor& x) { return x.narrow(0, start, std::min(chunk, n - start)); };
    Tensor pairs = tril(square(relu(matmul(rows(in.q), rows(in.k).t()))));
    Tensor o = matmul(pairs, rows(in.v)) / double(chunk * s);
    if (start > 0) o = o + matmul(rows(in.q2), sum_before) / double(start);
    out.push_back(o);
    sum_before = sum_before + matmul(rows(in.k2).t(), rows(in.v));
  }
  return cat(out, 0);
}
//]
}  // namespace solution

//[ wrong
namespace divided_by_chunk {
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  Tensor whole = solution::flash_chunks(in, chunk), zero = zeros_like(in.q),
         near = solution::flash_chunks({in.q, in.k, zero, zero, in.v}, chunk);
  Tensor before = clamp(floor_divide(arange(in.q.size(0)), chunk), 1).to(f64).unsqueeze(1);
  return near + (whole - near) * before;
}
}  // namespace divided_by_chunk
namespace own_chunk_in_the_sum {
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  const int64_t n = in.q.size(0), s = in.q.size(1);
  Tensor sum = zeros({s, in.v.size(1)}, in.v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    auto rows = [&](const Tensor& x) { return x.narrow(0, start, std::min(chunk, n - start)); };
    sum = sum + matmul(rows(in.k2).t(), rows(in.v));
    Tensor o = matmul(tril(square(relu(matmul(rows(in.q), rows(in.k).t())))), rows(in.v)) / double(chunk * s);
    if (start > 0) o = o + matmul(rows(in.q2), sum) / double(start);
    out.push_back(o);
  }
  return cat(out, 0);
}
}  // namespace own_chunk_in_the_sum
namespace chunk_0_divides_by_0 {
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  Tensor o = solution::flash_chunks(in, chunk);
  return where((arange(in.q.size(0)) < chunk).unsqueeze(1), o + zeros_like(o) / 0.0, o);
}
}  // namespace chunk_0_divides_by_0
namespace short_chunk_shares_less {
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  const int64_t n = in.q.size(0), last = n % chunk, full = n - last;
  Tensor o = solution::flash_chunks(in, chunk), zero = zeros_like(in.q),
         near = solution::flash_chunks({in.q, in.k, zero, zero, in.v}, chunk);
  return last == 0 ? o : where((arange(n) < full).unsqueeze(1), o, o + near * (double(chunk) / double(last) - 1));
}
}  // namespace short_chunk_shares_less
namespace every_pair {
Tensor flash_chunks(const Mixed& in, int64_t chunk) {
  const int64_t n = in.q.size(0), s = in.q.size(1);
  Tensor of = floor_divide(arange(n), chunk), i = of.unsqueeze(1), j = of.unsqueeze(0), none = zeros({n, n}, f64);
  Tensor near = where((i == j) & tri(n, n), square(relu(matmul(in.q, in.k.t()))), none) / double(chunk * s);
  Tensor far = where(i > j, matmul(in.q2, in.k2.t()), none) / clamp((of * chunk).to(f64), 1).unsqueeze(1);
  return matmul(near + far, in.v);
}
}  // namespace every_pair
//]

namespace {

using Function = decltype(&flash_chunks);

// The definition, pair by pair: which chunk a token is in, how it weighs a key.
Tensor by_definition(const Mixed& in, int64_t chunk) {
  const int64_t n = in.q.size(0), s = in.q.size(1);
  std::vector<Tensor> out;
  for (int64_t i = 0; i < n; ++i) {
    Tensor row = zeros({in.v.size(1)}, f64);
    const int64_t before = i / chunk * chunk;
    for (int64_t j = 0; j <= i; ++j) {
      const double near = std::max(dot(in.q[i], in.k[j]).item(), 0.0);
      row = row +
            in.v[j] * (j < before ? dot(in.q2[i], in.k2[j]).item() / double(before) : near * near / double(chunk * s));
    }
    out.push_back(row);
  }
  return stack(out, 0);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Mixed& in, int64_t chunk) {
    check.on(property, {{"q", in.q}, {"k", in.k}, {"q2", in.q2}, {"k2", in.k2}, {"v", in.v}, {"chunk", double(chunk)}});
    check.close(f(in, chunk), by_definition(in, chunk), {1e-9, 1e-9}, "O");
  };
  auto counting = [](int64_t n) {  // as in the statement
    Tensor one = ones({n, 1}, f64);
    return Mixed{one, one, one, one, arange(1, n + 1, 1, f64).unsqueeze(1)};
  };
  auto random = [](int64_t n, int64_t s, int64_t e) {
    return Mixed{randn({n, s}, f64), randn({n, s}, f64), randn({n, s}, f64), randn({n, s}, f64), randn({n, e}, f64)};
  };
  on("one chunk", counting(2), 2);
  on("one chunk", random(4, 3, 2), 4);
  on("the sum before a chunk", counting(4), 2);
  on("the sum before a chunk", random(6, 2, 2), 3);
  on("the divisor g c", counting(6), 2);
  on("the divisor g c", random(20, 3, 2), 4);
  on("a last chunk that is not full", counting(5), 2);
  on("a last chunk that is not full", counting(2), 3);
  on("a last chunk that is not full", random(23, 3, 2), 4);

  Tensor x = randn({7, 2}, f64);
  check.on("causality", {{"q = k = q2 = k2 = v", x}, {"chunk", 3}});
  check.holds(verify::causality(
                  [&](const Tensor& t) {
                    return f({t, t, t, t, t}, 3);
                  },
                  x, 0),
              "row t depends on tokens 0 .. t only");

  NoGrad guard;
  const int64_t n = 1024, n_by_n = n * n * 8;
  Mixed in = random(n, 4, 4);
  check.on("memory", {{"q, k, q2, k2, v", "1024 rows of 4 numbers in f64"}, {"chunk", 32}});
  const int64_t bytes = peak_bytes([&] { f(in, 32); });
  check.holds(bytes < n_by_n / 8, std::to_string(bytes) + " bytes at the peak",
              "less than an eighth of an n x n matrix, " + std::to_string(n_by_n / 8) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = flash_chunks,
              .solution = solution::flash_chunks,
              .wrong = {{"0 / 0 in the first chunk", "one chunk", chunk_0_divides_by_0::flash_chunks},
                        {"a chunk is in its own sum", "the sum before a chunk", own_chunk_in_the_sum::flash_chunks},
                        {"sums divided by c and added up", "the divisor g c", divided_by_chunk::flash_chunks},
                        {"a short chunk divided by its own length", "a last chunk that is not full",
                         short_chunk_shares_less::flash_chunks},
                        {"one matrix of all pairs", "memory", every_pair::flash_chunks}}});
}
