// scaled_dot_product_attention: the tiled kernel against the formula, in every option, size and order of derivative.
#include "autograd/attention.h"

#include <cmath>

#include "tensor/allocator.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

struct Shapes {
  int64_t batch, heads, kv_heads, nq, nk, d, dv;
};
struct Problem {
  Tensor q, k, v;
};
Problem problem(const Shapes& s, DType t = f64) {
  return {normal({s.batch, s.heads, s.nq, s.d}, 1, t), normal({s.batch, s.kv_heads, s.nk, s.d}, 2, t),
          normal({s.batch, s.kv_heads, s.nk, s.dv}, 3, t)};
}
AttentionOptions naive(AttentionOptions o) {
  o.algorithm = AttentionAlgorithm::naive;
  return o;
}
TensorList gradients(const Tensor& y, const TensorList& inputs) { return grad(std::span(&y, 1), inputs); }
// The largest difference of out, lse, dq, dk, dv between flash and the formula. The gradients are those of sum(w out) +
// sum(u lse).
double off(const Problem& p, AttentionOptions o, uint64_t seed = 7) {
  auto results = [&](const AttentionOptions& o) {
    Generator g(seed);
    AttentionOptions options = o;
    options.generator = &g;
    TensorList in{p.q.detach(), p.k.detach(), p.v.detach()};
    for (Tensor& t : in) t.requires_grad_();
    auto [out, lse] = attention_with_lse(in[0], in[1], in[2], options);
    Tensor finite = where(isinf(lse), zeros_like(lse), lse);
    Tensor total = sum(normal(out.shape(), 4, out.dtype()) * out) + sum(normal(lse.shape(), 5, lse.dtype()) * finite);
    TensorList all = gradients(total, in);
    all.push_back(out), all.push_back(exp(lse));
    return all;
  };
  auto a = results(o), b = results(naive(o));
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double d = difference(a[i], b[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst;
}
bool on_device() { return default_device().is_cuda(); }

}  // namespace

TEST_CASE("tiles give what the formula gives, for every length and block size", "[attention]") {
  for (int64_t n : on_device() ? std::vector<int64_t>{1, 2, 33, 97} : std::vector<int64_t>{1, 2, 31, 32, 33, 97, 200})
    for (int64_t block : {0, 1, 16, 32, 64, 256}) {
      Problem p = problem({1, 2, 2, n, n, 8, 8});
      INFO(n << " tokens, blocks of " << block);
      CHECK(off(p, {.block_q = block, .block_k = block}) < 1e-12);
      CHECK(off(p, {.causal = Causal::top_left, .block_q = block, .block_k = block}) < 1e-12);
      CHECK(off(p, {.left = 5, .right = 2, .block_q = block, .block_k = block}) < 1e-12);
    }
}

TEST_CASE("a longer sequence that no block size divides", "[attention]") {
  if (on_device()) return;  // minutes in the simulator
  for (int64_t block : {0, 32, 128, 2048}) {
    INFO("blocks of " << block);
    CHECK(
        off(problem({1, 2, 1, 1025, 1025, 4, 4}),
            {.causal = Causal::bottom_right, .slopes = tensor({0.1, 0.01}, f64), .block_q = block, .block_k = block}) <
        1e-12);
  }
}

TEST_CASE("any head dim, also different ones for keys and values", "[attention]") {
  for (int64_t d : {1, 8, 32, 40, 59, 64, 111, 128, 256}) {
    INFO("d = " << d);
    CHECK(off(problem({1, 1, 1, 70, 70, d, d}), {.causal = Causal::bottom_right}) < 1e-12);
  }
  CHECK(off(problem({2, 2, 2, 37, 41, 5, 19}), {}) < 1e-12);
  CHECK(off(problem({2, 2, 2, 37, 41, 24, 3}), {.softcap = 3}) < 1e-12);
}

TEST_CASE("every option alone and with the others", "[attention]") {
  Tensor slopes = tensor({0.5, 0.25, 0.125, 0.0625}, f64);
  for (auto [nq, nk] : {std::pair<int64_t, int64_t>{97, 97}, {33, 90}, {90, 33}}) {
    Problem p = problem({2, 4, 2, nq, nk, 12, 12});
    Tensor seen = normal({2, 1, nq, nk}, 9) > -0.5, keys = normal({2, 1, 1, nk}, 10) > 0,
           head = normal({4, nq, 1}, 11) > -1;
    INFO(nq << " queries, " << nk << " keys");
    for (Causal causal : {Causal::no, Causal::top_left, Causal::bottom_right}) {
      CHECK(off(p, {.causal = causal}) < 1e-12);
      CHECK(off(p, {.causal = causal, .left = 7}) < 1e-12);
      CHECK(off(p, {.causal = causal, .softcap = 2, .slopes = slopes}) < 1e-12);
      CHECK(off(p, {.causal = causal, .mask = seen}) < 1e-12);
      CHECK(off(p, {.causal = causal, .mask = keys, .dropout = 0.3}) < 1e-12);
      CHECK(off(p, {.causal = causal,
                    .left = 40,
                    .right = 3,
                    .scale = 0.7,
                    .softcap = 4,
                    .slopes = slopes,
                    .mask = head,
                    .dropout = 0.2}) < 1e-12);
    }
  }
  CHECK(off(problem({1, 6, 1, 50, 50, 8, 8}), {.causal = Causal::top_left}) < 1e-12);  // all heads read one
}

TEST_CASE("queries and keys of different numbers, aligned at the start or at the end", "[attention]") {
  std::vector<std::pair<int64_t, int64_t>> sizes{{113, 203}, {203, 113}, {1, 97}, {97, 1}};
  if (!on_device()) sizes.insert(sizes.end(), {{1023, 1024}, {512, 256}});
  for (auto [nq, nk] : sizes)
    for (Causal causal : {Causal::top_left, Causal::bottom_right}) {
      INFO(nq << " queries, " << nk << " keys");
      CHECK(off(problem({1, 1, 1, nq, nk, 4, 4}), {.causal = causal}) < 1e-12);
    }
  // the definition, pair by pair
  Problem p = problem({1, 1, 1, 3, 5, 4, 4});
  for (Causal causal : {Causal::top_left, Causal::bottom_right}) {
    int64_t shift = causal == Causal::top_left ? 0 : 2;
    Tensor by_mask = scaled_dot_product_attention(p.q, p.k, p.v, {.mask = tri(3, 5, shift)});
    CHECK(difference(scaled_dot_product_attention(p.q, p.k, p.v, {.causal = causal}), by_mask) < 1e-14);
  }
}

TEST_CASE("the formula itself is softmax(q k^T / sqrt d) v", "[attention]") {
  Problem p = problem({2, 3, 3, 9, 9, 5, 4});
  Tensor scores = matmul(p.q, transpose(p.k, -2, -1)) / std::sqrt(5.);
  Tensor plain = matmul(softmax(scores, -1), p.v), causal = matmul(causal_softmax(scores), p.v);
  for (AttentionAlgorithm a : {AttentionAlgorithm::flash, AttentionAlgorithm::naive}) {
    CHECK(difference(scaled_dot_product_attention(p.q, p.k, p.v, {.algorithm = a}), plain) < 1e-14);
    CHECK(difference(scaled_dot_product_attention(p.q, p.k, p.v, {.causal = Causal::top_left, .algorithm = a}),
                     causal) < 1e-14);
    auto [out, lse] = attention_with_lse(p.q, p.k, p.v, {.algorithm = a});
    CHECK(difference(lse, logsumexp(scores, -1)) < 1e-14);
  }
  Tensor alone = scaled_dot_product_attention(p.q.select(0, 1), p.k.select(0, 1), p.v.select(0, 1));
  CHECK(alone.shape() == Shape{3, 9, 4});
  CHECK(difference(alone, plain.select(0, 1)) < 1e-14);
}

TEST_CASE("views and strides: heads side by side in memory", "[attention]") {
  Tensor qkv = normal({2, 21, 3, 4, 8}, 1);  // [batch, time, q k v, heads, width]
  auto part = [&](int64_t i) { return permute(qkv.select(2, i), {0, 2, 1, 3}); };
  Problem views{part(0), part(1), part(2)}, copies{views.q.contiguous(), views.k.contiguous(), views.v.contiguous()};
  AttentionOptions causal{.causal = Causal::top_left};
  CHECK(equal(scaled_dot_product_attention(views.q, views.k, views.v, causal),
              scaled_dot_product_attention(copies.q, copies.k, copies.v, causal)));
  CHECK(off(views, causal) < 1e-12);
  Problem turned{transpose(normal({1, 1, 6, 17}, 2), 2, 3), views.k.slice(0, 0, 1).slice(1, 0, 1).slice(3, 0, 6),
                 views.v.slice(0, 0, 1).slice(1, 0, 1)};
  CHECK(off(turned, {}) < 1e-12);
}

TEST_CASE("block masks: none, all, some", "[attention]") {
  const int64_t n = 150;
  Tensor tiles = tensor({{2, 0, 1}, {1, 3, 0}, {0, 1, 2}}, i32);
  Tensor bits =
      stack({zeros({64, 64}, {boolean}), ones({64, 64}, {boolean}), normal({64, 64}, 1) > 0, normal({64, 64}, 2) > 1});
  BlockMask blocks{n, n, tiles, bits};
  Tensor dense = blocks.dense();
  CHECK(dense.shape() == Shape{n, n});
  CHECK(equal(dense.slice(0, 0, 64).slice(1, 0, 64), bits[2]));
  CHECK(equal(dense.slice(0, 64, 128).slice(1, 64, 128), bits[3]));
  CHECK(equal(dense.slice(0, 128, n).slice(1, 128, n), bits[2].slice(0, 0, n - 128).slice(1, 0, n - 128)));
  Problem p = problem({2, 2, 2, n, n, 8, 8});
  for (int64_t block : {0, 16, 48, 100}) {
    CHECK(off(p, {.blocks = blocks, .block_q = block, .block_k = block}) < 1e-12);
    CHECK(off(p, {.causal = Causal::top_left, .blocks = blocks, .block_q = block, .block_k = block}) < 1e-12);
  }
  CHECK(difference(scaled_dot_product_attention(p.q, p.k, p.v, {.blocks = blocks}),
                   scaled_dot_product_attention(p.q, p.k, p.v, {.mask = dense})) < 1e-14);
  BlockMask per_head{n, n, stack({tiles, tiles.t()}).unsqueeze(0), bits};
  CHECK(off(p, {.blocks = per_head}) < 1e-12);
}

TEST_CASE("large, equal and late scores are finite and exact", "[attention]") {
  Problem p = problem({1, 1, 1, 130, 130, 4, 4});
  for (double size : {1e2, 1e4}) CHECK(off({p.q * size, p.k, p.v}, {.scale = 1}) < 1e-9);
  Tensor mean_of_all = mean(p.v, {2}, true);
  CHECK(difference(scaled_dot_product_attention(zeros_like(p.q), p.k, p.v), expand(mean_of_all, p.v.shape())) < 1e-14);
  Tensor k = p.k.clone();
  k.select(2, 129).fill_(1e30);  // one score beyond all others, in the last block
  Tensor y = scaled_dot_product_attention(abs(p.q), k, p.v);
  CHECK(difference(y, expand(p.v.slice(2, 129, 130), p.v.shape())) < 1e-14);
  // a constant added to every score changes nothing: q . (k + c) with c along a dim that q holds fixed
  Tensor q = cat({p.q, ones({1, 1, 130, 1}, p.q.options())}, 3);
  auto with = [&](double c) {
    return scaled_dot_product_attention(q, cat({p.k, full({1, 1, 130, 1}, c, p.q.options())}, 3), p.v, {.scale = 0.5});
  };
  CHECK(difference(with(0), with(300)) < 1e-12);
}

TEST_CASE("a query that sees no key gives 0 and takes no gradient; hidden keys may hold anything", "[attention]") {
  for (AttentionAlgorithm a : {AttentionAlgorithm::flash, AttentionAlgorithm::naive})
    for (DType t : {f64, f32}) {
      Problem p = problem({1, 2, 2, 80, 70, 8, 8}, t);
      Tensor mask = ones({80, 70}, {boolean});
      mask.select(0, 3).fill_(false);
      mask.select(0, 79).fill_(false);
      mask.select(1, 7).fill_(false);
      mask.select(1, 69).fill_(false);
      TensorList in{p.q.clone(), p.k.clone(), p.v.clone()};
      for (double poison : {double(NAN), double(INFINITY)}) {
        in[1].select(2, 7).fill_(poison), in[2].select(2, 7).fill_(poison), in[2].select(2, 69).fill_(-poison);
        TensorList leaves{in[0].clone().requires_grad_(), in[1].clone().requires_grad_(),
                          in[2].clone().requires_grad_()};
        auto [out, lse] = attention_with_lse(leaves[0], leaves[1], leaves[2], {.mask = mask, .algorithm = a});
        CHECK(all(isfinite(out)).item<bool>());
        CHECK(equal(out.select(2, 3), zeros_like(out.select(2, 3))));
        CHECK(lse.select(2, 79).to_vector<double>() == std::vector<double>{-INFINITY, -INFINITY});
        for (const Tensor& g : gradients(sum(out * normal(out.shape(), 5, t)), leaves))
          CHECK(all(isfinite(g)).item<bool>());
      }
      Tensor q = p.q.detach().requires_grad_();
      Tensor g = grad(sum(square(scaled_dot_product_attention(q, p.k, p.v, {.mask = mask, .algorithm = a}))), q);
      CHECK(equal(g.select(2, 3), zeros_like(g.select(2, 3))));
    }
}

TEST_CASE("a later token that holds NaN or infinity spoils no earlier one, whatever hides it", "[attention]") {
  const int64_t n = 70, last = n - 1;
  const Tensor lower = tri(n, n);
  const BlockMask tiles{n, n, tensor({2, 0, 3, 4}, i32).reshape({2, 2}),
                        cat({zeros({1, 64, 64}, boolean), ones({1, 64, 64}, boolean), tri(64, 64).unsqueeze(0),
                             ones({1, 64, 64}, boolean), tri(64, 64).unsqueeze(0)})};
  const std::vector<AttentionOptions> hides{{.causal = Causal::top_left},
                                            {.causal = Causal::bottom_right, .softcap = 3},
                                            {.left = 9, .right = 0},
                                            {.mask = lower},
                                            {.blocks = tiles}};
  // The rows before the last one: the result, its log-sum-exp, and the gradients that reach their queries.
  auto earlier = [&](const Problem& p, const AttentionOptions& o, bool composed) {
    Tensor q = p.q.detach().requires_grad_();
    auto [out, lse] = attention_with_lse(q, p.k, p.v, o);
    Tensor y = slice(out, 2, 0, last), l = slice(lse, 2, 0, last);
    Tensor total = sum(y * normal(y.shape(), 5)) + sum(l * normal(l.shape(), 6));
    GradOptions options;
    options.create_graph = composed;
    return TensorList{y, l, slice(grad(std::span(&total, 1), std::span(&q, 1), {}, options)[0], 2, 0, last)};
  };
  for (AttentionAlgorithm a : {AttentionAlgorithm::flash, AttentionAlgorithm::naive})
    for (AttentionOptions o : hides)
      for (bool composed : {false, true})
        for (double poison : {double(NAN), double(INFINITY), -double(INFINITY)}) {
          INFO((a == AttentionAlgorithm::flash ? "flash" : "naive")
               << (composed ? ", composed" : "") << ", " << poison);
          o.algorithm = a;
          const Problem clean = problem({1, 4, 2, n, n, 8, 8});
          const TensorList right = earlier(clean, o, composed);
          for (bool of_key : {false, true}) {
            Problem p{clean.q, clean.k.clone(), clean.v.clone()};
            (of_key ? p.k : p.v).select(2, last).fill_(poison);
            const TensorList got = earlier(p, o, composed);
            for (size_t i = 0; i < got.size(); ++i) CHECK(difference(got[i], right[i]) < 1e-12);
          }
        }
}

TEST_CASE("lengths 0 and 1", "[attention]") {
  for (AttentionAlgorithm a : {AttentionAlgorithm::flash, AttentionAlgorithm::naive}) {
    Problem p = problem({2, 2, 2, 4, 4, 8, 8});
    auto cut = [](const Tensor& x, int64_t n) { return x.slice(2, 0, n); };
    CHECK(scaled_dot_product_attention(cut(p.q, 0), p.k, p.v, {.algorithm = a}).shape() == Shape{2, 2, 0, 8});
    TensorList in{p.q.detach().requires_grad_(), cut(p.k, 0).detach().requires_grad_(),
                  cut(p.v, 0).detach().requires_grad_()};
    Tensor y = scaled_dot_product_attention(in[0], in[1], in[2], {.algorithm = a});
    CHECK(equal(y, zeros({2, 2, 4, 8}, f64)));
    for (const Tensor& g : gradients(sum(y), in)) CHECK(count_nonzero(g).item<int64_t>() == 0);
    CHECK(difference(scaled_dot_product_attention(cut(p.q, 1), cut(p.k, 1), cut(p.v, 1), {.algorithm = a}),
                     cut(p.v, 1)) < 1e-15);
  }
}

TEST_CASE("gradients to second order, of out and of the log-sum-exp", "[attention][grad]") {
  Tensor slopes = tensor({0.5, 0.25}, f64);
  std::vector<AttentionOptions> all{{},
                                    {.causal = Causal::bottom_right},
                                    {.left = 1, .right = 1, .scale = 0.8, .slopes = slopes},
                                    {.softcap = 1.5, .mask = normal({3, 4}, 8) > -0.8}};
  for (const AttentionOptions& o : all) {
    auto f = [&](const TensorList& in) {
      auto [out, lse] = attention_with_lse(in[0], in[1], in[2], o);
      Tensor seen = isfinite(lse);
      return TensorList{out, where(seen, lse, zeros_like(lse))};
    };
    CHECK(check_twice(f, {normal({1, 2, 3, 2}, 1), normal({1, 1, 4, 2}, 2), normal({1, 1, 4, 3}, 3)}) == "");
  }
  auto dropped = [](const TensorList& in) {
    Generator g(3);
    return TensorList{scaled_dot_product_attention(in[0], in[1], in[2], {.dropout = 0.4, .generator = &g})};
  };
  CHECK(check_twice(dropped, {normal({1, 1, 3, 2}, 1), normal({1, 1, 4, 2}, 2), normal({1, 1, 4, 3}, 3)}) == "");
  auto fused = [](const TensorList& in) {
    return scaled_dot_product_attention(in[0], in[1], in[2], {.causal = Causal::top_left, .softcap = 5});
  };
  CHECK(paths_differ(fused, {normal({2, 4, 70, 8}, 1), normal({2, 2, 70, 8}, 2), normal({2, 2, 70, 8}, 3)}) < 1e-12);
}

TEST_CASE("the backward pass gives the same bits every time and on any number of threads", "[attention]") {
  Problem p = problem({1, 2, 1, 300, 300, 16, 16}, f32);
  auto run = [&] {
    TensorList in{p.q.detach().requires_grad_(), p.k.detach().requires_grad_(), p.v.detach().requires_grad_()};
    Tensor y = scaled_dot_product_attention(in[0], in[1], in[2], {.causal = Causal::top_left});
    TensorList all = gradients(sum(square(y)), in);
    all.push_back(y);
    return all;
  };
  TensorList first = run(), again = run();
  for (size_t i = 0; i < first.size(); ++i) CHECK(equal(first[i], again[i]));
}

TEST_CASE("dropout: the same mask for every block size, the wanted rate, drawn again in the backward pass",
          "[attention]") {
  Problem p = problem({2, 2, 2, 100, 90, 8, 8});
  auto run = [&](int64_t block) {
    Generator g(11);
    return scaled_dot_product_attention(p.q, p.k, p.v,
                                        {.dropout = 0.25, .generator = &g, .block_q = block, .block_k = block});
  };
  for (int64_t block : {1, 16, 64, 128}) CHECK(difference(run(block), run(0)) < 1e-13);
  // equal scores, values 1: out is the share that was kept over 1 - p
  Generator g(5);
  Tensor ones_v = ones({1, 4, 128, 1}, f64), zero = zeros({1, 4, 128, 4}, f64);
  Tensor kept = scaled_dot_product_attention(zero, zero, ones_v, {.dropout = 0.25, .generator = &g}) * 0.75;
  CHECK(std::abs(mean(kept).item() - 0.75) < 0.01);
  CHECK(equal(scaled_dot_product_attention(p.q, p.k, p.v, {.dropout = 1}), zeros({2, 2, 100, 8}, f64)));
}

TEST_CASE("f32 and halves are as close to the f64 result as a plain computation in f32 is", "[attention]") {
  Problem p = problem({2, 2, 2, 130, 130, 32, 32});
  AttentionOptions o{.causal = Causal::top_left};
  Tensor exact = scaled_dot_product_attention(p.q, p.k, p.v, naive(o));
  auto in = [&](DType t, const AttentionOptions& o) {
    return difference(to(scaled_dot_product_attention(to(p.q, t), to(p.k, t), to(p.v, t), o), f64), exact);
  };
  CHECK(in(f32, o) <= 2 * in(f32, naive(o)));
  for (DType t : {f16, bf16}) {
    CHECK(in(t, o) <= 2 * in(t, naive(o)) + 1e-12);
    CHECK(scaled_dot_product_attention(to(p.q, t), to(p.k, t), to(p.v, t), o).dtype() == t);
  }
}

TEST_CASE("parts over disjoint keys merge to the whole, in any split and order", "[attention][merge]") {
  Problem p = problem({1, 2, 2, 9, 40, 8, 8});
  auto [whole, whole_lse] = attention_with_lse(p.q, p.k, p.v);
  auto part = [&](int64_t a, int64_t b) { return attention_with_lse(p.q, p.k.slice(2, a, b), p.v.slice(2, a, b)); };
  for (auto [a, b] : {std::pair<int64_t, int64_t>{1, 2}, {7, 31}, {0, 40}, {13, 13}}) {
    auto [o1, l1] = part(0, a);
    auto [o2, l2] = part(a, b);
    auto [o3, l3] = part(b, 40);
    auto [left, left_lse] = merge_attention(o1, l1, o2, l2);
    auto [x, x_lse] = merge_attention(left, left_lse, o3, l3);
    auto [right, right_lse] = merge_attention(o3, l3, o2, l2);
    auto [y, y_lse] = merge_attention(right, right_lse, o1, l1);
    CHECK(difference(x, whole) < 1e-12);
    CHECK(difference(y, whole) < 1e-12);
    CHECK(difference(x_lse, whole_lse) < 1e-12);
    CHECK(difference(y_lse, whole_lse) < 1e-12);
  }
  auto [none, none_lse] = part(3, 3);
  auto [same, same_lse] = merge_attention(none, none_lse, whole, whole_lse);
  CHECK(difference(same, whole) < 1e-15);
  auto [nothing, nothing_lse] = merge_attention(none, none_lse, none, none_lse);
  CHECK(equal(nothing, zeros_like(nothing)));
  CHECK(all(isinf(nothing_lse)).item<bool>());
  auto merged = [](const TensorList& in) {  // gradients pass through both results of both parts
    auto [o1, l1] = attention_with_lse(in[0], in[1].slice(2, 0, 2), in[2].slice(2, 0, 2));
    auto [o2, l2] = attention_with_lse(in[0], in[1].slice(2, 2, 5), in[2].slice(2, 2, 5));
    return TensorList{std::get<0>(merge_attention(o1, l1, o2, l2))};
  };
  CHECK(check_twice(merged, {normal({1, 1, 2, 3}, 1), normal({1, 1, 5, 3}, 2), normal({1, 1, 5, 2}, 3)}) == "");
}

TEST_CASE("memory beside inputs and outputs grows with n, not with n^2", "[attention][memory]") {
  auto peak = [](int64_t n, AttentionAlgorithm a) {
    Problem p = problem({1, 1, 1, n, n, 16, 16}, f32);
    TensorList in{p.q.requires_grad_(), p.k.requires_grad_(), p.v.requires_grad_()};
    cpu_allocator().reset_peak();
    const int64_t before = memory_stats().live;
    Tensor y = scaled_dot_product_attention(in[0], in[1], in[2], {.causal = Causal::top_left, .algorithm = a});
    gradients(sum(y), in);
    return double(memory_stats().peak - before);
  };
  if (on_device()) return;  // counted on the CPU
  peak(256, AttentionAlgorithm::flash);
  CHECK(peak(2048, AttentionAlgorithm::flash) / peak(1024, AttentionAlgorithm::flash) < 2.2);
  CHECK(peak(1024, AttentionAlgorithm::naive) / peak(512, AttentionAlgorithm::naive) > 3.5);
  CHECK(peak(2048, AttentionAlgorithm::naive) > 10 * peak(2048, AttentionAlgorithm::flash));
}

TEST_CASE("wrong input is refused by name", "[attention][errors]") {
  Problem p = problem({1, 4, 2, 6, 6, 8, 8});
  auto run = [&](const AttentionOptions& o) { return scaled_dot_product_attention(p.q, p.k, p.v, o); };
  CHECK_THROWS_WITH(scaled_dot_product_attention(p.q, repeat(p.k.slice(1, 0, 1), {1, 3, 1, 1}),
                                                 repeat(p.v.slice(1, 0, 1), {1, 3, 1, 1})),
                    contains("the query heads cannot be shared out among the key heads; got 4 and 3"));
  CHECK_THROWS_WITH(scaled_dot_product_attention(p.q.slice(3, 0, 4), p.k, p.v),
                    contains("queries and keys differ in width"));
  CHECK_THROWS_WITH(scaled_dot_product_attention(p.q, p.k, p.v.slice(2, 0, 3)),
                    contains("keys and values do not belong together"));
  CHECK_THROWS_WITH(scaled_dot_product_attention(p.q.to(f32), p.k, p.v),
                    contains("one floating point dtype; got f32, f64 and f64"));
  CHECK_THROWS_WITH(run({.left = -1}), contains("a window cannot be negative; got left -1, right 0"));
  CHECK_THROWS_WITH(run({.softcap = -2}), contains("softcap must not be negative; got -2"));
  CHECK_THROWS_WITH(run({.mask = ones({5, 6}, {boolean})}),
                    contains("the mask does not broadcast to [batch, heads, queries, keys]"));
  CHECK_THROWS_WITH(run({.mask = zeros({6, 6}, f64)}), contains("the mask must be bool; got f64"));
  CHECK_THROWS_WITH(run({.slopes = ones({3}, f64)}),
                    contains("slopes must be one number per head; got f64 [3]; expected [4]"));
  CHECK_THROWS_WITH(run({.dropout = 1.5}), contains("dropout must lie in [0, 1]"));
  CHECK_THROWS_WITH(run({.blocks = {5, 6, zeros({1, 1}, {i32}), zeros({1, 64, 64}, {boolean})}}),
                    contains("the block mask is of another size; got [5, 6]; expected [6, 6]"));
  CHECK_THROWS_WITH(scaled_dot_product_attention(zeros({3}), zeros({3}), zeros({3})),
                    contains("wrong number of dims; got [3]"));
}
