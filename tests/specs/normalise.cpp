// Rows of softmax, the norms and the losses.
#include <algorithm>
#include <cmath>

#include "tests/specs/lines.h"

namespace ink::test {
namespace {

using T = const Tensor&;
// (x - mean) / sqrt(var + eps); RMS: without the mean.
Line normalised(const Line& x, double eps, bool rms) {
  double mean = 0, var = 0;
  for (C v : x) mean += rms ? 0 : v.real() / double(x.size());
  for (C v : x) var += (v.real() - mean) * (v.real() - mean) / double(x.size());
  Line y;
  for (C v : x) y.push_back((v.real() - mean) / std::sqrt(var + eps));
  return y;
}
C times(C a, C b) { return a * b; }
C plus(C a, C b) { return a + b; }
// One number per channel, in the place of dim `at`.
Nd per_channel(Nd w, int dims, int at) {
  Shape s = Shape::filled(dims, 1);
  s[at] = w.shape[0];
  w.shape = s;
  return w;
}

double mean_or(Reduction r, double n) { return r == Reduction::mean ? 1 / n : 1; }
const char* name_of(Reduction r) { return r == Reduction::mean ? "mean" : r == Reduction::sum ? "sum" : "none"; }
// The losses of all elements (or rows), reduced.
NdList reduce(const Nd& losses, Reduction r, double count) {
  if (r == Reduction::none) return {losses};
  C total = 0;
  for (C v : losses.v) total += v;
  return {Nd(Shape{}, total * mean_or(r, count))};
}
constexpr Reduction kReductions[] = {Reduction::mean, Reduction::sum, Reduction::none};

using PairLoss = std::function<Tensor(T, T, Reduction)>;
OpSpec pair_loss(const char* name, PairLoss f, double (*g)(double, double), Make a, Make b) {
  return {.name = name,
          .cases =
              [=] {
                std::vector<Case> cases;
                for (Reduction r : kReductions)
                  for (const Shape& shape : {Shape{2, 3}, {}, {1}, {3, 37}})
                    cases.push_back(make_case(
                        shape.str() + " " + name_of(r), {a(shape, 1), b(shape, 2)},
                        fn2([=](T x, T t) { return f(x, t, r); }),
                        [=](const NdList& in) {
                          Nd losses = zip(in[0], in[1], on_reals(g));
                          return reduce(losses, r, double(losses.v.size()));
                        },
                        shape.numel() < 10));
                cases.push_back(make_case("empty", {a({0}, 1), b({0}, 2)},
                                          fn2([=](T x, T t) { return f(x, t, Reduction::sum); }),
                                          [](const NdList&) { return NdList{Nd(Shape{})}; }));
                return cases;
              },
          .factor = 16,
          .errors = {fails<ShapeError>(
              "ShapeError", "input and target differ in shape; got [2, 3] and [3]; hint: expand one on purpose", [=] {
                return f(a({2, 3}, 1), b({3}, 2), Reduction::mean);
              })}};
}

Line softmax_line(const Line& x) {
  Line y;
  C l = log_sum_exp(x);
  for (C v : x) y.push_back(std::exp(v - l));
  return y;
}

}  // namespace

void add_softmax_specs(Specs& s) {
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

void add_norm_specs(Specs& s) {
  auto affine = [](Nd y, const NdList& in, int at) {
    int dims = y.shape.size();
    if (in.size() > 1) y = zip(y, per_channel(in[1], dims, at), times);
    if (in.size() > 2) y = zip(y, per_channel(in[2], dims, at), plus);
    return y;
  };
  auto part = [](const TensorList& in, size_t i) { return i < in.size() ? in[i] : Tensor(); };
  for (bool rms : {false, true}) {
    double eps = rms ? 1e-6 : 1e-5;
    s.push_back(
        {.name = rms ? "rms_norm" : "layer_norm",
         .cases =
             [=] {
               OpFn f = [=](const TensorList& in) {
                 return TensorList{rms ? rms_norm(in[0], part(in, 1)) : layer_norm(in[0], part(in, 1), part(in, 2))};
               };
               Reference reference = [=](const NdList& in) {
                 Nd y = along(in[0], -1, [=](const Line& x) { return normalised(x, eps, rms); });
                 return NdList{affine(y, in, y.shape.size() - 1)};
               };
               std::vector<Case> cases;
               for (const Shape& shape : {Shape{2, 3}, {4}, {2, 2, 3}, {0, 3}, {5, 41}})
                 for (int parameters = 0; parameters <= (rms ? 1 : 2); ++parameters) {
                   TensorList in{away(shape)};
                   for (int i = 0; i < parameters; ++i) in.push_back(away({shape.back()}, i + 1));
                   cases.push_back(make_case(shape.str() + " with " + std::to_string(parameters), in, f, reference,
                                             shape.numel() < 13));
                 }
               return cases;
             },
         .factor = 32,
         .errors = {
             fails<ShapeError>("ShapeError", "weight has the wrong shape; got [2]; expected [3] for x [2, 3]",
                               [=] {
                                 return rms ? rms_norm(away({2, 3}), away({2})) : layer_norm(away({2, 3}), away({2}));
                               }),
             fails<ShapeError>("ShapeError", "the input has no dims; expected [..., features]",
                               [=] { return rms ? rms_norm(away({})) : layer_norm(away({})); }),
             fails<DTypeError>("DTypeError", "dtype not supported; got c128",
                               [=] { return rms ? rms_norm(complex_away({3})) : layer_norm(complex_away({3})); })}});
  }
  s.push_back(
      {.name = "group_norm",
       .cases =
           [=] {
             std::vector<Case> cases;
             struct Form {
               Shape x;
               int64_t groups;
             };
             for (const Form& form : std::initializer_list<Form>{{{1, 4, 2}, 2},
                                                                 {{2, 2, 3}, 1},
                                                                 {{2, 4}, 2},
                                                                 {{1, 2, 2, 2}, 2},
                                                                 {{0, 2, 2}, 1},
                                                                 {{2, 6, 5, 7}, 3}})
               for (int parameters : {0, 1, 2}) {
                 TensorList in{away(form.x)};
                 for (int i = 0; i < parameters; ++i) in.push_back(away({form.x[1]}, i + 1));
                 int64_t groups = form.groups;
                 cases.push_back(make_case(
                     form.x.str() + " with " + std::to_string(parameters), in,
                     [=](const TensorList& in) {
                       return TensorList{group_norm(in[0], groups, part(in, 1), part(in, 2))};
                     },
                     [=](const NdList& in) {
                       Nd y = in[0];
                       Shape shape = y.shape;
                       y.shape = {shape[0] * groups, shape.numel() ? shape.numel() / (shape[0] * groups) : 1};
                       if (shape.numel()) y = along(y, 1, [](const Line& x) { return normalised(x, 1e-5, false); });
                       y.shape = shape;
                       return NdList{affine(y, in, 1)};
                     },
                     form.x.numel() < 13));
               }
             return cases;
           },
       .factor = 32,
       .errors = {fails<ShapeError>("ShapeError", "group_norm: the channels cannot be cut into 2 groups; got [1, 3, 2]",
                                    [] {
                                      return group_norm(away({1, 3, 2}), 2);
                                    }),
                  fails<ShapeError>("ShapeError", "group_norm: weight has the wrong shape; got [2]; expected [4]", [] {
                    return group_norm(away({1, 4, 2}), 2, away({2}));
                  })}});
}

void add_loss_specs(Specs& s) {
  s.push_back(pair_loss(
      "mse_loss", [](T x, T t, Reduction r) { return mse_loss(x, t, r); },
      [](double x, double t) { return (x - t) * (x - t); }, away, away));
  s.push_back(pair_loss(
      "l1_loss", [](T x, T t, Reduction r) { return l1_loss(x, t, r); },
      [](double x, double t) { return std::abs(x - t); }, away, away));
  s.push_back(pair_loss(
      "huber_loss", [](T x, T t, Reduction r) { return huber_loss(x, t, 0.75, r); },
      [](double x, double t) {
        double d = std::abs(x - t);
        return d <= 0.75 ? d * d / 2 : 0.75 * (d - 0.375);
      },
      away, away));
  s.back().errors.push_back(fails<ValueError>("ValueError", "huber_loss: delta got 0; expected a positive number",
                                              [] { return huber_loss(away({2}), away({2}), 0); }));
  s.push_back(pair_loss(
      "binary_cross_entropy_with_logits",
      [](T x, T t, Reduction r) { return binary_cross_entropy_with_logits(x, t, r); },
      [](double x, double t) {
        double p = 1 / (1 + std::exp(-x));
        return -t * std::log(p) - (1 - t) * std::log1p(-p);
      },
      away, [](const Shape& shape, int seed) { return positive(shape, seed) * 0.5; }));
  s.push_back(pair_loss(
      "binary_cross_entropy", [](T p, T t, Reduction r) { return binary_cross_entropy(p, t, r); },
      [](double p, double t) { return -t * std::log(p) - (1 - t) * std::log1p(-p); },
      [](const Shape& shape, int seed) { return positive(shape, seed) * 0.25 + 0.1; },
      [](const Shape& shape, int seed) { return positive(shape, seed) * 0.5; }));
  s.push_back(pair_loss(
      "kl_div", [](T x, T t, Reduction r) { return kl_div(x, t, r); },
      [](double log_q, double p) { return p * (std::log(p) - log_q); }, away, positive));
  s.push_back({.name = "kl_div.zero",
               .cases =
                   [] {
                     // p is a constant here: its gradient at 0 is infinite
                     return std::vector{make_case(
                         "p = 0", {away({3})}, fn1([](T q) {
                           return kl_div(q, tensor({0, 0.25, 0.75}, q.dtype()), Reduction::none);
                         }),
                         [](const NdList& in) {
                           Nd y = in[0];
                           for (size_t i = 0; i < 3; ++i)
                             y.v[i] = i == 0 ? 0 : 0.25 * (i == 1 ? 1 : 3) * (std::log(i == 1 ? 0.25 : 0.75) - y.v[i]);
                           return NdList{y};
                         })};
                   },
               .factor = 8});

  // ---- classes
  auto targets = [](int64_t n, bool ignored) {
    std::vector<int64_t> t;
    for (int64_t i = 0; i < n; ++i) t.push_back(ignored && i % 3 == 1 ? -100 : (i * 7 + 2) % 3);
    return from_data(std::span<const int64_t>(t), {n});
  };
  // -sum q log p of each row, and how many rows count
  auto losses_of = [](const NdList& in, double smoothing, bool log_given) {
    int64_t n = in[0].shape[0], classes = in[0].shape[1];
    Nd losses({n});
    double count = 0;
    for (int64_t i = 0; i < n; ++i) {
      int64_t target = int64_t(in[1].v[size_t(i)].real());
      if (target == -100) continue;
      ++count;
      double total = 0;
      for (int64_t c = 0; c < classes; ++c) total += std::exp(in[0]({i, c}).real());
      for (int64_t c = 0; c < classes; ++c) {
        double log_p = in[0]({i, c}).real() - (log_given ? 0 : std::log(total));
        losses.v[size_t(i)] -= ((c == target) * (1 - smoothing) + smoothing / double(classes)) * log_p;
      }
    }
    return std::pair(losses, count);
  };
  s.push_back(
      {.name = "cross_entropy",
       .cases =
           [=] {
             std::vector<Case> cases;
             for (Reduction r : kReductions)
               for (double smoothing : {0., 0.1})
                 for (int64_t n : {4, 1, 19}) {
                   CrossEntropyOptions o{.reduction = r, .label_smoothing = smoothing};
                   cases.push_back(make_case(
                       std::to_string(n) + " rows, " + name_of(r) + (smoothing ? ", smoothed" : ""),
                       {away({n, 3}), targets(n, n > 1)}, fn2([=](T z, T t) { return cross_entropy(z, t, o); }),
                       [=](const NdList& in) {
                         auto [losses, count] = losses_of(in, smoothing, false);
                         return reduce(losses, r, count);
                       },
                       n < 10));
                 }
             cases.push_back(make_case("no rows", {away({0, 3}), targets(0, false)},
                                       fn2([](T z, T t) { return cross_entropy(z, t, {.reduction = Reduction::sum}); }),
                                       [](const NdList&) { return NdList{Nd(Shape{})}; }));
             return cases;
           },
       .factor = 16,
       .errors = {fails<ShapeError>("ShapeError",
                                    "cross_entropy: got [2, 3] and target [3]; expected [n, classes] and [n]; hint: "
                                    "flatten the leading dims",
                                    [=] {
                                      return cross_entropy(away({2, 3}), targets(3, false));
                                    }),
                  fails<IndexError>(
                      "IndexError",
                      "cross_entropy: a target is not a class; got 5 in row 1; expected 0 .. 2 or ignore_index -100",
                      [] {
                        return cross_entropy(away({2, 3}), indices({0, 5}, {2}));
                      }),
                  fails<IndexError>("IndexError", "cross_entropy: a target is not a class; got -1",
                                    [] {
                                      return cross_entropy(away({2, 3}), indices({-1, 0}, {2}));
                                    }),
                  fails<DTypeError>("DTypeError", "cross_entropy: dtype not supported; got f64",
                                    [] {
                                      return cross_entropy(away({2, 3}), away({2}));
                                    }),
                  fails<ValueError>("ValueError", "cross_entropy: label_smoothing got 2; expected 0 .. 1", [=] {
                    return cross_entropy(away({2, 3}), targets(2, false), {.label_smoothing = 2});
                  })}});
  s.push_back({.name = "nll_loss",
               .cases =
                   [=] {
                     std::vector<Case> cases;
                     for (Reduction r : kReductions)
                       cases.push_back(make_case(name_of(r), {away({4, 3}), targets(4, true)},
                                                 fn2([=](T z, T t) { return nll_loss(z, t, r); }),
                                                 [=](const NdList& in) {
                                                   auto [losses, count] = losses_of(in, 0, true);
                                                   return reduce(losses, r, count);
                                                 }));
                     return cases;
                   },
               .factor = 8,
               .errors = {fails<IndexError>("IndexError", "nll_loss: a target is not a class; got 3 in row 0", [] {
                 return nll_loss(away({2, 3}), indices({3, 0}, {2}));
               })}});
}

}  // namespace ink::test
