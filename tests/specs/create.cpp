// Rows of the ops that make tensors, from sizes and numbers or at random. The cases have no inputs, or one whose shape
// and dtype the result takes over.
#include <cmath>
#include <memory>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
using Value = std::function<C(const Shape&)>;
const std::vector<Shape> kShapes{{}, {3}, {2, 3}, {0}, {2, 0, 3}};

Case made(std::string label, std::function<Tensor()> make, Shape shape, Value value) {
  return make_case(
      std::move(label), {}, [make](const TensorList&) { return TensorList{make()}; },
      [=](const NdList&) {
        Nd y(shape);
        each_index(shape, [&](const Shape& i) { y(i) = value(i); });
        return NdList{y};
      });
}
OpSpec row(const char* name, std::function<std::vector<Case>()> cases, std::vector<ErrorInput> errors = {}) {
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

void add_create_specs(Specs& s) {
  ErrorInput negative = fails<ShapeError>("ShapeError", "empty: negative size; got [2, -1]", [] {
    return zeros({2, -1});
  });
  ErrorInput huge = fails<MemoryError>("MemoryError", "empty: more elements than fit memory", [] {
    return empty({int64_t(1) << 40, int64_t(1) << 40});
  });
  // What is in an empty tensor is anybody's guess: times 0 of a whole number it is 0.
  s.push_back(
      row("empty", of_shapes([](const Shape& shape) { return mul(empty(shape, i64), 0); }, 0), {negative, huge}));
  s.push_back(row("zeros", of_shapes([](const Shape& shape) { return zeros(shape); }, 0), {negative}));
  s.push_back(row("ones", of_shapes([](const Shape& shape) { return ones(shape, c64); }, 1),
                  {fails<DeviceError>("DeviceError", "cuda", [] { return ones({2}, Device::cuda(7)); })}));
  s.push_back(row("full", of_shapes([](const Shape& shape) { return full(shape, 2.5, f16); }, 2.5)));
  s.push_back(row("full.bool", of_shapes([](const Shape& shape) { return full(shape, 2.5, boolean); }, 1)));
  s.push_back(row("full.complex",
                  of_shapes([](const Shape& shape) { return full(shape, complex<double>(1, 2), c128); }, C(1, 2))));
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
  s.push_back(row("arange", [=] {
    return std::vector{made(
                           "4", [] { return arange(4); }, {4}, step(0, 1)),
                       made(
                           "0", [] { return arange(0); }, {0}, step(0, 1)),
                       made(
                           "2.5", [] { return arange(2.5); }, {3}, step(0, 1))};
  }));
  s.push_back(row("arange.range",
                  [=] {
                    return std::vector{made(
                                           "up", [] { return arange(2, 9, 3); }, {3}, step(2, 3)),
                                       made(
                                           "down", [] { return arange(5, 0, -2); }, {3}, step(5, -2)),
                                       made(
                                           "fractions", [] { return arange(0, 1, 0.25); }, {4}, step(0, 0.25)),
                                       made(
                                           "large", [] { return arange(int64_t(1) << 60, (int64_t(1) << 60) + 3); },
                                           {3}, [](const Shape& i) { return C(double((int64_t(1) << 60) + i[0])); })};
                  },
                  {fails<ValueError>("ValueError", "arange: the steps do not lead from start to stop; got 0, 3, -1",
                                     [] { return arange(0, 3, -1); }),
                   fails<ValueError>("ValueError", "arange: the steps do not lead", [] { return arange(0, 3, 0); })}));
  s.push_back(row("arange.options", [=] {
    return std::vector{made(
                           "f16", [] { return arange(1, 2, 0.5, f16); }, {2}, step(1, 0.5)),
                       made(
                           "i32", [] { return arange(0, 5, 2, i32); }, {3}, step(0, 2))};
  }));
  s.push_back(row("linspace",
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
  s.push_back(row("eye",
                  [] {
                    std::vector<Case> cases;
                    for (int64_t n : {0, 1, 3})
                      cases.push_back(made(
                          std::to_string(n), [=] { return eye(n, c64); }, {n, n},
                          [](const Shape& i) { return C(i[0] == i[1]); }));
                    return cases;
                  },
                  {fails<ShapeError>("ShapeError", "negative size; got [-1, -1]", [] { return eye(-1); })}));
  s.push_back(row("tri", [] {
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
  s.push_back(row("from_data.f32",
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
  s.push_back(row("from_data.f64", [=] {
    return std::vector{made(
        "f64",
        [] {
          return from_data(std::span<const double>(doubles), {2, 2});
        },
        {2, 2}, counted)};
  }));
  s.push_back(row("from_data.i64", [=] {
    return std::vector{made(
        "i64",
        [] {
          return from_data(std::span<const int64_t>(wholes), {2, 2});
        },
        {2, 2}, counted)};
  }));
  s.push_back(row("from_data.list",
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
  s.push_back(row("tensor", [=] {
    return std::vector{made(
                           "1-D",
                           [] {
                             return tensor({1, 2, 3}, i32);
                           },
                           {3}, step(1, 1)),
                       made(
                           "empty", [] { return tensor(std::initializer_list<double>{}); }, {0}, step(1, 1))};
  }));
  s.push_back(row("tensor.rows",
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
  s.push_back(row("from_blob", [=] {
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

void add_random_specs(Specs& s) {
  // Same seed, same numbers; the next ones differ; the result is 1 in each place where all of that holds.
  auto drawn = [](std::function<Tensor(Generator*)> f, Shape shape, DType dtype, double low, double high) {
    return made(
        shape.str() + " " + name_of(dtype),
        [=] {
          Generator a(7), b(7);
          Tensor x = f(&a), again = f(&b), next = f(&a);
          Tensor range = is_complex(x.dtype()) ? isfinite(x) : logical_and(x >= low, x <= high);
          bool good = x.dtype() == dtype && equal(x, again) && a.state.offset == 2 * b.state.offset &&
                      (x.numel() < 5 || !equal(x, next));
          return where(range, full(x.shape(), good), zeros(x.shape()));
        },
        shape, constant(1));
  };
  const double inf = 1e30;
  auto add = [&](const char* name, std::function<std::vector<Case>()> cases, std::vector<ErrorInput> errors = {}) {
    s.push_back(row(name, cases, errors));
  };
  add("rand",
      [=] {
        std::vector<Case> cases;
        for (DType t : {f32, f64, f16, bf16, c64, c128})
          cases.push_back(drawn(
              [t](Generator* g) {
                return rand({5, 7}, t, g);
              },
              {5, 7}, t, 0, std::nextafter(1.0, 0.0)));
        cases.push_back(drawn([](Generator* g) { return rand({0}, f32, g); }, {0}, f32, 0, 1));
        return cases;
      },
      {fails<DTypeError>("DTypeError", "rand: dtype not supported; got i64", [] { return rand({2}, i64); })});
  add("randn",
      [=] {
        std::vector<Case> cases;
        for (DType t : {f32, f64, f16, bf16, c64, c128})
          cases.push_back(drawn([t](Generator* g) { return randn({5, 7}, t, g); }, {5, 7}, t, -inf, inf));
        return cases;
      },
      {fails<DTypeError>("DTypeError", "randn: dtype not supported; got bool", [] { return randn({2}, boolean); })});
  auto like = [=](Tensor (*f)(T), double low, double high) {
    return [=] {
      return std::vector{made(
          "f16",
          [=] {
            Generator before = default_generator();
            Tensor x = zeros({3, 5}, f16);
            manual_seed(3);
            Tensor a = f(x);
            manual_seed(3);
            Tensor b = f(x);
            default_generator() = before;
            return where(logical_and(a >= low, a <= high), full(a.shape(), a.dtype() == f16 && equal(a, b)),
                         zeros(a.shape()));
          },
          {3, 5}, constant(1))};
    };
  };
  add("rand_like", like(rand_like, 0, 1));
  add("randn_like", like(randn_like, -inf, inf));
  add("randint",
      [=] {
        return std::vector{drawn(
                               [](Generator* g) {
                                 return randint(-3, 4, {5, 7}, i64, g);
                               },
                               {5, 7}, i64, -3, 3),
                           drawn([](Generator* g) { return randint(0, 10, {20}, f32, g); }, {20}, f32, 0, 9),
                           drawn([](Generator* g) { return randint(5, 6, {3}, u8, g); }, {3}, u8, 5, 5)};
      },
      {fails<ValueError>("ValueError", "randint: an empty range; got [2, 2)", [] { return randint(2, 2, {1}); })});
  add("randperm",
      [=] {
        return std::vector{drawn([](Generator* g) { return randperm(50, g); }, {50}, i64, 0, 49),
                           made(
                               "sorted",
                               [] {
                                 Generator g(3);
                                 return std::get<0>(sort(randperm(9, &g)));
                               },
                               {9}, [](const Shape& i) { return C(double(i[0])); })};
      },
      {fails<ValueError>("ValueError", "randperm: negative size; got -1", [] { return randperm(-1); })});
  add("bernoulli",
      [=] {
        return std::vector{drawn([](Generator* g) { return bernoulli(full({50}, 0.5, f16), g); }, {50}, f16, 0, 1),
                           made(
                               "certain",
                               [] {
                                 Generator g(3);
                                 return bernoulli(tensor({0, 1, 0, 1}, f64), &g);
                               },
                               {4}, [](const Shape& i) { return C(double(i[0] % 2)); })};
      },
      {fails<ValueError>("ValueError", "bernoulli: a probability lies outside [0, 1] or is NaN",
                         [] {
                           return bernoulli(tensor({0.5, 1.5}));
                         }),
       fails<ValueError>("ValueError", "bernoulli: a probability", [] { return bernoulli(tensor({std::nan("")})); }),
       fails<DTypeError>("DTypeError", "bernoulli: dtype not supported; got i64",
                         [] { return bernoulli(arange(2)); })});
  add("multinomial",
      [=] {
        return std::vector{
            drawn(
                [](Generator* g) {
                  return multinomial(tensor({{1, 2, 3, 0}, {0, 0, 0, 1}}), 20, true, g);
                },
                {2, 20}, i64, 0, 3),
            made(
                "without replacement",
                [] {
                  Generator g(3);
                  return std::get<0>(sort(multinomial(tensor({{1, 5, 2}, {3, 1, 1}}, f64), 3, false, &g)));
                },
                {2, 3}, [](const Shape& i) { return C(double(i[1])); }),
            made(
                "certain",
                [] {
                  Generator g(3);
                  return multinomial(tensor({0, 0, 4, 0}), 5, true, &g);
                },
                {5}, constant(2))};
      },
      {fails<ValueError>("ValueError", "multinomial: a row has too few classes of positive weight; expected at least 2",
                         [] {
                           return multinomial(tensor({0, 1, 0}), 2);
                         }),
       fails<ValueError>("ValueError", "multinomial: a weight is negative or not finite",
                         [] {
                           return multinomial(tensor({-1, 1}), 1);
                         }),
       fails<ShapeError>("ShapeError", "multinomial: needs weights [..., classes] and a count >= 0; got [] and 1",
                         [] { return multinomial(full({}, 1), 1); })});

  // Dropout with the mask of one seed, so that gradients see the same function each time.
  s.push_back({.name = "dropout",
               .cases =
                   [] {
                     std::vector<Case> cases;
                     for (const Shape& shape : {Shape{2, 3}, {}, {0}, {3, 37}})
                       cases.push_back(make_case(
                           shape.str(), {away(shape)}, fn1([](T x) {
                             Generator g(11);
                             return dropout(x, 0.25, true, &g);
                           }),
                           [](const NdList&
                                  in) {  // kept where the uniform number at the same place of the stream is at least p
                             Generator g(11);
                             Nd u = nd(rand(in[0].shape, f32, &g));
                             return NdList{zip(in[0], u, [](C x, C u) { return u.real() < 0.25 ? C(0) : x / 0.75; })};
                           },
                           shape.numel() < 10, 1));
                     cases.push_back(make_case("evaluation", {away({3})},
                                               fn1([](T x) { return dropout(x, 0.5, false); }),
                                               [](const NdList& in) { return in; }));
                     cases.push_back(make_case("p = 0", {away({3})}, fn1([](T x) { return dropout(x, 0); }),
                                               [](const NdList& in) { return in; }));
                     cases.push_back(make_case("p = 1", {away({3})}, fn1([](T x) { return dropout(x, 1); }),
                                               [](const NdList& in) { return NdList{Nd(in[0].shape)}; }));
                     return cases;
                   },
               .elementwise = true,
               .errors = {fails<ValueError>("ValueError", "dropout: p must lie in [0, 1]; got 1.5",
                                            [] { return dropout(away({2}), 1.5); }),
                          fails<DTypeError>("DTypeError", "dropout: dtype not supported; got i64",
                                            [] { return dropout(arange(2), 0.5); })}});
}

}  // namespace ink::test
