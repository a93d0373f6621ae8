// Within BatchInvariant a row's result has the same bits whatever is computed with it: products, attention, and the ops
// that promise it without a guard.
#include "tensor/batch_invariant.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "autograd/attention.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

bool on_device() { return default_device().is_cuda(); }
constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

bool same_bits(const Tensor& x, const Tensor& y) {
  if (!(x.shape() == y.shape()) || x.dtype() != y.dtype()) return false;
  Tensor a = x.detach().to(Device::cpu()).contiguous(), b = y.detach().to(Device::cpu()).contiguous();
  return std::memcmp(a.raw_data(), b.raw_data(), size_t(a.nbytes())) == 0;
}
Tensor rows(const Tensor& x, int64_t first, int64_t count) { return x.slice(0, first, first + count); }

// Sets the number of threads for a scope.
struct Threads {
  int before = num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};

std::vector<int64_t> row_counts() {
  if (on_device()) return {1, 2, 3, 5, 33};
  return {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 63, 64, 65, 200};
}
struct Size {
  int64_t n, k;
};
std::vector<Size> sizes() {
  if (on_device()) return {{1, 1}, {7, 5}, {33, 18}};
  return {{1, 1},    {5, 1},     {1, 64},    {7, 5},     {24, 16},  {31, 33},
          {50, 131}, {103, 250}, {128, 128}, {384, 128}, {9, 2000}, {400, 270}};
}

// f of the first rows of x, and of rows from the middle, against f of each row alone. f takes [m, k].
template <class F> std::string depends(F f, const Tensor& x) {
  const int64_t most = x.size(0);
  TensorList alone;
  for (int64_t i = 0; i < most; ++i) alone.push_back(f(rows(x, i, 1)));
  const Tensor expected = cat(alone, 0);
  std::string wrong;
  for (int64_t m : row_counts())
    for (int64_t first : {int64_t(0), std::min<int64_t>(3, most - m)})
      if (!same_bits(f(rows(x, first, m)), rows(expected, first, m)))
        wrong += std::to_string(m) + " rows from " + std::to_string(first) + "; ";
  return wrong;
}

}  // namespace

TEST_CASE("the guard holds in its scope and on its thread, and nests", "[batch_invariant]") {
  CHECK(!batch_invariant());
  {
    BatchInvariant outer;
    CHECK(batch_invariant());
    {
      BatchInvariant inner;
      CHECK(batch_invariant());
    }
    CHECK(batch_invariant());
    bool there = true;
    std::thread([&] { there = batch_invariant(); }).join();
    CHECK(!there);
  }
  CHECK(!batch_invariant());
}

TEST_CASE("rows of a product are the rows alone, in both layouts and all dtypes", "[batch_invariant]") {
  BatchInvariant guard;
  const int64_t most = row_counts().back();
  for (int threads : on_device() ? std::vector<int>{1} : std::vector<int>{1, 2}) {
    Threads scope(threads);
    for (DType t : {f32, f64, bf16, f16})
      for (auto [n, k] : sizes()) {
        if (is_half(t) && n * k > (on_device() ? 40 : 20000)) continue;  // they go the way of f32
        CAPTURE(threads, name_of(t), n, k);
        Tensor x = normal({most, k}, 1, t), weight = normal({n, k}, 2, t), bias = normal({n}, 3, t);
        CHECK(depends([&](const Tensor& x) { return linear(x, weight, bias); }, x) == "");
        CHECK(depends([&](const Tensor& x) { return matmul(x, weight.t()); }, x) == "");
        const Tensor by_rows = weight.t().contiguous();
        CHECK(depends([&](const Tensor& x) { return matmul(x, by_rows); }, x) == "");
        CHECK(depends([&](const Tensor& x) { return addmm(bias, x, by_rows, 0.5, 2); }, x) == "");
      }
  }
}

TEST_CASE("neither a batch, nor threads, nor the left factor's layout change a bit of a product", "[batch_invariant]") {
  BatchInvariant guard;
  const Size s = on_device() ? Size{9, 10} : Size{96, 200};
  const int64_t m = on_device() ? 5 : 77;
  Tensor x = normal({3, m, s.k}, 1, f32), weight = normal({s.n, s.k}, 2, f32), many = normal({3, s.k, s.n}, 3, f32);
  for (const Tensor& b : {weight.t(), weight.t().contiguous()}) {
    Tensor y = matmul(x, b), turned = x.transpose(-2, -1).contiguous().transpose(-2, -1);
    for (int64_t i = 0; i < 3; ++i) CHECK(same_bits(y[i], matmul(x[i], b)));
    CHECK(same_bits(y, matmul(turned, b)));
    CHECK(same_bits(y[1], matmul(turned[1], b)));
  }
  for (int64_t i = 0; i < 3; ++i) CHECK(same_bits(matmul(x, many)[i], matmul(x[i], many[i])));
  const Tensor one = x[0].clone();
  for (const Tensor& b : {many, transpose(transpose(many, 1, 2).contiguous(), 1, 2)}) {
    const Tensor expected = matmul(one, b);
    for (int threads : {1, 2, 3}) {
      Threads scope(threads);
      CHECK(same_bits(matmul(one, b), expected));
    }
  }
}

TEST_CASE("a product within the guard is right", "[batch_invariant]") {
  for (DType t : {f32, f64})
    for (auto [n, k] : sizes())
      for (int64_t m : on_device() ? std::vector<int64_t>{4} : std::vector<int64_t>{1, 2, 3, 4, 70}) {
        Tensor x = normal({m, k}, 1, t), w = normal({n, k}, 2, t), b = normal({n}, 3, t), c = normal({m, n}, 4, t);
        Tensor wide = matmul(to(x, f64), to(w, f64).t()), size = matmul(abs(to(x, f64)), abs(to(w, f64)).t());
        const double unit = t == f32 ? 0x1p-24 : 0x1p-52;
        const auto off = [&](const Tensor& got, const Tensor& expected) {  // in roundings of the sums' terms
          return max(abs(to(got, f64) - expected) / (size + abs(expected) + 1)).item() / unit;
        };
        CAPTURE(name_of(t), n, k, m);
        BatchInvariant guard;
        const double most = 4 + double(k) / 4;
        CHECK(off(linear(x, w), wide) < most);
        CHECK(off(linear(x, w, b), wide + to(b, f64)) < most);
        CHECK(off(matmul(x, w.t().contiguous()), wide) < most);
        CHECK(off(addmm(c, x, w.t(), 0.5, -2), wide * -2 + to(c, f64) * 0.5) < most * 2);
      }
}

TEST_CASE("a device sums from the first product to the last, by a kernel of its own", "[batch_invariant]") {
  if (!on_device()) return;
  const int64_t m = 3, n = 5, k = 40;
  const Tensor x = normal({m, k}, 1, f32), w = normal({n, k}, 2, f32);
  std::vector<double> expected;
  const Values a = values(x), b = values(w);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += float(a[size_t(i * k + p)]) * float(b[size_t(j * k + p)]);
      expected.push_back(sum);
    }
  BatchInvariant guard;
  CHECK(values(linear(x, w)) == expected);
}

TEST_CASE("products of nothing, and what a row of NaN touches", "[batch_invariant]") {
  BatchInvariant guard;
  CHECK(values(matmul(ones({2, 0}), ones({0, 3}))) == Values(6, 0));
  CHECK(values(linear(ones({2, 0}), ones({3, 0}), full({3}, 5))) == Values(6, 5));
  CHECK(values(addmm(ones({2, 3}), ones({2, 0}), ones({0, 3}), 3)) == Values(6, 3));
  CHECK(matmul(ones({0, 2}), ones({2, 3})).shape() == Shape{0, 3});
  CHECK(values(matmul(full({1, 2}, 3, i64), full({2, 1}, 4, i64))) == Values{24});
  for (bool by_rows : {false, true})
    for (double poison : {kNaN, kInfinity}) {
      Tensor x = normal({7, 20}, 1, f32), w = normal({20, 30}, 2, f32);
      if (!by_rows) w = w.t().contiguous().t();
      const Tensor clean = matmul(x, w);
      for (int64_t r : {0, 3, 6}) x[r].fill_(poison);
      const Tensor y = matmul(x, w);
      for (int64_t r : {1, 2, 4, 5}) CHECK(same_bits(y[r], clean[r]));
      for (int64_t r : {0, 3, 6}) CHECK(!any(isfinite(y[r])).item<bool>());
    }
}

namespace {

struct Shapes {
  int64_t batch, heads, kv_heads, nq, nk, d, dv;
};
struct Problem {
  Tensor q, k, v;
};
Problem problem(const Shapes& s, DType t) {
  return {normal({s.batch, s.heads, s.nq, s.d}, 1, t), normal({s.batch, s.kv_heads, s.nk, s.d}, 2, t),
          normal({s.batch, s.kv_heads, s.nk, s.dv}, 3, t)};
}
std::vector<Shapes> attention_shapes() {
  if (on_device()) return {{1, 2, 1, 3, 37, 5, 6}, {1, 1, 1, 1, 4, 8, 130}};
  return {{2, 4, 2, 9, 70, 32, 32}, {1, 3, 1, 5, 33, 7, 19}, {1, 2, 2, 70, 130, 64, 80}, {2, 1, 1, 1, 1, 1, 1}};
}
// Columns at random, the last one among them.
std::vector<int64_t> some_columns(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int64_t> columns;
  for (int64_t j = 0; j + 1 < n; ++j)
    if (random() % 3) columns.push_back(j);
  columns.push_back(n - 1);
  return columns;
}
Tensor at_columns(const Tensor& x, const std::vector<int64_t>& columns) {
  return index_select(x, 2, from_data(std::span<const int64_t>(columns), {int64_t(columns.size())}));
}

}  // namespace

TEST_CASE("a query of attention sees the keys it may see and nothing else", "[batch_invariant]") {
  BatchInvariant guard;
  for (const Shapes& s : attention_shapes())
    for (DType t : {f32, f64, bf16})
      for (unsigned seed : {1u, 2u}) {
        CAPTURE(name_of(t), s.nq, s.nk, s.d, seed);
        const Problem p = problem(s, t);
        const auto columns = some_columns(s.nk, seed);
        // the rows that are seen, side by side
        const auto [expected, lse] = attention_with_lse(p.q, at_columns(p.k, columns), at_columns(p.v, columns));
        // the same among others that are hidden, which hold NaN and infinities
        std::vector<double> seen(size_t(s.nk), 0), poison(size_t(s.nk), 0);
        for (int64_t j : columns) seen[size_t(j)] = 1;
        for (size_t j = 0; j < seen.size(); ++j) poison[j] = seen[j] ? 0 : j % 2 ? kNaN : kInfinity;
        const Tensor mask = from_data(std::span<const double>(seen), {s.nk}) > 0,
                     bad = to(from_data(std::span<const double>(poison), {s.nk, 1}), t);
        const auto [y, l] = attention_with_lse(p.q, p.k + bad, p.v + bad, {.mask = mask});
        CHECK(same_bits(y, expected));
        CHECK(same_bits(l, lse));
        // one query, one head, one batch entry at a time; other block sizes; a mask with all its dims
        for (int64_t i = 0; i < s.nq; i += 1 + s.nq / 4)
          CHECK(same_bits(scaled_dot_product_attention(p.q.slice(2, i, i + 1), p.k, p.v, {.mask = mask}),
                          expected.slice(2, i, i + 1)));
        const int64_t h = s.heads - 1, kv = s.kv_heads - 1;
        CHECK(
            same_bits(scaled_dot_product_attention(p.q[0][h], p.k[0][kv], p.v[0][kv], {.mask = mask}), expected[0][h]));
        CHECK(same_bits(scaled_dot_product_attention(p.q, p.k, p.v,
                                                     {.mask = mask.expand({s.batch, s.heads, s.nq, s.nk}).contiguous(),
                                                      .block_q = 2,
                                                      .block_k = 3}),
                        expected));
        Threads scope(2);
        CHECK(same_bits(scaled_dot_product_attention(p.q, p.k, p.v, {.mask = mask}), expected));
      }
}

TEST_CASE("a tree of candidates gives the bits of its branches", "[batch_invariant]") {
  BatchInvariant guard;
  // Columns 0 .. 9 are the prefix; 10, 11, .. the nodes of a tree. Node i sees the prefix and its path from the root.
  const std::vector<int64_t> parent = {-1, 0, 0, 1, 2, 2, 4};
  const int64_t prefix = 10, nodes = int64_t(parent.size()), all = prefix + nodes;
  const Problem p = problem({1, 4, 2, nodes, all, 16, 16}, f32);
  std::vector<double> seen(size_t(nodes * all), 0);
  std::vector<std::vector<int64_t>> paths;
  for (int64_t i = 0; i < nodes; ++i) {
    std::vector<int64_t> path;
    for (int64_t j = i; j >= 0; j = parent[size_t(j)]) path.insert(path.begin(), prefix + j);
    for (int64_t j = prefix; j-- > 0;) path.insert(path.begin(), j);
    for (int64_t j : path) seen[size_t(i * all + j)] = 1;
    paths.push_back(path);
  }
  const AttentionOptions by_mask{.softcap = 20, .mask = from_data(std::span<const double>(seen), {nodes, all}) > 0};
  const Tensor y = scaled_dot_product_attention(p.q, p.k, p.v, by_mask);
  for (int64_t i = 0; i < nodes; ++i) {  // as in a step of decoding: one query after the keys of its path
    const Tensor q = p.q.slice(2, i, i + 1), k = at_columns(p.k, paths[size_t(i)]),
                 v = at_columns(p.v, paths[size_t(i)]);
    const Tensor step = scaled_dot_product_attention(q, k, v, {.causal = Causal::bottom_right, .softcap = 20});
    CHECK(same_bits(y.slice(2, i, i + 1), step));
  }
}

TEST_CASE("attention within the guard is that of the tiles, to rounding", "[batch_invariant]") {
  const auto options = [&](const Shapes& s) {
    Tensor slopes = to(arange(1, double(s.heads) + 1), f64) * 0.1, mask = normal({s.batch, 1, s.nq, s.nk}, 9) > -0.5;
    return std::vector<AttentionOptions>{{},
                                         {.causal = Causal::top_left},
                                         {.causal = Causal::bottom_right, .left = 7},
                                         {.left = 2, .right = 1, .scale = 0.3, .softcap = 2},
                                         {.causal = Causal::bottom_right, .slopes = slopes},
                                         {.mask = mask},
                                         {.causal = Causal::top_left, .softcap = 1.5, .mask = mask}};
  };
  for (const Shapes& s : attention_shapes())
    for (DType t : {f32, f64})
      for (const AttentionOptions& o : options(s)) {
        const Problem p = problem(s, t);
        const auto [expected, expected_lse] = attention_with_lse(p.q, p.k, p.v, o);
        BatchInvariant guard;
        const auto [y, lse] = attention_with_lse(p.q, p.k, p.v, o);
        CHECK(difference(y, expected) < (t == f32 ? 2e-6 : 1e-14));
        const Tensor nothing = isinf(expected_lse), zero = zeros_like(lse);
        CHECK(same_bits(isinf(lse), nothing));
        CHECK(difference(where(nothing, zero, lse), where(nothing, zero, expected_lse)) < (t == f32 ? 2e-6 : 1e-14));
      }
}

TEST_CASE("gradients flow within the guard as without it", "[batch_invariant]") {
  const Problem p = problem({1, 2, 1, 5, 9, 4, 6}, f64);
  const Tensor weight = normal({3, 6}, 7);
  const auto gradients = [&] {
    TensorList in{p.q.detach(), p.k.detach(), p.v.detach(), weight.detach()};
    for (Tensor& t : in) t.requires_grad_();
    const auto [o, lse] = attention_with_lse(in[0], in[1], in[2], {.causal = Causal::bottom_right, .softcap = 3});
    Tensor total = sum(square(linear(o, in[3]))) + sum(square(lse));
    return grad(std::span(&total, 1), in);
  };
  const auto expected = gradients();
  BatchInvariant guard;
  const auto got = gradients();
  for (size_t i = 0; i < expected.size(); ++i) CHECK(difference(got[i], expected[i]) < 1e-13);
}

TEST_CASE("block masks, rows that see nothing, and what is refused within the guard", "[batch_invariant]") {
  const Problem p = problem({1, 2, 1, 3, 70, 4, 5}, f64);
  BlockMask blocks{.nq = 3,
                   .nk = 70,
                   .tiles = to(2 - arange(0, 2), i32).reshape({1, 2}),
                   .bits = stack({zeros({64, 64}), ones({64, 64}), normal({64, 64}, 5, f32)}) > 0};
  const Tensor tiled = scaled_dot_product_attention(p.q, p.k, p.v, {.blocks = blocks});
  BatchInvariant guard;
  CHECK(difference(scaled_dot_product_attention(p.q, p.k, p.v, {.blocks = blocks}), tiled) < 1e-14);
  CHECK(same_bits(scaled_dot_product_attention(p.q, p.k, p.v, {.blocks = blocks}),
                  scaled_dot_product_attention(p.q, p.k, p.v, {.mask = blocks.dense()})));
  const auto [none, lse] = attention_with_lse(p.q, p.k, p.v, {.mask = zeros({70}) > 0});
  CHECK(values(none) == Values(30, 0));
  CHECK(values(lse) == Values(6, -kInfinity));
  CHECK(values(scaled_dot_product_attention(p.q, p.k.slice(2, 0, 0), p.v.slice(2, 0, 0))) == Values(30, 0));
  CHECK_THROWS_AS(scaled_dot_product_attention(p.q, p.k, p.v, {.dropout = 0.1}), NotSupported);
  CHECK_THROWS_AS(scaled_dot_product_attention(p.q, p.k, p.v, {.algorithm = AttentionAlgorithm::naive}), NotSupported);
}

TEST_CASE("norms, softmax, formulas and embeddings work row by row without a guard", "[batch_invariant]") {
  for (int64_t n :
       on_device() ? std::vector<int64_t>{5, 40} : std::vector<int64_t>{1, 3, 8, 17, 64, 100, 128, 257, 768})
    for (DType t : {f32, f64, bf16}) {
      CAPTURE(n, name_of(t));
      Tensor x = normal({row_counts().back(), n}, 1, t) * 3, w = normal({n}, 2, t), b = normal({n}, 3, t);
      Tensor table = normal({50, n}, 4, t), places = whole({x.size(0), 1}, 50, 5);
      CHECK(depends([&](const Tensor& x) { return layer_norm(x, w, b); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return rms_norm(x, w); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return softmax(x, -1); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return log_softmax(x, -1); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return gelu(x); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return gelu(x, GeluForm::tanh); }, x) == "");
      CHECK(depends([&](const Tensor& x) { return silu(x) * x + w; }, x) == "");
      CHECK(depends([&](const Tensor& i) { return embedding(table, i); }, places) == "");
    }
}
