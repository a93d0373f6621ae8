// Rows of the ops that draw random numbers, and of dropout.
#include <cmath>

#include "tests/specs/made.h"

namespace ink::test {
namespace {

using T = const Tensor&;

}  // namespace

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
    s.push_back(made_row(name, cases, errors));
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
