// Rows of the ops that take indices.
#include <algorithm>
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;

int64_t whole(C x, int64_t n) {
  int64_t i = int64_t(x.real());
  return i < 0 ? i + n : i;
}
// For each position i of the index: visit(i, the position with i[dim] replaced by the index there).
void each_target(const Nd& index, const Shape& x, int dim,
                 const std::function<void(const Shape&, const Shape&)>& visit) {
  each_index(index.shape, [&](const Shape& i) {
    Shape at = i;
    at[dim] = whole(index(i), x[dim]);
    visit(i, at);
  });
}
Reference gathers(int dim) {
  return [dim](const NdList& in) {
    Nd y(in[1].shape);
    each_target(in[1], in[0].shape, dim, [&](const Shape& i, const Shape& at) { y(i) = in[0](at); });
    return NdList{y};
  };
}
Reference first_element(const Shape& shape) {  // everywhere
  return [shape](const NdList& in) { return NdList{Nd(shape, in[0].v[0])}; };
}
Reference scatters(int dim, bool add) {
  return [=](const NdList& in) {
    Nd y = in[0], source = in[2].shape.empty() ? spread_to(in[2], in[1].shape) : in[2];
    each_target(in[1], y.shape, dim,
                [&](const Shape& i, const Shape& at) { y(at) = add ? y(at) + source(i) : source(i); });
    return NdList{y};
  };
}
// The rows that a 1-D index names, as an index of full shape.
Nd widened(const Nd& index, Shape shape, int dim) {
  shape[dim] = index.shape[0];
  Nd wide(shape);
  each_index(shape, [&](const Shape& i) { wide(i) = index.v[size_t(i[dim])]; });
  return wide;
}

struct Place {
  const char* label;
  Shape shape, result;
  std::vector<Index> (*where)(const TensorList& index);
  std::vector<Tensor> index;
  std::vector<Shape> positions;  // of the result's elements, in order
};
// x.index(where) spelled out position by position.
std::vector<Place> places() {
  std::vector<Place> p;
  p.push_back({"slice and integer",
               {3, 4},
               {2},
               [](const TensorList&) {
                 return std::vector<Index>{Slice(None, None, 2), -1};
               },
               {},
               {{0, 3}, {2, 3}}});
  p.push_back({"None and Ellipsis",
               {2, 2},
               {1, 2},
               [](const TensorList&) {
                 return std::vector<Index>{None, Ellipsis, 1};
               },
               {},
               {{0, 1}, {1, 1}}});
  p.push_back({"rows",
               {3, 2},
               {2, 2},
               [](const TensorList& t) { return std::vector<Index>{t[0]}; },
               {indices({2, 0}, {2})},
               {{2, 0}, {2, 1}, {0, 0}, {0, 1}}});
  p.push_back({"pairs",
               {3, 3},
               {3},
               [](const TensorList& t) {
                 return std::vector<Index>{t[0], t[1]};
               },
               {indices({2, 0, -1}, {3}), indices({1, 1, 0}, {3})},
               {{2, 1}, {0, 1}, {2, 0}}});
  p.push_back({"columns apart",
               {2, 2, 2},
               {2, 2},
               [](const TensorList& t) {
                 return std::vector<Index>{t[0], Slice(), t[1]};
               },
               {indices({1, 0}, {2}), indices({0, 1}, {2})},
               {{1, 0, 0}, {1, 1, 0}, {0, 0, 1}, {0, 1, 1}}});
  p.push_back({"mask",
               {2, 2},
               {2},
               [](const TensorList& t) { return std::vector<Index>{t[0]}; },
               {to(indices({0, 1, 1, 0}, {2, 2}), boolean)},
               {{0, 1}, {1, 0}}});
  p.push_back({"nothing",
               {2, 2},
               {0, 2},
               [](const TensorList& t) { return std::vector<Index>{t[0]}; },
               {indices({}, {0})},
               {}});
  return p;
}

}  // namespace

void add_index_specs(Specs& s) {
  s.push_back(
      {.name = "index",
       .cases =
           [] {
             std::vector<Case> cases;
             for (const Place& p : places()) {
               TensorList inputs{away(p.shape)};
               inputs.insert(inputs.end(), p.index.begin(), p.index.end());
               cases.push_back(make_case(
                   p.label, inputs,
                   [p](const TensorList& in) {
                     TensorList t(in.begin() + 1, in.end());
                     return TensorList{index(in[0], p.where(t))};
                   },
                   [p](const NdList& in) {
                     Nd y(p.result);
                     for (size_t i = 0; i < p.positions.size(); ++i) y.v[i] = in[0](p.positions[i]);
                     return NdList{y};
                   }));
             }
             return cases;
           },
       .elementwise = true,
       .integers = true,
       .expandable = false,
       .errors = {fails<IndexError>("IndexError", "index: too many indices; got 2 for shape [3]",
                                    [] {
                                      return away({3}).index({0, 0});
                                    }),
                  fails<IndexError>("IndexError", "index out of range; got 3", [] { return away({3}).index({3}); }),
                  fails<IndexError>("IndexError", "index: index out of range; got 3; expected -3 to 2",
                                    [] { return away({3}).index({indices({3}, {1})}); }),
                  fails<IndexError>("IndexError", "index: the mask does not fit; got [2] for a tensor [3]",
                                    [] { return away({3}).index({mask({2})}); }),
                  fails<IndexError>("IndexError", "index: more than one Ellipsis",
                                    [] {
                                      return away({3}).index({Ellipsis, Ellipsis});
                                    }),
                  fails<DTypeError>("DTypeError", "index: an index has the wrong dtype; got f64; expected i64 or i32",
                                    [] { return away({3}).index({away({1})}); }),
                  fails<ShapeError>("ShapeError", "index: shapes do not broadcast; got [2] and [3]", [] {
                    return away({3, 3}).index({indices({0, 1}, {2}), indices({0, 1, 2}, {3})});
                  })}});
  for (bool add : {false, true})
    s.push_back(
        {.name = add ? "index_put.add" : "index_put",
         .cases =
             [add] {
               std::vector<Case> cases;
               for (const Place& p : places()) {
                 TensorList inputs{away(p.shape), away(p.result, 7)};
                 inputs.insert(inputs.end(), p.index.begin(), p.index.end());
                 cases.push_back(make_case(
                     p.label, inputs,
                     [p, add](const TensorList& in) {
                       TensorList t(in.begin() + 2, in.end());
                       return TensorList{index_put(in[0], p.where(t), in[1], add)};
                     },
                     [p, add](const NdList& in) {
                       Nd y = in[0];
                       for (size_t i = 0; i < p.positions.size(); ++i)
                         y(p.positions[i]) = in[1].v[i] + (add ? y(p.positions[i]) : C(0));
                       return NdList{y};
                     }));
               }
               // a position named twice, and one value for all
               cases.push_back(make_case(
                   "twice", {away({3}), away({3}, 7), indices({1, 1, 0}, {3})},
                   [add](const TensorList& in) {
                     return TensorList{index_put(in[0], std::vector<Index>{in[2]}, in[1], add)};
                   },
                   [add](const NdList& in) {
                     Nd y = in[0];
                     for (size_t i = 0; i < 3; ++i) {
                       size_t at = size_t(in[2].v[i].real());
                       y.v[at] = in[1].v[i] + (add ? y.v[at] : C(0));
                     }
                     return NdList{y};
                   }));
               cases.push_back(make_case(
                   "one value", {away({3}), away({}, 7), indices({2, 0}, {2})},
                   [add](const TensorList& in) {
                     return TensorList{index_put(in[0], std::vector<Index>{in[2]}, in[1], add)};
                   },
                   [add](const NdList& in) {
                     Nd y = in[0];
                     for (C i : in[2].v) y.v[size_t(i.real())] = in[1].v[0] + (add ? y.v[size_t(i.real())] : C(0));
                     return NdList{y};
                   }));
               return cases;
             },
         .elementwise = true,
         .integers = true,
         .expandable = false,
         .errors = {
             fails<ShapeError>("ShapeError", "index_put: ",
                               [add] { return index_put(away({3}), std::vector<Index>{Slice()}, away({2}), add); }),
             fails<DTypeError>("DTypeError", "index_put: the value does not fit the tensor; got c128 into f64",
                               [add] { return index_put(away({3}), std::vector<Index>{0}, complex_away({}), add); })}});
  s.push_back(
      {.name = "index_select",
       .cases =
           [] {
             auto f = [](int64_t d) { return fn2([d](T x, T i) { return index_select(x, d, i); }); };
             auto reference = [](int d) {
               return [d](const NdList& in) { return gathers(d)({in[0], widened(in[1], in[0].shape, d)}); };
             };
             return std::vector{
                 make_case("rows", {away({3, 2}), indices({2, 0, 2, -1}, {4})}, f(0), reference(0)),
                 make_case("columns", {away({2, 3}), indices({1}, {1})}, f(-1), reference(1)),
                 make_case("none", {away({2, 3}), indices({}, {0})}, f(1), reference(1)),
                 make_case("empty", {away({2, 0}), indices({1, 0}, {2})}, f(0), reference(0)),
                 make_case("complex", {complex_away({3}), indices({1, 1}, {2})}, f(0), reference(0)),
                 make_case("middle", {away({2, 3, 2}), indices({2, 1}, {2})}, f(1), reference(1)),
                 make_case("of one element", {away({}), indices({-1}, {1})}, f(0), first_element({})),
                 make_case("of one element, by a 0-dim index", {away({}), indices({0}, {})}, f(-1), first_element({})),
                 make_case("by a 0-dim index", {away({3, 2}), indices({-3}, {})}, f(0), [](const NdList& in) {
                   return NdList{Nd({1, 2}, {in[0].v[0], in[0].v[1]})};
                 })};
           },
       .elementwise = true,
       .integers = true,
       .errors = {
           fails<IndexError>("IndexError", "index_select: index out of range; got 3; expected -3 to 2",
                             [] { return index_select(away({3}), 0, indices({3}, {1})); }),
           fails<ShapeError>("ShapeError", "index_select: takes a 1-D index",
                             [] {
                               return index_select(away({3}), 0, indices({0, 1}, {1, 2}));
                             }),
           fails<ShapeError>("ShapeError",
                             "index_select: takes a 1-D index, of one element for a 0-dim tensor; got [2] and []",
                             [] {
                               return index_select(away({}), 0, indices({0, 0}, {2}));
                             }),
           fails<IndexError>("IndexError", "index_select: index out of range; got 1; expected -1 to 0",
                             [] { return index_select(away({}), 0, indices({1}, {1})); }),
           fails<DTypeError>("DTypeError", "index_select: an index has the wrong dtype; got f64",
                             [] { return index_select(away({3}), 0, away({1})); }),
           fails<IndexError>("IndexError", "expected none, the dim has no elements",
                             [] { return index_select(zeros({0}), 0, indices({0}, {1})); })}});
  s.push_back(
      {.name = "index_add",
       .cases =
           [] {
             auto f = [](int64_t d) {
               return [d](const TensorList& in) { return TensorList{index_add(in[0], d, in[1], in[2])}; };
             };
             auto reference = [](int d) {
               return [d](const NdList& in) {
                 return scatters(d, true)({in[0], widened(in[1], in[2].shape, d), in[2]});
               };
             };
             return std::vector{
                 make_case("rows", {away({3, 2}), indices({2, 0, 2}, {3}), away({3, 2}, 5)}, f(0), reference(0)),
                 make_case("columns", {away({2, 3}), indices({-1}, {1}), away({2, 1}, 5)}, f(1), reference(1)),
                 make_case("none", {away({3}), indices({}, {0}), away({0})}, f(0), reference(0)),
                 make_case("complex", {complex_away({3}), indices({1, 1}, {2}), complex_away({2}, 5)}, f(0),
                           reference(0)),
                 make_case("to one element", {away({}), indices({0}, {1}), away({}, 5)}, f(0),
                           [](const NdList& in) { return NdList{Nd({}, {in[0].v[0] + in[2].v[0]})}; })};
           },
       .integers = true,
       .expandable = true,
       .errors = {fails<IndexError>("IndexError", "index_add: index out of range; got -4",
                                    [] { return index_add(away({3}), 0, indices({-4}, {1}), away({1})); }),
                  fails<ShapeError>("ShapeError", "index_add: ",
                                    [] {
                                      return index_add(away({3, 2}), 0, indices({0, 1}, {2}), away({3, 2}));
                                    }),
                  fails<DTypeError>("DTypeError", "index_add: the source does not fit the tensor; got f64 into i64",
                                    [] { return index_add(arange(3), 0, indices({0}, {1}), away({1})); })}});
  s.push_back(
      {.name = "gather",
       .cases =
           [] {
             auto f = [](int64_t d) { return fn2([d](T x, T i) { return gather(x, d, i); }); };
             return std::vector{
                 make_case("rows", {away({3, 2}), indices({2, 0, 1, 2}, {2, 2})}, f(0), gathers(0)),
                 make_case("columns", {away({2, 3}), indices({0, -1, 2, 1, 1, 1}, {2, 3})}, f(-1), gathers(1)),
                 make_case("fewer rows", {away({3, 2}), indices({1, 0, 1}, {1, 3})}, f(1), gathers(1)),
                 make_case("none", {away({2, 3}), indices({}, {0, 2})}, f(1), gathers(1)),
                 make_case("complex", {complex_away({3}), indices({1, 1}, {2})}, f(0), gathers(0)),
                 make_case("of one element", {away({}), indices({0, -1, 0}, {3})}, f(0), first_element({3})),
                 make_case("of one element, by a 0-dim index", {away({}), indices({0}, {})}, f(0), first_element({})),
                 make_case("by a 0-dim index", {away({3}), indices({-3}, {})}, f(0), first_element({}))};
           },
       .elementwise = true,
       .integers = true,
       .expandable = true,
       .errors = {fails<IndexError>("IndexError", "gather: index out of range; got 5",
                                    [] { return gather(away({3}), 0, indices({5}, {1})); }),
                  fails<ShapeError>("ShapeError", "gather: the index does not fit; got index [1] for a tensor [2, 3]",
                                    [] {
                                      return gather(away({2, 3}), 0, indices({0}, {1}));
                                    }),
                  fails<ShapeError>("ShapeError", "gather: the index does not fit", [] {
                    return gather(away({2, 3}), 0, indices({0, 0, 0, 0}, {1, 4}));
                  })}});
  for (bool add : {false, true}) {
    const char* name = add ? "scatter_add" : "scatter";
    s.push_back(
        {.name = name,
         .cases =
             [add] {
               auto f = [add](int64_t d) {
                 return [=](const TensorList& in) {
                   return TensorList{add ? scatter_add(in[0], d, in[1], in[2]) : scatter(in[0], d, in[1], in[2])};
                 };
               };
               return std::vector{
                   make_case("rows", {away({3, 2}), indices({2, 0, 1, 2}, {2, 2}), away({2, 2}, 5)}, f(0),
                             scatters(0, add)),
                   make_case("twice", {away({2, 3}), indices({0, -1, 0, 1, 1, 1}, {2, 3}), away({2, 3}, 5)}, f(1),
                             scatters(1, add)),
                   make_case("larger source", {away({2, 3}), indices({2, 1}, {2, 1}), away({2, 3}, 5)}, f(1),
                             scatters(1, add)),
                   make_case("one value", {away({3}), indices({2, 0}, {2}), away({}, 5)}, f(0), scatters(0, add)),
                   make_case("none", {away({3}), indices({}, {0}), away({0}, 5)}, f(0), scatters(0, add)),
                   make_case("complex", {complex_away({3}), indices({1, 0}, {2}), complex_away({2}, 5)}, f(0),
                             scatters(0, add))};
             },
         .elementwise = !add,
         .integers = true,
         .expandable = true,
         .errors = {fails<IndexError>("IndexError", "index out of range; got 3",
                                      [add] {
                                        return add ? scatter_add(away({3}), 0, indices({3}, {1}), away({1}))
                                                   : scatter(away({3}), 0, indices({3}, {1}), away({1}));
                                      }),
                    fails<ShapeError>("ShapeError",
                                      "the source does not fit; got [1]; expected at least the index's shape [2]",
                                      [add] {
                                        return add ? scatter_add(away({3}), 0, indices({0, 1}, {2}), away({1}))
                                                   : scatter(away({3}), 0, indices({0, 1}, {2}), away({1}));
                                      })}});
  }
  s.push_back(
      {.name = "take_along_dim",
       .cases =
           [] {
             auto f = [](int64_t d) { return fn2([d](T x, T i) { return take_along_dim(x, i, d); }); };
             return std::vector{make_case("equal", {away({2, 3}), indices({0, 2, 1, 1}, {2, 2})}, f(1), gathers(1)),
                                make_case("one index for all rows", {away({2, 3}), indices({2, 0}, {1, 2})}, f(1),
                                          [](const NdList& in) {
                                            return gathers(1)({in[0], spread_to(in[1], {2, 2})});
                                          }),
                                make_case("one row for all", {away({1, 3}), indices({2, 0, 1, 1}, {2, 2})}, f(-1),
                                          [](const NdList& in) {
                                            return gathers(1)({spread_to(in[0], {2, 3}), in[1]});
                                          })};
           },
       .elementwise = true,
       .integers = true,
       .expandable = true,
       .errors = {fails<ShapeError>("ShapeError",
                                    "take_along_dim: index and tensor need as many dims; got [1] and [2, 3]", [] {
                                      return take_along_dim(away({2, 3}), indices({0}, {1}), 1);
                                    })}});
  s.push_back(
      {.name = "masked_select",
       .cases =
           [] {
             OpFn f = fn2([](T x, T m) { return masked_select(x, m); });
             Reference reference = [](const NdList& in) {
               Nd x = zip(in[0], in[1], [](C a, C) { return a; }), m = spread_to(in[1], x.shape), y;
               for (size_t i = 0; i < x.v.size(); ++i)
                 if (m.v[i] != 0.) y.v.push_back(x.v[i]);
               y.shape = {int64_t(y.v.size())};
               return NdList{y};
             };
             return std::vector{make_case("equal", {away({2, 3}), mask({2, 3})}, f, reference),
                                make_case("broadcast", {away({2, 3}), to(indices({1, 0, 1}, {3}), boolean)}, f,
                                          reference),
                                make_case("none", {away({3}), zeros({3}, boolean)}, f, reference),
                                make_case("empty", {away({0}), mask({0})}, f, reference),
                                make_case("complex", {complex_away({3}), mask({3})}, f, reference)};
           },
       .elementwise = true,
       .integers = true,
       .errors = {fails<DTypeError>("DTypeError", "masked_select: dtype not supported; got f64; expected one of bool",
                                    [] { return masked_select(away({2}), away({2})); }),
                  fails<ShapeError>("ShapeError", "masked_select: shapes do not broadcast",
                                    [] { return masked_select(away({2}), mask({3})); })}});
  s.push_back({.name = "nonzero",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (const Tensor& x : {to(mask({2, 3}), f64), zeros({2, 2}, f64), away({3}), away({}),
                                             zeros({}, f64), away({0, 2}), to(mask({5, 41}), f64)})
                       cases.push_back(make_case(x.shape().str(), {x}, fn1(nonzero), [](const NdList& in) {
                         Nd y;
                         int64_t count = 0;
                         each_index(in[0].shape, [&](const Shape& i) {
                           if (in[0](i) == 0.) return;
                           ++count;
                           for (int64_t d : i) y.v.push_back(double(d));
                         });
                         y.shape = {count, in[0].shape.size()};
                         return NdList{y};
                       }));
                     return cases;
                   },
               .elementwise = true,
               .gradient = false,
               .integers = true});
  s.push_back(
      {.name = "embedding",
       .cases =
           [] {
             OpFn f = fn2(embedding);
             Reference reference = [](const NdList& in) {
               Shape shape = in[1].shape;
               int64_t d = in[0].shape[1];
               shape.push_back(d);
               Nd y(shape);
               for (size_t i = 0; i < y.v.size(); ++i)
                 y.v[i] = in[0].v[size_t(whole(in[1].v[i / size_t(d)], in[0].shape[0]) * d) + i % size_t(d)];
               return NdList{y};
             };
             return std::vector{make_case("[2, 2]", {away({3, 2}), indices({2, 0, 2, 1}, {2, 2})}, f, reference),
                                make_case("one", {away({3, 2}), indices({1}, {})}, f, reference),
                                make_case("none", {away({3, 2}), indices({}, {0})}, f, reference)};
           },
       .elementwise = true,
       .errors = {fails<ShapeError>("ShapeError", "embedding: weight is [rows, d]; got [3]",
                                    [] { return embedding(away({3}), indices({0}, {1})); }),
                  fails<IndexError>("IndexError", "index out of range; got 3", [] {
                    return embedding(away({3, 2}), indices({3}, {1}));
                  })}});
  for (bool right : {false, true})
    s.push_back(
        {.name = right ? "searchsorted.right" : "searchsorted",
         .cases =
             [right] {
               OpFn f = fn2([right](T a, T v) { return searchsorted(a, v, right); });
               Reference reference = [right](const NdList& in) {
                 Nd y(in[1].shape);
                 size_t n = size_t(in[0].shape.back()), k = in[1].shape.empty() ? 1 : size_t(in[1].shape.back());
                 for (size_t i = 0; i < y.v.size(); ++i) {
                   size_t row = in[0].shape.size() == 1 ? 0 : i / k;
                   int64_t before = 0;
                   for (size_t j = 0; j < n; ++j) {
                     double a = in[0].v[row * n + j].real(), v = in[1].v[i].real();
                     before += right ? a <= v : a < v;
                   }
                   y.v[i] = double(before);
                 }
                 return NdList{y};
               };
               Tensor line = tensor({-2, -0.5, -0.5, 0.25, 1, 1, 1, 3}, f64);
               return std::vector{
                   make_case("shared", {line, tensor({{-3, -0.5, 1}, {0, 3, 4}}, f64)}, f, reference),
                   make_case("rows", {tensor({{0, 1, 2}, {1, 1, 5}}, f64), tensor({{1, 2, 3, 0}, {1, 5, 0, 6}}, f64)},
                             f, reference),
                   make_case("number", {line, tensor({0.25}, f64).reshape({})}, f, reference),
                   make_case("empty line", {zeros({0}, f64), away({2})}, f, reference),
                   make_case("no values", {line, away({0})}, f, reference)};
             },
         .elementwise = true,
         .gradient = false,
         .expandable = false,
         .dtypes = {f32, f16, bf16},
         .errors = {fails<ShapeError>("ShapeError", "searchsorted: the values do not fit; got [3, 2] for sorted [2, 2]",
                                      [right] {
                                        return searchsorted(zeros({2, 2}), zeros({3, 2}), right);
                                      })}});
}

}  // namespace ink::test
