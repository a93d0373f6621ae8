// Rows of the ops that change shapes: views, pieces, joined tensors, and copies in another order.
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
using Position = std::function<Shape(const Shape&)>;  // output index -> input index

// Reads each element of the output from the position of the input that `from` gives.
Reference reads(Shape shape, Position from) {
  return [=](const NdList& in) {
    Nd y(shape);
    each_index(shape, [&](const Shape& i) { y(i) = in[0](from(i)); });
    return NdList{y};
  };
}
// The same elements in the same order.
Reference reshaped(Shape shape) {
  return [=](const NdList& in) { return NdList{Nd(shape, in[0].v)}; };
}

struct Rows {
  std::vector<Case> cases;
  void add(const Shape& in, std::function<Tensor(T)> f, Reference reference, bool with_complex = false) {
    cases.push_back(make_case(in.str(), {away(in, int(cases.size()))}, fn1(f), reference, in.numel() < 25));
    if (with_complex)
      cases.push_back(
          make_case("complex " + in.str(), {complex_away(in, int(cases.size()))}, fn1(f), reference, in.numel() < 25));
  }
};
OpSpec row(const char* name, std::function<void(Rows&)> fill, std::vector<ErrorInput> errors = {}) {
  return {.name = name,
          .cases =
              [fill] {
                Rows r;
                fill(r);
                return r.cases;
              },
          .elementwise = true,
          .integers = true,
          .errors = std::move(errors)};
}
Shape with(Shape s, int d, int64_t n) {
  s[d] = n;
  return s;
}

}  // namespace

void add_view_specs(Specs& s) {
  s.push_back(
      row("reshape",
          [](Rows& r) {
            for (const Shape& to : {Shape{6}, {3, 2}, {1, 2, 3, 1}, {2, 3}})
              r.add(
                  {2, 3}, [to](T x) { return reshape(x, to); }, reshaped(to));
            r.add(
                {2, 3, 2},
                [](T x) {
                  return reshape(x, {-1, 4});
                },
                reshaped({3, 4}), true);
            r.add(
                {},
                [](T x) {
                  return reshape(x, {1, 1});
                },
                reshaped({1, 1}));
            r.add(
                {1}, [](T x) { return reshape(x, {}); }, reshaped({}));
            r.add(
                {2, 0},
                [](T x) {
                  return reshape(x, {0, 5});
                },
                reshaped({0, 5}));
          },
          {fails<ShapeError>("ShapeError",
                             "reshape: the number of elements differs; got [2, 3] with 6 elements; cannot become [4]",
                             [] {
                               return reshape(away({2, 3}), {4});
                             }),
           fails<ShapeError>("ShapeError", "reshape: the number of elements differs",
                             [] {
                               return reshape(away({2, 3}), {-1, 4});
                             }),
           fails<ShapeError>("ShapeError", "reshape: bad size; got [-1, -1]",
                             [] {
                               return reshape(away({2, 3}), {-1, -1});
                             }),
           fails<ShapeError>("ShapeError", "reshape: bad size",
                             [] {
                               return reshape(away({2, 3}), {-2, 3});
                             }),
           fails<ShapeError>("ShapeError", "cannot become [-1, 0]", [] {
             return reshape(zeros({0}), {-1, 0});
           })}));
  s.push_back(
      row("view",
          [](Rows& r) {
            r.add(
                {2, 3},
                [](T x) {
                  return view(contiguous(x), {3, 2});
                },
                reshaped({3, 2}));
            r.add(
                {2, 3},
                [](T x) {
                  return view(x, {2, 1, 3});
                },
                reshaped({2, 1, 3}));
          },
          {fails<ShapeError>("ShapeError",
                             "view: the strides do not allow it; got [3, 2] with strides [1, 3]; expected [6]", [] {
                               return view(transpose(away({2, 3}), 0, 1), {6});
                             })}));
  s.push_back(row("flatten",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return flatten(x); }, reshaped({6}));
                    r.add(
                        {2, 2, 3}, [](T x) { return flatten(x, 1); }, reshaped({2, 6}), true);
                    r.add(
                        {2, 2, 3}, [](T x) { return flatten(x, 0, -2); }, reshaped({4, 3}));
                    r.add(
                        {}, [](T x) { return flatten(x); }, reshaped({1}));
                    r.add(
                        {0, 3}, [](T x) { return flatten(x); }, reshaped({0}));
                  },
                  {fails<ValueError>("ValueError", "flatten: first dim after last; got 1 and 0",
                                     [] {
                                       return flatten(away({2, 3}), 1, 0);
                                     }),
                   fails<IndexError>("IndexError", "flatten: dim out of range; got 2", [] {
                     return flatten(away({2, 3}), 2);
                   })}));
  s.push_back(row("permute",
                  [](Rows& r) {
                    r.add(
                        {2, 3, 2},
                        [](T x) {
                          return permute(x, {2, 0, 1});
                        },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {2, 0, 1})};
                        },
                        true);
                    r.add(
                        {2, 0, 3},
                        [](T x) {
                          return permute(x, {-1, 0, -2});
                        },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {2, 0, 1})};
                        });
                    r.add(
                        {}, [](T x) { return permute(x, {}); }, reshaped({}));
                  },
                  {fails<ShapeError>("ShapeError", "permute: not an order of the dims; got [0] for 2 dims",
                                     [] {
                                       return permute(away({2, 3}), {0});
                                     }),
                   fails<Error>("Error", "permute: ",
                                [] {
                                  return permute(away({2, 3}), {0, 0});
                                }),
                   fails<IndexError>("IndexError", "permute: dim out of range; got 2", [] {
                     return permute(away({2, 3}), {0, 2});
                   })}));
  s.push_back(row("transpose",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return transpose(x, 0, 1); },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {1, 0})};
                        },
                        true);
                    r.add(
                        {2, 3, 2}, [](T x) { return transpose(x, -1, 0); },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {2, 1, 0})};
                        });
                    r.add(
                        {}, [](T x) { return transpose(x, 0, 0); }, reshaped({}));
                    r.add(
                        {17, 19}, [](T x) { return transpose(x, 0, 1); },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {1, 0})};
                        });
                  },
                  {fails<IndexError>("IndexError", "transpose: dim out of range; got 2", [] {
                    return transpose(away({2, 3}), 0, 2);
                  })}));
  s.push_back(row("movedim",
                  [](Rows& r) {
                    r.add(
                        {2, 3, 2}, [](T x) { return movedim(x, 0, -1); },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {1, 2, 0})};
                        });
                    r.add(
                        {2, 3, 2}, [](T x) { return movedim(x, 2, 0); },
                        [](const NdList& in) {
                          return NdList{moved(in[0], {2, 0, 1})};
                        });
                  },
                  {fails<IndexError>("IndexError", "movedim: dim out of range; got -3", [] {
                    return movedim(away({2, 3}), -3, 0);
                  })}));
  s.push_back(row("expand",
                  [](Rows& r) {
                    auto spread = [](const Shape& to) {
                      return [to](const NdList& in) { return NdList{spread_to(in[0], to)}; };
                    };
                    r.add(
                        {2, 1},
                        [](T x) {
                          return expand(x, {2, 3});
                        },
                        spread({2, 3}), true);
                    r.add(
                        {3},
                        [](T x) {
                          return expand(x, {2, -1});
                        },
                        spread({2, 3}));
                    r.add(
                        {}, [](T x) { return expand(x, {2}); }, spread({2}));
                    r.add(
                        {1, 3},
                        [](T x) {
                          return expand(x, {0, 3});
                        },
                        spread({0, 3}));
                    r.add(
                        {2, 3},
                        [](T x) {
                          return expand(x, {2, 3});
                        },
                        spread({2, 3}));
                  },
                  {fails<ShapeError>("ShapeError", "expand: sizes do not fit; got [2, 3]; cannot become [2, 4]",
                                     [] {
                                       return expand(away({2, 3}), {2, 4});
                                     }),
                   fails<ShapeError>("ShapeError", "expand: ",
                                     [] {
                                       return expand(away({2, 3}), {3});
                                     }),
                   fails<ShapeError>("ShapeError", "expand: ",
                                     [] {
                                       return expand(away({3}), {-1, 3});
                                     }),
                   fails<ShapeError>("ShapeError", "expand: ", [] { return expand(away({1}), {-2}); })}));
  s.push_back(row("squeeze", [](Rows& r) {
    r.add(
        {1, 2, 1, 3}, [](T x) { return squeeze(x); }, reshaped({2, 3}));
    r.add(
        {1}, [](T x) { return squeeze(x); }, reshaped({}));
  }));
  s.push_back(row("squeeze.dim",
                  [](Rows& r) {
                    r.add(
                        {1, 2, 1}, [](T x) { return squeeze(x, -1); }, reshaped({1, 2}));
                    r.add(
                        {1, 2, 1}, [](T x) { return squeeze(x, 1); }, reshaped({1, 2, 1}));
                  },
                  {fails<IndexError>("IndexError", "squeeze: dim out of range; got 2", [] {
                    return squeeze(away({2, 1}), 2);
                  })}));
  s.push_back(row("unsqueeze",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return unsqueeze(x, 1); }, reshaped({2, 1, 3}), true);
                    r.add(
                        {2, 3}, [](T x) { return unsqueeze(x, -1); }, reshaped({2, 3, 1}));
                    r.add(
                        {}, [](T x) { return unsqueeze(x, 0); }, reshaped({1}));
                  },
                  {fails<IndexError>("IndexError", "unsqueeze: dim out of range; got 3",
                                     [] {
                                       return unsqueeze(away({2, 3}), 3);
                                     }),
                   fails<ShapeError>("ShapeError", "shape: too many dims; got 9; expected at most 8", [] {
                     return unsqueeze(away({1, 1, 1, 1, 1, 1, 1, 1}), 0);
                   })}));
  s.push_back(row("slice",
                  [](Rows& r) {
                    auto cut = [](Shape shape, int d, int64_t start, int64_t n, int64_t step) {
                      return reads(with(shape, d, n), [=](const Shape& i) { return with(i, d, start + step * i[d]); });
                    };
                    r.add(
                        {5, 2}, [](T x) { return slice(x, 0, 1, 4); }, cut({5, 2}, 0, 1, 3, 1), true);
                    r.add(
                        {2, 5}, [](T x) { return slice(x, -1, 0, 5, 2); }, cut({2, 5}, 1, 0, 3, 2));
                    r.add(
                        {2, 5}, [](T x) { return slice(x, 1, -3, -1); }, cut({2, 5}, 1, 2, 2, 1));
                    r.add(
                        {5}, [](T x) { return slice(x, 0, 3, 100, 4); }, cut({5}, 0, 3, 1, 4));
                    r.add(
                        {5}, [](T x) { return slice(x, 0, 4, 2); }, cut({5}, 0, 0, 0, 1));
                    r.add(
                        {0, 2}, [](T x) { return slice(x, 0, 0, 3); }, cut({0, 2}, 0, 0, 0, 1));
                  },
                  {fails<ShapeError>("ShapeError", "slice: a 0-dim tensor has nothing to slice",
                                     [] { return slice(away({}), 0, 0, 1); }),
                   fails<ValueError>("ValueError", "slice: step must be positive; got -1",
                                     [] { return slice(away({3}), 0, 0, 3, -1); }),
                   fails<IndexError>("IndexError", "slice: dim out of range; got 1",
                                     [] { return slice(away({3}), 1, 0, 1); })}));
  s.push_back(row(
      "narrow",
      [](Rows& r) {
        r.add(
            {2, 4}, [](T x) { return narrow(x, 1, 1, 2); }, reads({2, 2}, [](const Shape& i) {
              return Shape{i[0], i[1] + 1};
            }));
        r.add(
            {4}, [](T x) { return narrow(x, 0, -2, 2); }, reads({2}, [](const Shape& i) { return Shape{i[0] + 2}; }));
        r.add(
            {4}, [](T x) { return narrow(x, 0, 4, 0); }, reads({0}, [](const Shape& i) { return i; }));
      },
      {fails<IndexError>("IndexError", "narrow: out of range; got start 3 and length 2; the dim has 4 elements",
                         [] { return narrow(away({4}), 0, 3, 2); }),
       fails<IndexError>("IndexError", "narrow: out of range", [] { return narrow(away({4}), 0, 0, -1); }),
       fails<IndexError>("IndexError", "narrow: out of range",
                         [] { return narrow(away({4}), 0, 1, std::numeric_limits<int64_t>::max()); })}));
  s.push_back(row("select",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return select(x, 0, 1); },
                        reads({3},
                              [](const Shape& i) {
                                return Shape{1, i[0]};
                              }),
                        true);
                    r.add(
                        {2, 3}, [](T x) { return select(x, -1, -3); }, reads({2}, [](const Shape& i) {
                          return Shape{i[0], 0};
                        }));
                    r.add(
                        {3}, [](T x) { return select(x, 0, 2); }, reads({}, [](const Shape&) { return Shape{2}; }));
                  },
                  {fails<IndexError>("IndexError", "select: index out of range; got 3; dim 0 has 3 elements",
                                     [] { return select(away({3}), 0, 3); }),
                   fails<IndexError>("IndexError", "select: index out of range; got -4",
                                     [] { return select(away({3}), 0, -4); }),
                   fails<IndexError>("IndexError", "select: a 0-dim tensor cannot be indexed",
                                     [] { return select(away({}), 0, 0); })}));
  s.push_back(row("diagonal",
                  [](Rows& r) {
                    r.add(
                        {3, 3}, [](T x) { return diagonal(x); },
                        reads({3},
                              [](const Shape& i) {
                                return Shape{i[0], i[0]};
                              }),
                        true);
                    r.add(
                        {2, 3}, [](T x) { return diagonal(x, 1); }, reads({2}, [](const Shape& i) {
                          return Shape{i[0], i[0] + 1};
                        }));
                    r.add(
                        {3, 2}, [](T x) { return diagonal(x, -1); }, reads({2}, [](const Shape& i) {
                          return Shape{i[0] + 1, i[0]};
                        }));
                    r.add(
                        {2, 2, 3}, [](T x) { return diagonal(x, 1, -1, 0); }, reads({2, 1}, [](const Shape& i) {
                          return Shape{i[1] + 1, i[0], i[1]};
                        }));
                    r.add(
                        {2, 3}, [](T x) { return diagonal(x, 5); }, reads({0}, [](const Shape& i) { return i; }));
                    r.add(
                        {0, 3}, [](T x) { return diagonal(x); }, reads({0}, [](const Shape& i) { return i; }));
                  },
                  {fails<ShapeError>("ShapeError", "diagonal: needs two different dims; got 0 and -2 of shape [2, 3]",
                                     [] {
                                       return diagonal(away({2, 3}), 0, 0, -2);
                                     }),
                   fails<Error>("Error", "diagonal: ", [] { return diagonal(away({3})); })}));
  s.push_back(
      row("unfold",
          [](Rows& r) {
            r.add(
                {5}, [](T x) { return unfold(x, 0, 2, 2); },
                reads({2, 2}, [](const Shape& i) { return Shape{2 * i[0] + i[1]}; }));
            r.add(
                {5}, [](T x) { return unfold(x, 0, 3, 1); },
                reads({3, 3}, [](const Shape& i) { return Shape{i[0] + i[1]}; }), true);
            r.add(
                {4, 2}, [](T x) { return unfold(x, 0, 2, 1); }, reads({3, 2, 2}, [](const Shape& i) {
                  return Shape{i[0] + i[2], i[1]};
                }));
            r.add(
                {2, 7}, [](T x) { return unfold(x, -1, 2, 3); }, reads({2, 2, 2}, [](const Shape& i) {
                  return Shape{i[0], 3 * i[1] + i[2]};
                }));
            r.add(
                {0, 3}, [](T x) { return unfold(x, 1, 2, 1); }, reads({0, 2, 2}, [](const Shape& i) { return i; }));
            r.add(
                {}, [](T x) { return unfold(x, 0, 1, 3); }, reshaped({1}));
          },
          {fails<ShapeError>("ShapeError", "unfold: window does not fit; got size 4 and step 1; shape [3] in dim 0",
                             [] { return unfold(away({3}), 0, 4, 1); }),
           fails<ShapeError>("ShapeError", "unfold: window does not fit", [] { return unfold(away({3}), 0, 2, 0); }),
           fails<ShapeError>("ShapeError", "unfold: window does not fit; got size 2 and step 1; shape []",
                             [] { return unfold(away({}), 0, 2, 1); })}));

  // ---- pieces
  struct Piece {
    int64_t start, size;
  };
  auto pieces = [](Shape shape, int d, std::vector<Piece> list, bool drop = false) {
    return [=](const NdList& in) {
      NdList out;
      for (const Piece& p : list) {
        NdList one = reads(with(shape, d, p.size), [=](const Shape& i) { return with(i, d, p.start + i[d]); })(in);
        if (drop) one[0].shape.erase(d);
        out.push_back(one[0]);
      }
      return out;
    };
  };
  auto piece_row = [&](const char* name,
                       std::vector<Case> (*make)(std::function<Reference(Shape, int, std::vector<Piece>, bool)>),
                       std::vector<ErrorInput> errors) {
    s.push_back({.name = name,
                 .cases = [=] { return make(pieces); },
                 .elementwise = true,
                 .integers = true,
                 .errors = std::move(errors)});
  };
  using Pieces = std::function<Reference(Shape, int, std::vector<Piece>, bool)>;
  piece_row("split",
            [](Pieces p) {
              return std::vector{make_case(
                                     "rows", {away({5, 2})}, [](const TensorList& in) { return split(in[0], 2); },
                                     p({5, 2}, 0, {{0, 2}, {2, 2}, {4, 1}}, false)),
                                 make_case(
                                     "columns", {away({2, 4})},
                                     [](const TensorList& in) { return split(in[0], 4, -1); },
                                     p({2, 4}, 1, {{0, 4}}, false)),
                                 make_case(
                                     "empty", {away({2, 0})}, [](const TensorList& in) { return split(in[0], 2, 1); },
                                     p({2, 0}, 1, {{0, 0}}, false))};
            },
            {fails<ValueError>("ValueError", "split: size must be positive; got 0", [] { return split(away({3}), 0); }),
             fails<IndexError>("IndexError", "dim out of range", [] { return split(away({3}), 1, 1); })});
  piece_row("split.sizes",
            [](Pieces p) {
              return std::vector{make_case(
                  "sizes", {away({2, 5})},
                  [](const TensorList& in) {
                    return split(in[0], Shape{1, 0, 4}, 1);
                  },
                  p({2, 5}, 1, {{0, 1}, {1, 0}, {1, 4}}, false))};
            },
            {fails<ShapeError>("ShapeError", "split: the sizes do not add up; got [1, 1]; expected a sum of 3",
                               [] {
                                 return split(away({3}), Shape{1, 1}, 0);
                               }),
             fails<Error>("Error", "out of range", [] {
               return split(away({3}), Shape{2, 2}, 0);
             })});
  piece_row("chunk",
            [](Pieces p) {
              return std::vector{make_case(
                                     "three", {away({5})}, [](const TensorList& in) { return chunk(in[0], 3); },
                                     p({5}, 0, {{0, 2}, {2, 2}, {4, 1}}, false)),
                                 make_case(
                                     "fewer", {away({2, 2})}, [](const TensorList& in) { return chunk(in[0], 5, 1); },
                                     p({2, 2}, 1, {{0, 1}, {1, 1}}, false))};
            },
            {fails<ValueError>("ValueError", "chunk: needs at least one; got 0", [] { return chunk(away({3}), 0); })});
  piece_row("unbind",
            [](Pieces p) {
              return std::vector{make_case(
                                     "rows", {away({2, 3})}, [](const TensorList& in) { return unbind(in[0]); },
                                     p({2, 3}, 0, {{0, 1}, {1, 1}}, true)),
                                 make_case(
                                     "columns", {away({2, 3})}, [](const TensorList& in) { return unbind(in[0], -1); },
                                     p({2, 3}, 1, {{0, 1}, {1, 1}, {2, 1}}, true))};
            },
            {fails<IndexError>("IndexError", "dim out of range; got 1", [] { return unbind(away({3}), 1); })});
}

void add_join_specs(Specs& s) {
  // The inputs one after the other along d.
  auto joined = [](int d) {
    return [d](const NdList& in) {
      Shape shape = in[0].shape;
      shape[d] = 0;
      for (const Nd& x : in) shape[d] += x.shape[d];
      Nd y(shape);
      int64_t at = 0;
      for (const Nd& x : in) {
        each_index(x.shape, [&](const Shape& i) { y(with(i, d, i[d] + at)) = x(i); });
        at += x.shape[d];
      }
      return NdList{y};
    };
  };
  auto stacked = [joined](int d) {
    return [=](const NdList& in) {
      NdList rows = in;
      for (Nd& x : rows) x.shape.insert(d, 1);
      return joined(d)(rows);
    };
  };
  auto cat_op = [](int64_t d) { return [d](const TensorList& in) { return TensorList{cat(in, d)}; }; };
  s.push_back(
      {.name = "cat",
       .cases =
           [=] {
             return std::vector{make_case("rows", {away({2, 3}), away({1, 3}, 1), away({0, 3}, 2)}, cat_op(0),
                                          joined(0)),
                                make_case("columns", {away({2, 3}), away({2, 2}, 1)}, cat_op(-1), joined(1)),
                                make_case("one", {away({2})}, cat_op(0), joined(0)),
                                make_case("complex", {complex_away({2}), away({3}, 1)}, cat_op(0), joined(0)),
                                make_case("empty", {away({0}), away({0}, 1)}, cat_op(0), joined(0)),
                                make_case("many",
                                          {away({1}), away({1}, 1), away({1}, 2), away({1}, 3), away({1}, 4),
                                           away({1}, 5), away({1}, 6), away({1}, 7), away({1}, 8), away({1}, 9)},
                                          cat_op(0), joined(0))};
           },
       .elementwise = true,
       .integers = true,
       .errors = {fails<ShapeError>(
                      "ShapeError",
                      "cat: tensor 1 does not fit; got [3, 2] after [2, 3]; expected equal sizes except in dim 0",
                      [] {
                        return cat({away({2, 3}), away({3, 2})});
                      }),
                  fails<ValueError>("ValueError", "cat: needs at least one tensor",
                                    [] { return cat(std::span<const Tensor>()); }),
                  fails<ShapeError>("ShapeError", "cat: 0-dim tensors cannot be joined; hint: stack()",
                                    [] {
                                      return cat({away({}), away({})});
                                    }),
                  fails<IndexError>("IndexError", "cat: dim out of range; got 1",
                                    [] { return cat({away({2})}, 1); })}});
  s.push_back({.name = "cat.list",
               .cases =
                   [=] {
                     return std::vector{make_case(
                         "two", {away({2, 2}), away({2, 1}, 1)},
                         [](const TensorList& in) {
                           return TensorList{cat({in[0], in[1]}, 1)};
                         },
                         joined(1))};
                   },
               .elementwise = true,
               .integers = true});
  s.push_back(
      {.name = "stack",
       .cases =
           [=] {
             auto f = [](int64_t d) { return [d](const TensorList& in) { return TensorList{stack(in, d)}; }; };
             return std::vector{make_case("front", {away({2, 3}), away({2, 3}, 1)}, f(0), stacked(0)),
                                make_case("back", {away({2, 2}), away({2, 2}, 1), away({2, 2}, 2)}, f(-1), stacked(2)),
                                make_case("numbers", {away({}), away({}, 1)}, f(0), stacked(0)),
                                make_case("empty", {away({0}), away({0})}, f(1), stacked(1))};
           },
       .elementwise = true,
       .integers = true,
       .errors = {fails<ShapeError>("ShapeError", "stack: shapes differ; got [2] and [3]",
                                    [] {
                                      return stack({away({2}), away({3})});
                                    }),
                  fails<ValueError>("ValueError", "stack: needs at least one tensor",
                                    [] { return stack(std::span<const Tensor>()); }),
                  fails<IndexError>("IndexError", "dim out of range; got 2", [] { return stack({away({2})}, 2); })}});
  s.push_back({.name = "stack.list",
               .cases =
                   [=] {
                     return std::vector{make_case(
                         "two", {away({2}), away({2}, 1)},
                         [](const TensorList& in) {
                           return TensorList{stack({in[0], in[1]}, 1)};
                         },
                         stacked(1))};
                   },
               .elementwise = true,
               .integers = true});

  // ---- padding: where position i of a dim of n comes from, or -1
  using Source = std::function<int64_t(int64_t, int64_t)>;
  auto padded = [](Shape widths, Source from, double value) {
    return [=](const NdList& in) {
      Shape shape = in[0].shape;
      int dims = shape.size();
      for (int i = 0; i < widths.size(); ++i) shape[dims - 1 - i / 2] += widths[i];
      Nd y(shape, C(value));
      each_index(shape, [&](const Shape& at) {
        Shape i = at;
        bool inside = true;
        for (int w = 0; w < widths.size(); w += 2) {
          int d = dims - 1 - w / 2;
          i[d] = from(at[d] - widths[w], in[0].shape[d]);
          inside &= i[d] >= 0;
        }
        if (inside) y(at) = in[0](i);
      });
      return NdList{y};
    };
  };
  auto pad_row = [&](const char* name, PadMode mode, Source from, std::vector<std::pair<Shape, Shape>> forms,
                     std::vector<ErrorInput> errors) {
    s.push_back(row(
        name,
        [=](Rows& r) {
          for (auto& [shape, widths] : forms) {
            Shape w = widths;
            r.add(
                shape, [=](T x) { return pad(x, w, mode, 2); }, padded(w, from, 2), shape.numel() == 4);
          }
        },
        std::move(errors)));
  };
  pad_row("pad", PadMode::constant, [](int64_t i, int64_t n) { return i < n ? i : -1; },
          {{{4}, {1, 2}},
           {{2, 3}, {1, 0, 0, 2}},
           {{2, 3}, {-1, 1}},
           {{2, 3}, {-1, -1, 1, -1}},
           {{0, 2}, {0, 0, 1, 1}},
           {{2, 2, 2}, {1, 1}},
           {{3}, {-3, 0}}},
          {fails<ShapeError>("ShapeError", "pad: widths come in pairs (before, after), at most one a dim; got [1]",
                             [] { return pad(away({3}), {1}); }),
           fails<ShapeError>("ShapeError", "pad: widths come in pairs",
                             [] {
                               return pad(away({3}), {1, 1, 1, 1});
                             }),
           fails<ShapeError>("ShapeError", "pad: crops more than there is; got widths [-2, -2] for shape [3]", [] {
             return pad(away({3}), {-2, -2});
           })});
  pad_row("pad.reflect", PadMode::reflect,
          [](int64_t i, int64_t n) { return i < 0    ? -i
                                            : i >= n ? 2 * (n - 1) - i
                                                     : i; },
          {{{4}, {3, 2}}, {{3, 4}, {1, 0, 2, 1}}},
          {fails<ShapeError>("ShapeError",
                             "pad: widths do not fit the mode; got 3 and 0 for a dim of 3; expected 0 to 2", [] {
                               return pad(away({3}), {3, 0}, PadMode::reflect);
                             })});
  pad_row("pad.replicate", PadMode::replicate,
          [](int64_t i, int64_t n) { return std::min(std::max<int64_t>(i, 0), n - 1); },
          {{{4}, {5, 1}}, {{2, 3}, {1, 2, 0, 1}}},
          {fails<ShapeError>("ShapeError", "pad: widths do not fit the mode; got -1 and 0", [] {
            return pad(away({3}), {-1, 0}, PadMode::replicate);
          })});
  pad_row("pad.circular", PadMode::circular, [](int64_t i, int64_t n) { return (i + n) % n; },
          {{{4}, {4, 1}}, {{2, 3}, {1, 2, 2, 1}}},
          {fails<ShapeError>("ShapeError",
                             "pad: widths do not fit the mode; got 4 and 0 for a dim of 3; expected 0 to 3", [] {
                               return pad(away({3}), {4, 0}, PadMode::circular);
                             })});

  // ---- other orders
  s.push_back(row("roll",
                  [](Rows& r) {
                    for (int64_t by : {1, -1, 3, 7, 0})
                      r.add(
                          {4, 2}, [=](T x) { return roll(x, by, 0); },
                          reads({4, 2},
                                [=](const Shape& i) {
                                  return Shape{((i[0] - by) % 4 + 4) % 4, i[1]};
                                }),
                          by == 1);
                    r.add(
                        {0, 2}, [](T x) { return roll(x, 1, 0); }, reshaped({0, 2}));
                  },
                  {fails<IndexError>("IndexError", "dim out of range; got 1", [] { return roll(away({3}), 1, 1); })}));
  s.push_back(row("flip",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return flip(x, 1); },
                        reads({2, 3},
                              [](const Shape& i) {
                                return Shape{i[0], 2 - i[1]};
                              }),
                        true);
                    r.add(
                        {2, 3},
                        [](T x) {
                          return flip(x, {0, -1});
                        },
                        reads({2, 3}, [](const Shape& i) {
                          return Shape{1 - i[0], 2 - i[1]};
                        }));
                    r.add(
                        {0, 3}, [](T x) { return flip(x, 0); }, reshaped({0, 3}));
                    r.add(
                        {2, 3}, [](T x) { return flip(x, {}); }, reshaped({2, 3}));
                    r.add(
                        {}, [](T x) { return flip(x, -1); }, reshaped({}));
                    r.add(
                        {3, 37}, [](T x) { return flip(x, 1); }, reads({3, 37}, [](const Shape& i) {
                          return Shape{i[0], 36 - i[1]};
                        }));
                  },
                  {fails<IndexError>("IndexError", "flip: dim out of range; got 2",
                                     [] {
                                       return flip(away({2, 3}), 2);
                                     }),
                   fails<ValueError>("ValueError", "flip: a dim is named twice", [] {
                     return flip(away({2, 3}), {0, 0});
                   })}));
  auto triangle_row = [&](const char* name, bool lower) {
    s.push_back(row(name,
                    [=](Rows& r) {
                      for (int64_t k : {0, 1, -1, 5, -5})
                        for (const Shape& shape : {Shape{3, 3}, {2, 2, 3}, {0, 2}})
                          r.add(
                              shape, [=](T x) { return lower ? tril(x, k) : triu(x, k); },
                              [=](const NdList& in) {
                                Nd y(in[0].shape);
                                int last = shape.size() - 1;
                                each_index(shape, [&](const Shape& i) {
                                  y(i) = (lower ? i[last] - i[last - 1] <= k : i[last] - i[last - 1] >= k) ? in[0](i)
                                                                                                           : C(0);
                                });
                                return NdList{y};
                              },
                              k == 0);
                    },
                    {fails<ShapeError>("ShapeError", "needs at least 2 dims; got shape [3]",
                                       [=] { return lower ? tril(away({3})) : triu(away({3})); })}));
  };
  triangle_row("tril", true);
  triangle_row("triu", false);
  s.push_back(row("repeat",
                  [](Rows& r) {
                    auto tiled = [](Shape shape) {
                      return [=](const NdList& in) {
                        return reads(shape, [&](const Shape& i) {
                          Shape from;
                          int lead = i.size() - in[0].shape.size();
                          for (int d = lead; d < i.size(); ++d) from.push_back(i[d] % in[0].shape[d - lead]);
                          return from;
                        })(in);
                      };
                    };
                    r.add(
                        {2, 3},
                        [](T x) {
                          return repeat(x, {2, 1});
                        },
                        tiled({4, 3}), true);
                    r.add(
                        {2, 3},
                        [](T x) {
                          return repeat(x, {2, 1, 3});
                        },
                        tiled({2, 2, 9}));
                    r.add(
                        {2}, [](T x) { return repeat(x, {1}); }, tiled({2}));
                    r.add(
                        {2}, [](T x) { return repeat(x, {0}); }, tiled({0}));
                    r.add(
                        {}, [](T x) { return repeat(x, {3}); }, tiled({3}));
                    r.add(
                        {0, 2},
                        [](T x) {
                          return repeat(x, {2, 2});
                        },
                        tiled({0, 4}));
                  },
                  {fails<ShapeError>("ShapeError", "repeat: needs a number for every dim; got [2] for shape [2, 3]",
                                     [] {
                                       return repeat(away({2, 3}), {2});
                                     }),
                   fails<ValueError>("ValueError", "repeat: negative number; got [-1]",
                                     [] { return repeat(away({2}), {-1}); })}));
  s.push_back(row("repeat_interleave",
                  [](Rows& r) {
                    r.add(
                        {2, 3}, [](T x) { return repeat_interleave(x, 2, 0); },
                        reads({4, 3},
                              [](const Shape& i) {
                                return Shape{i[0] / 2, i[1]};
                              }),
                        true);
                    r.add(
                        {2, 3}, [](T x) { return repeat_interleave(x, 3, -1); }, reads({2, 9}, [](const Shape& i) {
                          return Shape{i[0], i[1] / 3};
                        }));
                    r.add(
                        {2}, [](T x) { return repeat_interleave(x, 1, 0); }, reshaped({2}));
                    r.add(
                        {2}, [](T x) { return repeat_interleave(x, 0, 0); },
                        reads({0}, [](const Shape& i) { return i; }));
                  },
                  {fails<ValueError>("ValueError", "repeat_interleave: negative number; got -1",
                                     [] { return repeat_interleave(away({2}), -1, 0); }),
                   fails<ShapeError>("ShapeError", "repeat_interleave: needs at least 1 dim",
                                     [] { return repeat_interleave(away({}), 2, 0); })}));
  s.push_back(row("diag",
                  [](Rows& r) {
                    for (int64_t n : {3, 1, 0})
                      r.add(
                          {n}, diag,
                          [](const NdList& in) {
                            int64_t n = in[0].shape[0];
                            Nd y({n, n});
                            for (int64_t i = 0; i < n; ++i) y({i, i}) = in[0].v[size_t(i)];
                            return NdList{y};
                          },
                          n == 3);
                  },
                  {fails<ShapeError>("ShapeError", "diag: takes 1 dim; got shape [2, 2]", [] {
                    return diag(away({2, 2}));
                  })}));
  s.push_back({.name = "one_hot",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (const Tensor& x : {indices({2, 0, 1, 2}, {2, 2}), indices({1}, {}), indices({}, {0})})
                       cases.push_back(make_case(x.shape().str(), {x}, fn1([](T x) { return one_hot(x, 4); }),
                                                 [](const NdList& in) {
                                                   Shape shape = in[0].shape;
                                                   shape.push_back(4);
                                                   Nd y(shape);
                                                   for (size_t i = 0; i < in[0].v.size(); ++i)
                                                     y.v[4 * i + size_t(in[0].v[i].real())] = 1;
                                                   return NdList{y};
                                                 }));
                     return cases;
                   },
               .elementwise = true,
               .gradient = false,
               .dtypes = {},
               .errors = {fails<IndexError>("IndexError", "one_hot: class out of range; got 4; expected 0 to 3",
                                            [] { return one_hot(indices({4}, {1}), 4); }),
                          fails<IndexError>("IndexError", "one_hot: class out of range; got -1",
                                            [] { return one_hot(indices({-1}, {1}), 4); }),
                          fails<DTypeError>("DTypeError",
                                            "one_hot: the index has the wrong dtype; got f64; expected i64 or i32",
                                            [] { return one_hot(away({2}), 4); })}});
}

}  // namespace ink::test
