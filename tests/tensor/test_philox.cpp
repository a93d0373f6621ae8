// The random stream: known answers, the same numbers however the work is cut, and the shape of the distributions.
#include "tensor/math/philox.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/backend/kernels.h"
#include "tests/catch.h"

using namespace ink;

namespace {

template <class S> Array array(std::vector<S>& v) {
  return {v.data(), dtype_of<S>, Shape{int64_t(v.size())}, Shape{1}};
}
template <class S>
std::vector<S> draw(void (*kernel)(const Array&, RandomKey, double, double), int64_t n, RandomKey key, double a,
                    double b) {
  std::vector<S> v(n);
  kernel(array(v), key, a, b);
  return v;
}

// The largest distance between the distribution of x and the one given (Kolmogorov), times sqrt(n).
template <class S, class F> double kolmogorov(std::vector<S> x, F distribution) {
  std::sort(x.begin(), x.end());
  double d = 0, n = double(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    double p = distribution(double(x[i]));
    d = std::max({d, std::abs(p - double(i) / n), std::abs(p - double(i + 1) / n)});
  }
  return d * std::sqrt(n);
}
double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEST_CASE("philox4x32-10 gives the known answers of Random123", "[philox]") {
  auto check = [](PhiloxWords counter, uint32_t key0, uint32_t key1, PhiloxWords want) {
    PhiloxWords got = philox4x32(counter, key0, key1);
    for (int i = 0; i < 4; ++i) CHECK(got.w[i] == want.w[i]);
  };
  const uint32_t ones = 0xffffffff;
  check({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check({{ones, ones, ones, ones}}, ones, ones, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("element i of a stream depends on seed and offset + i alone", "[philox]") {
  const Kernels& k = kernels(Device::cpu());
  const int64_t n = 100003;  // several tasks, several blocks, an odd rest
  for (uint64_t offset : {0, 1, 2, 3, 997}) {
    auto u = draw<float>(k.uniform, n, {7, offset}, 0, 1);
    auto d = draw<double>(k.uniform, n, {7, offset}, 0, 1);
    auto z = draw<float>(k.normal, n, {7, offset}, 0, 1);
    auto y = draw<double>(k.normal, n, {7, offset}, 0, 1);
    double error = 0;
    for (int64_t i = 0; i < n; ++i) {
      uint64_t p = offset + uint64_t(i), pair = p & ~uint64_t(1);
      REQUIRE(u[i] == uniform_from(philox_u32(7, p)));
      REQUIRE(d[i] == uniform_from(philox_u64(7, p)));
      auto f = normal_from(philox_u32(7, pair), philox_u32(7, pair + 1));
      auto g = normal_from(philox_u64(7, pair), philox_u64(7, pair + 1));
      error = std::max(error, double(std::abs(z[i] - (p % 2 ? f.sin : f.cos))));
      REQUIRE(y[i] == (p % 2 ? g.sin : g.cos));
    }
    CHECK(error < 2e-6);
  }
  for (int64_t length : {1, 2, 5, 16, 17, 255, 256, 257}) {  // a short draw is the start of a long one
    auto whole = draw<float>(k.normal, 1000, {3, 5}, 0, 1), part = draw<float>(k.normal, length, {3, 5}, 0, 1);
    for (int64_t i = 0; i < length; ++i) REQUIRE(part[i] == whole[i]);
  }
}

TEST_CASE("uniform and normal numbers have their distributions", "[philox]") {
  const Kernels& k = kernels(Device::cpu());
  const int64_t n = 200000;
  // Kolmogorov's statistic exceeds 1.95 once in a thousand; the seeds are fixed, so nothing here is left to chance.
  for (uint64_t seed : {1, 2, 3, 4}) {
    auto uniform = [](double x) { return (x + 1) / 4; };
    CHECK(kolmogorov(draw<float>(k.uniform, n, {seed, 0}, -1, 3), uniform) < 1.95);
    CHECK(kolmogorov(draw<double>(k.uniform, n, {seed, 0}, -1, 3), uniform) < 1.95);
    auto normal = [](double x) { return normal_distribution((x - 2) / 0.5); };
    auto z = draw<float>(k.normal, n, {seed, 0}, 2, 0.5);
    CHECK(kolmogorov(z, normal) < 1.95);
    CHECK(kolmogorov(draw<double>(k.normal, n, {seed, 0}, 2, 0.5), normal) < 1.95);
    double correlation = 0;  // between neighbours: the two normals of a pair, and pairs
    for (int64_t i = 0; i + 1 < n; ++i) correlation += (z[i] - 2.0) * (z[i + 1] - 2.0) / 0.25;
    CHECK(std::abs(correlation) / std::sqrt(double(n)) < 3.3);
  }
}

TEST_CASE("uniform numbers stay below their upper end, in 16 bits too", "[philox]") {
  const Kernels& k = kernels(Device::cpu());
  auto check = [&]<class S>(S) {
    for (S v : draw<S>(k.uniform, 300000, {11, 0}, 0, 1)) REQUIRE((float(v) >= 0 && float(v) < 1));
  };
  check(0.f);
  check(half(0.f));
  check(bfloat16(0.f));
  for (float v : draw<float>(k.uniform, 300000, {11, 0}, 1, 1.0000002)) REQUIRE(v < 1.0000002f);
}

TEST_CASE("random integers fill their range evenly", "[philox]") {
  const Kernels& k = kernels(Device::cpu());
  std::vector<int64_t> v(210000);
  std::vector<int> count(7);
  k.random_bits(array(v), {5, 0}, -3, 4);
  for (int64_t x : v) {
    REQUIRE((x >= -3 && x < 4));
    ++count[x + 3];
  }
  double chi2 = 0;
  for (int c : count) chi2 += (c - 30000.0) * (c - 30000.0) / 30000.0;
  CHECK(chi2 < 22.5);  // 6 degrees of freedom: once in a thousand
  CHECK(integer_from(~uint64_t(0), INT64_MIN, ~uint64_t(0)) == INT64_MAX - 1);
  CHECK(integer_from(0, INT64_MIN, ~uint64_t(0)) == INT64_MIN);
}

TEST_CASE("dropout keeps x / (1 - p) where u >= p, alike in every dtype", "[philox]") {
  const Kernels& k = kernels(Device::cpu());
  const int64_t n = 100001;
  RandomKey key = {9, 3};
  std::vector<float> x(n), y(n);
  std::vector<double> x64(n), y64(n);
  std::vector<bfloat16> x16(n), y16(n);
  for (int64_t i = 0; i < n; ++i) x64[i] = x[i] = float(1 + i % 5), x16[i] = bfloat16(x[i]);
  k.dropout(f32, y.data(), x.data(), n, key, 0.25);
  k.dropout(f64, y64.data(), x64.data(), n, key, 0.25);
  k.dropout(bf16, y16.data(), x16.data(), n, key, 0.25);
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    bool keep = uniform_from(philox_u32(key.seed, key.offset + uint64_t(i))) >= 0.25f;
    REQUIRE(y[i] == (keep ? x[i] * float(1 / 0.75) : 0));
    REQUIRE(y64[i] == (keep ? x64[i] * (1 / 0.75) : 0));
    REQUIRE(float(y16[i]) == (keep ? float(bfloat16(x[i] * float(1 / 0.75))) : 0));
    kept += keep;
  }
  CHECK(std::abs(double(kept) / double(n) - 0.75) < 0.005);
  k.dropout(f32, y.data(), x.data(), n, key, 1);
  CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 0; }));
  k.dropout(f32, y.data(), x.data(), n, key, 0);
  CHECK(y == x);
}
