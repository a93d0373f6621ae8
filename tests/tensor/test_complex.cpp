#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/observe/gradcheck.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
Tensor random_complex(const Shape& s, unsigned seed) {
  return complex_of(random_tensor(s, seed), random_tensor(s, seed + 100));
}
}  // namespace

TEST_CASE("parts of complex numbers", "[complex]") {
  Tensor z = complex_of(tensor({3, -1, 0}), tensor({4, 0, 0}));
  CHECK(z.dtype() == c64);
  CHECK(values(real(z)) == Values{3, -1, 0});
  CHECK(values(imag(z)) == Values{4, 0, 0});
  CHECK(values(imag(conj(z))) == Values{-4, 0, 0});
  CHECK(values(abs(z)) == Values{5, 1, 0});
  CHECK(angle(z)[1].item() == Approx(M_PI));
  CHECK(angle(z)[2].item() == 0);
  Tensor w = polar(abs(z), angle(z));
  CHECK(allclose(real(w), real(z), 1e-6, 1e-6));
  CHECK(allclose(imag(w), imag(z), 1e-6, 1e-6));
  CHECK(complex_of(ones({2}, f64), ones({2})).dtype() == c128);
  CHECK(complex_of(ones({2}, f16), ones({2}, f16)).dtype() == c64);
  CHECK(complex_of(ones({2, 1}), ones({3})).shape() == Shape{2, 3});
}

TEST_CASE("real tensors are complex numbers without an imaginary part", "[complex]") {
  Tensor x = tensor({-2, 3});
  CHECK(real(x).is_same(x));
  CHECK(conj(x).is_same(x));
  CHECK(values(imag(x)) == Values{0, 0});
  CHECK(angle(x)[0].item() == Approx(M_PI));
  CHECK(angle(x)[1].item() == 0);
  CHECK(angle(tensor({-2}, i64))[0].item() == Approx(M_PI));
  CHECK(std::isnan(angle(tensor({NAN}))[0].item()));
}

TEST_CASE("view_as_real and view_as_complex share memory", "[complex]") {
  Tensor z = random_complex({2, 3}, 1), pairs = view_as_real(z);
  CHECK(pairs.shape() == Shape{2, 3, 2});
  CHECK(pairs.dtype() == f64);
  CHECK(pairs.shares_storage(z));
  CHECK(equal(pairs.select(-1, 1), imag(z)));
  Tensor turned = view_as_real(z.t().slice(0, 1, 3));
  CHECK(turned.shares_storage(z));
  CHECK(equal(turned.select(-1, 0), real(z).t().slice(0, 1, 3)));
  Tensor back = view_as_complex(pairs);
  CHECK(back.shares_storage(z));
  CHECK(equal(back, z));
  CHECK(equal(view_as_complex(pairs.slice(1, 1, 3)), z.slice(1, 1, 3)));
  pairs.fill_(2);
  CHECK(real(z)[1][2].item() == 2);
  Tensor apart = random_tensor({2, 4}, 2).t();  // pairs do not stand together in memory: copied
  CHECK(equal(imag(view_as_complex(apart)), apart.select(1, 1)));
  CHECK(view_as_real(zeros({0}, c64)).shape() == Shape{0, 2});
  CHECK_THROWS_WITH(view_as_complex(zeros({3})), contains("got f32 [3]"));
  CHECK_THROWS_AS(view_as_complex(zeros({2}, f16)), ShapeError);
  CHECK_THROWS_WITH(view_as_real(zeros({2})), contains("got f32; expected one of c64, c128"));
}

TEST_CASE("a gradient of z = x + iy is dL/dx + i dL/dy", "[complex]") {
  Tensor z = complex_of(tensor({3}, f64), tensor({4}, f64)).detach().requires_grad_();
  abs(z).sum().backward();
  CHECK(view_as_real(z.grad())[0][0].item() == Approx(0.6));
  CHECK(view_as_real(z.grad())[0][1].item() == Approx(0.8));
  z.zero_grad();
  imag(z).sum().backward();
  CHECK(values(view_as_real(z.grad())) == Values{0, 1});
  z.zero_grad();
  real(z).sum().backward();
  CHECK(values(view_as_real(z.grad())) == Values{1, 0});
}

TEST_CASE("gradients of complex parts, to second order", "[complex]") {
  Tensor z = random_complex({2, 3}, 3), x = random_tensor({2, 3, 2}, 4);
  auto check = [](auto f, const Tensor& in) {
    auto curved = [&](const Tensor& t) { return real(square(f(t))) + imag(f(t)); };
    auto first = gradcheck1(curved, in), second = gradgradcheck1(curved, in);
    INFO(first.message << second.message);
    CHECK((first && second));
  };
  check([](const Tensor& t) { return real(t); }, z);
  check([](const Tensor& t) { return imag(t); }, z);
  check([](const Tensor& t) { return conj(t); }, z);
  check([](const Tensor& t) { return angle(t); }, z);
  check([](const Tensor& t) { return abs(t); }, z);
  check([](const Tensor& t) { return view_as_real(t * t); }, z);
  check([](const Tensor& t) { return view_as_complex(t); }, x);
  check([](const Tensor& t) { return complex_of(t, t * 2 + 1); }, x);
  check([](const Tensor& t) { return polar(t, t * 0.5 + 1); }, x);
}
