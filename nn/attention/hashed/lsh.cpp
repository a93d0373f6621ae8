// Attention among tokens of one hash: hashing, sorting into chunks, rounds merged by their log-sum-exps.
#include "nn/attention/hashed/lsh.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/attention.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

Tensor lsh_hash(const Tensor& x, int64_t buckets, int64_t rounds, Generator* generator) {
  if (x.dim() < 2)
    throw ShapeError(fmt::format("lsh_hash: wrong input; got {}; expected [..., n, d]", x.shape().str()));
  if (rounds < 1 || buckets < 1 || (buckets > 1 && buckets % 2))
    throw ValueError(
        fmt::format("lsh_hash: got {} buckets, {} rounds; expected an even number of buckets (each direction and its "
                    "opposite), or 1, and at least 1 round",
                    buckets, rounds));
  NoGrad guard;
  Tensor r = randn({rounds, x.size(-1), std::max<int64_t>(buckets / 2, 1)}, x.options(), generator);
  Tensor rotated = matmul(unsqueeze(x, -3), r);         // [..., rounds, n, buckets / 2]
  Tensor h = argmax(cat({rotated, -rotated}, -1), -1);  // (11.7)
  return buckets == 1 ? zeros_like(h) : h;
}

namespace {

// Where the tokens stand once they are sorted, b = everything in front of n; padded = chunks * size.
struct Chunks {
  int64_t batch, rounds, n, count, size;
  Tensor place;   // i64 [b, rounds, padded]: the sorted place of each token
  Tensor query;   // i64 [b, rounds, count, size]: the token at each sorted place
  Tensor bucket;  // i64 [b, rounds, padded]: of each token; padding has one of its own, behind all others
  int64_t padded() const { return count * size; }
  // Of each chunk what it can see: itself and the one before, joined along `dim`.
  Tensor with_previous(const Tensor& t, int64_t dim, int64_t chunk_dim) const {
    return count > 1 ? cat({t, roll(t, 1, chunk_dim)}, dim) : t;
  }
  Tensor keys() const { return with_previous(query, 3, 2); }  // [b, rounds, count, size or 2 size]
};

int64_t bucket_count(int64_t n, const LshOptions& o) {
  if (o.buckets || n <= o.bucket_size) return std::max<int64_t>(o.buckets, 1);
  return 2 * ((n + 2 * o.bucket_size - 1) / (2 * o.bucket_size));
}

// qk [b, n, d], sorted by (bucket, position): the sort is stable.
Chunks into_chunks(const Tensor& qk, const LshOptions& o) {
  NoGrad guard;
  const int64_t b = qk.size(0), n = qk.size(1), size = std::min(o.bucket_size, n), count = (n + size - 1) / size;
  std::optional<Generator> own;
  if (o.seed) own.emplace(*o.seed);
  const int64_t buckets = bucket_count(n, o);
  Tensor hash = lsh_hash(qk, buckets, o.rounds, own ? &*own : o.generator);
  hash = pad(hash, {0, count * size - n}, PadMode::constant, double(buckets));
  Tensor order = argsort(hash, -1), place = argsort(order, -1);
  return {b, o.rounds, n, count, size, place, reshape(order, {b, o.rounds, count, size}), hash};
}

// Values of a table [b, rounds, padded] at the tokens `at` [b, count, size], in one round.
Tensor look_up(const Tensor& table, int64_t round, const Tensor& at) {
  return reshape(gather(select(table, 1, round), 1, flatten(at, 1)), at.shape());
}

// Do query tokens q [b, count, size, 1] and key tokens k [b, count, 1, keys] meet in this round? [b, count, size, keys]
Tensor meet(const Chunks& c, int64_t round, const Tensor& q, const Tensor& k, bool strict) {
  Tensor pq = look_up(c.place, round, q), pk = look_up(c.place, round, k);
  if (strict) {
    Tensor behind = pq - pk;  // within a bucket sorted by position, this counts the tokens of the bucket between them
    return (look_up(c.bucket, round, q) == look_up(c.bucket, round, k)) & (behind > 0) & (behind <= c.size);
  }
  Tensor cq = floor_divide(pq, c.size), ck = floor_divide(pk, c.size);
  return (cq == ck) | (cq == remainder(ck + 1, c.count));
}

// The keys that each query sees, [b, rounds, count, size, keys]; `others` [.., 1]: is there any but itself.
struct Seen {
  Tensor mask, others;
};
Seen who_is_seen(const Chunks& c, const LshOptions& o) {
  NoGrad guard;
  Tensor q = unsqueeze(c.query, -1), k = unsqueeze(c.keys(), -2);
  Tensor seen = (o.causal ? k < q : k != q) & (k < c.n);
  if (o.strict || (o.deduplicate && c.rounds > 1)) {
    std::vector<Tensor> by_round = unbind(seen, 1);
    for (int64_t r = 0; r < c.rounds; ++r) {
      Tensor qr = select(q, 1, r), kr = select(k, 1, r), &s = by_round[size_t(r)];
      if (o.strict) s = s & meet(c, r, qr, kr, true);
      // Each of the m rounds in which a pair meets adds e^s; dividing each by m (the paper's - ln m) or keeping the
      // first gives the same sum.
      for (int64_t before = 0; o.deduplicate && before < r; ++before)
        s = s & logical_not(meet(c, before, qr, kr, o.strict));
    }
    seen = stack(by_round, 1);
  }
  Tensor others = any(seen, -1, true);
  return {seen | ((k == q) & logical_not(others)), others};
}

void check(const Tensor& qk, const Tensor& v, const LshOptions& o) {
  bool fits = qk.dim() >= 2 && qk.dim() == v.dim();
  for (int i = 0; fits && i + 1 < qk.dim(); ++i) fits = qk.size(i) == v.size(i);
  if (!fits)
    throw ShapeError(
        fmt::format("lsh_attention: the shapes do not fit; got qk {}, v {}; expected [..., n, d] and [..., n, dv]",
                    qk.shape().str(), v.shape().str()));
  if (o.bucket_size < 1 || o.rounds < 1 || o.buckets < 0 || (o.buckets > 1 && o.buckets % 2))
    throw ValueError(
        fmt::format("lsh_attention: got bucket_size {}, rounds {}, buckets {}; expected at least 1, at least 1, and 0 "
                    "(chosen), 1 or an even number",
                    o.bucket_size, o.rounds, o.buckets));
  if (o.strict && !o.causal) throw ValueError("lsh_attention: strict is a form of causal; hint: set both");
}

Tensor unit(const Tensor& x) { return x / clamp(norm(x, {-1}, true), 1e-6); }  // x / |x|; a row of zeros stays

}  // namespace

Tensor lsh_attention(const Tensor& qk_in, const Tensor& v_in, const LshOptions& o) {
  check(qk_in, v_in, o);
  if (v_in.numel() == 0) return v_in.clone();
  const int64_t n = qk_in.size(-2), d = qk_in.size(-1), dv = v_in.size(-1);
  Tensor qk = reshape(qk_in, {-1, n, d}), v = reshape(v_in, {-1, n, dv});
  const Chunks c = into_chunks(qk, o);
  const Seen seen = who_is_seen(c, o);

  // Rows of a [b, n, width] tensor in sorted order, cut into chunks: [b rounds, count, size, width].
  Tensor first = arange(0, c.batch * c.padded(), c.padded(), {i64, qk.device()}).reshape({c.batch, 1, 1, 1});
  Tensor rows = flatten(c.query + first);
  auto sorted = [&](const Tensor& x) {
    Tensor padded = pad(x, {0, 0, 0, c.padded() - n});
    return reshape(index_select(flatten(padded, 0, 1), 0, rows), {c.batch * c.rounds, c.count, c.size, x.size(2)});
  };
  auto by_chunk = [&](const Tensor& x) { return flatten(x, 0, 1).unsqueeze(1); };  // [b rounds count, 1, .., width]
  Tensor q = by_chunk(sorted(qk)), k = by_chunk(c.with_previous(sorted(unit(qk)), 2, 1)),
         values = by_chunk(c.with_previous(sorted(v), 2, 1));
  auto [out, lse] = attention_with_lse(q, k, values, {.mask = by_chunk(flatten(seen.mask, 0, 1))});

  // Back to the order of the sequence. A round in which a token saw only itself counts nothing beside one in which it
  // saw others; if there is none, all rounds hold its own value.
  Tensor slot = slice(c.place, -1, 0, n);  // [b, rounds, n]
  Tensor round = arange(0, c.batch * c.rounds * c.padded(), c.padded(), {i64, qk.device()});
  Tensor back = flatten(slot + round.reshape({c.batch, c.rounds, 1}));
  lse = where(reshape(seen.others, lse.shape()), lse, full_like(lse, -1e30));
  out = reshape(index_select(reshape(out, {-1, dv}), 0, back), {c.batch, c.rounds, n, dv});
  lse = reshape(index_select(flatten(lse), 0, back), {c.batch, c.rounds, n});
  // o = sum_r e^{lse_r - lse} o_r, lse = ln sum_r e^{lse_r}; Kitaev et al. 2020, appendix A
  Tensor weights = softmax(lse, 1).to(out.dtype());                      // (11.10)
  return reshape(sum(unsqueeze(weights, -1) * out, {1}), v_in.shape());  // (11.10)
}

Tensor lsh_lookup(const Tensor& qk, const Tensor& v, const Tensor& hash, int64_t first, const LshOptions& o) {
  check(qk, v, o);
  const int64_t n = qk.size(-2), rounds = hash.size(-2);
  if (!o.strict || hash.size(-1) != n || first < 0 || first > n)
    throw ValueError(fmt::format(
        "lsh_lookup: got hashes {} for {} tokens, first {}, strict {}; expected [.., rounds, n], at most n, and strict",
        hash.shape().str(), n, first, o.strict));
  Tensor q = slice(qk, -2, first, n), k = unit(qk), own = slice(v, -2, first, n);
  Tensor place = arange(0, n, 1, {i64, qk.device()}),
         earlier = unsqueeze(place, 0) < unsqueeze(slice(place, 0, first, n), 1);
  Tensor out = zeros_like(own), lse, met = zeros_like(earlier);
  for (int64_t r = 0; r < rounds; ++r) {
    Tensor h = select(hash, -2, r);                                                       // [.., n]
    Tensor same = (unsqueeze(h, -2) == unsqueeze(slice(h, -1, first, n), -1)) & earlier;  // [.., n - first, n]
    Tensor behind = flip(cumsum(flip(same.to(i64), {-1}), -1), {-1});  // same ones from there up to the query
    Tensor seen = same & (behind <= o.bucket_size);
    if (o.deduplicate) seen = seen & logical_not(met), met = met | seen;
    auto [a, l] = attention_with_lse(q, k, v, {.mask = seen});
    if (r == 0)
      out = a, lse = l;
    else
      std::tie(out, lse) = merge_attention(out, lse, a, l);
  }
  return where(unsqueeze(lse == -INFINITY, -1), own, out);
}

}  // namespace ink
