// Rows of the matrix products.
#include <algorithm>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
// As NumPy: a 1-D operand is a row or a column, dropped again.
Nd matrix_product(Nd a, Nd b) {
  bool row = a.shape.size() == 1, column = b.shape.size() == 1;
  if (row) a.shape.insert(0, 1);
  if (column) b.shape.push_back(1);
  Nd y = product(a, b);
  if (row) y.shape.erase(y.shape.size() - 2);
  if (column) y.shape.pop_back();
  return y;
}
C plus(C a, C b) { return a + b; }

struct Pair {
  Shape a, b;
};
Cases product_cases(std::function<Tensor(T, T)> f, std::function<Nd(const Nd&, const Nd&)> g,
                    std::vector<Pair> shapes) {
  return [=] {
    std::vector<Case> cases;
    int seed = 0;
    Reference reference = [=](const NdList& in) { return NdList{g(in[0], in[1])}; };
    for (const Pair& p : shapes) {
      bool small = p.a.numel() < 25 && p.b.numel() < 25;
      double terms = double(std::max<int64_t>(1, p.a.empty() ? 1 : p.a.back()));
      ++seed;
      cases.push_back(make_case(p.a.str() + " " + p.b.str(), {away(p.a, seed), away(p.b, seed + 40)}, fn2(f), reference,
                                small, terms));
      if (seed < 3)
        cases.push_back(make_case("complex " + p.a.str() + " " + p.b.str(),
                                  {complex_away(p.a, seed), complex_away(p.b, seed + 40)}, fn2(f), reference, small,
                                  terms));
      if (seed == 1)
        cases.push_back(make_case("complex and real " + p.a.str() + " " + p.b.str(),
                                  {away(p.a, seed), complex_away(p.b, seed + 40)}, fn2(f), reference, small, terms));
    }
    return cases;
  };
}
// sum over every label that is not in the output, by loops over all labels
Reference einsum_reference(std::vector<std::string> terms, std::string output) {
  return [=](const NdList& in) {
    std::string labels;
    Shape sizes, shape;
    for (size_t k = 0; k < terms.size(); ++k)
      for (size_t d = 0; d < terms[k].size(); ++d)
        if (labels.find(terms[k][d]) == std::string::npos) {
          labels += terms[k][d];
          sizes.push_back(in[k].shape[int(d)]);
        } else {
          int64_t& size = sizes[int(labels.find(terms[k][d]))];
          size = std::max(size, in[k].shape[int(d)]);
        }
    auto at = [&](const std::string& term, const Shape& i, const Shape& limits) {
      Shape index;
      for (size_t d = 0; d < term.size(); ++d) index.push_back(limits[int(d)] == 1 ? 0 : i[int(labels.find(term[d]))]);
      return index;
    };
    for (char c : output) shape.push_back(sizes[int(labels.find(c))]);
    Nd y(shape);
    each_index(sizes, [&](const Shape& i) {
      C p = 1;
      for (size_t k = 0; k < terms.size(); ++k) p *= in[k](at(terms[k], i, in[k].shape));
      y(at(output, i, shape)) += p;
    });
    return NdList{y};
  };
}

}  // namespace

void add_product_specs(Specs& s) {
  auto f = [](T a, T b) { return matmul(a, b); };
  s.push_back({.name = "matmul",
               .cases = product_cases(f, matrix_product,
                                      {{{2, 3}, {3, 2}},
                                       {{3}, {3}},
                                       {{3}, {3, 2}},
                                       {{2, 3}, {3}},
                                       {{2, 2, 3}, {3, 2}},
                                       {{2, 3}, {2, 3, 2}},
                                       {{2, 1, 2, 2}, {3, 2, 1}},
                                       {{1, 1}, {1, 1}},
                                       {{2, 3}, {2, 3, 1}},
                                       {{0, 3}, {3, 2}},
                                       {{2, 0}, {0, 3}},
                                       {{0, 2, 3}, {3, 2}},
                                       {{2, 3}, {3, 0}},
                                       {{3}, {2, 3, 2}},
                                       {{2, 2, 3}, {3}},
                                       {{17, 33}, {33, 19}},
                                       {{3, 5, 40}, {40, 7}}}),
               .integers = true,
               .factor = 8,
               .errors = {fails<ShapeError>(
                              "ShapeError",
                              "matmul: inner sizes differ; got [2, 3] and [2, 3]; expected [..., m, k] and [..., k, n]",
                              [=] {
                                return f(away({2, 3}), away({2, 3}));
                              }),
                          fails<ShapeError>("ShapeError", "matmul: shapes do not broadcast; got [2] and [3]",
                                            [=] {
                                              return f(away({2, 2, 3}), away({3, 3, 2}));
                                            }),
                          fails<ShapeError>("ShapeError", "matmul: an operand has no dims; got [] and [2]",
                                            [=] { return f(away({}), away({2})); }),
                          fails<ShapeError>("ShapeError", "matmul: vectors of different sizes; got [2] and [3]",
                                            [=] { return f(away({2}), away({3})); }),
                          fails<DTypeError>("DTypeError", "matmul: dtype not supported; got bool", [=] {
                            return f(mask({2, 2}), mask({2, 2}));
                          })}});
  s.push_back({.name = "bmm",
               .cases = product_cases([](T a, T b) { return bmm(a, b); }, product,
                                      {{{2, 2, 3}, {2, 3, 2}},
                                       {{1, 2, 2}, {1, 2, 1}},
                                       {{0, 2, 3}, {0, 3, 2}},
                                       {{2, 2, 0}, {2, 0, 2}},
                                       {{3, 9, 17}, {3, 17, 5}}}),
               .factor = 8,
               .errors = {fails<ShapeError>("ShapeError", "bmm: shapes do not fit; got [2, 3] and [3, 2]",
                                            [] {
                                              return bmm(away({2, 3}), away({3, 2}));
                                            }),
                          fails<ShapeError>("ShapeError", "bmm: shapes do not fit", [] {
                            return bmm(away({1, 2, 3}), away({2, 3, 2}));
                          })}});
  s.push_back(
      {.name = "addmm",
       .cases =
           [] {
             auto f = [](double beta, double alpha) {
               return [=](const TensorList& in) { return TensorList{addmm(in[0], in[1], in[2], beta, alpha)}; };
             };
             auto reference = [](double beta, double alpha) {
               return [=](const NdList& in) {
                 Nd p = map(product(in[1], in[2]), [=](C x) { return alpha * x; });
                 return NdList{zip(p, in[0], [=](C x, C c) { return x + beta * c; })};
               };
             };
             return std::vector{
                 make_case("plain", {away({2, 2}), away({2, 3}, 1), away({3, 2}, 2)}, f(1, 1), reference(1, 1)),
                 make_case("row", {away({2}), away({2, 3}, 1), away({3, 2}, 2)}, f(2, -3), reference(2, -3)),
                 make_case("column", {away({2, 1}), away({2, 3}, 1), away({3, 2}, 2)}, f(-1, 2), reference(-1, 2)),
                 make_case("no start", {away({2, 2}), away({2, 3}, 1), away({3, 2}, 2)}, f(0, 2), reference(0, 2)),
                 make_case("no inner", {away({2, 2}), away({2, 0}, 1), away({0, 2}, 2)}, f(2, 1), reference(2, 1)),
                 make_case("empty", {away({2}), away({0, 3}, 1), away({3, 2}, 2)}, f(2, 1), reference(2, 1)),
                 make_case("complex", {complex_away({2, 2}), complex_away({2, 3}, 1), complex_away({3, 2}, 2)},
                           f(2, -1), reference(2, -1))};
           },
       .integers = true,
       .factor = 8,
       .errors = {fails<ShapeError>("ShapeError",
                                    "addmm: factors do not fit; got [2, 3] and [2, 3]; expected [m, k] and [k, n]",
                                    [] {
                                      return addmm(away({2, 2}), away({2, 3}), away({2, 3}));
                                    }),
                  fails<ShapeError>("ShapeError", "expand: sizes do not fit; got [3]; cannot become [2, 2]",
                                    [] {
                                      return addmm(away({3}), away({2, 3}), away({3, 2}));
                                    }),
                  fails<ValueError>("ValueError", "addmm: integer tensors need integer factors; got beta 0.5", [] {
                    return addmm(ones({2, 2}, i64), ones({2, 2}, i64), ones({2, 2}, i64), 0.5);
                  })}});
  s.push_back(
      {.name = "linear",
       .cases =
           [] {
             OpFn f = [](const TensorList& in) {
               return TensorList{in.size() > 2 ? linear(in[0], in[1], in[2]) : linear(in[0], in[1])};
             };
             Reference reference = [](const NdList& in) {
               Nd x = in[0];
               bool vector = x.shape.size() == 1;
               if (vector) x.shape.insert(0, 1);
               Nd y = product(x, moved(in[1], {1, 0}));
               if (vector) y.shape.erase(0);
               return NdList{in.size() > 2 ? zip(y, in[2], plus) : y};
             };
             std::vector<Case> cases;
             for (const Shape& shape : {Shape{2, 3}, {3}, {2, 2, 3}, {0, 3}, {9, 3}}) {
               cases.push_back(make_case(shape.str() + " with bias", {away(shape), away({2, 3}, 1), away({2}, 2)}, f,
                                         reference, true, 3));
               cases.push_back(make_case(shape.str(), {away(shape), away({2, 3}, 1)}, f, reference, true, 3));
             }
             cases.push_back(make_case("complex", {complex_away({2, 3}), complex_away({2, 3}, 1), complex_away({2}, 2)},
                                       f, reference, true, 3));
             cases.push_back(make_case("no features", {away({2, 0}), away({3, 0}), away({3}, 2)}, f, reference));
             cases.push_back(make_case("no outputs", {away({2, 3}), away({0, 3}), away({0}, 2)}, f, reference));
             cases.push_back(
                 make_case("large", {away({5, 33}), away({19, 33}, 1), away({19}, 2)}, f, reference, false, 33));
             return cases;
           },
       .factor = 8,
       .errors = {fails<ShapeError>(
                      "ShapeError",
                      "linear: input and weight do not fit; got [2, 3] and [2, 4]; expected [..., in] and [out, in]",
                      [] {
                        return linear(away({2, 3}), away({2, 4}));
                      }),
                  fails<ShapeError>("ShapeError", "linear: bias has the wrong shape; got [3]; expected [2]", [] {
                    return linear(away({2, 3}), away({2, 3}), away({3}));
                  })}});
  s.push_back({.name = "outer",
               .cases = product_cases([](T a, T b) { return outer(a, b); },
                                      [](const Nd& a, const Nd& b) {
                                        return einsum_reference({"i", "j"}, "ij")({a, b})[0];
                                      },
                                      {{{2}, {3}}, {{1}, {2}}, {{0}, {2}}}),
               .integers = true,
               .errors = {fails<ShapeError>("ShapeError", "outer: expected two vectors; got [2, 2] and [2]", [] {
                 return outer(away({2, 2}), away({2}));
               })}});
  s.push_back({.name = "dot",
               .cases = product_cases([](T a, T b) { return dot(a, b); }, matrix_product,
                                      {{{3}, {3}}, {{1}, {1}}, {{0}, {0}}, {{101}, {101}}}),
               .integers = true,
               .factor = 8,
               .errors = {fails<ShapeError>("ShapeError", "dot: expected two vectors of one size; got [2] and [3]",
                                            [] { return dot(away({2}), away({3})); })}});
  struct Equation {
    const char* text;
    std::vector<Shape> shapes;
    std::vector<std::string> terms;  // with the ellipsis written out
    const char* output;
  };
  auto equations = [] {
    return std::vector<Equation>{{"ij,jk->ik", {{2, 3}, {3, 2}}, {"ij", "jk"}, "ik"},
                                 {"ij,jk", {{2, 3}, {3, 2}}, {"ij", "jk"}, "ik"},
                                 {"bij,bjk->bik", {{2, 2, 2}, {2, 2, 2}}, {"bij", "bjk"}, "bik"},
                                 {"ij->ji", {{2, 3}}, {"ij"}, "ji"},
                                 {"ij->", {{2, 3}}, {"ij"}, ""},
                                 {"ii->i", {{3, 3}}, {"ii"}, "i"},
                                 {"ii", {{3, 3}}, {"ii"}, ""},
                                 {"i,j->ij", {{2}, {3}}, {"i", "j"}, "ij"},
                                 {"i,i->", {{3}, {3}}, {"i", "i"}, ""},
                                 {"...ij,...jk->...ik", {{2, 2, 3}, {3, 2}}, {"xij", "jk"}, "xik"},
                                 {"b...i,...ij->...bj", {{2, 2, 2}, {2, 2, 3}}, {"bxi", "xij"}, "xbj"},
                                 {"ij,jk,kl->il", {{2, 2}, {2, 3}, {3, 2}}, {"ij", "jk", "kl"}, "il"},
                                 {"ij,ij,ij->j", {{2, 2}, {2, 2}, {2, 2}}, {"ij", "ij", "ij"}, "j"},
                                 {"ij, kj -> k", {{2, 3}, {2, 3}}, {"ij", "kj"}, "k"},
                                 {"bi,bj->bij", {{1, 2}, {3, 2}}, {"bi", "bj"}, "bij"},
                                 {"ij,jk->ik", {{2, 0}, {0, 2}}, {"ij", "jk"}, "ik"}};
  };
  s.push_back({.name = "einsum",
               .cases =
                   [equations] {
                     std::vector<Case> cases;
                     for (const Equation& e : equations()) {
                       TensorList in;
                       for (size_t k = 0; k < e.shapes.size(); ++k) in.push_back(away(e.shapes[k], int(k)));
                       std::string text = e.text;
                       OpFn f = [text](const TensorList& in) { return TensorList{einsum(text, in)}; };
                       cases.push_back(make_case(text, in, f, einsum_reference(e.terms, e.output)));
                       if (cases.size() % 4 == 1) {
                         for (size_t k = 0; k < in.size(); ++k) in[k] = complex_away(e.shapes[k], int(k));
                         cases.push_back(make_case("complex " + text, in, f, einsum_reference(e.terms, e.output)));
                       }
                     }
                     return cases;
                   },
               .factor = 8,
               .errors = {fails<ValueError>("ValueError", "einsum: 2 terms for 1 operands; got \"ij,jk->ik\"",
                                            [] {
                                              return einsum("ij,jk->ik", {away({2, 3})});
                                            }),
                          fails<ShapeError>("ShapeError", "einsum: label 'j' has sizes 3 and 2; got \"ij,jk->ik\"",
                                            [] {
                                              return einsum("ij,jk->ik", {away({2, 3}), away({2, 2})});
                                            }),
                          fails<ShapeError>("ShapeError", "einsum: term \"ij\" names 2 dims, operand 0 has shape [3]",
                                            [] { return einsum("ij->i", {away({3})}); }),
                          fails<ValueError>("ValueError", "einsum: output label 'k' stands in no operand",
                                            [] {
                                              return einsum("ij->k", {away({2, 3})});
                                            }),
                          fails<ValueError>("ValueError", "einsum: output label 'i' stands twice",
                                            [] {
                                              return einsum("ij->ii", {away({2, 3})});
                                            }),
                          fails<ValueError>("ValueError", "einsum: '1' is not a label",
                                            [] {
                                              return einsum("i1->i", {away({2, 3})});
                                            }),
                          fails<ValueError>("ValueError", "einsum: two arrows",
                                            [] {
                                              return einsum("ij->i->", {away({2, 3})});
                                            }),
                          fails<ShapeError>("ShapeError", "einsum: label 'i' has sizes 2 and 3 in one operand", [] {
                            return einsum("ii->i", {away({2, 3})});
                          })}});
  s.push_back({.name = "einsum.list",
               .cases =
                   [] {
                     return std::vector{make_case(
                         "list", {away({2, 3}), away({3}, 1)},
                         [](const TensorList& in) {
                           return TensorList{einsum("ij,j->i", {in[0], in[1]})};
                         },
                         einsum_reference({"ij", "j"}, "i"))};
                   },
               .factor = 8});
}

}  // namespace ink::test
