// Rows of softmax attention, its merge, and causal linear attention.
#include <cmath>

#include "autograd/attention.h"
#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;

// What the reference needs to know of a case.
struct Form {
  const char* label;
  Shape q, k, v;
  std::function<AttentionOptions()> options;
  std::function<bool(int64_t i, int64_t j)> seen;  // of the last two dims
  double softcap = 0;
  std::vector<double> slopes = {};  // per head
};

Shape four(const Shape& s) {
  Shape all = s;
  while (all.size() < 4) all.insert(0, 1);
  return all;
}

// {out, lse} by the definition, loop by loop.
NdList attention_reference(const Form& f, Nd q, Nd k, Nd v) {
  const int dims = q.shape.size();
  q.shape = four(q.shape), k.shape = four(k.shape), v.shape = four(v.shape);
  const int64_t batch = q.shape[0], heads = q.shape[1], nq = q.shape[2], d = q.shape[3], nk = k.shape[2],
                dv = v.shape[3];
  Nd out({batch, heads, nq, dv}), lse({batch, heads, nq}, -INFINITY);
  const AttentionOptions o = f.options();
  const double scale = o.scale.value_or(1 / std::sqrt(double(d)));
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < nq; ++i) {
        const int64_t kv = h / (heads / k.shape[1]);
        double total = 0;
        std::vector<double> e(static_cast<size_t>(nk));
        for (int64_t j = 0; j < nk; ++j) {
          double s = 0;
          for (int64_t c = 0; c < d; ++c) s += re(q({b, h, i, c})) * re(k({b, kv, j, c}));
          s *= scale;
          if (f.softcap > 0) s = f.softcap * std::tanh(s / f.softcap);
          if (!f.slopes.empty()) s -= f.slopes[size_t(h)] * std::abs(double(j - i - (nk - nq)));
          e[size_t(j)] = f.seen(i, j) ? std::exp(s) : 0;
          total += e[size_t(j)];
        }
        if (total == 0) continue;
        lse({b, h, i}) = std::log(total);
        for (int64_t j = 0; j < nk; ++j)
          for (int64_t c = 0; c < dv; ++c) out({b, h, i, c}) += e[size_t(j)] / total * v({b, kv, j, c});
      }
  for (int n = 4; n > dims; --n) out.shape.erase(0), lse.shape.erase(0);
  return {out, lse};
}

std::vector<Form> forms() {
  auto all = [](int64_t, int64_t) { return true; };
  auto plain = [] { return AttentionOptions{}; };
  return {
      {"one head", {1, 1, 3, 2}, {1, 1, 3, 2}, {1, 1, 3, 2}, plain, all},
      {"two dims", {2, 3}, {4, 3}, {4, 2}, plain, all},
      {"three dims", {2, 2, 2}, {2, 3, 2}, {2, 3, 1}, plain, all},
      {"grouped heads", {1, 2, 2, 2}, {1, 1, 3, 2}, {1, 1, 3, 2}, plain, all},
      {"causal, top left",
       {1, 1, 3, 2},
       {1, 1, 2, 2},
       {1, 1, 2, 2},
       [] { return AttentionOptions{.causal = Causal::top_left}; },
       [](int64_t i, int64_t j) { return j <= i; }},
      {"causal, bottom right",
       {1, 1, 2, 2},
       {1, 1, 4, 2},
       {1, 1, 4, 2},
       [] { return AttentionOptions{.causal = Causal::bottom_right}; },
       [](int64_t i, int64_t j) { return j <= i + 2; }},
      {"window, cap, ALiBi",
       {1, 2, 3, 2},
       {1, 2, 3, 2},
       {1, 2, 3, 2},
       [] {
         return AttentionOptions{.left = 1, .right = 0, .scale = 0.5, .softcap = 2, .slopes = tensor({0.5, 0.25}, f64)};
       },
       [](int64_t i, int64_t j) { return j <= i && j >= i - 1; },
       2,
       {0.5, 0.25}},
      {"no tokens", {1, 1, 0, 2}, {1, 1, 3, 2}, {1, 1, 3, 2}, plain, all},
      {"larger, causal",
       {2, 3, 70, 20},
       {2, 3, 70, 20},
       {2, 3, 70, 12},
       [] { return AttentionOptions{.causal = Causal::top_left}; },
       [](int64_t i, int64_t j) { return j <= i; }},
  };
}

template <class F> Cases attention_cases(F run, bool with_lse) {
  return [=] {
    std::vector<Case> cases;
    for (const Form& f : forms()) {
      auto op = [=](const TensorList& in) { return run(in, f.options()); };
      auto reference = [=](const NdList& in) {
        NdList all = attention_reference(f, in[0], in[1], in[2]);
        return with_lse ? all : NdList{all[0]};
      };
      cases.push_back(make_case(f.label, {away(f.q, 1), away(f.k, 2), away(f.v, 3)}, op, reference, f.q.numel() < 20,
                                double(f.k[f.k.size() - 2])));
    }
    return cases;
  };
}

Nd linear_reference(const NdList& in, bool reverse) {
  const Nd &q = in[0], &k = in[1], &v = in[2];
  Nd y(v.shape);
  each_index(v.shape, [&](const Shape& at) {
    const int n = at.size();
    Shape i(at.begin(), at.end() - 1), j = i;
    for (int64_t t = 0; t < v.shape[n - 2]; ++t) {
      if (reverse ? t < at[n - 2] : t > at[n - 2]) continue;
      j[n - 2] = t;
      C score = 0;
      for (int64_t c = 0; c < q.shape.back(); ++c) {
        Shape a = i, b = j;
        a.push_back(c), b.push_back(c);
        score += q(a) * k(b);
      }
      if (in.size() > 3) score *= std::exp(re(in[3](i)) - re(in[3](j)));
      Shape from = j;
      from.push_back(at[n - 1]);
      y(at) += score * v(from);
    }
  });
  return y;
}

}  // namespace

void add_attention_specs(Specs& s) {
  auto out_only = [](const TensorList& in, const AttentionOptions& o) {
    return TensorList{scaled_dot_product_attention(in[0], in[1], in[2], o)};
  };
  auto both = [](const TensorList& in, const AttentionOptions& o) {
    auto [out, lse] = attention_with_lse(in[0], in[1], in[2], o);
    return TensorList{out, lse};
  };
  std::vector<ErrorInput> errors{
      fails<ShapeError>("ShapeError", "queries and keys differ in width",
                        [] {
                          return scaled_dot_product_attention(away({2, 3}), away({2, 2}), away({2, 2}));
                        }),
      fails<DTypeError>(
          "DTypeError", "must have one floating point dtype; got c128",
          [] {
            return scaled_dot_product_attention(complex_away({2, 2}), complex_away({2, 2}), complex_away({2, 2}));
          }),
      fails<ValueError>("ValueError", "a window cannot be negative", [] {
        return scaled_dot_product_attention(away({2, 2}), away({2, 2}), away({2, 2}), {.right = -3});
      })};
  s.push_back({.name = "scaled_dot_product_attention",
               .cases = attention_cases(out_only, false),
               .expandable = false,
               .factor = 32,
               .errors = errors,
               .rounds_again = "the sums g . out of its gradient take the rounded results"});
  s.push_back({.name = "attention_with_lse",
               .cases = attention_cases(both, true),
               .expandable = false,
               .dtypes = {f32},  // the log-sum-exps of halves are f32
               .factor = 32,
               .errors = {fails<ShapeError>("ShapeError", "wrong number of dims; got [3]", [] {
                 return std::get<0>(attention_with_lse(away({3}), away({3}), away({3})));
               })}});
  s.push_back(
      {.name = "merge_attention",
       .cases =
           [] {
             OpFn f = [](const TensorList& in) {
               auto [out, lse] = merge_attention(in[0], in[1], in[2], in[3]);
               return TensorList{out, lse};
             };
             Reference reference = [](const NdList& in) {
               Nd out(in[0].shape), lse(in[1].shape);
               each_index(in[1].shape,
                          [&](const Shape& i) { lse(i) = std::log(std::exp(re(in[1](i))) + std::exp(re(in[3](i)))); });
               each_index(in[0].shape, [&](const Shape& at) {
                 Shape i(at.begin(), at.end() - 1);
                 out(at) = std::exp(in[1](i) - lse(i)) * in[0](at) + std::exp(in[3](i) - lse(i)) * in[2](at);
               });
               return NdList{out, lse};
             };
             std::vector<Case> cases;
             for (const Shape& rows : {Shape{3}, {1, 2, 2}, {0}, {2, 1, 40}}) {
               Shape wide = rows;
               wide.push_back(2);
               cases.push_back(make_case(rows.str(), {away(wide, 1), away(rows, 2), away(wide, 3), away(rows, 4)}, f,
                                         reference, rows.numel() < 10));
             }
             return cases;
           },
       .expandable = false,
       .dtypes = {f32},
       .factor = 32});
  s.push_back({.name = "visible_keys",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (int64_t nk : {3, 5}) {  // the diagonal, which ends in the last key, and the key before
                       OpFn f = [](const TensorList& in) {
                         return TensorList{visible_keys(in[0], in[1], {.causal = Causal::bottom_right, .left = 1})};
                       };
                       Reference reference = [nk](const NdList&) {
                         Nd seen({3, nk});
                         for (int64_t i = 0; i < 3; ++i)
                           for (int64_t j = 0; j < nk; ++j) seen({i, j}) = j <= i + nk - 3 && j >= i + nk - 4;
                         return NdList{seen};
                       };
                       cases.push_back(make_case("causal, window", {away({3, 2}, 1), away({nk, 2}, 2)}, f, reference));
                     }
                     return cases;
                   },
               .gradient = false,
               .expandable = false,
               .dtypes = {}});
  s.push_back({.name = "causal_linear_attention",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     struct Sizes {
                       Shape qk;
                       int64_t dv;
                     };
                     for (const Sizes& z : std::initializer_list<Sizes>{{{3, 2}, 2},
                                                                        {{2, 4, 2}, 1},
                                                                        {{1, 2, 3, 1}, 2},
                                                                        {{0, 2}, 2},
                                                                        {{1, 3}, 2},
                                                                        {{2, 150, 9}, 13},
                                                                        {{66, 5}, 70}})
                       for (bool reverse : {false, true})
                         for (bool decay : {false, true}) {
                           Shape v(z.qk.begin(), z.qk.end() - 1), rows = v;
                           v.push_back(z.dv);
                           TensorList in{away(z.qk, 1), away(z.qk, 2), away(v, 3)};
                           if (decay) in.push_back(unit(rows, 4));
                           OpFn f = [=](const TensorList& in) {
                             return TensorList{
                                 causal_linear_attention(in[0], in[1], in[2], decay ? in[3] : Tensor(), reverse)};
                           };
                           cases.push_back(make_case(
                               v.str() + (reverse ? " reverse" : "") + (decay ? " decay" : ""), in, f,
                               [=](const NdList& in) { return NdList{linear_reference(in, reverse)}; }, v.numel() < 13,
                               double(z.qk.numel())));
                         }
                     return cases;
                   },
               .expandable = false,
               .factor = 16,
               .errors = {fails<ShapeError>("ShapeError", "causal_linear_attention: shapes do not fit", [] {
                 return causal_linear_attention(away({3, 2}), away({4, 2}), away({4, 2}));
               })}});
}

}  // namespace ink::test
