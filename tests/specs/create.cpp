// Rows of the ops that make tensors from sizes and numbers.
#include <cmath>
#include <memory>

#include "tests/specs/made.h"

namespace ink::test {
namespace {

using T = const Tensor&;
const std::vector<Shape> kShapes{{}, {3}, {2, 3}, {0}, {2, 0, 3}};

Cases of_shapes(std::function<Tensor(const Shape&)> f, C value) {
  return [=] {
    std::vector<Case> cases;
    for (const Shape& s : kShapes)
      cases.push_back(made(
          s.str(), [=] { return f(s); }, s, constant(value)));
    return cases;
  };
}

}  // namespace

Case made(std::string label, std::function<Tensor()> make, Shape shape, Value value) {
  return make_case(
      std::move(label), {}, [make](const TensorList&) { return TensorList{make()}; },
      [=](const NdList&) {
        Nd y(shape);
        each_index(shape, [&](const Shape& i) { y(i) = value(i); });
        return NdList{y};
      });
}
OpSpec made_row(const char* name, std::function<std::vector<Case>()> cases, std::vector<ErrorInput> errors) {
  return {.name = name,
          .cases = std::move(cases),
          .elementwise = true,
          .gradient = false,
          .dtypes = {},
          .errors = std::move(errors)};
}
Value constant(C x) {
  return [x](const Shape&) { return x; };
}

void add_create_specs(Specs& s) {
  ErrorInput negative = fails<ShapeError>("ShapeError", "empty: negative size; got [2, -1]", [] {
    return zeros({2, -1});
  });
  ErrorInput huge = fails<MemoryError>("MemoryError", "empty: more elements than fit memory", [] {
    return empty({int64_t(1) << 40, int64_t(1) << 40});
  });
  // What is in an empty tensor is anybody's guess: times 0 of a whole number it is 0.
  s.push_back(
      made_row("empty", of_shapes([](const Shape& shape) { return mul(empty(shape, i64), 0); }, 0), {negative, huge}));
  s.push_back(made_row("zeros", of_shapes([](const Shape& shape) { return zeros(shape); }, 0), {negative}));
  s.push_back(made_row("ones", of_shapes([](const Shape& shape) { return ones(shape, c64); }, 1),
                       {fails<DeviceError>("DeviceError", "cuda", [] { return ones({2}, Device::cuda(7)); })}));
  s.push_back(made_row("full", of_shapes([](const Shape& shape) { return full(shape, 2.5, f16); }, 2.5)));
  s.push_back(made_row("full.bool", of_shapes([](const Shape& shape) { return full(shape, 2.5, boolean); }, 1)));
  s.push_back(made_row(
      "full.complex", of_shapes([](const Shape& shape) { return full(shape, complex<double>(1, 2), c128); }, C(1, 2))));
  auto like = [](Tensor (*f)(T), C value) {
    return unary_cases(
        f, [value](C) { return value; }, away, true);
  };
  auto add_like = [&](const char* name, Tensor (*f)(T), C value) {
    s.push_back({.name = name, .cases = like(f, value), .elementwise = true, .gradient = false, .integers = true});
  };
  add_like(
      "empty_like",
      [](T x) {
        Tensor y = empty_like(x);
        y.fill_(3);
        return y;
      },
      3);
  add_like(
      "zeros_like", [](T x) { return zeros_like(x); }, 0);
  add_like(
      "ones_like", [](T x) { return ones_like(x); }, 1);
  add_like(
      "full_like", [](T x) { return full_like(x, 2); }, 2);
  auto step = [](double start, double by) { return [=](const Shape& i) { return C(start + by * double(i[0])); }; };
  s.push_back(made_row("arange", [=] {
    return std::vector{made(
                           "4", [] { return arange(4); }, {4}, step(0, 1)),
                       made(
                           "0", [] { return arange(0); }, {0}, step(0, 1)),
                       made(
                           "2.5", [] { return arange(2.5); }, {3}, step(0, 1))};
  }));
  s.push_back(
      made_row("arange.range",
               [=] {
                 return std::vector{made(
                                        "up", [] { return arange(2, 9, 3); }, {3}, step(2, 3)),
                                    made(
                                        "down", [] { return arange(5, 0, -2); }, {3}, step(5, -2)),
                                    made(
                                        "fractions", [] { return arange(0, 1, 0.25); }, {4}, step(0, 0.25)),
                                    made(
                                        "large", [] { return arange(int64_t(1) << 60, (int64_t(1) << 60) + 3); }, {3},
                                        [](const Shape& i) { return C(double((int64_t(1) << 60) + i[0])); })};
               },
               {fails<ValueError>("ValueError", "arange: the steps do not lead from start to stop; got 0, 3, -1",
                                  [] { return arange(0, 3, -1); }),
                fails<ValueError>("ValueError", "arange: the steps do not lead", [] { return arange(0, 3, 0); })}));
  s.push_back(made_row("arange.options", [=] {
    return std::vector{made(
                           "f16", [] { return arange(1, 2, 0.5, f16); }, {2}, step(1, 0.5)),
                       made(
                           "i32", [] { return arange(0, 5, 2, i32); }, {3}, step(0, 2))};
  }));
  s.push_back(made_row("linspace",
                       [=] {
                         return std::vector{made(
                                                "5", [] { return linspace(-1, 1, 5, f64); }, {5}, step(-1, 0.5)),
                                            made(
                                                "1", [] { return linspace(3, 5, 1); }, {1}, step(3, 0)),
                                            made(
                                                "0", [] { return linspace(3, 5, 0); }, {0}, step(3, 0)),
                                            made(
                                                "ends",
                                                [] {
                                                  Tensor x = linspace(0.1, 0.7, 1001, f64);
                                                  return stack({select(x, 0, 0), select(x, 0, 1000)});
                                                },
                                                {2}, [](const Shape& i) { return C(i[0] ? 0.7 : 0.1); })};
                       },
                       {fails<ValueError>("ValueError", "linspace: negative number of steps; got -1",
                                          [] { return linspace(0, 1, -1); })}));
  s.push_back(made_row("eye",
                       [] {
                         std::vector<Case> cases;
                         for (int64_t n : {0, 1, 3})
                           cases.push_back(made(
                               std::to_string(n), [=] { return eye(n, c64); }, {n, n},
                               [](const Shape& i) { return C(i[0] == i[1]); }));
                         return cases;
                       },
                       {fails<ShapeError>("ShapeError", "negative size; got [-1, -1]", [] { return eye(-1); })}));
  s.push_back(made_row("tri", [] {
    std::vector<Case> cases;
    for (int64_t k : {0, 1, -1, 7, -7})
      cases.push_back(made(
          std::to_string(k), [=] { return tri(3, 4, k); }, {3, 4},
          [=](const Shape& i) { return C(i[1] - i[0] <= k); }));
    return cases;
  }));
  auto counted = [](const Shape& i) { return C(double(i[0] * 2 + i[1] + 1)); };
  static const float floats[] = {1, 2, 3, 4};
  static const double doubles[] = {1, 2, 3, 4};
  static const int64_t wholes[] = {1, 2, 3, 4};
  s.push_back(made_row("from_data.f32",
                       [=] {
                         return std::vector{made(
                             "f32",
                             [] {
                               return from_data(std::span<const float>(floats), {2, 2});
                             },
                             {2, 2}, counted)};
                       },
                       {fails<ShapeError>("ShapeError", "from_data: the counts differ; got 4 numbers for shape [3]",
                                          [] { return from_data(std::span<const float>(floats), {3}); })}));
  s.push_back(made_row("from_data.f64", [=] {
    return std::vector{made(
        "f64",
        [] {
          return from_data(std::span<const double>(doubles), {2, 2});
        },
        {2, 2}, counted)};
  }));
  s.push_back(made_row("from_data.i64", [=] {
    return std::vector{made(
        "i64",
        [] {
          return from_data(std::span<const int64_t>(wholes), {2, 2});
        },
        {2, 2}, counted)};
  }));
  s.push_back(
      made_row("from_data.list",
               [=] {
                 return std::vector{made(
                     "list",
                     [] {
                       return from_data({1., 2., 3., 4.}, {2, 2}, bf16);
                     },
                     {2, 2}, counted)};
               },
               {fails<ShapeError>("ShapeError", "from_data: the counts differ; got 1 numbers for shape [2, 2]", [] {
                 return from_data({1.}, {2, 2});
               })}));
  s.push_back(made_row("tensor", [=] {
    return std::vector{made(
                           "1-D",
                           [] {
                             return tensor({1, 2, 3}, i32);
                           },
                           {3}, step(1, 1)),
                       made(
                           "empty", [] { return tensor(std::initializer_list<double>{}); }, {0}, step(1, 1))};
  }));
  s.push_back(made_row("tensor.rows",
                       [=] {
                         return std::vector{made(
                             "2-D",
                             [] {
                               return tensor({{1, 2}, {3, 4}});
                             },
                             {2, 2}, counted)};
                       },
                       {fails<ShapeError>("ShapeError", "tensor: rows of different lengths; got 2 and 1", [] {
                         return tensor({{1, 2}, {3}});
                       })}));
  s.push_back(made_row("from_blob", [=] {
    return std::vector{made(
        "owned",
        [] {
          auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
          void* data = owner->data();
          return from_blob(data, {2, 2}, f32, owner);
        },
        {2, 2}, counted)};
  }));
}

}  // namespace ink::test
