#include "nn/attention/mask.h"

#include <functional>
#include <numeric>

#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using Seen = std::function<bool(int64_t i, int64_t j)>;

// The mask against its definition, pair by pair; "" or the first pair that differs.
std::string differs(const AttentionMask& mask, int64_t nq, int64_t nk, const Seen& seen) {
  const std::vector<int64_t> got = mask.dense(nq, nk).to_vector<int64_t>();
  for (int64_t i = 0; i < nq; ++i)
    for (int64_t j = 0; j < nk; ++j)
      if (got[size_t(i * nk + j)] != int64_t(seen(i, j)))
        return "query " + std::to_string(i) + ", key " + std::to_string(j) + " of " + std::to_string(nq) + " x " +
               std::to_string(nk);
  return "";
}
int64_t pairs(const AttentionMask& mask, int64_t n) { return count_nonzero(mask.dense(n, n)).item<int64_t>(); }
Tensor indices(std::initializer_list<int64_t> list) {
  return from_data(std::span<const int64_t>(list.begin(), list.size()), {int64_t(list.size())});
}

const std::vector<int64_t> kDocument{0, 0, 0, 2, 2, 1, 1, 1, 0, 5, 5, 5, 5};
const std::vector<int64_t> kParent{-1, 0, 0, 1, 1, 2, 3, -1, 7, 8, 8, 4, 6};

}  // namespace

TEST_CASE("masks are their definitions, pair by pair", "[mask]") {
  for (auto [nq, nk] : {std::pair<int64_t, int64_t>{13, 13}, {9, 12}, {12, 9}, {1, 13}, {1, 1}, {5, 0}, {0, 5}}) {
    INFO(nq << " x " << nk);
    CHECK(differs(masks::all(), nq, nk, [](int64_t, int64_t) { return true; }) == "");
    CHECK(differs(masks::causal(), nq, nk, [](int64_t i, int64_t j) { return j <= i; }) == "");
    CHECK(differs(masks::causal(Causal::bottom_right), nq, nk,
                  [d = nk - nq](int64_t i, int64_t j) { return j <= i + d; }) == "");
    CHECK(differs(masks::causal(Causal::no), nq, nk, [](int64_t, int64_t) { return true; }) == "");
    CHECK(differs(masks::window(2, 4), nq, nk, [](int64_t i, int64_t j) { return i - 2 <= j && j <= i + 4; }) == "");
    CHECK(differs(masks::local(3), nq, nk, [](int64_t i, int64_t j) { return std::abs(i - j) <= 3; }) == "");
    CHECK(differs(masks::atrous(4), nq, nk, [](int64_t i, int64_t j) { return (i - j) % 4 == 0; }) == "");
    CHECK(differs(masks::strided(4), nq, nk,
                  [](int64_t i, int64_t j) { return j <= i && (i - j <= 4 || (i - j) % 4 == 0); }) == "");
    CHECK(differs(masks::fixed(4, 2), nq, nk,
                  [](int64_t i, int64_t j) { return j <= i && (i / 4 == j / 4 || j % 4 >= 2); }) == "");
    CHECK(differs(masks::prefix(5), nq, nk, [](int64_t, int64_t j) { return j < 5; }) == "");
    CHECK(differs(masks::document(kDocument), nq, nk,
                  [](int64_t i, int64_t j) { return kDocument[size_t(i)] == kDocument[size_t(j)]; }) == "");
    CHECK(differs(masks::tree(kParent), nq, nk, [](int64_t i, int64_t j) {
            for (int64_t p = i; p != -1; p = kParent[size_t(p)])
              if (p == j) return true;
            return false;
          }) == "");
    CHECK(differs(masks::global({7, 0, 7, 40}), nq, nk,
                  [](int64_t i, int64_t j) { return i == 0 || i == 7 || j == 0 || j == 7; }) == "");
  }
}

TEST_CASE("n = 8, k = 3: atrous shows 22 pairs, local 44", "[mask]") {
  CHECK(pairs(masks::atrous(3), 8) == 22);
  CHECK(pairs(masks::local(3), 8) == 44);
  CHECK(masks::local(3).density(8, 8) == Approx(44. / 64));
  CHECK(masks::local(3).density(8, 0) == 0);
  // Child et al. 2019: A1 = {max(0, i - l), ..., i} has l + 1 keys.
  CHECK(count_nonzero(masks::strided(4).dense(13, 13)[12]).item<int64_t>() == 5 + 2);
}

TEST_CASE("rules combine as sets do", "[mask]") {
  Seen a = [](int64_t i, int64_t j) { return (i - j) % 3 == 0; }, b = [](int64_t i, int64_t j) { return j < i / 2; };
  AttentionMask ma = masks::rule(a), mb = masks::rule(b);
  CHECK(differs(ma & mb, 11, 9, [&](int64_t i, int64_t j) { return a(i, j) && b(i, j); }) == "");
  CHECK(differs(ma | mb, 11, 9, [&](int64_t i, int64_t j) { return a(i, j) || b(i, j); }) == "");
  CHECK(differs(!ma, 11, 9, [&](int64_t i, int64_t j) { return !a(i, j); }) == "");
  CHECK(differs(masks::causal() & (ma | !mb), 11, 9,
                [&](int64_t i, int64_t j) { return j <= i && (a(i, j) || !b(i, j)); }) == "");
  CHECK(ma(6, 3, 11, 9));
  CHECK_FALSE(ma(6, 4, 11, 9));
}

TEST_CASE("two layers: a local one and an atrous one join every pair", "[mask]") {
  const int64_t n = 40;
  for (auto [first, second] : {std::pair{masks::local(6), masks::atrous(7)}, {masks::atrous(7), masks::local(6)}})
    CHECK(all(two_layer_reach(first, second, n)).item<bool>());
  // 0 .. 5 keys to the right of the first query: remainder 6 is not among them.
  CHECK_FALSE(two_layer_reach(masks::atrous(7), masks::local(5), n)[0][6 + 7].item<bool>());
  // Away from the edges a window of 3 to either side holds all 7 remainders, one of 2 does not.
  auto inner = [&](int64_t w) { return slice(two_layer_reach(masks::atrous(7), masks::local(w), n), 0, w, n - w); };
  CHECK(all(inner(3)).item<bool>());
  CHECK_FALSE(all(inner(2)).item<bool>());
  CHECK_FALSE(all(two_layer_reach(masks::local(6), masks::local(6), n)).item<bool>());
  // The order of layers matters: first the summaries, then the own block, is not first the own block, then the
  // summaries.
  AttentionMask own = masks::rule([](int64_t i, int64_t j) { return j <= i && i / 4 == j / 4; });
  AttentionMask ends = masks::rule([](int64_t i, int64_t j) { return j <= i && j % 4 == 3; });
  CHECK(all(two_layer_reach(own, own | ends, n) | !masks::causal().dense(n, n)).item<bool>());
  CHECK_FALSE(all(two_layer_reach(ends, own, n) | !masks::causal().dense(n, n)).item<bool>());
}

TEST_CASE("blocks are the mask, for sizes that 64 does not divide and any order", "[mask]") {
  const AttentionMask mask = masks::causal(Causal::bottom_right) & (masks::local(20) | masks::atrous(7));
  for (auto [nq, nk] :
       {std::pair<int64_t, int64_t>{1, 1}, {64, 64}, {65, 130}, {130, 63}, {200, 200}, {3, 0}, {0, 3}}) {
    INFO(nq << " x " << nk);
    BlockMask b = mask.blocks(nq, nk);
    CHECK(equal(b.dense(), mask.dense(nq, nk)));
    CHECK(b.tiles.shape() == Shape{(nq + 63) / 64, (nk + 63) / 64});
    Tensor rows = argsort(normal({nq}, 1)), cols = argsort(normal({nk}, 2));
    Tensor sorted = index_select(index_select(mask.dense(nq, nk), 0, rows), 1, cols);
    CHECK(equal(mask.blocks(nq, nk, rows, cols).dense(), sorted));
    CHECK(equal(mask.blocks(nq, nk, rows).dense(), index_select(mask.dense(nq, nk), 0, rows)));
    if (nq > 2 && nk > 2) {  // some of them only
      Tensor few = slice(cols, 0, 0, nk / 2);
      CHECK(equal(mask.blocks(nq, nk, {}, few).dense(), index_select(mask.dense(nq, nk), 1, few)));
    }
  }
}

TEST_CASE("tiles are skipped, whole or partly seen, and equal ones are stored once", "[mask]") {
  const int64_t n = 640;
  BlockMask causal = masks::causal().blocks(n, n);
  TileCount count = count_tiles(causal);
  CHECK(count.empty == Approx(.45));
  CHECK(count.full == Approx(.45));
  CHECK(count.partial == Approx(.1));
  CHECK(causal.bits.size(0) == 3);  // none, all, the diagonal
  CHECK(equal(causal.bits[2], tri(64, 64)));
  // A tile whose part within the mask is all seen is full, however little that is.
  CHECK(count_tiles(masks::all().blocks(65, 70)).full == Approx(1));
  CHECK(count_tiles((!masks::all()).blocks(65, 70)).empty == Approx(1));
  CHECK((!masks::all()).blocks(65, 70).bits.size(0) == 2);
  // Sorted by the remainder, what an atrous mask shows are blocks on the diagonal.
  Tensor order = argsort(remainder(arange(n), 10));
  CHECK(count_tiles(masks::atrous(10).blocks(n, n)).partial == Approx(1));
  CHECK(count_tiles(masks::atrous(10).blocks(n, n, order, order)).full == Approx(.1));
  CHECK(count_tiles(masks::atrous(10).blocks(n, n, order, order)).partial == 0);
}

TEST_CASE("attention takes a mask by tiles as it takes it whole", "[mask]") {
  const int64_t n = 70;
  Tensor q = normal({1, 2, n, 4}, 1), k = normal({1, 2, n, 4}, 2), v = normal({1, 2, n, 4}, 3);
  std::vector<int64_t> document(size_t(n), 1);
  std::fill(document.begin(), document.begin() + 30, 0);
  AttentionMask mask = masks::causal() & masks::document(document) & !masks::prefix(2);  // queries 0 and 1 see nothing
  Tensor by_tiles = scaled_dot_product_attention(q, k, v, {.blocks = mask.blocks(n, n)});
  Tensor whole = scaled_dot_product_attention(q, k, v, {.mask = mask.dense(n, n)});
  CHECK(difference(by_tiles, whole) < 1e-14);
  CHECK(equal(slice(by_tiles, 2, 0, 2), zeros({1, 2, 2, 4}, f64)));
}

TEST_CASE("pictures of masks", "[mask]") {
  CHECK(masks::causal().picture(3, 4) == "#...\n##..\n###.\n");
  CHECK((masks::local(1) & !masks::atrous(2)).picture(3, 3) == ".#.\n#.#\n.#.\n");
  std::string large = masks::causal().picture(960, 960);  // every tenth row and column
  CHECK(large.size() == 96 * 97);
  CHECK(large.starts_with("#" + std::string(95, '.')));
  CHECK(masks::all().picture(0, 0).empty());
}

TEST_CASE("errors of masks", "[mask][errors]") {
  CHECK_THROWS_WITH(masks::window(-1, 0), contains("masks::window: got left -1; expected at least 0"));
  CHECK_THROWS_WITH(masks::local(-2), contains("masks::local: got k -2; expected at least 0"));
  CHECK_THROWS_WITH(masks::atrous(0), contains("masks::atrous: got k 0; expected at least 1"));
  CHECK_THROWS_WITH(masks::strided(0), contains("masks::strided: got l 0; expected at least 1"));
  CHECK_THROWS_WITH(masks::fixed(4, 5), contains("no more than l keys to sum it up; got c 5 and l 4"));
  CHECK_THROWS_WITH(masks::prefix(-1), contains("masks::prefix: got length -1"));
  CHECK_THROWS_WITH(masks::global({3, -1}), contains("masks::global: got position -1"));
  CHECK_THROWS_WITH(masks::document({0, 1}).dense(3, 2),
                    contains("every position needs a document; got 2 for a mask of 3 x 2"));
  CHECK_THROWS_WITH(masks::tree({-1, 3, 1, 2}), contains("masks::tree: node 1 is its own ancestor"));
  CHECK_THROWS_WITH(masks::tree({0}), contains("is its own ancestor"));
  CHECK_THROWS_WITH(masks::tree({-1, 4}), contains("the parent of node 1 does not exist; got 4; expected -1 .. 1"));
  CHECK_THROWS_WITH(masks::tree({-1}).dense(2, 2), contains("every position needs a parent; got 1 for 2 queries"));
  const AttentionMask mask = masks::causal();
  CHECK_THROWS_WITH(mask(0, 4, 4, 4),
                    contains("AttentionMask: no such pair; got query 0 and key 4; expected a pair of 4 x 4"));
  CHECK_THROWS_WITH(mask.dense(-1, 2), contains("AttentionMask::dense: sizes must not be negative; got -1 and 2"));
  CHECK_THROWS_WITH(mask.blocks(4, 4, indices({0, 4})),
                    contains(
                        "AttentionMask::blocks: order_q names a position that does not exist; got 4; expected 0 .. 3"));
  CHECK_THROWS_WITH(
      mask.blocks(4, 4, {}, zeros({2})),
      contains("AttentionMask::blocks: order_k must be a list of positions; got f32 [2]; expected i64 [rows]"));
}
