// The FFT kernel against the definition, summed in long double.
#include <algorithm>
#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include "tensor/backend/kernels.h"
#include "tensor/parallel.h"
#include "tests/catch.h"

using namespace ink;

namespace {

std::mt19937 generator(3);

using Exact = std::complex<long double>;

std::vector<Exact> roots(int64_t n) {
  std::vector<Exact> w(n);
  for (int64_t j = 0; j < n; j++) w[j] = std::polar(1.0L, 2 * acosl(-1.0L) * j / n);
  return w;
}

// y[k] = sum over j of x[j] exp(sign 2 pi i j k / n).
Exact naive(const std::vector<Exact>& w, const Exact* x, int64_t k, bool inverse) {
  Exact sum = 0;
  int64_t n = int64_t(w.size());
  for (int64_t j = 0; j < n; j++) sum += x[j] * (inverse ? w[j * k % n] : std::conj(w[j * k % n]));
  return sum;
}

// All outputs for short rows; 64 of them for long ones.
template <class T> void check(int64_t rows, int64_t n) {
  std::normal_distribution<double> normal;
  std::vector<std::complex<T>> x(rows * n), y(rows * n + 32, T(77)), back(rows * n);
  std::vector<Exact> exact(rows * n), w = roots(n);
  for (int64_t i = 0; i < rows * n; i++) {
    x[i] = {T(normal(generator)), T(normal(generator))};
    exact[i] = {x[i].real(), x[i].imag()};
  }
  const Kernels& k = kernels(Device::cpu());
  DType dtype = sizeof(T) == 4 ? DType::c64 : DType::c128;
  double eps = std::numeric_limits<T>::epsilon();
  // The error of a transform is about eps log2(n) times the root mean square of its output, sqrt(2 n) here.
  double bound = 4 * eps * std::sqrt(2.0 * n) * (std::log2(double(n)) + 2);
  for (bool inverse : {false, true}) {
    INFO("rows " << rows << " length " << n << " bytes " << sizeof(T) << " inverse " << inverse);
    double worst = 0, scale = inverse ? 1.0 / n : 1.0;
    k.fft(dtype, y.data(), x.data(), rows, n, inverse, scale);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i<n; i += n> 200 ? n / 61 : 1) {
        Exact want = (long double)scale * naive(w, exact.data() + r * n, i, inverse);
        worst = std::max(worst, double(std::abs(want - Exact(y[r * n + i].real(), y[r * n + i].imag())) / scale));
      }
    CHECK(worst <= bound);
    for (int i = 0; i < 32; i++) CHECK(y[rows * n + i] == std::complex<T>(77));
  }
  k.fft(dtype, y.data(), x.data(), rows, n, false, 1);
  k.fft(dtype, back.data(), y.data(), rows, n, true, 1.0 / n);
  double worst = 0;
  for (int64_t i = 0; i < rows * n; i++) worst = std::max(worst, double(std::abs(back[i] - x[i])));
  INFO("there and back: rows " << rows << " length " << n << " bytes " << sizeof(T));
  CHECK(worst <= 16 * eps * (std::log2(double(n)) + 2));
}

// Real rows beside the same numbers as complex ones, and back from a spectrum whose ends are not real.
template <class T> void check_real(int64_t rows, int64_t n) {
  std::normal_distribution<double> normal;
  const int64_t half = n / 2 + 1;
  std::vector<T> x(rows * n), back(rows * n + 1, T(77));
  std::vector<std::complex<T>> z(rows * n), full(rows * n), y(rows * half + 1, T(77));
  for (int64_t i = 0; i < rows * n; i++) z[i] = x[i] = T(normal(generator));
  const Kernels& k = kernels(Device::cpu());
  const DType real = sizeof(T) == 4 ? DType::f32 : DType::f64, whole = sizeof(T) == 4 ? DType::c64 : DType::c128;
  k.fft(whole, full.data(), z.data(), rows, n, false, 0.5);
  k.fft(real, y.data(), x.data(), rows, n, false, 0.5);
  double worst = 0, worst_back = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < half; i++) worst = std::max(worst, double(std::abs(y[r * half + i] - full[r * n + i])));
  CHECK(y[rows * half] == std::complex<T>(77));
  for (int64_t r = 0; r < rows; r++) {
    y[r * half] += std::complex<T>(0, 3);
    if (n % 2 == 0) y[r * half + n / 2] += std::complex<T>(0, 5);
  }
  k.fft(real, back.data(), y.data(), rows, n, true, 2.0 / double(n));
  for (int64_t i = 0; i < rows * n; i++) worst_back = std::max(worst_back, double(std::abs(back[i] - x[i])));
  CHECK(back[rows * n] == T(77));
  INFO("rows " << rows << " length " << n << " bytes " << sizeof(T));
  const double eps = std::numeric_limits<T>::epsilon(), log = std::log2(double(n)) + 2;
  CHECK(worst <= 4 * eps * std::sqrt(double(n)) * log);
  CHECK(worst_back <= 16 * eps * log);
}

// A convolution and its adjoints beside their sums, at some places of each row.
template <class T> void check_convolution(int64_t batch, int64_t channels, int64_t n, int64_t taps) {
  std::normal_distribution<double> normal;
  std::vector<T> u(batch * channels * n), g(u.size()), k(channels * taps), y(u.size() + 1, T(77)),
      du = y, dk(k.size() + 1, T(77));
  for (auto* x : {&u, &g, &k})
    for (T& v : *x) v = T(normal(generator));
  const auto run = [&](FftConvolution which, std::vector<T>& out, const std::vector<T>& a, const std::vector<T>& b) {
    const FftConvolutionArgs args{sizeof(T) == 4 ? DType::f32 : DType::f64, batch, channels, n, taps, which};
    REQUIRE(kernels(Device::cpu()).fft_convolution(args, out.data(), a.data(), b.data()));
    CHECK(out.back() == T(77));
  };
  run(FftConvolution::forward, y, u, k);
  run(FftConvolution::backward_input, du, g, k);
  run(FftConvolution::backward_kernel, dk, g, u);
  double worst = 0;
  for (int64_t row = 0; row < batch * channels; ++row)
    for (int64_t t = 0; t<n; t += n> 64 ? n / 19 : 1) {
      const T *kernel = k.data() + row % channels * taps, *x = u.data() + row * n, *dy = g.data() + row * n;
      long double sum = 0, adjoint = 0;
      for (int64_t j = 0; j < taps && j <= t; ++j) sum += (long double)kernel[j] * x[t - j];
      for (int64_t j = 0; j < taps && t + j < n; ++j) adjoint += (long double)kernel[j] * dy[t + j];
      worst = std::max({worst, std::abs(double(sum - y[row * n + t])), std::abs(double(adjoint - du[row * n + t]))});
    }
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j<taps; j += taps> 64 ? taps / 19 : 1) {
      long double sum = 0;
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t t = 0; t + j < n; ++t)
          sum += (long double)g[(b * channels + c) * n + t + j] * u[(b * channels + c) * n + t];
      worst = std::max(worst, std::abs(double(sum - dk[c * taps + j])));
    }
  INFO("batch " << batch << " channels " << channels << " length " << n << " taps " << taps << " bytes " << sizeof(T));
  // like that of a transform; a row of the spectrum has the root mean square n
  CHECK(worst <= 4 * std::numeric_limits<T>::epsilon() * std::sqrt(double(n * batch)) * (std::log2(double(n)) + 2));
}

}  // namespace

TEST_CASE("the FFT of real rows is half of that of complex ones, and leads back", "[fft]") {
  for (int64_t n : {1,  2,  3,  4,   5,   6,   7,   8,   9,    12,   31,   32,   34,   62,   64,   66,  96,
                    97, 98, 99, 128, 130, 194, 202, 256, 1000, 1001, 2018, 2048, 4096, 6000, 8192, 7919})
    for (int64_t rows : {1, 19}) {
      check_real<float>(rows, n);
      check_real<double>(rows, n);
    }
}

TEST_CASE("the convolution by FFT and its adjoints are their sums, whatever the lengths", "[fft]") {
  for (int64_t n : {1, 2, 16, 17, 255, 256, 257, 512, 700, 1025, 1536, 1537, 4096, 4100, 5121, 7000})
    for (int64_t taps : {int64_t(1), (n + 1) / 2, n}) {
      check_convolution<float>(3, 2, n, taps);
      check_convolution<double>(1, 3, n, taps);
    }
  check_convolution<float>(19, 1, 300, 300);  // more rows of a channel than are done in one go
}

TEST_CASE("a convolution by FFT has the same bits on any number of threads", "[fft]") {
  std::vector<float> u(40 * 3 * 300), k(3 * 300), y[2], dk[2];
  for (auto* x : {&u, &k})
    for (float& v : *x) v = float(generator() % 100);
  int threads[] = {1, 3}, before = num_threads();
  for (int i = 0; i < 2; i++) {
    y[i].resize(u.size()), dk[i].resize(k.size());
    set_num_threads(threads[i]);
    FftConvolutionArgs args{DType::f32, 40, 3, 300, 300, FftConvolution::forward};
    kernels(Device::cpu()).fft_convolution(args, y[i].data(), u.data(), k.data());
    args.which = FftConvolution::backward_kernel;
    kernels(Device::cpu()).fft_convolution(args, dk[i].data(), u.data(), u.data());
  }
  set_num_threads(before);
  CHECK(y[0] == y[1]);
  CHECK(dk[0] == dk[1]);
}

TEST_CASE("the FFT of every length to 64 is the DFT", "[fft]") {
  for (int64_t n = 1; n <= 64; n++)
    for (int64_t rows : {1, 3, 17, 40}) {
      check<float>(rows, n);
      check<double>(rows, n);
    }
}

TEST_CASE("the FFT of long lengths, smooth and prime, is the DFT", "[fft]") {
  for (int64_t n : {67,  97,  100, 121,  128,  169,  210,  255,  256,  257,  289,  360,  384,  500,
                    512, 768, 997, 1000, 1009, 1024, 1155, 1536, 2018, 2048, 4096, 6000, 7919, 8192})
    for (int64_t rows : {1, 5, 18}) {
      if (rows == 18 && n > 1100) continue;
      check<float>(rows, n);
      check<double>(rows, n);
    }
}

TEST_CASE("the FFT of no rows does nothing, and any number of threads gives the same bits", "[fft]") {
  kernels(Device::cpu()).fft(DType::c64, nullptr, nullptr, 0, 8, false, 1);
  std::vector<std::complex<float>> x(37 * 96), y[2];
  for (auto& v : x) v = {float(generator() % 100), float(generator() % 100)};
  int threads[] = {1, 3}, before = num_threads();
  for (int i = 0; i < 2; i++) {
    y[i].resize(x.size());
    set_num_threads(threads[i]);
    kernels(Device::cpu()).fft(DType::c64, y[i].data(), x.data(), 37, 96, false, 1);
  }
  set_num_threads(before);
  CHECK(y[0] == y[1]);
}
