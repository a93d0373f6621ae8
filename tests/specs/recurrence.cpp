// Rows of the recurrences: first-order linear ones, and Mamba's selective scan.
#include <cmath>

#include "autograd/recurrence.h"
#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;

// h by the definition, step by step; `start` may have no elements.
Nd recurrence_reference(const Nd& a_any, const Nd& b_any, const Nd* start, int dim, bool reverse) {
  const Shape full = zip(a_any, b_any, [](C x, C) { return x; }).shape;
  const Nd a = spread_to(a_any, full), b = spread_to(b_any, full);
  Nd h(full);
  Shape steps = full;
  const int64_t n = full[dim];
  steps[dim] = 1;
  each_index(steps, [&](const Shape& first) {
    Shape at = first, side = first;
    side.erase(dim);
    C state = start ? (*start)(side) : 0;
    for (int64_t t = 0; t < n; ++t) {
      at[dim] = reverse ? n - 1 - t : t;
      h(at) = state = a(at) * state + b(at);
    }
  });
  return h;
}

struct Form {
  const char* label;
  Shape a, b;
  int dim;
  bool reverse = false, start = false, complex = false;
  ScanAlgorithm algorithm = ScanAlgorithm::sequential;
};

std::vector<Case> recurrence_cases() {
  using A = ScanAlgorithm;
  const std::vector<Form> forms{
      {"one row", {5}, {5}, 0},
      {"one row, reversed, from a start", {3}, {3}, 0, true, true},
      {"columns", {2, 3, 2}, {2, 3, 2}, 1},
      {"columns, reversed", {2, 3, 2}, {2, 3, 2}, 1, true},
      {"columns from a start", {3, 2}, {3, 2}, 0, false, true},
      {"one factor for all steps", {1, 2}, {3, 2}, 0, false, true},
      {"one factor in all", {1}, {2, 3}, 1, true},
      {"factors broadcast", {3, 1}, {2, 3, 2}, 1},
      {"complex", {3, 2}, {3, 2}, 0, false, true, true},
      {"complex row, reversed", {4}, {4}, 0, true, true, true},
      {"one step", {1, 2}, {1, 2}, 0, false, true},
      {"no steps", {0, 2}, {0, 2}, 0},
      {"no columns", {3, 0}, {3, 0}, 0},
      {"Hillis-Steele", {5, 2}, {5, 2}, 0, false, true, false, A::hillis_steele},
      {"Blelloch", {5, 2}, {5, 2}, 0, true, true, false, A::blelloch},
      {"chunked", {2, 5}, {2, 5}, 1, true, true, false, A::chunked},
      {"long row", {70}, {70}, 0, true, true},
      {"long rows", {3, 100}, {3, 100}, 1},
      {"many columns", {40, 37}, {40, 37}, 0, false, true},
      {"many complex columns", {1, 9}, {40, 9}, 0, true, false, true},
  };
  std::vector<Case> cases;
  for (const Form& f : forms) {
    const auto make = f.complex ? complex_away : away;
    TensorList inputs{make(f.a, 1) * 0.6, make(f.b, 2)};  // factors near 1 at most, so that long products stay moderate
    Shape side = broadcast_shapes("test", f.a, f.b);
    side.erase(f.dim);
    if (f.start) inputs.push_back(make(side, 3));
    const OpFn op = [f](const TensorList& in) {
      return TensorList{linear_recurrence(
          in[0], in[1], f.dim, {.start = f.start ? in[2] : Tensor(), .reverse = f.reverse, .algorithm = f.algorithm})};
    };
    const Reference reference = [f](const NdList& in) {
      return NdList{recurrence_reference(in[0], in[1], f.start ? &in[2] : nullptr, f.dim, f.reverse)};
    };
    cases.push_back(make_case(f.label, inputs, op, reference, f.b.numel() < 20, 20));
  }
  return cases;
}

// {y, last h} by the definition.
NdList selective_reference(const NdList& in) {
  const Nd &x = in[0], &delta = in[1], &a = in[2], &b = in[3], &c = in[4];
  const int64_t batch = x.shape[0], n = x.shape[1], channels = x.shape[2], states = a.shape[1];
  Nd y(x.shape), last = in.size() > 5 ? in[5] : Nd({batch, channels, states});
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t t = 0; t < n; ++t)
      for (int64_t d = 0; d < channels; ++d)
        for (int64_t s = 0; s < states; ++s) {
          C& h = last({i, d, s});
          h = std::exp(delta({i, t, d}) * a({d, s})) * h + delta({i, t, d}) * b({i, t, s}) * x({i, t, d});
          y({i, t, d}) += c({i, t, s}) * h;
        }
  return {y, last};
}

std::vector<Case> selective_cases() {
  struct Sizes {
    int64_t batch, n, channels, states;
    bool start;
  };
  std::vector<Case> cases;
  for (const Sizes& s : {Sizes{1, 3, 2, 2, false},
                         {2, 2, 1, 1, true},
                         {1, 1, 2, 3, true},
                         {1, 18, 1, 1, true},
                         {2, 0, 2, 2, true},
                         {0, 3, 2, 2, false},
                         {2, 37, 19, 5, true},
                         {1, 50, 70, 17, false},
                         {1, 17, 3, 40, true},
                         {1, 3, 2, 0, true}}) {
    TensorList inputs{away({s.batch, s.n, s.channels}, 1), positive({s.batch, s.n, s.channels}, 2) * 0.5,
                      -positive({s.channels, s.states}, 3), away({s.batch, s.n, s.states}, 4),
                      away({s.batch, s.n, s.states}, 5)};
    if (s.start) inputs.push_back(away({s.batch, s.channels, s.states}, 6));
    const OpFn op = [start = s.start](const TensorList& in) {
      auto [y, last] = selective_scan(in[0], in[1], in[2], in[3], in[4], start ? in[5] : Tensor());
      return TensorList{y, last};
    };
    cases.push_back(make_case(Shape{s.batch, s.n, s.channels, s.states}.str() + (s.start ? " from a start" : ""),
                              inputs, op, selective_reference, s.n * s.channels * s.states < 20,
                              20 + double(s.states)));
  }
  return cases;
}

}  // namespace

void add_recurrence_specs(Specs& s) {
  s.push_back(
      {.name = "linear_recurrence",
       .cases = recurrence_cases,
       .expandable = false,
       .errors = {fails<ShapeError>("ShapeError", "wrong start; got [3]",
                                    [] {
                                      return linear_recurrence(away({3, 2}), away({3, 2}), 0, {.start = away({3})});
                                    }),
                  fails<ShapeError>("ShapeError", "it goes along a dim",
                                    [] { return linear_recurrence(away({}), away({}), 0); }),
                  fails<DTypeError>("DTypeError", "linear_recurrence",
                                    [] { return linear_recurrence(ones({3}, i64), ones({3}, i64), 0); })}});
  s.push_back({.name = "selective_scan",
               .cases = selective_cases,
               .expandable = false,
               .factor = 8,
               .errors = {fails<ShapeError>("ShapeError", "shapes do not fit", [] {
                 return std::get<0>(
                     selective_scan(away({1, 2, 3}), away({1, 2, 3}), away({3, 2}), away({1, 2, 2}), away({1, 2, 3})));
               })}});
}

}  // namespace ink::test
