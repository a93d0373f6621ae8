// Acceptance. Greedy and typical against values worked out by hand; lossless by adding up every outcome of drafting and
// acceptance exactly, and by counting draws.
#include "nn/decoding/accept.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "nn/decoding/sampling.h"
#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;
using Ids = std::vector<int64_t>;
using Vector = std::vector<double>;
using Law = std::map<Ids, double>;

namespace {

constexpr int64_t kVocabulary = 4;

// A language of 4 tokens: what comes after a text depends on all of it. `temper` bends all distributions.
Vector after_text(const Ids& text, double temper, bool zeros) {
  Vector p(size_t(kVocabulary), 0.);
  double total = 0;
  for (int64_t x = 0; x < kVocabulary; ++x) {
    double z = .3 * double(x);
    for (size_t i = 0; i < text.size(); ++i) z += std::sin(1.7 * double(text[i]) * double(x + 1) + double(i));
    p[size_t(x)] = zeros && (x + int64_t(text.size())) % 4 == 0 ? 0 : std::exp(temper * z);
    total += p[size_t(x)];
  }
  for (double& each : p) each /= total;
  return p;
}
Vector target(const Ids& text) { return after_text(text, 1, false); }

Ids text_of(const Draft& draft, int64_t node) {
  Ids text;
  for (int64_t each : path_to(draft.parent, node)) text.push_back(draft.token[size_t(each)]);
  return text;
}

using Drafter = FunctionRef<Draft(Chance&)>;
using Model = FunctionRef<Vector(const Ids&)>;

// The exact law of the `length` tokens after the root, where one step with a draft is followed by plain sampling.
Law law_of(Drafter drafter, Model model, size_t length) {
  Law law;
  EveryOutcome chance;
  do {
    const Draft draft = drafter(chance);
    const Accepted a = accept_lossless(
        draft, [&](int64_t node) { return model(text_of(draft, node)); }, chance);
    Ids text = text_of(draft, a.nodes.back());
    text.push_back(a.next);
    while (text.size() <= length) text.push_back(chance.draw(model(text)));
    text.resize(length + 1);
    law[text] += chance.probability();
  } while (chance.next());
  return law;
}
Law plain_law(int64_t root, Model model, size_t length) {
  Law law{{{root}, 1}};
  for (size_t i = 0; i < length; ++i) {
    Law longer;
    for (const auto& [text, probability] : law) {
      const Vector p = model(text);
      for (int64_t x = 0; x < kVocabulary; ++x) {
        Ids next = text;
        next.push_back(x);
        if (p[size_t(x)] > 0) longer[next] = probability * p[size_t(x)];
      }
    }
    law = longer;
  }
  return law;
}
double difference(const Law& a, const Law& b) {
  double most = 0;
  for (const auto& [text, p] : a) most = std::max(most, std::abs(p - (b.count(text) ? b.at(text) : 0)));
  for (const auto& [text, p] : b) most = std::max(most, std::abs(p - (a.count(text) ? a.at(text) : 0)));
  return most;
}

// `wide` children of each node for `deep` levels, each drawn without replacement from another language.
Draft drawn_tree(Chance& chance, int64_t wide, int64_t deep, bool zeros) {
  Draft draft{{2}, {-1}};
  int64_t first = 0;
  for (int64_t level = 0; level < deep; ++level)
    for (const int64_t end = draft.nodes(); first < end; ++first) {
      Vector q = after_text(text_of(draft, first), -.7, zeros);
      for (int64_t i = 0; i < wide; ++i) {
        const int64_t token = chance.draw(q);
        draft.add(first, token, q);
        if (i + 1 < wide) q = proposal_without(q, Ids{token});
      }
    }
  return draft;
}

Accepted lossless(const Draft& draft, const Vector& p, Chance& chance) {
  return accept_lossless(
      draft, [&](int64_t) { return p; }, chance);
}

}  // namespace

TEST_CASE("greedy follows the chosen tokens as far as there are guesses of them", "[accept]") {
  const Draft draft{{9, 1, 2, 3, 0, 5, 0}, {-1, 0, 0, 1, 2, 2, 4}};  // id 0 inside a path
  auto run = [&](std::map<int64_t, int64_t> choice, std::vector<int64_t> asked) {
    std::vector<int64_t> calls;
    const Accepted a = accept_greedy(draft, [&](int64_t node) {
      calls.push_back(node);
      return choice.at(node);
    });
    CHECK(calls == asked);
    return a;
  };
  Accepted a = run({{0, 2}, {2, 0}, {4, 0}, {6, 8}}, {0, 2, 4, 6});
  CHECK(a.nodes == Ids{0, 2, 4, 6});
  CHECK(a.next == 8);
  a = run({{0, 7}}, {0});
  CHECK(a.nodes == Ids{0});
  CHECK(a.next == 7);
  a = run({{0, 1}, {1, 0}}, {0, 1});  // 0 is no child of 1: nothing pads a short path
  CHECK(a.nodes == Ids{0, 1});
  CHECK(a.next == 0);
  a = run({{0, 1}, {1, 3}, {3, 0}}, {0, 1, 3});  // 0 after a leaf
  CHECK(a.nodes == Ids{0, 1, 3});
  CHECK(a.next == 0);
  const Accepted root = accept_greedy(Draft{{4}, {-1}}, [](int64_t) { return int64_t(0); });
  CHECK(root.nodes == Ids{0});
  CHECK(root.next == 0);
  CHECK_THROWS_AS(accept_greedy(draft, [](int64_t) { return int64_t(-1); }), ValueError);
  CHECK_THROWS_AS(accept_greedy(Draft{}, [](int64_t) { return int64_t(0); }), ValueError);
  CHECK_THROWS_AS(accept_greedy(Draft{{1, 2, 2}, {-1, 0, 0}}, [](int64_t) { return int64_t(0); }), ValueError);
}

TEST_CASE("the typical threshold", "[accept]") {
  auto passing = [](const Vector& p) {
    const double threshold = typical_threshold(p);
    return std::count_if(p.begin(), p.end(), [&](double each) { return each > threshold; });
  };
  const Vector halves{.5, .25, .125, .125}, sure{.97, .01, .01, .01}, fair(100, .01), five{.6, .08, .08, .08, .08, .08};
  CHECK(entropy(halves) == Approx(1.213008).epsilon(1e-6));
  CHECK(typical_threshold(halves) == Approx(.089191).epsilon(1e-5));
  CHECK(passing(halves) == 4);
  CHECK(typical_threshold(sure) == .09);
  CHECK(passing(sure) == 1);
  CHECK(typical_threshold(fair) == Approx(.003).epsilon(1e-12));
  CHECK(passing(fair) == 100);
  CHECK(typical_threshold(five) == Approx(.080399).epsilon(1e-5));
  CHECK(passing(five) == 1);
  // The entropy decides above ln(delta / epsilon) = 1.204 nats.
  CHECK(typical_threshold(Vector{1, 0}) == .09);
  CHECK(typical_threshold(halves, {.epsilon = .01, .delta = .3}) == .01);
}

TEST_CASE("typical keeps the longest path that passes, then the more likely one", "[accept]") {
  const Draft draft{{3, 0, 1, 2, 0, 1, 3}, {-1, 0, 0, 1, 1, 2, 2}};
  std::vector<int64_t> calls;
  auto run = [&](const std::vector<Vector>& p, Chance& chance, TypicalOptions options = {.draw_next = false}) {
    calls.clear();
    return accept_typical(
        draft,
        [&](int64_t node) {
          calls.push_back(node);
          return p[size_t(node)];
        },
        chance, options);
  };
  Generator generator(3);
  RandomChance chance(generator);
  const Vector fair(4, .25), sure{0, 0, 0, 1};
  // .6 .55 (node 3: .6) against .4 .9 (node 5: .36) and .4 .1: by ln p node 3, .6 x .55 = .33 < .36: node 5
  std::vector<Vector> p{{.6, .4, 0, 0}, {.45, 0, .55, 0}, {0, .9, 0, .1}, fair, fair, {.1, .2, .3, .4}, fair};
  Accepted a = run(p, chance);
  CHECK(a.nodes == Ids{0, 2, 5});
  CHECK(a.next == 3);
  CHECK(calls == Ids{0, 1, 2, 5});
  p[1] = {.3, 0, .7, 0};  // .42 > .36
  CHECK(run(p, chance).nodes == Ids{0, 1, 3});
  // A longer path goes before a likelier one.
  p[1] = sure;
  p[2] = {.3, .2, .2, .3};
  a = run(p, chance);
  CHECK(a.nodes == Ids{0, 2, 6});
  CHECK(calls == Ids{0, 1, 2, 6});
  // Nothing passes.
  p[0] = sure;
  a = run(p, chance);
  CHECK(a.nodes == Ids{0});
  CHECK(a.next == 3);
  CHECK(generator.state.offset == 0);
  // next is drawn from the last node's distribution.
  p[0] = {.02, .02, .96, 0};
  int64_t count = 0;
  for (int i = 0; i < 1000; ++i) {
    a = run(p, chance, {});
    CHECK(a.nodes == Ids{0});
    count += a.next == 2;
  }
  CHECK(count > 930);
  CHECK(count < 985);
  // Children of one node that has none accepted, all of them equal: the first of equal paths.
  p = std::vector<Vector>(7, fair);
  CHECK(run(p, chance).nodes == Ids{0, 1, 3});
}

TEST_CASE("typical acceptance changes the distribution, as its documentation says", "[accept]") {
  const Vector p{.7, .3};
  const Draft draft{{0, 1}, {-1, 0}};
  EveryOutcome chance;
  double of_one = 0;
  do {
    const Accepted a = accept_typical(
        draft, [&](int64_t) { return p; }, chance);
    of_one += (a.nodes.size() > 1 ? 1 : double(a.next)) * chance.probability();
  } while (chance.next());
  CHECK(of_one == Approx(1));  // instead of .3
}

TEST_CASE("options of typical acceptance outside of their ranges are refused", "[accept]") {
  const double nan = std::nan("");
  for (double e : {-.1, 1.1, nan}) CHECK_THROWS_WITH(check({.epsilon = e}), contains("epsilon"));
  for (double d : {-.1, std::numeric_limits<double>::infinity(), nan})
    CHECK_THROWS_WITH(check({.epsilon = .1, .delta = d}), contains("delta"));
  Generator generator;
  RandomChance chance(generator);
  CHECK_THROWS_AS(accept_typical(Draft{{0}, {-1}}, [](int64_t) { return Vector{1}; }, chance, {.epsilon = 2}),
                  ValueError);
}

TEST_CASE("one trial: what is kept and what remains", "[accept]") {
  const Vector p{.5, .3, .2};
  CHECK(keep_probability(p, 1) == .3);
  CHECK(keep_probability(p, 1, Vector{.2, .6, .2}) == .5);
  CHECK(keep_probability(p, 0, Vector{.2, .6, .2}) == 1);
  CHECK(keep_probability(p, 2, Vector{.2, .6, .2}) == 1);
  Vector rest = p;
  refuse(rest, 1);
  CHECK(rest[0] == Approx(5 / 7.).epsilon(1e-15));
  CHECK(rest[1] == 0);
  rest = p;
  refuse(rest, 1, Vector{.2, .6, .2});
  CHECK(rest == Vector{1, 0, 0});
  rest = p;
  refuse(rest, 0, p);  // nothing is left: cannot happen but by rounding
  CHECK(rest == p);
  rest = {0, 1, 0};
  refuse(rest, 1);
  CHECK(rest == Vector{0, 1, 0});
  CHECK_THROWS_AS(keep_probability(p, 3), IndexError);
  CHECK_THROWS_AS(keep_probability(p, -1), IndexError);
  CHECK_THROWS_AS(refuse(rest, 0, Vector{.5, .5}), ShapeError);
}

TEST_CASE("lossless with guesses chosen without chance: the exact law", "[accept]") {
  const Draft draft = GENERATE(Draft{{2}, {-1}}, Draft{{2, 1}, {-1, 0}}, Draft{{2, 0, 0, 0}, {-1, 0, 1, 2}},
                               Draft{{2, 3, 0, 1}, {-1, 0, 0, 0}}, Draft{{2, 3, 0, 1, 2}, {-1, 0, 0, 0, 0}},
                               Draft{{2, 0, 1, 2, 3, 0, 1, 3}, {-1, 0, 0, 1, 1, 2, 3, 3}});
  auto drafter = [&](Chance&) { return draft; };
  CHECK(difference(law_of(drafter, target, 4), plain_law(2, target, 4)) < 1e-14);
  auto holes = [](const Ids& text) { return after_text(text, 2, true); };  // tokens of probability 0 are guessed too
  CHECK(difference(law_of(drafter, holes, 4), plain_law(2, holes, 4)) < 1e-14);
}

TEST_CASE("lossless with drawn guesses: the exact law", "[accept]") {
  struct Case {
    int64_t wide, deep;
    bool zeros;
  };
  const Case c = GENERATE(Case{1, 1, false}, Case{1, 1, true}, Case{1, 3, false}, Case{1, 3, true}, Case{2, 1, false},
                          Case{3, 1, false}, Case{4, 1, false}, Case{3, 1, true}, Case{2, 2, true});
  INFO(c.wide << " wide, " << c.deep << " deep, zeros " << c.zeros);
  auto drafter = [&](Chance& chance) { return drawn_tree(chance, c.wide, c.deep, c.zeros); };
  const auto length = size_t(c.deep + (c.wide == 1));
  CHECK(difference(law_of(drafter, target, length), plain_law(2, target, length)) < 1e-14);
  auto holes = [](const Ids& text) { return after_text(text, 2, true); };
  CHECK(difference(law_of(drafter, holes, length), plain_law(2, holes, length)) < 1e-14);
}

TEST_CASE("lossless with both kinds of guesses below one node: the exact law", "[accept]") {
  auto mixed = [](Chance& chance) {
    Draft draft{{2}, {-1}};
    draft.add(0, 3);
    const Vector q = proposal_without(after_text({2}, -.7, false), Ids{3});
    const int64_t token = chance.draw(q);
    draft.add(0, token, q);
    draft.add(0, token == 0 ? 1 : 0);  // chosen with what was drawn in view
    draft.add(1, 1);
    return draft;
  };
  CHECK(difference(law_of(mixed, target, 3), plain_law(2, target, 3)) < 1e-14);
}

// What the exact law would catch: proposals that are not the law a sibling was drawn from.
TEST_CASE("siblings drawn again until they differ do not have the law of q", "[accept]") {
  auto dishonest = [](Chance& chance) {
    Draft draft{{2}, {-1}};
    const Vector q = after_text({2}, -.7, false);
    const int64_t first = chance.draw(q), second = chance.draw(proposal_without(q, Ids{first}));
    draft.add(0, first, q);
    draft.add(0, second, q);
    return draft;
  };
  CHECK_THROWS_WITH(law_of(dishonest, target, 1), contains("without replacement"));
}

TEST_CASE("the rate of acceptance of one drawn guess is the overlap of p and q, and a chain's tokens follow",
          "[accept]") {
  const Vector p{.5, .3, .15, .05}, q{.2, .2, .2, .4};
  const double overlap = .2 + .2 + .15 + .05;
  for (int64_t length : {1, 2, 4}) {
    double tokens = 0;
    EveryOutcome chance;
    do {
      Draft draft{{0}, {-1}};
      for (int64_t i = 0; i < length; ++i) draft.add(i, chance.draw(q), q);
      tokens += double(lossless(draft, p, chance).nodes.size()) * chance.probability();
    } while (chance.next());
    double closed = 0;  // (1 - a^{length + 1}) / (1 - a)
    for (int64_t i = 0; i <= length; ++i) closed += std::pow(overlap, double(i));
    CHECK(tokens == Approx(closed).epsilon(1e-12));
  }
}

TEST_CASE("lossless: a draw of 100,000 steps has the distribution", "[accept]") {
  const bool by_chance = GENERATE(false, true);
  Generator generator(7);
  RandomChance chance(generator);
  constexpr int64_t n = 100000;
  std::map<Ids, int64_t> count;
  for (int64_t i = 0; i < n; ++i) {
    Draft draft{{2, 0, 1, 2, 3, 0}, {-1, 0, 0, 1, 1, 2}};
    if (by_chance) draft = drawn_tree(chance, 2, 1, false);
    const Accepted a = accept_lossless(
        draft, [&](int64_t node) { return target(text_of(draft, node)); }, chance);
    Ids text = text_of(draft, a.nodes.back());
    text.push_back(a.next);
    if (text.size() < 3) text.push_back(draw(target(text), generator));
    text.resize(3);
    ++count[text];
  }
  double chi = 0;
  const Law law = plain_law(2, target, 2);
  REQUIRE(law.size() == 16);
  for (const auto& [text, p] : law) chi += std::pow(double(count[text]) - n * p, 2) / (n * p);
  CHECK(chi < 37.7);  // 15 degrees of freedom, one in a thousand
}

TEST_CASE("lossless: corners", "[accept]") {
  Generator generator(1);
  RandomChance chance(generator);
  const Draft one{{0, 1}, {-1, 0}};
  for (int i = 0; i < 100; ++i) {
    const Accepted sure = lossless(one, {0, 1, 0}, chance), never = lossless(one, {.5, 0, .5}, chance);
    CHECK(sure.nodes == Ids{0, 1});
    CHECK(sure.next == 1);
    CHECK(never.nodes == Ids{0});
    CHECK(never.next != 1);
    // p = q: always kept
    const Vector p{.2, .3, .5};
    CHECK(lossless(Draft{{0, 1}, {-1, 0}, {{}, p}}, p, chance).nodes == Ids{0, 1});
    // the whole vocabulary as children: one of them is kept
    CHECK(lossless(Draft{{0, 0, 1, 2}, {-1, 0, 0, 0}}, p, chance).nodes.size() == 2);
  }
  CHECK(lossless(Draft{{5}, {-1}}, {0, 0, 0, 0, 0, 1}, chance).next == 5);
}

TEST_CASE("lossless: asked for the nodes of the path alone, one number a decision", "[accept]") {
  const Draft draft{{0, 1, 2, 1, 2}, {-1, 0, 0, 1, 2}};
  Generator generator(1);
  RandomChance chance(generator);
  std::vector<int64_t> calls;
  const Accepted a = accept_lossless(
      draft,
      [&](int64_t node) {
        calls.push_back(node);
        return Vector{0, 0, 1};
      },
      chance);
  CHECK(a.nodes == Ids{0, 2, 4});
  CHECK(calls == Ids{0, 2, 4});
  CHECK(generator.state.offset == 4 * 4);  // children 1, 2 and 4, and next
}

TEST_CASE("lossless: what the model says is checked", "[accept]") {
  Generator generator(1);
  RandomChance chance(generator);
  const Draft one{{0, 1}, {-1, 0}};
  CHECK_THROWS_WITH(lossless(one, {.5, .4, 0}, chance), contains("the distribution after node 0: not a distribution"));
  CHECK_THROWS_AS(lossless(one, {std::nan(""), 1, 0}, chance), ValueError);
  CHECK_THROWS_AS(lossless(one, {}, chance), ValueError);
  CHECK_THROWS_WITH(lossless(one, {1}, chance), contains("node 1 holds no token of the vocabulary; got 1"));
  CHECK_THROWS_WITH(accept_lossless(
                        one,
                        [](int64_t node) {
                          return node == 0 ? Vector{0, 1} : Vector{0, 1, 0};
                        },
                        chance),
                    contains("after node 1 is of another size; got 3; expected 2"));
  CHECK_THROWS_WITH(lossless(Draft{{0, 1}, {-1, 0}, {{}, {1, 0, 0}}}, {0, 1, 0}, chance),
                    contains("its token 1 cannot have been drawn"));
  CHECK_THROWS_WITH(lossless(Draft{{0, 1}, {-1, 0}, {{}, {0, 1}}}, {0, 1, 0}, chance),
                    contains("got 2 probabilities; expected 3"));
  CHECK_THROWS_AS(lossless(Draft{{0, 1, 1}, {-1, 0, 0}}, {0, 1, 0}, chance), ValueError);
}
