// Trees of guesses: the buffers of a known shape, what is refused, growth from accuracies, and drafts made of shapes.
#include "nn/decoding/tree.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/decoding/draft.h"
#include "nn/decoding/tree_search.h"
#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;
using Ids = std::vector<int64_t>;
using Paths = std::vector<Ids>;
using Table = std::vector<std::vector<double>>;

TEST_CASE("the buffers of a tree", "[tree]") {
  const TreeShape shape = TreeShape::from_paths({{1, 0}, {0}, {0, 0, 0}, {1}, {0, 1}, {0, 0}});  // in any order
  CHECK(shape.nodes() == 7);
  CHECK(shape.paths() == Paths{{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}});
  CHECK(shape.parent() == Ids{-1, 0, 0, 1, 1, 2, 3});
  CHECK(shape.depths() == Ids{0, 1, 1, 2, 2, 2, 3});
  CHECK(shape.rank() == Ids{-1, 0, 1, 0, 1, 0, 0});
  CHECK(shape.tree_index() == Ids{0, 1, 2, 11, 12, 11, 21});
  CHECK(shape.tree_index(2) == Ids{0, 1, 2, 3, 4, 3, 5});
  CHECK(shape.leaf_paths() == Paths{{0, 1, 3, 6}, {0, 2, 5}, {0, 1, 4}});
  CHECK(shape.widths() == Ids{2, 3, 1});
  CHECK(shape.depth() == 3);
  CHECK(shape.path(5) == Ids{1, 0});
  CHECK(shape.path(0).empty());
  const Tensor mask = shape.mask();
  CHECK(mask.dtype() == boolean);
  CHECK(mask.shape() == Shape{7, 7});
  std::string rows;
  for (bool seen : mask.to_vector<bool>()) rows += seen ? '1' : '0';
  CHECK(rows ==
        "1000000"
        "1100000"
        "1010000"
        "1101000"
        "1100100"
        "1010010"
        "1101001");
  CHECK(shape.picture() ==
        "root\n  0 (node 1)\n    0 (node 3)\n      0 (node 6)\n    1 (node 4)\n  1 (node 2)\n    0 (node 5)\n");
}

TEST_CASE("small trees: a root, two nodes, chains, all paths", "[tree]") {
  const TreeShape root, none = TreeShape::from_paths({});
  CHECK(root == none);
  CHECK(root.nodes() == 1);
  CHECK(root.depth() == 0);
  CHECK(root.tree_index() == Ids{0});
  CHECK(root.leaf_paths() == Paths{{0}});
  CHECK(root.mask().to_vector<bool>() == std::vector<bool>{true});
  CHECK(root.picture() == "root\n");
  CHECK(root == TreeShape::chain(0));
  CHECK(root == TreeShape::cartesian({}));
  CHECK(TreeShape::from_paths({{0}, {1}}).parent() == Ids{-1, 0, 0});
  CHECK(TreeShape::from_paths({{0}}).parent() == Ids{-1, 0});
  CHECK(TreeShape::from_paths({{3}, {5}}).rank() == Ids{-1, 3, 5});  // ranks need not be dense
  CHECK(TreeShape::chain(3) == TreeShape::from_paths({{0}, {0, 0}, {0, 0, 0}}));
  const TreeShape all = TreeShape::cartesian({3, 2, 4});
  CHECK(all.nodes() == 1 + 3 + 6 + 24);
  CHECK(all.widths() == Ids{3, 6, 24});
  CHECK(all == TreeShape::from_paths(all.paths()));
  CHECK(all.paths().back() == Ids{2, 1, 3});
}

TEST_CASE("a tree's mask is each node's path, for a shape of 63 nodes", "[tree]") {
  Table accuracy{{.5, .2, .1, .05}, {.3, .2, .1}, {.25, .2, .05}, {.2, .1}};
  const TreeShape shape = grow_tree(accuracy, 63).shape;
  const auto seen = shape.mask().to_vector<bool>();
  for (int64_t i = 0; i < shape.nodes(); ++i) {
    std::vector<bool> row(size_t(shape.nodes()), false);
    for (int64_t node : path_to(shape.parent(), i)) row[size_t(node)] = true;
    CHECK(std::equal(row.begin(), row.end(), seen.begin() + i * shape.nodes()));
    CHECK(int64_t(shape.path(i).size()) == shape.depths()[size_t(i)]);
  }
}

TEST_CASE("paths that make no tree are refused by name", "[tree]") {
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {0, 1}, {0}}), contains("given twice") && contains("{0}"));
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {1, 2, 3}}),
                    contains("{1, 2, 3} stands below {1, 2}, which is not given"));
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {1, 2}}), contains("{1, 2} stands below {1}"));
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {0, -1}}), contains("negative") && contains("{0, -1}"));
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {}}), contains("empty path"));
  const Paths deep{{0}, {0, 0}, {0, 0, 0}};
  CHECK_THROWS_WITH(TreeShape::from_paths(deep, 2), contains("deeper than there are heads") && contains("at most 2"));
  CHECK(TreeShape::from_paths(deep, 3).depth() == 3);
  CHECK_THROWS_AS(TreeShape::from_paths({{0}, {0}}), ValueError);
  CHECK_THROWS_AS(TreeShape::chain(-1), ValueError);
  CHECK_THROWS_AS(TreeShape::cartesian({3, 0}), ValueError);
}

TEST_CASE("trees too large to be meant are refused before memory is asked for", "[tree]") {
  constexpr int64_t huge = std::numeric_limits<int64_t>::max();
  CHECK_THROWS_WITH(TreeShape::chain(huge), contains("too many nodes"));
  CHECK_THROWS_WITH(TreeShape::cartesian({huge}), contains("too many nodes"));
  CHECK_THROWS_WITH(TreeShape::cartesian({1000, 1000, 1000, 1000}), contains("too many nodes"));
  const TreeShape longest = TreeShape::chain(TreeShape::max_nodes - 1);
  CHECK(longest.depth() == TreeShape::max_nodes - 1);
  CHECK_THAT(longest.picture(), contains("... 7992 more nodes"));
  CHECK_THROWS_AS(longest.tree_index(huge), ShapeError);
  CHECK_THROWS_AS(TreeShape::chain(2).tree_index(huge), ShapeError);
  CHECK(TreeShape::chain(1).tree_index(huge) == Ids{0, 1});
  CHECK_THROWS_WITH(TreeShape::from_paths({{0}, {10}}).tree_index(10),
                    contains("{10} names") && contains("got rank 10; expected less than 10"));
  CHECK(TreeShape::from_paths({{huge}}).rank() == Ids{-1, huge});
  CHECK_THROWS_AS(TreeShape::from_paths({{huge}}).tree_index(huge), ValueError);
  CHECK_THROWS_AS(longest.path(TreeShape::max_nodes), IndexError);
  CHECK_THROWS_AS(longest.path(-1), IndexError);
}

TEST_CASE("parents that make no tree are refused", "[tree]") {
  for (const Ids& parent : {Ids{0}, Ids{-1, -1}, Ids{-1, 1}, Ids{-1, 2, 0}, Ids{-1, 0, -2}}) {
    CHECK_THROWS_AS(node_depths(parent), ValueError);
    CHECK_THROWS_AS(children_of(parent), ValueError);
    CHECK_THROWS_AS(tree_mask(parent), ValueError);
  }
  CHECK_THROWS_AS(path_to(Ids{-1, 1}, 1), ValueError);
  CHECK_THROWS_AS(path_to(Ids{-1}, 1), IndexError);
  CHECK(node_depths(Ids{-1, 0, 0, 2}) == Ids{0, 1, 1, 2});
  CHECK(children_of(Ids{-1, 0, 0, 2}) == Paths{{1, 2}, {}, {3}, {}});
}

TEST_CASE("a tree grows by the largest product", "[tree]") {
  const Table accuracy{{.5, .2, .1}, {.4, .15, .05}, {.3, .1, .05}};
  const GrownTree tree = grow_tree(accuracy, 8);
  // (1) and (0, 0) are equal at .2: the shorter first
  CHECK(tree.added == Paths{{0}, {1}, {0, 0}, {2}, {1, 0}, {0, 1}, {0, 0, 0}, {2, 0}});
  const std::vector<double> gain{.5, .2, .2, .1, .08, .075, .06, .04};
  REQUIRE(tree.gain.size() == 8);
  for (size_t i = 0; i < gain.size(); ++i) CHECK(tree.gain[i] == Approx(gain[i]).epsilon(1e-14));
  CHECK(tree.expected == Approx(2.255).epsilon(1e-14));
  CHECK(tree.shape == TreeShape::from_paths({{0}, {1}, {2}, {0, 0}, {0, 1}, {1, 0}, {2, 0}, {0, 0, 0}}));
  CHECK(expected_tokens(tree.shape, accuracy) == tree.expected);
  CHECK(grow_tree(accuracy, 0).shape == TreeShape());
  CHECK(grow_tree(accuracy, 0).expected == 1);
  CHECK(grow_tree(accuracy, 39).shape == TreeShape::cartesian({3, 3, 3}));
}

TEST_CASE("no tree of as many nodes gives more", "[tree]") {
  const Table accuracy{{.3, .35, .1}, {.6, .2}, {.45, .5}};  // not sorted by rank
  const Paths all = TreeShape::cartesian({3, 2, 2}).paths();
  std::vector<double> best(8, 0.);
  for (uint64_t set = 0; set < uint64_t(1) << all.size(); ++set) {
    if (__builtin_popcountll(set) >= 8) continue;
    Paths chosen;
    for (size_t i = 0; i < all.size(); ++i)
      if (set >> i & 1) chosen.push_back(all[i]);
    bool closed = true;
    for (const Ids& path : chosen)
      if (path.size() > 1)
        closed = closed && std::find(chosen.begin(), chosen.end(), Ids(path.begin(), path.end() - 1)) != chosen.end();
    if (closed)
      best[chosen.size()] = std::max(best[chosen.size()], expected_tokens(TreeShape::from_paths(chosen), accuracy));
  }
  for (int64_t nodes = 0; nodes < 8; ++nodes)
    CHECK(grow_tree(accuracy, nodes).expected == Approx(best[size_t(nodes)]).epsilon(1e-14));
}

TEST_CASE("ties and zeros in growth: shorter, then smaller, and no path is invented", "[tree]") {
  CHECK(grow_tree({{1, 0}, {1, 0}}, 6).added == Paths{{0}, {0, 0}, {1}, {0, 1}, {1, 0}, {1, 1}});
  CHECK(grow_tree({{.25, .25, .25, .25}}, 3).added == Paths{{0}, {1}, {2}});
  CHECK_THROWS_WITH(grow_tree({{.5, .2}}, 3), contains("at most 2"));
  CHECK_THROWS_AS(grow_tree({}, 1), ValueError);
  CHECK(grow_tree({}, 0).expected == 1);
  CHECK_THROWS_AS(grow_tree({{.5}}, -1), ValueError);
  CHECK_THROWS_AS(grow_tree({{.5}}, std::numeric_limits<int64_t>::max()), ValueError);
  CHECK_THROWS_WITH(grow_tree({{.5}, {.1, std::nan("")}}, 1), contains("nan of head 1 at rank 1"));
  CHECK_THROWS_AS(grow_tree({{-.1}}, 1), ValueError);
  CHECK_THROWS_WITH(grow_tree({{.5, .6}}, 1), contains("head 0 sum to 1.1"));
  CHECK_THROWS_WITH(expected_tokens(TreeShape::from_paths({{0}, {2}}), {{.5, .2}}), contains("head 0 at rank 2"));
  CHECK_THROWS_WITH(expected_tokens(TreeShape::chain(2), {{.5, .2}}), contains("head 1 at rank 0"));
}

TEST_CASE("what heads did: accuracies, and tokens per step that products cannot know", "[tree]") {
  // two heads that are right together half of the time
  const Paths hit{{0, 0}, {-1, -1}, {0, 0}, {1, 2}};
  const Table accuracy = rank_accuracy(hit, 2);
  CHECK(accuracy == Table{{.5, .25}, {.5, 0}});
  const TreeShape chain = TreeShape::chain(2);
  CHECK(expected_tokens(chain, accuracy) == 1.75);
  CHECK(tokens_per_step(chain, hit) == 2);                                      // 3 1 3 1
  CHECK(tokens_per_step(TreeShape::from_paths({{0}, {1}, {1, 2}}), hit) == 2);  // 2 1 2 3
  CHECK(tokens_per_step(TreeShape(), hit) == 1);
  CHECK(tokens_per_step(TreeShape(), {{}}) == 1);
  CHECK_THROWS_AS(tokens_per_step(TreeShape::chain(3), hit), ValueError);
  CHECK_THROWS_AS(tokens_per_step(chain, {}), ValueError);
  CHECK_THROWS_AS(rank_accuracy({{0, 0}, {0}}, 2), ValueError);
  CHECK_THROWS_AS(rank_accuracy(hit, 0), ValueError);
  CHECK_THROWS_AS(rank_accuracy(hit, INT64_MAX), ValueError);
  CHECK_THROWS_AS(rank_accuracy({{-7}}, 3), ValueError);
}

TEST_CASE("expected tokens of a chain", "[tree]") {
  CHECK(expected_chain_tokens(.5, 2) == Approx(1.75).epsilon(1e-15));
  for (double a : {0., 1e-300, .1, .8, .999, 1 - 1e-12, 1 - 0x1p-53})
    for (int64_t length : {0, 1, 5, 40}) {
      double sum = 0;
      for (int64_t i = length; i >= 0; --i) sum = sum * a + 1;
      CHECK(expected_chain_tokens(a, length) == Approx(sum).epsilon(1e-14));
    }
  CHECK(expected_chain_tokens(1, 7) == 8);
  CHECK(expected_chain_tokens(0, 7) == 1);
  CHECK(expected_chain_tokens(.5, std::numeric_limits<int64_t>::max()) == 2);
  for (double a : {-.1, 1.1, std::nan("")}) CHECK_THROWS_AS(expected_chain_tokens(a, 1), ValueError);
  CHECK_THROWS_AS(expected_chain_tokens(.5, -1), ValueError);
  // a chain's products
  CHECK(expected_tokens(TreeShape::chain(3), {{.7}, {.7}, {.7}}) ==
        Approx(expected_chain_tokens(.7, 3)).epsilon(1e-14));
}

TEST_CASE("a shape and candidates make a draft", "[tree]") {
  const TreeShape shape = TreeShape::from_paths({{0}, {1}, {0, 0}, {0, 1}, {1, 0}});
  const Draft draft = make_draft(shape, 7, {{3, 0}, {5, 6}});
  CHECK(draft.token == Ids{7, 3, 0, 5, 6, 5});  // id 0 is a token like any other
  CHECK(draft.parent == shape.parent());
  CHECK(draft.proposal.empty());
  check(draft, 8);
  CHECK_THROWS_WITH(check(draft, 7), contains("node 0 holds no token of the vocabulary; got 7; expected 0 .. 6"));
  CHECK(make_draft(TreeShape(), 7, {}).token == Ids{7});
  CHECK_THROWS_WITH(make_draft(shape, 7, {{3, 0}}), contains("node 3 needs rank 0 of head 1; got 1 heads"));
  CHECK_THROWS_WITH(make_draft(shape, 7, {{3, 0}, {5}}),
                    contains("node 4 needs rank 1 of head 1; got 2 heads, 1 cand"));
}

TEST_CASE("drafts that are none are refused", "[tree]") {
  CHECK_THROWS_WITH(check(Draft{}), contains("expected a root"));
  CHECK_THROWS_WITH(check(Draft{{1, 2}, {-1}}), contains("different lengths"));
  CHECK_THROWS_WITH(check(Draft{{1, 2}, {-1, 0}, {{}}}), contains("different lengths"));
  CHECK_THROWS_WITH(check(Draft{{1}, {0}}), contains("it is the root"));
  CHECK_THROWS_WITH(check(Draft{{1, 2}, {-1, -1}}), contains("expected a node before it"));
  CHECK_THROWS_WITH(check(Draft{{1, 2, 3, 4}, {-1, 0, 1, 0}}), contains("order of their depth"));
  CHECK_THROWS_WITH(check(Draft{{1, -1}, {-1, 0}}), contains("node 1 holds no token"));
  CHECK_THROWS_WITH(check(Draft{{1, 2, 3, 2}, {-1, 0, 0, 0}}), contains("siblings 1 and 3 hold the same token 2"));
  check(Draft{{1, 2, 3, 5, 5}, {-1, 0, 0, 1, 2}});  // cousins may
  const std::vector<double> q{.5, .5, 0};
  CHECK_THROWS_WITH(check(Draft{{0}, {-1}, {q}}), contains("the root is decided"));
  CHECK_THROWS_WITH(check(Draft{{0, 2}, {-1, 0}, {{}, q}}), contains("its token 2 cannot have been drawn"));
  CHECK_THROWS_WITH(check(Draft{{0, 3}, {-1, 0}, {{}, q}}), contains("its token 3 cannot have been drawn"));
  CHECK_THROWS_WITH(check(Draft{{0, 1}, {-1, 0}, {{}, q}}, 4), contains("got 3 probabilities; expected 4"));
  CHECK_THROWS_WITH(check(Draft{{0, 1}, {-1, 0}, {{}, {.5, .4, 0}}}), contains("not a distribution"));
  CHECK_THROWS_WITH(check(Draft{{0, 0, 1}, {-1, 0, 0}, {{}, q, q}}),
                    contains("node 2 has a probability of 0.5 for token 0") && contains("without replacement"));
  Draft drawn{{0}, {-1}};
  CHECK(drawn.add(0, 0, q) == 1);
  CHECK(drawn.add(0, 1, proposal_without(q, Ids{0})) == 2);
  CHECK(drawn.add(1, 1) == 3);
  CHECK(drawn.proposal == Table{{}, q, {0, 1, 0}, {}});
  check(drawn, 3);
}

TEST_CASE("a proposal without what was drawn", "[tree]") {
  CHECK(proposal_without(std::vector<double>{.5, .25, .25}, Ids{0}) == std::vector<double>{0, .5, .5});
  CHECK(proposal_without(std::vector<double>{.5, .25, .25}, Ids{2, 0, 2}) == std::vector<double>{0, 1, 0});
  CHECK_THROWS_WITH(proposal_without(std::vector<double>{1, 0}, Ids{0}), contains("nothing is left"));
  CHECK_THROWS_AS(proposal_without(std::vector<double>{1, 0}, Ids{2}), IndexError);
  CHECK_THROWS_AS(proposal_without(std::vector<double>{1, 1}, Ids{0}), ValueError);
}
