#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// The matrix e^(-+ 2 pi i j k / n).
Tensor fourier(int64_t n, bool inverse) {
  Tensor j = arange(0, n, 1, f64), phase = remainder(outer(j, j), double(n)) * (2 * M_PI / double(n));
  return complex_of(cos(phase), inverse ? sin(phase) : -sin(phase));
}

}  // namespace

TEST_CASE("fft and ifft are products with the Fourier matrix, for any length and dim", "[fft]") {
  for (int64_t n : {1, 2, 3, 4, 5, 8, 12, 13, 30, 31, 64}) {
    INFO(n);
    Tensor z = normal({3, n}, 1, c128), x = normal({3, n}, 2);
    CHECK(difference(fft(z), matmul(z, fourier(n, false))) < 1e-12);
    CHECK(difference(ifft(z), matmul(z, fourier(n, true)) / double(n)) < 1e-12);
    CHECK(difference(fft(x), fft(to(x, c128))) < 1e-15);
    CHECK(difference(fft(transpose(z, 0, 1), -1, 0), transpose(fft(z), 0, 1)) < 1e-15);
    CHECK(difference(rfft(x), slice(fft(x), 1, 0, n / 2 + 1)) < 1e-13);
    CHECK(difference(irfft(rfft(x), n), x) < 1e-13);
  }
  Tensor deep = normal({2, 5, 3}, 3, c128);
  CHECK(difference(fft(deep, -1, 1), transpose(fft(transpose(deep, 1, 2)), 1, 2)) < 1e-15);
}

TEST_CASE("n pads with zeros or cuts", "[fft]") {
  Tensor x = normal({2, 6}, 1), z = normal({2, 4}, 2, c128);
  CHECK(difference(fft(x, 9), fft(pad(x, {0, 3}))) < 1e-15);
  CHECK(difference(rfft(x, 4), rfft(slice(x, 1, 0, 4))) < 1e-15);
  CHECK(irfft(z).shape() == Shape{2, 6});
  CHECK(irfft(z, 7).shape() == Shape{2, 7});
  CHECK(difference(irfft(z, 4), irfft(slice(z, 1, 0, 3), 4)) < 1e-15);
  // the conjugate symmetric spectrum written out
  Tensor full = cat({slice(z, 1, 0, 4), conj(flip(slice(z, 1, 1, 4), {1}))}, 1);
  CHECK(difference(irfft(z, 7), real(ifft(full)) - imag(select(z, 1, 0)).unsqueeze(1) * 0) < 1e-14);
}

TEST_CASE("Parseval, and the convolution theorem", "[fft]") {
  Tensor x = normal({40}, 1), y = normal({40}, 2);
  CHECK(sum(square(abs(fft(x)))).item() == Approx(40 * sum(square(x)).item()));
  Tensor direct = zeros({79}, f64);
  for (int64_t i = 0; i < 40; ++i) direct = direct + pad(select(x, 0, i) * y, {i, 39 - i});
  CHECK(difference(irfft(rfft(x, 79) * rfft(y, 79), 79), direct) < 1e-13);
}

TEST_CASE("gradients of transforms follow dL/dre + i dL/dim", "[fft][grad]") {
  for (int64_t n : {4, 5}) {
    INFO(n);
    Tensor z = normal({2, n}, 1, c128), x = normal({2, n}, 2), half = normal({2, n / 2 + 1}, 3, c128);
    CHECK(check_twice([](const Tensor& z) { return fft(z); }, z) == "");
    CHECK(check_twice([](const Tensor& z) { return ifft(z, 6, 0); }, z) == "");
    CHECK(check_twice([](const Tensor& x) { return fft(x, 3); }, x) == "");
    CHECK(check_twice([](const Tensor& x) { return rfft(x); }, x) == "");
    CHECK(check_twice([&](const Tensor& h) { return irfft(h, n); }, half) == "");
  }
  // a loss in closed form: L = sum |X_k|^2 = n sum x^2
  Tensor x = normal({9}, 4).requires_grad_();
  sum(square(abs(fft(x)))).backward();
  CHECK(difference(x.grad(), 18 * x.detach()) < 1e-13);
}

TEST_CASE("transforms of empty batches, and errors", "[fft][errors]") {
  CHECK(fft(zeros({0, 5}, c64)).shape() == Shape{0, 5});
  CHECK(rfft(zeros({0, 5})).dtype() == c64);
  CHECK(fft(whole({4}, 5, 1)).dtype() == c64);
  CHECK_THROWS_WITH(fft(zeros({2, 0})), contains("fft: nothing to transform; got n = 0 for shape [2, 0]"));
  CHECK_THROWS_WITH(irfft(zeros({2, 1}, c64)), contains("irfft: nothing to transform; got n = 0"));
  CHECK_THROWS_WITH(fft(zeros({})), contains("fft: the input has no dims"));
  CHECK_THROWS_AS(fft(zeros({2, 3}), -1, 2), IndexError);
  CHECK_THROWS_AS(rfft(zeros({2, 3}, c64)), DTypeError);
}
