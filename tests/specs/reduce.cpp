// Rows of the reductions.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/specs/lines.h"

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
C smallest_of(const Line& x) {
  double m = kInf;
  for (C v : x) m = std::min(m, v.real());
  return m;
}
template <class F> ErrorInput no_elements(const char* message, F f) {
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
    s.push_back(
        {.name = largest ? "max_with_indices" : "min_with_indices",
         .cases =
             line_cases(two([=](T x, int64_t d) { return largest ? max_with_indices(x, d) : min_with_indices(x, d); }),
                        reference, false, true),
         .integers = true,
         .expandable = false,
         .errors = {no_elements("got shape [2, 0]",
                                [=](T x) { return largest ? max_with_indices(x, 1) : min_with_indices(x, 1); })}});
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
}

}  // namespace ink::test
