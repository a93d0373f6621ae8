// Rows of reductions, sorting and softmax.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
using ReduceOp = std::function<Tensor(T, const Dims&, bool)>;
using Group = std::function<C(const Line&)>;
const double kInf = std::numeric_limits<double>::infinity();

struct Form {
  Shape shape;
  std::vector<int> dims;
  bool keepdim;
};
Dims as_dims(const std::vector<int>& dims) {
  Dims d;
  for (int x : dims) d.push_back(x);
  return d;
}
double count_of(const Form& f) {
  double n = 1;
  for (int d = 0; d < f.shape.size(); ++d)
    if (f.dims.empty() || std::count(f.dims.begin(), f.dims.end(), d) ||
        std::count(f.dims.begin(), f.dims.end(), d - f.shape.size()))
      n *= double(f.shape[d]);
  return n;
}

// All, one, several dims, kept or not; `empty`: also over no elements.
Cases reduce_cases(ReduceOp f, Group g, bool empty, bool with_complex, Make make = away) {
  return [=] {
    std::vector<Form> forms{{{2, 3}, {}, false},   {{2, 3}, {}, true},         {{2, 3}, {0}, false},
                            {{2, 3}, {-1}, true},  {{2, 2, 2}, {0, 2}, false}, {{2, 3, 2}, {1}, false},
                            {{}, {}, false},       {{1, 3}, {0}, false},       {{2, 0}, {0}, false},
                            {{3, 41}, {1}, false}, {{41, 3}, {0}, false},      {{3, 5, 7}, {0, 2}, true},
                            {{3, 5, 7}, {}, false}};
    if (empty) forms.insert(forms.end(), {{{0}, {}, false}, {{2, 0}, {1}, false}, {{2, 0}, {-1}, true}});
    std::vector<Case> cases;
    int seed = 0;
    for (const Form& form : forms) {
      Dims dims = as_dims(form.dims);
      OpFn op = fn1([=](T x) { return f(x, dims, form.keepdim); });
      Reference reference = [=](const NdList& in) { return NdList{reduced(in[0], form.dims, form.keepdim, g)}; };
      std::string label = form.shape.str() + " over " + dims.str() + (form.keepdim ? " kept" : "");
      bool small = form.shape.numel() < 13;
      cases.push_back(make_case(label, {make(form.shape, ++seed)}, op, reference, small, count_of(form)));
      if (with_complex && seed % 3 == 1)
        cases.push_back(
            make_case("complex " + label, {complex_away(form.shape, seed)}, op, reference, small, count_of(form)));
    }
    return cases;
  };
}

C mean_of(const Line& x) {
  C total = 0;
  for (C v : x) total += v;
  return total / double(x.size());
}
C variance(const Line& x, double correction) {
  C m = mean_of(x), total = 0;
  for (C v : x) total += (v - m) * (v - m);
  return total / (double(x.size()) - correction);
}
C largest_of(const Line& x) {
  double m = -kInf;
  for (C v : x) m = std::max(m, v.real());
  return m;
}
C smallest_of(const Line& x) {
  double m = kInf;
  for (C v : x) m = std::min(m, v.real());
  return m;
}
C log_sum_exp(const Line& x) {
  double total = 0, m = x.empty() ? 0 : largest_of(x).real();
  for (C v : x) total += std::exp(v.real() - m);
  return std::log(total) + m;
}

// Positions of a line in ascending (or descending) order, equal ones in their order.
std::vector<size_t> order_of(const Line& x, bool descending) {
  std::vector<size_t> order(x.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return descending ? x[a].real() > x[b].real() : x[a].real() < x[b].real();
  });
  return order;
}
Line values_at(const Line& x, const std::vector<size_t>& order) {
  Line y;
  for (size_t i : order) y.push_back(x[i]);
  return y;
}
Line numbers(const std::vector<size_t>& order) {
  Line y;
  for (size_t i : order) y.push_back(double(i));
  return y;
}

using LineOp = std::function<TensorList(T, int64_t)>;
using LineReference = std::vector<std::function<Line(const Line&)>>;
// Ops along one dim; the reference gives each result of a line.
Cases line_cases(LineOp f, LineReference g, bool empty_line = true, bool dropped = false, Make make = away,
                 bool with_complex = false) {
  return [=] {
    std::vector<std::pair<Shape, int>> forms{{{2, 3}, 0}, {{2, 3}, -1}, {{4}, 0},     {{2, 2, 2}, 1}, {{1, 2}, 0},
                                             {{0, 2}, 1}, {{3, 41}, 1}, {{41, 3}, 0}, {{3, 17, 5}, 1}};
    if (empty_line) forms.push_back({{2, 0}, 1});
    if (!dropped) forms.push_back({{}, 0});
    std::vector<Case> cases;
    int seed = 10;
    for (auto& [shape, dim] : forms) {
      int d = dim;
      OpFn op = [=](const TensorList& in) { return f(in[0], d); };
      Reference reference = [=](const NdList& in) {
        NdList out;
        for (auto& line : g) {
          Nd y = along(in[0], d, line);
          if (dropped) y.shape.erase(d < 0 ? d + y.shape.size() : d);
          out.push_back(y);
        }
        return out;
      };
      std::string label = shape.str() + " along " + std::to_string(d);
      double n = shape.empty() ? 1 : double(shape[d < 0 ? d + shape.size() : d]);
      cases.push_back(make_case(label, {make(shape, ++seed)}, op, reference, shape.numel() < 13, n));
      if (with_complex && seed % 2)
        cases.push_back(
            make_case("complex " + label, {complex_away(shape, seed)}, op, reference, shape.numel() < 13, n));
    }
    return cases;
  };
}
LineOp one(std::function<Tensor(T, int64_t)> f) {
  return [f](T x, int64_t d) { return TensorList{f(x, d)}; };
}
LineOp two(std::function<std::tuple<Tensor, Tensor>(T, int64_t)> f) {
  return [f](T x, int64_t d) {
    auto [a, b] = f(x, d);
    return TensorList{a, b};
  };
}
Line softmax_line(const Line& x) {
  Line y;
  C l = log_sum_exp(x);
  for (C v : x) y.push_back(std::exp(v - l));
  return y;
}

ErrorInput bad_dim(const char* message, void (*f)(T)) {
  return fails<IndexError>("IndexError", message, [f] { f(away({2, 3})); });
}
template <class F>
ErrorInput no_elements(const char* message, F f) {
  return fails<ShapeError>("ShapeError", message, [f] { return f(zeros({2, 0}, f64)); });
}

}  // namespace

void add_reduce_specs(Specs& s) {
  auto total = [](const Line& x) {
    C t = 0;
    for (C v : x) t += v;
    return t;
  };
  s.push_back(
      {.name = "sum",
       .cases = reduce_cases([](T x, const Dims& d, bool k) { return sum(x, d, k); }, total, true, true),
       .integers = true,
       .errors = {bad_dim("sum: dim out of range; got 2; expected a dim in [-2, 1] for 2 dims", [](T x) { sum(x, 2); }),
                  fails<ValueError>("ValueError", "sum: a dim is named twice; got [0, -2]", [] {
                    return sum(away({2, 3}), {0, -2});
                  })}});
  s.push_back({.name = "mean",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return mean(x, d, k); }, mean_of, false, true),
               .errors = {fails<DTypeError>("DTypeError", "mean: dtype not supported; got i64",
                                            [] { return mean(arange(3)); })}});
  s.push_back({.name = "prod",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return prod(x, d, k); },
                                     [](const Line& x) {
                                       C t = 1;
                                       for (C v : x) t *= v;
                                       return t;
                                     },
                                     true, true)});
  s.push_back({.name = "prod.zeros", .cases = [] {  // one zero in a line, and two
                 auto at = [](const TensorList& in) { return TensorList{prod(in[0] * in[1], 1)}; };
                 return std::vector{make_case(
                     "zeros", {away({3, 3}), tensor({{1, 0, 1}, {0, 1, 0}, {1, 1, 1}}, i64)}, at, [](const NdList& in) {
                       Nd x = zip(in[0], in[1], [](C a, C b) { return a * b; });
                       return NdList{reduced(x, {1}, false, [](const Line& l) { return l[0] * l[1] * l[2]; })};
                     })};
               }});
  for (bool largest : {true, false}) {
    auto f = [=](T x, const Dims& d, bool k) { return largest ? max(x, d, k) : min(x, d, k); };
    s.push_back({.name = largest ? "max" : "min",
                 .cases = reduce_cases(f, largest ? largest_of : smallest_of, false, false),
                 .integers = true,
                 .expandable = false,
                 .errors = {no_elements("nothing to reduce; got shape [2, 0]; expected at least one element",
                                        [=](T x) { return f(x, {}, false); }),
                            fails<DTypeError>("DTypeError", "dtype not supported; got c128",
                                              [=] { return f(complex_away({2}), {}, false); })}});
    LineReference reference{[=](const Line& x) { return Line{largest ? largest_of(x) : smallest_of(x)}; },
                            [=](const Line& x) { return Line{double(order_of(x, largest)[0])}; }};
    s.push_back({.name = largest ? "max_with_indices" : "min_with_indices",
                 .cases = line_cases(
                     two([=](T x, int64_t d) { return largest ? max_with_indices(x, d) : min_with_indices(x, d); }),
                     reference, false, true),
                 .integers = true,
                 .expandable = false,
                 .errors = {no_elements("got shape [2, 0]", [=](T x) {
                   return largest ? max_with_indices(x, 1) : min_with_indices(x, 1);
                 })}});
    s.push_back({.name = largest ? "max_with_indices.kept" : "min_with_indices.kept",
                 .cases = line_cases(two([=](T x, int64_t d) {
                                       return largest ? max_with_indices(x, d, true) : min_with_indices(x, d, true);
                                     }),
                                     reference, false),
                 .expandable = false});
    s.push_back(
        {.name = largest ? "argmax" : "argmin",
         .cases = line_cases(one([=](T x, int64_t d) { return largest ? argmax(x, d) : argmin(x, d); }), {reference[1]},
                             false, true),
         .gradient = false,
         .integers = true,
         .expandable = true,
         .errors = {no_elements("got shape [2, 0]", [=](T x) { return largest ? argmax(x, 1) : argmin(x, 1); })}});
  }
  Make sparse = [](const Shape& shape, int seed) { return to(mask(shape, seed), f64) * away(shape, seed); };
  auto nonzeros = [](const Line& x) {
    return C(double(std::count_if(x.begin(), x.end(), [](C v) { return v != 0.; })));
  };
  s.push_back({.name = "count_nonzero",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return count_nonzero(x, d, k); }, nonzeros, true,
                                     true, sparse),
               .gradient = false,
               .integers = true});
  s.push_back({.name = "any",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return any(x, d, k); },
                                     [=](const Line& x) { return C(nonzeros(x) != 0.); }, true, true, sparse),
               .gradient = false,
               .integers = true});
  s.push_back(
      {.name = "all",
       .cases = reduce_cases([](T x, const Dims& d, bool k) { return all(x, d, k); },
                             [=](const Line& x) { return C(nonzeros(x) == double(x.size())); }, true, true, sparse),
       .gradient = false,
       .integers = true});
  s.push_back({.name = "var",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return var(x, d, 0, k); },
                                     [](const Line& x) { return variance(x, 0); }, false, false),
               .factor = 8,
               .errors = {fails<DTypeError>("DTypeError", "var_mean: dtype not supported; got i64",
                                            [] { return var(arange(3)); })}});
  // One element has no spread: only groups of two or more.
  auto at_least_two = [](Cases make) {
    return [make] {
      std::vector<Case> some;
      for (Case& c : make())
        if (c.inputs[0].dim() > 0 && c.inputs[0].shape()[0] > 1) some.push_back(c);
      return some;
    };
  };
  s.push_back({.name = "var.corrected",
               .cases = at_least_two(reduce_cases([](T x, const Dims& d, bool k) { return var(x, d, 1, k); },
                                                  [](const Line& x) { return variance(x, 1); }, false, false)),
               .factor = 8});
  s.push_back(
      {.name = "std",
       .cases = at_least_two(reduce_cases([](T x, const Dims& d, bool k) { return std(x, d, 1, k); },
                                          [](const Line& x) { return std::sqrt(variance(x, 1)); }, false, false)),
       .expandable = false,
       .factor = 8});
  s.push_back({.name = "var_mean",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (bool keep : {false, true})
                       for (const Shape& shape : {Shape{2, 3}, {3, 29}, {2, 2, 2}})
                         cases.push_back(make_case(
                             shape.str(), {away(shape)},
                             [=](const TensorList& in) {
                               auto [v, m] = var_mean(in[0], -1, 0.5, keep);
                               return TensorList{v, m};
                             },
                             [=](const NdList& in) {
                               return NdList{reduced(in[0], {-1}, keep, [](const Line& x) { return variance(x, 0.5); }),
                                             reduced(in[0], {-1}, keep, mean_of)};
                             },
                             shape.numel() < 13));
                     return cases;
                   },
               .factor = 8});
  s.push_back(
      {.name = "logsumexp",
       .cases = reduce_cases([](T x, const Dims& d, bool k) { return logsumexp(x, d, k); }, log_sum_exp, true, false),
       .factor = 8,
       .errors = {fails<DTypeError>("DTypeError", "logsumexp: dtype not supported; got c128",
                                    [] { return logsumexp(complex_away({2})); })}});
  s.push_back({.name = "norm",
               .cases = reduce_cases([](T x, const Dims& d, bool k) { return norm(x, d, k); },
                                     [](const Line& x) {
                                       double t = 0;
                                       for (C v : x) t += std::norm(v);
                                       return C(std::sqrt(t));
                                     },
                                     true, true),
               .factor = 8});
  s.push_back(
      {.name = "sum_to",
       .cases =
           [] {
             struct Pair {
               Shape from, to;
             };
             std::vector<Case> cases;
             for (const Pair& p : std::initializer_list<Pair>{{{2, 3}, {3}},
                                                              {{2, 3}, {2, 1}},
                                                              {{2, 3}, {}},
                                                              {{2, 2, 3}, {1, 3}},
                                                              {{2, 3}, {2, 3}},
                                                              {{2, 0}, {2, 1}},
                                                              {{0, 3}, {3}}}) {
               Shape to = p.to;
               cases.push_back(make_case(p.from.str() + " to " + p.to.str(), {away(p.from)},
                                         fn1([to](T x) { return sum_to(x, to); }), [to](const NdList& in) {
                                           Nd y(to);
                                           each_index(in[0].shape, [&](const Shape& i) {
                                             Shape at;
                                             for (int d = 0; d < to.size(); ++d)
                                               at.push_back(to[d] == 1 ? 0 : i[d + i.size() - to.size()]);
                                             y(at) += in[0](i);
                                           });
                                           return NdList{y};
                                         }));
             }
             return cases;
           },
       .errors = {fails<ShapeError>("ShapeError", "sum_to: [2, 3] was not broadcast from that shape; got [3, 2]", [] {
         return sum_to(away({2, 3}), {3, 2});
       })}});

  // ---- sorting
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
  // ---- softmax
  s.push_back({.name = "softmax",
               .cases = line_cases(one([](T x, int64_t d) { return softmax(x, d); }), {softmax_line}),
               .factor = 8,
               .errors = {bad_dim("softmax: dim out of range; got -3", [](T x) { softmax(x, -3); })}});
  s.push_back({.name = "log_softmax",
               .cases = line_cases(one([](T x, int64_t d) { return log_softmax(x, d); }), {[](const Line& x) {
                                     Line y;
                                     C l = log_sum_exp(x);
                                     for (C v : x) y.push_back(v - l);
                                     return y;
                                   }}),
               .factor = 8});
  s.push_back({.name = "causal_softmax",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (const Shape& shape : {Shape{3, 3}, {2, 2, 2}, {2, 4}, {1, 3}, {0, 2}, {2, 7, 19}})
                       cases.push_back(make_case(
                           shape.str(), {away(shape)}, fn1(causal_softmax),
                           [](const NdList& in) {
                             Nd y(in[0].shape);
                             int last = y.shape.size() - 1;
                             int64_t keys = y.shape[last], queries = y.shape[last - 1];
                             for (int64_t row = 0; keys > 0 && row < int64_t(y.v.size()) / keys; ++row) {
                               int64_t seen = row % queries + keys - queries + 1;
                               Line line = softmax_line(
                                   Line(in[0].v.begin() + row * keys, in[0].v.begin() + row * keys + seen));
                               std::copy(line.begin(), line.end(), y.v.begin() + row * keys);
                             }
                             return NdList{y};
                           },
                           shape.numel() < 13));
                     return cases;
                   },
               .factor = 8,
               .errors = {fails<ShapeError>("ShapeError", "causal_softmax: too few dims; got [3]",
                                            [] { return causal_softmax(away({3})); })}});
}

void add_scan_specs(Specs& s) {
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
  s.push_back({.name = "cumprod.zeros", .cases = [] {
                 return std::vector{make_case("zeros", {away({2, 4}), tensor({{1, 0, 1, 1}, {1, 0, 0, 1}}, i64)},
                                              fn2([](T x, T m) { return cumprod(x * m, 1); }), [](const NdList& in) {
                                                Nd x = zip(in[0], in[1], [](C a, C b) { return a * b; });
                                                return NdList{along(x, 1, [](const Line& l) {
                                                  Line y;
                                                  C t = 1;
                                                  for (C v : l) y.push_back(t *= v);
                                                  return y;
                                                })};
                                              })};
               }, .rounds_again = "the row itself multiplies by zeros: a gradient that overflowed becomes NaN there"});
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
       .cases = line_cases(
           one([](T x, int64_t d) { return sliding_window_max(x, x.dim() ? std::min<int64_t>(2, x.size(d)) : 1, d); }),
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
