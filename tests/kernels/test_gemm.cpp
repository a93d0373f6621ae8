#include "tensor/runtime/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/gemm_layout.h"

using namespace ink;

namespace {

template <class T> constexpr bool is_complex_type = false;
template <class R> constexpr bool is_complex_type<std::complex<R>> = true;
template <class T> using Wide = std::conditional_t<is_complex_type<T>, std::complex<double>, double>;
template <class T> constexpr DType dtype() {
  if (is_complex_type<T>) return sizeof(T) == 8 ? DType::c64 : DType::c128;
  return sizeof(T) == 4 ? DType::f32 : DType::f64;
}

template <class T> std::vector<T> random_values(int64_t n, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> value(-1, 1);
  std::vector<T> v(n);
  for (auto& x : v) {
    if constexpr (is_complex_type<T>) {
      double re = value(random), im = value(random);
      x = T(re, im);
    } else {
      x = T(value(random));
    }
  }
  return v;
}

struct Case {
  int64_t batch, m, n, k;
  bool turn_a = false, turn_b = false;  // by columns
  int64_t gap = 0;                      // unused elements after each row
  bool share_b = false;                 // batch stride 0
  double alpha = 1, beta = 0;
};

template <class T> struct Setup {
  std::vector<T> a, b, c;
  GemmArgs g;
  explicit Setup(const Case& t) {
    const ink::test::GemmLayout layout(t);
    a = random_values<T>(t.batch * layout.size_a + 1, 1);
    b = random_values<T>((t.share_b ? 1 : t.batch) * layout.size_b + 1, 2);
    c = random_values<T>(t.batch * layout.size_c, 3);
    if (t.beta == 0) std::fill(c.begin(), c.end(), T(std::numeric_limits<double>::quiet_NaN()));
    g = layout.args;
    g.dtype = dtype<T>();
    g.a = a.data(), g.b = b.data(), g.c = c.data();
  }

  // The largest error of gemm, in units of eps * (sum of the absolute products): k for a sum in any order.
  double error() {
    std::vector<T> old = c;
    gemm(g);
    double worst = 0, eps = dtype<T>() == DType::f32 || dtype<T>() == DType::c64 ? 0x1p-23 : 0x1p-52;
    for (int64_t e = 0; e < g.batch; e++)
      for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = 0; j < g.n; j++) {
          Wide<T> sum = 0;
          double size = 0;
          for (int64_t p = 0; p < g.k; p++) {
            Wide<T> x = a[e * g.a_batch + i * g.a_row + p * g.a_col], y = b[e * g.b_batch + p * g.b_row + j * g.b_col];
            sum += x * y;
            size += std::abs(x) * std::abs(y);
          }
          int64_t at = e * g.c_batch + i * g.c_row + j;
          Wide<T> expected = g.alpha * sum;
          size = std::abs(g.alpha) * size;
          if (g.beta != 0) expected += g.beta * Wide<T>(old[at]), size += std::abs(g.beta * Wide<T>(old[at]));
          double off = std::abs(Wide<T>(c[at]) - expected) / (eps * size + std::numeric_limits<double>::min());
          if (!(off <= worst)) worst = std::isnan(off) ? HUGE_VAL : off;
        }
    for (int64_t e = 0; e < g.batch; e++)  // the gaps between the rows of C are not ours
      for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = g.n; j < g.c_row; j++) {
          int64_t at = e * g.c_batch + i * g.c_row + j;
          if (c[at] != old[at] && c[at] == c[at]) worst = HUGE_VAL;
        }
    return worst;
  }
};

template <class T> void check(const Case& t) {
  CAPTURE(name_of(dtype<T>()), t.batch, t.m, t.n, t.k, t.turn_a, t.turn_b, t.gap, t.share_b, t.alpha, t.beta);
  CHECK(Setup<T>(t).error() <= 4 + double(t.k));
}

template <class T> void check_shapes() {
  for (bool turn_a : {false, true})
    for (bool turn_b : {false, true})
      for (int64_t gap : {0, 3}) {
        for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                               {3, 5, 7},
                               {16, 16, 16},
                               {1, 33, 20},
                               {33, 1, 20},
                               {1, 1, 40},
                               {20, 30, 1},
                               {65, 70, 66}})
          check<T>({1, m, n, k, turn_a, turn_b, gap});
        check<T>({5, 9, 8, 7, turn_a, turn_b, gap});
        check<T>({4, 9, 8, 7, turn_a, turn_b, gap, true, 0.5, 2});
        check<T>({1, 1, 8, 7, turn_a, turn_b, gap, false, -1, 0.5});
        check<T>({2, 8, 1, 7, turn_a, turn_b, gap, false, -1, 0.5});
      }
}

}  // namespace

TEST_CASE("gemm equals a triple loop in f64: layouts, gaps, batches, vectors, alpha and beta", "[gemm]") {
  check_shapes<float>();
  check_shapes<double>();
  check_shapes<std::complex<float>>();
  check_shapes<std::complex<double>>();
}

TEST_CASE("gemm is right where it is cut: tall, wide, square, batched, matrix times vector", "[gemm]") {
  for (int threads : {1, 3}) {
    int before = num_threads();
    set_num_threads(threads);
    check<float>({1, 1000, 20, 30});
    check<float>({1, 20, 1003, 30, true, true});
    check<float>({1, 301, 290, 300});
    check<float>({3, 97, 101, 103, false, true});
    check<float>({40, 33, 31, 29, true, false});
    check<float>({1, 1, 1030, 500, false, true});
    check<float>({1, 1030, 1, 500, true});
    set_num_threads(before);
  }
}

TEST_CASE("gemm gives the same bits for any number of threads", "[gemm]") {
  for (const Case& t : {Case{1, 500, 40, 60}, Case{1, 128, 10, 512, false, true}, Case{2, 200, 200, 200},
                        Case{33, 64, 64, 32}, Case{1, 1, 900, 700}, Case{1, 300, 300, 300}}) {
    std::vector<std::vector<float>> results;
    int before = num_threads();
    for (int threads : {1, 2, 4}) {
      set_num_threads(threads);
      Setup<float> s(t);
      gemm(s.g);
      results.push_back(s.c);
    }
    set_num_threads(before);
    CAPTURE(t.batch, t.m, t.n, t.k);
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
}

TEST_CASE("an empty sum is zero, or beta times C", "[gemm]") {
  for (auto [m, n] : {std::pair{3, 4}, {1, 4}, {3, 1}}) {
    check<float>({2, m, n, 0});
    check<double>({2, m, n, 0, false, false, 2, false, 1, 0.5});
  }
  Setup<float> empty({1, 0, 4, 4});
  gemm(empty.g);  // nothing to do, nothing to read
  CHECK(empty.c.empty());
}

TEST_CASE("a dtype or a layout that BLAS does not know is refused", "[gemm]") {
  Setup<float> s({1, 4, 4, 4});
  GemmArgs g = s.g;
  g.dtype = DType::i64;
  CHECK_THROWS_AS(gemm(g), DTypeError);
  CHECK_THROWS_WITH(gemm(g), contains("got i64"));
  g = s.g;
  g.a_row = 0;
  CHECK_THROWS_AS(gemm(g), ShapeError);
  g.a_row = 8, g.a_col = 2;
  CHECK_THROWS_WITH(gemm(g), contains("cannot walk a") && contains("strides (8, 2)"));
  g = s.g;
  g.k = int64_t(1) << 31;
  CHECK_THROWS_AS(gemm(g), NotSupported);
}

TEST_CASE("a product with a bias and an activation is the product, plus the bias, activated", "[gemm]") {
  const Kernels& k = kernels(Device::cpu());
  for (int64_t gap : {0, 3})
    for (auto [batch, m, n, depth] : {std::array<int64_t, 4>{1, 3, 5, 7},
                                      {4, 9, 8, 7},
                                      {1, 1, 33, 20},
                                      {2, 6, 1, 4},
                                      {1, 70, 65, 66},
                                      {2, 3, 4, 0}})
      for (Epilogue e : {Epilogue::none, Epilogue::relu, Epilogue::gelu_tanh})
        for (bool with_bias : {false, true}) {
          CAPTURE(batch, m, n, depth, gap, int(e), with_bias);
          Setup<double> plain({batch, m, n, depth, false, true, gap}), fused({batch, m, n, depth, false, true, gap});
          gemm(plain.g);
          std::vector<double> bias = random_values<double>(n, 4);
          fused.g.bias = with_bias ? bias.data() : nullptr;
          fused.g.epilogue = e;
          multiply(k, fused.g);
          double worst = 0;
          for (int64_t i = 0; i < batch * m; i++)
            for (int64_t j = 0; j < n; j++) {
              double x = plain.c[i * plain.g.c_row + j] + (with_bias ? bias[j] : 0);
              double expected = e == Epilogue::relu ? fn::Relu{}(x) : e == Epilogue::gelu_tanh ? fn::GeluTanh{}(x) : x;
              worst = std::max(worst, std::abs(expected - fused.c[i * fused.g.c_row + j]));
            }
          CHECK(worst < 1e-13);
        }
}

TEST_CASE("a kernel that cannot take a bias or an epilogue says so and writes nothing", "[gemm]") {
  const Kernels& k = kernels(Device::cpu());
  Setup<double> s({1, 3, 5, 7});
  std::fill(s.c.begin(), s.c.end(), 7.0);
  const std::vector<double> before = s.c, bias(5, 1.0);
  GemmArgs biased = s.g, activated = s.g;
  biased.bias = bias.data(), activated.epilogue = Epilogue::relu;
  CHECK(!k.gemm(biased));
  CHECK(!k.gemm(activated));
  CHECK(s.c == before);
  CHECK(k.gemm(s.g));
  CHECK(s.c != before);
}

TEST_CASE("integers take a bias too, and wrap around with it", "[gemm]") {
  std::vector<uint8_t> a{200, 3, 100, 7}, b{2, 250, 5, 9}, c(4, 99), bias{250, 4};
  multiply(kernels(Device::cpu()), {.dtype = DType::u8,
                                    .batch = 1,
                                    .m = 2,
                                    .n = 2,
                                    .k = 2,
                                    .a = a.data(),
                                    .a_row = 2,
                                    .a_col = 1,
                                    .a_batch = 0,
                                    .b = b.data(),
                                    .b_row = 2,
                                    .b_col = 1,
                                    .b_batch = 0,
                                    .c = c.data(),
                                    .c_row = 2,
                                    .c_batch = 0,
                                    .alpha = 1,
                                    .beta = 0,
                                    .bias = bias.data()});
  std::vector<uint8_t> expected;
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) expected.push_back(uint8_t(a[2 * i] * b[j] + a[2 * i + 1] * b[2 + j] + bias[j]));
  CHECK(c == expected);
}
