// The scalar functions of tensor/math/math.h that are our own: complex numbers, special functions, integers.
#include "tensor/math/math.h"

#include <cmath>
#include <complex>
#include <vector>

#include "tensor/math/functors.h"
#include "tests/catch.h"

using namespace ink;

namespace {

template <class T> std::complex<double> wide(complex<T> z) { return {double(z.re), double(z.im)}; }

template <class T, class Ours, class Theirs>
void check_complex(const char* name, Ours ours, Theirs theirs, double bound) {
  double worst = 0;
  complex<T> at;
  for (T x :
       {T(-30), T(-3.5), T(-1), T(-0.6), T(-1e-5), T(-0.0), T(0), T(1e-6), T(0.3), T(0.70710678), T(1), T(2.5), T(20)})
    for (T y : {T(-9), T(-1.5707963), T(-1), T(-0.6), T(-1e-5), T(-0.0), T(0), T(1e-7), T(0.5), T(0.70710678), T(1.2),
                T(8)}) {
      complex<T> z(x, y);
      std::complex<double> want = theirs(wide(z)), got = wide(ours(z));
      if (!std::isfinite(std::abs(want)) || !std::isfinite(float(std::abs(want)))) continue;
      double error = std::abs(got - want) / std::max(std::abs(want), 1e-30);
      if (want.imag() != 0 && want.real() != 0 && std::signbit(want.imag()) != std::signbit(got.imag()) &&
          std::abs(want.imag()) > 1e-6 * std::abs(want))
        error = 1;  // the wrong side of a branch cut
      if (error > worst) worst = error, at = z;
    }
  INFO(name << " at " << at.re << " + " << at.im << "i: relative error " << worst);
  CHECK(worst < bound);
}

template <class T> void check_all(double bound) {
  using C = complex<T>;
  using D = std::complex<double>;
  check_complex<T>(
      "exp", [](C z) { return fn::exp(z); }, [](D z) { return std::exp(z); }, bound);
  check_complex<T>(
      "log", [](C z) { return fn::log(z); }, [](D z) { return std::log(z); }, bound);
  check_complex<T>(
      "sqrt", [](C z) { return fn::sqrt(z); }, [](D z) { return std::sqrt(z); }, bound);
  check_complex<T>(
      "sin", [](C z) { return fn::sin(z); }, [](D z) { return std::sin(z); }, bound);
  check_complex<T>(
      "cos", [](C z) { return fn::cos(z); }, [](D z) { return std::cos(z); }, bound);
  check_complex<T>(
      "tan", [](C z) { return fn::tan(z); }, [](D z) { return std::tan(z); }, bound);
  check_complex<T>(
      "sinh", [](C z) { return fn::sinh(z); }, [](D z) { return std::sinh(z); }, bound);
  check_complex<T>(
      "cosh", [](C z) { return fn::cosh(z); }, [](D z) { return std::cosh(z); }, bound);
  check_complex<T>(
      "tanh", [](C z) { return fn::tanh(z); }, [](D z) { return std::tanh(z); }, bound);
  check_complex<T>(
      "z^3", [](C z) { return fn::pow(z, C(T(3))); }, [](D z) { return z * z * z; }, bound);
  check_complex<T>(
      "z^(0.5 + i)", [](C z) { return fn::pow(z, C(T(0.5), T(1))); },
      [](D z) { return z == D(0) ? D(0) : std::exp(D(0.5, 1) * std::log(z)); }, 8 * bound);
}

}  // namespace

TEST_CASE("complex functions agree with the standard library's, branch cuts included", "[math]") {
  check_all<float>(2e-6);
  check_all<double>(4e-15);
}

TEST_CASE("complex functions do not overflow where their value does not", "[math]") {
  using C = complex<float>;
  C e = fn::exp(C(89, 1.57f));
  CHECK(wide(e).real() == Approx(std::exp(std::complex<double>(89, 1.57f)).real()).epsilon(1e-5));
  C root = fn::sqrt(C(3e38f, 3e38f));
  CHECK(root.re == Approx(std::sqrt(std::complex<double>(3e38, 3e38)).real()));
  C small = fn::sqrt(C(1e-44f, 0));
  CHECK(small.re == Approx(std::sqrt(double(1e-44f))));
  CHECK(fn::log(C(3e38f, 3e38f)).re == Approx(std::log(std::abs(std::complex<double>(3e38, 3e38)))));
  CHECK(fn::abs(C(3e38f, 0)) == 3e38f);
  CHECK(fn::sqrt(C(-1, 0.f)).im == 1);
  CHECK(fn::sqrt(C(-1, -0.f)).im == -1);
  CHECK(fn::log(C(-1, -0.f)).im == -float(M_PI));
  CHECK(fn::tanh(C(200, 1)).re == 1);
}

TEST_CASE("formulas call the complex functions unqualified", "[math]") {
  complex<double> z(0.3, -0.4);
  CHECK(fn::Exp()(z).re == fn::exp(z).re);
  CHECK(fn::Abs()(z) == Approx(0.5));
  CHECK(fn::Tanh()(z).im == fn::tanh(z).im);
  CHECK(fn::conj(z).im == 0.4);
  CHECK(fn::conj(2.5) == 2.5);
  CHECK(fn::imag(2.5) == 0);
}

TEST_CASE("erfinv inverts erf up to the ends", "[math]") {
  for (double y : {0.0, 1e-300, 1e-10, 0.1, 0.4999, 0.5, 0.7, 0.99, 1 - 1e-9, 1 - 1e-15}) {
    double x = fn::erfinv(y);
    double back = y < 0.5 ? std::erf(x) : 1 - std::erfc(x);
    CHECK(std::abs(back - y) <= 4e-16 * std::max(y, 1e-300));
    CHECK(fn::erfinv(-y) == -x);
  }
  CHECK(fn::erfinv(0.5) == Approx(0.47693627620446987).epsilon(1e-15));
  CHECK(fn::erfinv(0.5f) == 0.47693628f);
  CHECK(std::isinf(fn::erfinv(1.0)));
  CHECK(std::isnan(fn::erfinv(1.5)));
}

TEST_CASE("digamma follows its recurrence, reflection and known values", "[math]") {
  CHECK(fn::digamma(1.0) == Approx(-0.57721566490153286).epsilon(1e-14));
  CHECK(fn::digamma(0.5) == Approx(-1.9635100260214235).epsilon(1e-14));
  CHECK(fn::digamma(100.0) == Approx(4.6001618527380874).epsilon(1e-14));
  for (double x : {0.1, 0.9, 3.3, 12.5, 1e6}) {
    CHECK(fn::digamma(x + 1) == Approx(fn::digamma(x) + 1 / x).epsilon(1e-13));
    if (x < 20) CHECK(fn::digamma(1 - x) == Approx(fn::digamma(x) + M_PI / std::tan(M_PI * x)).epsilon(1e-10));
  }
  CHECK(fn::digamma(0.0) == -INFINITY);
  CHECK(fn::digamma(-0.0) == INFINITY);
  CHECK(std::isnan(fn::digamma(-2.0)));
}

TEST_CASE("max and min let NaN win, isinf and isfinite tell", "[math]") {
  float nan = NAN;
  CHECK(std::isnan(fn::max(nan, 1.f)));
  CHECK(std::isnan(fn::max(1.f, nan)));
  CHECK(std::isnan(fn::min(nan, 1.f)));
  CHECK(std::isnan(fn::min(1.f, nan)));
  CHECK(fn::isinf(-INFINITY));
  CHECK_FALSE(fn::isinf(nan));
  CHECK_FALSE(fn::isfinite(nan));
  CHECK(fn::isfinite(1e300));
  CHECK(fn::lowest<int64_t>() == INT64_MIN);
  CHECK(fn::lowest<float>() == -INFINITY);
  CHECK(fn::highest<uint8_t>() == 255);
}

TEST_CASE("integer functions wrap and never trap", "[math]") {
  CHECK(fn::abs(INT64_MIN) == INT64_MIN);
  CHECK(fn::abs(int32_t(-5)) == 5);
  CHECK(fn::abs(uint8_t(250)) == 250);
  CHECK(fn::pow(int64_t(3), int64_t(4)) == 81);
  CHECK(fn::pow(int64_t(2), int64_t(64)) == 0);
  CHECK(fn::pow(int64_t(2), int64_t(-1)) == 0);
  CHECK(fn::pow(int64_t(-1), int64_t(-3)) == -1);
  CHECK(fn::pow(uint8_t(2), uint8_t(9)) == 0);
  for (int a = -7; a <= 7; ++a)
    for (int b : {-3, -1, 1, 2, 3}) {
      CHECK(fn::floor_divide(int64_t(a), int64_t(b)) == int64_t(std::floor(double(a) / b)));
      CHECK(fn::remainder(int64_t(a), int64_t(b)) == a - b * int64_t(std::floor(double(a) / b)));
      CHECK(fn::remainder(double(a), double(b)) == a - b * std::floor(double(a) / b));
      CHECK(fn::floor_divide(double(a), double(b)) == std::floor(double(a) / b));
    }
  CHECK(fn::floor_divide(INT64_MIN, int64_t(-1)) == INT64_MIN);
  CHECK(fn::remainder(INT64_MIN, int64_t(-1)) == 0);
  CHECK(fn::floor_divide(int64_t(5), int64_t(0)) == 0);
  CHECK(fn::remainder(int64_t(5), int64_t(0)) == 0);
}
