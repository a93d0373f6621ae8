// Products of f16 and bf16 on the CPU: factors exact, sums in f32, one rounding. And conversions by the row.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "inkstone/ink.h"
#include "tensor/backend/kernels.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/gemm_layout.h"

using namespace ink;

namespace {

struct HalfCase {
  int64_t batch, m, n, k;
  bool turn_a = false, turn_b = false;  // by columns
  int64_t gap = 0;                      // unused elements after each line
  bool share_b = false;
  double alpha = 1, beta = 0;
  bool bias = false;
  Epilogue epilogue = Epilogue::none;
};

// Integers from -4 to 4: every sum is exact in f32, so the result is known to the bit.
template <class S> std::vector<S> small_integers(int64_t n, int seed) {
  std::mt19937 random(seed);
  std::vector<S> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(S(float(int(random() % 9) - 4)));
  return v;
}
template <class S> std::vector<S> any_numbers(int64_t n, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value;
  std::vector<S> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(S(value(random)));
  return v;
}

template <class S> struct HalfSetup {
  std::vector<S> a, b, c, bias;
  GemmArgs g;
  template <class Make> HalfSetup(const HalfCase& t, Make make) {
    const ink::test::GemmLayout layout(t);
    a = make(t.batch * layout.size_a, 1), b = make((t.share_b ? 1 : t.batch) * layout.size_b, 2),
    c = make(t.batch * layout.size_c, 3);
    bias = make(t.n, 4);
    if (t.beta == 0) std::fill(c.begin(), c.end(), S(std::nanf("")));
    g = layout.args;
    g.dtype = dtype_of<S>;
    g.a = a.data(), g.b = b.data(), g.c = c.data();
    g.bias = t.bias ? bias.data() : nullptr;
    g.epilogue = t.epilogue;
  }
  // In f64 from the old c; `size`: the sum of the absolute terms.
  double exact(const std::vector<S>& old, int64_t e, int64_t i, int64_t j, double& size) const {
    double sum = 0;
    size = 0;
    for (int64_t p = 0; p < g.k; ++p) {
      const double term = double(float(a[e * g.a_batch + i * g.a_row + p * g.a_col])) *
                          double(float(b[e * g.b_batch + p * g.b_row + j * g.b_col]));
      sum += term, size += std::abs(term);
    }
    sum *= g.alpha, size *= std::abs(g.alpha);
    for (double more :
         {g.beta == 0 ? 0 : g.beta * float(old[e * g.c_batch + i * g.c_row + j]), g.bias ? double(float(bias[j])) : 0})
      sum += more, size += std::abs(more);
    return g.epilogue == Epilogue::relu        ? std::max(sum, 0.)
           : g.epilogue == Epilogue::gelu_tanh ? fn::GeluTanh{}(sum)
                                               : sum;
  }
  // What is wrong, or -1: `right` compares an element with the exact value and the size of its terms.
  template <class Right> int64_t first_wrong(Right right) {
    const std::vector<S> old = c;
    if (!kernels(Device::cpu()).gemm(g)) return 0;
    for (int64_t at = 0; at < int64_t(c.size()); ++at) {
      const int64_t e = at / g.c_batch, i = at % g.c_batch / g.c_row, j = at % g.c_row;
      double size, value = j < g.n ? exact(old, e, i, j, size) : 0;
      if (j < g.n ? !right(c[at], value, size) : c[at].bits != old[at].bits) return at;
    }
    return -1;
  }
};

template <class F> void for_halves(F f) {
  f.template operator()<half>();
  f.template operator()<bfloat16>();
}

// One rounding of an f32 sum of k terms.
template <class S> auto rounded_once(int64_t k) {
  return [k](S got, double exact, double size) {
    const double unit = std::is_same_v<S, half> ? 0x1p-11 : 0x1p-8, step = std::is_same_v<S, half> ? 0x1p-25 : 0;
    return std::abs(double(float(got)) - exact) <=
           unit * std::abs(exact) + double(k + 8) * 0x1p-24 * size * (1 + unit) + step;
  };
}

const HalfCase shapes[] = {{1, 1, 1, 1},    {1, 3, 5, 7},     {2, 16, 16, 16},  {1, 1, 70, 130},
                           {1, 70, 1, 131}, {1, 33, 31, 257}, {3, 25, 65, 128}, {1, 13, 17, 129},
                           {1, 250, 20, 9}, {1, 7, 530, 40},  {5, 9, 8, 7},     {1, 20, 30, 1}};

}  // namespace

TEST_CASE("half products are the exact sums, rounded once, to the bit", "[half_product]") {
  for_halves([]<class S>() {
    for (HalfCase t : shapes)
      for (int way = 0; way < 8; ++way) {
        t.turn_a = way & 1, t.turn_b = way & 2, t.gap = way & 4 ? 3 : 0;
        for (int form = 0; form < 4; ++form) {
          t.alpha = form & 1 ? 0.5 : 1, t.beta = form & 1 ? -2 : 0;
          t.bias = form & 2, t.epilogue = form & 2 ? Epilogue::relu : Epilogue::none, t.share_b = form & 1;
          CAPTURE(name_of(dtype_of<S>), t.batch, t.m, t.n, t.k, way, form);
          CHECK(HalfSetup<S>(t, small_integers<S>).first_wrong([](S got, double exact, double) {
            return got.bits == S(exact).bits || float(got) == exact;  // 0 and -0
          }) == -1);
        }
      }
  });
}

TEST_CASE("half products of any numbers: sums in f32, one rounding", "[half_product]") {
  for_halves([]<class S>() {
    for (HalfCase t : shapes)
      for (int form = 0; form < 4; ++form) {
        t.turn_a = form & 1, t.turn_b = form & 2, t.bias = form & 2;
        t.epilogue = form == 3 ? Epilogue::gelu_tanh : Epilogue::none;
        CAPTURE(name_of(dtype_of<S>), t.batch, t.m, t.n, t.k, form);
        CHECK(HalfSetup<S>(t, any_numbers<S>).first_wrong(rounded_once<S>(t.k)) == -1);
      }
  });
}

TEST_CASE("a row of a half product has the same bits alone, in a batch, and on any number of threads",
          "[half_product]") {
  const Kernels& k = kernels(Device::cpu());
  const int before = num_threads();
  for_halves([&]<class S>() {
    for (HalfCase t : {HalfCase{1, 150, 96, 300}, {1, 40, 700, 70}, {4, 65, 33, 129}, {1, 300, 1, 200}}) {
      CAPTURE(name_of(dtype_of<S>), t.m, t.n, t.k);
      HalfSetup<S> whole(t, any_numbers<S>);
      set_num_threads(1);
      k.gemm(whole.g);
      for (int threads : {2, 3}) {
        set_num_threads(threads);
        HalfSetup<S> other(t, any_numbers<S>);
        k.gemm(other.g);
        CHECK(std::memcmp(other.c.data(), whole.c.data(), whole.c.size() * sizeof(S)) == 0);
      }
      for (int64_t i : {int64_t(0), t.m / 2, t.m - 1}) {
        std::vector<S> row(t.n, S(0.f));
        GemmArgs g = whole.g;
        const int64_t e = t.batch - 1;
        g.batch = 1, g.m = 1, g.a = whole.a.data() + e * g.a_batch + i * g.a_row;
        g.b = whole.b.data() + e * g.b_batch, g.c = row.data();
        k.gemm(g);
        CHECK(std::memcmp(row.data(), whole.c.data() + e * g.c_batch + i * g.c_row, t.n * sizeof(S)) == 0);
      }
    }
  });
  set_num_threads(before);
}

TEST_CASE("half products keep subnormal numbers, and inf and NaN where they belong", "[half_product]") {
  // f16: smallest 2^-24; bf16: smallest 2^-133. A unit matrix gives back what it is multiplied with.
  for (DType t : {f16, bf16}) {
    const double tiny = t == f16 ? 0x1p-24 : 0x1p-133;
    Tensor x = (arange(40 * 40).to(f64).reshape({40, 40}) - 800) * tiny, one = eye(40).to(f64);
    x = x.to(t);
    CHECK(equal(matmul(x, one.to(t)), x));
    CHECK(equal(matmul(one.to(t), x), x));
    CHECK(equal(matmul(x.t(), one.to(t)), x.t()));
    Tensor y = ones({40, 200}, t), z = ones({200, 40}, t);
    y.select(0, 3).select(0, 150).fill_(INFINITY);
    z.select(1, 7).select(0, 199).fill_(NAN);
    z.select(1, 9).select(0, 150).fill_(0);
    Tensor r = matmul(y, z).to(f64);
    CHECK(all(eq(r.select(0, 0).slice(0, 0, 7), full({7}, 200., f64))).item<bool>());
    CHECK(std::isnan(r[3][9].item()));  // inf 0
    CHECK(r[3][5].item() == INFINITY);
    CHECK(isnan(r).to(i64).sum().item<int64_t>() == 41);
  }
  // what overflows f16 on the way does not overflow f32, at the end it is infinite
  Tensor big = full({1, 300}, 60000, f16);
  Tensor sign = (1 - 2 * remainder(arange(300), 2)).to(f16).reshape({300, 1});
  CHECK(matmul(big, sign).item() == 0);
  CHECK(matmul(big, abs(sign)).item() == INFINITY);
}

TEST_CASE("half products without terms, rows or columns", "[half_product]") {
  for_halves([]<class S>() {
    HalfSetup<S> empty({2, 3, 40, 0, false, false, 1}, small_integers<S>);
    CHECK(empty.first_wrong([](S got, double, double) { return float(got) == 0; }) == -1);
    HalfSetup<S> kept({1, 3, 4, 0, false, false, 1, false, 1, 2, true}, small_integers<S>);
    CHECK(kept.first_wrong([](S got, double exact, double) { return float(got) == exact; }) == -1);
    HalfSetup<S> none({1, 0, 4, 4}, small_integers<S>);
    CHECK(kernels(Device::cpu()).gemm(none.g));
  });
  CHECK(matmul(ones({0, 4}, f16), ones({4, 3}, f16)).shape() == Shape{0, 3});
  CHECK(matmul(ones({2, 0}, bf16), ones({0, 3}, bf16)).sum().item() == 0);
}

TEST_CASE("a bias, and what addmm adds, come before the one rounding", "[half_product]") {
  // 2049 is a tie of f16 that goes to 2048; with 1 it is 2050. In bf16 257 goes to 256, and with 1 it is 258.
  for (DType t : {f16, bf16}) {
    const double most = t == f16 ? 2048 : 256;
    Tensor x = tensor({most, 1.}, t).reshape({1, 2}), w = ones({1, 2}, t), one = ones({1}, t);
    CHECK(linear(x, w).item() == most);
    CHECK(linear(x, w, one).item() == most + 2);
    CHECK(addmm(ones({1, 1}, t), x, w.t()).item() == most + 2);
  }
}

TEST_CASE("half products take views: transposed, broadcast, strided", "[half_product]") {
  for (DType t : {f16, bf16}) {
    auto check = [&](const Tensor& a, const Tensor& b) {
      const Tensor exact = matmul(a.to(f64), b.to(f64)), got = matmul(a, b);
      CHECK(got.dtype() == t);
      const Tensor bound = abs(exact) * (t == f16 ? 0x1p-11 : 0x1p-8) + 1e-4;
      CHECK(all(le(abs(got.to(f64) - exact), bound)).item<bool>());
    };
    Tensor a = randn({3, 1, 20, 50}).to(t), b = randn({4, 50, 34}).to(t);
    check(a, b);
    check(a.permute({0, 1, 3, 2}), randn({20, 34}).to(t));
    check(a, b[0]);
    check(a.slice(3, 0, 50, 2), b.slice(1, 0, 25));
    check(expand(a.slice(2, 0, 1), {3, 2, 6, 50}), b[1]);
    check(b.permute({0, 2, 1}), b);
  }
}

TEST_CASE("rows convert as single numbers do: every f16 and bf16, floats of every size, NaN at any place",
          "[half_product]") {
  const Kernels& k = kernels(Device::cpu());
  std::mt19937 random(5);
  for_halves([&]<class S>() {
    const DType t = dtype_of<S>;
    int64_t wrong = 0;
    std::vector<S> codes(65536);
    for (int i = 0; i < 65536; ++i) codes[i].bits = uint16_t(i * 40503);  // all, in no order
    std::vector<float> wide(65536);
    k.copy({wide.data(), f32, {65536}, {1}}, {codes.data(), t, {65536}, {1}});
    for (int i = 0; i < 65536; ++i) {
      const float one = float(codes[i]);
      wrong += std::memcmp(&one, &wide[i], 4) != 0;
    }
    for (int round = 0; round < 3000; ++round) {  // short rows: with and without NaN, ties, subnormal results
      float x[70];
      S y[70];
      const int64_t n = 1 + int64_t(random() % 70);
      for (float& f : x) {
        uint32_t bits = random();
        if (round % 3 == 0) bits &= 0xbfffffff;  // no NaN
        if (round % 4 == 0) bits = (bits & 0x8fffffff) | 0x30000000;
        if (round % 5 == 0) bits = (bits & 0xffffe000) | (random() % 2 ? 0x1000 : 0x8000);
        std::memcpy(&f, &bits, 4);
      }
      k.copy({y, t, {n}, {1}}, {x, f32, {n}, {1}});
      for (int64_t i = 0; i < n; ++i) wrong += y[i].bits != S(x[i]).bits;
    }
    CHECK(wrong == 0);
  });
}
