// Rows of the ops that go along a dim in order: running sums, sorting, maxima of windows.
#include <algorithm>

#include "tests/specs/lines.h"

namespace ink::test {
namespace {

using T = const Tensor&;

}  // namespace

void add_scan_specs(Specs& s) {
  for (bool descending : {false, true}) {
    LineReference reference{[=](const Line& x) { return values_at(x, order_of(x, descending)); },
                            [=](const Line& x) { return numbers(order_of(x, descending)); }};
    std::string tag = descending ? ".descending" : "";
    s.push_back({.name = "sort" + tag,
                 .cases = line_cases(two([=](T x, int64_t d) { return sort(x, d, descending); }), reference),
                 .integers = true,
                 .expandable = false,
                 .errors = {bad_dim("sort: dim out of range; got 2", [](T x) { (void)sort(x, 2); })}});
    s.push_back({.name = "argsort" + tag,
                 .cases = line_cases(one([=](T x, int64_t d) { return argsort(x, d, descending); }), {reference[1]}),
                 .gradient = false,
                 .integers = true});
    s.push_back({.name = descending ? "topk" : "topk.smallest",
                 .cases = line_cases(two([=](T x, int64_t d) {
                                       return topk(x, std::min<int64_t>(2, x.dim() ? x.size(d) : 1), d, descending);
                                     }),
                                     {[=](const Line& x) {
                                        Line y = reference[0](x);
                                        y.resize(std::min<size_t>(2, y.size()));
                                        return y;
                                      },
                                      [=](const Line& x) {
                                        Line y = reference[1](x);
                                        y.resize(std::min<size_t>(2, y.size()));
                                        return y;
                                      }}),
                 .integers = true,
                 .expandable = false,
                 .errors = {fails<Error>("Error", "topk: k out of range; got 4", [] { return topk(away({3}), 4); })}});
  }
  auto running = [](C start, C (*step)(C, C)) {
    return [=](const Line& x) {
      Line y;
      C t = start;
      for (C v : x) y.push_back(t = step(t, v));
      return y;
    };
  };
  s.push_back({.name = "cumsum",
               .cases = line_cases(one([](T x, int64_t d) { return cumsum(x, d); }),
                                   {running(0, [](C a, C b) { return a + b; })}, true, false, away, true),
               .integers = true,
               .errors = {bad_dim("cumsum: dim out of range; got 2", [](T x) { cumsum(x, 2); })}});
  // factors near 1, so that 41 of them stay in range
  Make near_one = [](const Shape& shape, int seed) { return 1 + unit(shape, seed) * 0.5; };
  s.push_back({.name = "cumprod",
               .cases = line_cases(one([](T x, int64_t d) { return cumprod(x, d); }),
                                   {running(1, [](C a, C b) { return a * b; })}, true, false, near_one, false),
               .factor = 8});
  s.push_back({.name = "cumprod.zeros",
               .cases =
                   [] {
                     return std::vector{make_case("zeros", {away({2, 4}), tensor({{1, 0, 1, 1}, {1, 0, 0, 1}}, i64)},
                                                  fn2([](T x, T m) { return cumprod(x * m, 1); }),
                                                  [](const NdList& in) {
                                                    Nd x = zip(in[0], in[1], [](C a, C b) { return a * b; });
                                                    return NdList{along(x, 1, [](const Line& l) {
                                                      Line y;
                                                      C t = 1;
                                                      for (C v : l) y.push_back(t *= v);
                                                      return y;
                                                    })};
                                                  })};
                   },
               .rounds_again = "the row itself multiplies by zeros: a gradient that overflowed becomes NaN there"});
  s.push_back({.name = "cumprod.complex",
               .cases =
                   [] {
                     return std::vector{make_case("complex", {complex_away({2, 3})},
                                                  fn1([](T x) { return cumprod(x, 1); }), [](const NdList& in) {
                                                    return NdList{along(in[0], 1, [](const Line& l) {
                                                      return Line{l[0], l[0] * l[1], l[0] * l[1] * l[2]};
                                                    })};
                                                  })};
                   },
               .factor = 8});
  s.push_back({.name = "cummax",
               .cases = line_cases(two([](T x, int64_t d) { return cummax(x, d); }),
                                   {[](const Line& x) {
                                      Line y;
                                      for (C v : x)
                                        y.push_back(y.empty() || v.real() >= y.back().real() ? v : y.back());
                                      return y;
                                    },
                                    [](const Line& x) {
                                      Line y;
                                      size_t best = 0;
                                      for (size_t i = 0; i < x.size(); ++i)
                                        y.push_back(double(best = x[i].real() >= x[best].real() ? i : best));
                                      return y;
                                    }}),
               .integers = true,
               .expandable = false});
  s.push_back({.name = "logcumsumexp",
               .cases = line_cases(one([](T x, int64_t d) { return logcumsumexp(x, d); }), {[](const Line& x) {
                                     Line y, seen;
                                     for (C v : x) seen.push_back(v), y.push_back(log_sum_exp(seen));
                                     return y;
                                   }}),
               .factor = 8,
               .errors = {fails<DTypeError>("DTypeError", "logcumsumexp: dtype not supported; got c128",
                                            [] { return logcumsumexp(complex_away({2}), 0); })}});
  s.push_back(
      {.name = "sliding_window_max",
       .cases = line_cases(one([](T x, int64_t d) {
                             return sliding_window_max(x, x.dim() ? std::min<int64_t>(2, x.size(d)) : 1, d);
                           }),
                           {[](const Line& x) {
                             Line y;
                             size_t window = std::min<size_t>(2, x.size());
                             for (size_t i = 0; i + window <= x.size(); ++i)
                               y.push_back(largest_of(Line(x.begin() + long(i), x.begin() + long(i + window))));
                             return y;
                           }},
                           false),
       .integers = true,
       .expandable = false,
       .errors = {fails<Error>("Error", "sliding_window_max", [] { return sliding_window_max(away({3}), 4); }),
                  fails<Error>("Error", "sliding_window_max", [] { return sliding_window_max(away({3}), 0); })}});
  s.push_back({.name = "sliding_window_max.wide",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (int64_t window : {1, 3, 7, 20, 41})
                       cases.push_back(make_case(
                           "window " + std::to_string(window), {away({2, 41}, int(window))},
                           fn1([=](T x) { return sliding_window_max(x, window); }),
                           [=](const NdList& in) {
                             return NdList{along(in[0], 1, [=](const Line& x) {
                               Line y;
                               for (size_t i = 0; i + size_t(window) <= x.size(); ++i)
                                 y.push_back(largest_of(Line(x.begin() + long(i), x.begin() + long(i) + window)));
                               return y;
                             })};
                           },
                           false));
                     return cases;
                   },
               .integers = true,
               .expandable = false});
}

}  // namespace ink::test
