// Packs and their functions, on every CPU level that this machine runs.
#include <bit>
#include <cmath>
#include <vector>

#include "tensor/math/functors.h"
#include "tensor/math/philox.h"
#include "tests/catch.h"
#include "tests/levels/pack_level.h"

namespace {

using namespace ink;

std::vector<const PackLevel*> levels() {
  std::vector<const PackLevel*> list = {&cpu_scalar::pack_level, &cpu_base::pack_level};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list.push_back(&cpu_v3::pack_level);
  if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) list.push_back(&cpu_v4::pack_level);
  return list;
}
template <class F> auto f32_map(const PackLevel& level) { return level.unary_f32(index_of<F, UnaryOps>).pack; }
template <class F> auto f64_map(const PackLevel& level) { return level.unary_f64(index_of<F, UnaryOps>).pack; }

// |y - exact| in units of the last place of T at `exact`.
template <class T> double ulps(T y, long double exact) {
  T rounded = T(exact);
  if (y == rounded || (std::isnan(y) && std::isnan(rounded))) return 0;
  if (!std::isfinite(y) || !std::isfinite(rounded)) {  // one of them has just overflowed: one step is allowed
    T top = std::numeric_limits<T>::max();
    return std::abs(exact) > top * 0.999999L && std::abs(y) >= top * T(0.999999) ? 1 : 1e30;
  }
  int e;
  std::frexp(std::max(std::abs(rounded), std::numeric_limits<T>::min()), &e);
  return double(std::abs((long double)(y)-exact) / std::ldexp(1.0L, e - std::numeric_limits<T>::digits));
}

template <class T, class U> std::vector<T> every_pattern(U step) {  // numbers over the whole range of T, NaN included
  std::vector<T> x;
  for (U bits = 0;; bits += step) {
    x.push_back(std::bit_cast<T>(bits));
    if (bits > U(-1) - step) break;
  }
  return x;
}
template <class T> std::vector<T> specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> x = {0,
                      T(0.5),
                      1,
                      T(1.5),
                      2,
                      T(2.5),
                      3,
                      10,
                      T(88.5),
                      T(88.75),
                      104,
                      150,
                      709,
                      710,
                      746,
                      T(1e5),
                      T(3e7),
                      L::infinity(),
                      L::quiet_NaN(),
                      L::denorm_min(),
                      L::min(),
                      L::min() / 4,
                      L::max(),
                      L::epsilon(),
                      L::epsilon() / 4,
                      T(0.99999),
                      T(0.70710678),
                      T(1.41421356)};
  for (size_t i = 0, n = x.size(); i < n; ++i) x.push_back(-x[i]);
  return x;
}

template <class T, class G>
void check_accuracy(const char* name, void (*map)(const T*, T*, int64_t), std::vector<T> x, double bound, G exact) {
  for (T v : specials<T>()) x.push_back(v);
  std::vector<T> y(x.size());
  map(x.data(), y.data(), int64_t(x.size()));
  double worst = 0;
  T at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    long double want = exact(x[i]);
    double e = ulps(y[i], want);
    if (e > worst) worst = e, at = x[i];
    if (want == 0 && x[i] == 0 && std::signbit(y[i]) != std::signbit(want)) worst = 1e30, at = x[i];
  }
  INFO(name << " at " << at << ": " << worst << " ulp");
  CHECK(worst <= bound);
}

}  // namespace

TEST_CASE("vector functions of floats are within their bounds over the whole range", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  auto x = every_pattern<float>(uint32_t(4093));
  auto check = [&]<class F>(const char* name, F, double bound, auto exact) {
    check_accuracy<float>(name, f32_map<F>(level), x, bound, exact);
  };
  using D = double;
  check("exp", fn::Exp(), 1.1, [](D v) { return std::exp(v); });
  check("expm1", fn::Expm1(), 2, [](D v) { return std::expm1(v); });
  check("log", fn::Log(), 1, [](D v) { return std::log(v); });
  check("log1p", fn::Log1p(), 1.6, [](D v) { return std::log1p(v); });
  check("log2", fn::Log2(), 2, [](D v) { return std::log2(v); });
  check("tanh", fn::Tanh(), 6, [](D v) { return std::tanh(v); });
  check("erf", fn::Erf(), 6, [](D v) { return std::erf(v); });
  check("sin", fn::Sin(), 1.8, [](D v) { return std::sin(v); });
  check("cos", fn::Cos(), 1.8, [](D v) { return std::cos(v); });
  check("sqrt", fn::Sqrt(), 0, [](D v) { return std::sqrt(v); });
  check("floor", fn::Floor(), 0, [](D v) { return std::floor(v); });
  check("ceil", fn::Ceil(), 0, [](D v) { return std::ceil(v); });
  check("trunc", fn::Trunc(), 0, [](D v) { return std::trunc(v); });
  check("round", fn::Round(), 0, [](D v) { return std::nearbyint(v); });
  check("abs", fn::Abs(), 0, [](D v) { return std::abs(v); });
}

TEST_CASE("exp underflows gradually and overflows at the right place", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  std::vector<float> x, y;
  for (float v = -104.5f; v < -86; v += 0.001f) x.push_back(v);
  for (float v = 88.7f; v < 88.75f; v += 1e-5f) x.push_back(v);
  check_accuracy<float>("exp", f32_map<fn::Exp>(level), x, 1.1, [](double v) { return std::exp(v); });
  x = {-104, -150, 89, 1000};
  y.resize(4);
  f32_map<fn::Exp>(level)(x.data(), y.data(), 4);
  CHECK(y[0] == 0);
  CHECK(y[1] == 0);
  CHECK(std::isinf(y[2]));
  CHECK(std::isinf(y[3]));
}

TEST_CASE("saturating functions stay inside [-1, 1]", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  std::vector<float> x, y;
  for (float v = -12; v < 12; v += 1e-4f) x.push_back(v);
  y.resize(x.size());
  for (auto map : {f32_map<fn::Tanh>(level), f32_map<fn::Erf>(level)}) {
    map(x.data(), y.data(), int64_t(x.size()));
    for (float v : y) REQUIRE(std::abs(v) <= 1);
    CHECK(y.front() == -1);
    CHECK(y.back() == 1);
  }
}

TEST_CASE("vector functions of doubles are within 3 ulp", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  auto x = every_pattern<double>(uint64_t(0x0000a5f31b2c7d11));
  for (double v = -45; v < 45; v += 0.0007) x.push_back(v);
  auto check = [&]<class F>(const char* name, F, double bound, auto exact) {
    check_accuracy<double>(name, f64_map<F>(level), x, bound, exact);
  };
  using L = long double;
  check("exp", fn::Exp(), 1.5, [](L v) { return expl(v); });
  check("expm1", fn::Expm1(), 2, [](L v) { return expm1l(v); });
  check("log", fn::Log(), 1, [](L v) { return logl(v); });
  check("log1p", fn::Log1p(), 2, [](L v) { return log1pl(v); });
  check("log2", fn::Log2(), 2, [](L v) { return log2l(v); });
  check("tanh", fn::Tanh(), 3, [](L v) { return tanhl(v); });
  check("sqrt", fn::Sqrt(), 0.5, [](L v) { return sqrtl(v); });
  check("floor", fn::Floor(), 0, [](L v) { return floorl(v); });
  check("round", fn::Round(), 0, [](L v) { return rintl(v); });
}

TEST_CASE("pow follows C99 for every pair of special values and is right to a rounding elsewhere", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  std::vector<float> base, power, y;
  auto list = specials<float>();
  for (float e : {3.f, -3.f, 4.f, -7.f, 0.25f, 1e9f, 16777215.f, 33554432.f}) list.push_back(e);
  for (float a : list)
    for (float b : list) base.push_back(a), power.push_back(b);
  for (int i = 0; i < 200000; ++i) {
    base.push_back(std::exp2(float(philox_u32(1, i) % 2000000) * 1e-5f - 10));
    power.push_back(float(philox_u32(2, i) % 200000) * 1e-4f - 10);
  }
  y.resize(base.size());
  level.binary_f32(index_of<fn::Pow, BinaryOps>).pack(base.data(), power.data(), y.data(), int64_t(y.size()));
  double worst = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    double want = std::pow(double(base[i]), double(power[i])), e = ulps(y[i], want);
    if (want == 0 && std::signbit(want) != std::signbit(y[i])) e = 1e30;
    INFO("pow(" << base[i] << ", " << power[i] << ") = " << y[i] << ", expected " << want);
    REQUIRE(e <= 0.6);
    worst = std::max(worst, e);
  }
  CHECK(worst > 0);
}

namespace {
template <class T, class Unary, class Binary> void compare_formulas(Unary unary, Binary binary) {
  std::vector<T> x = specials<T>();
  for (T v = -12; v < 12; v += T(0.0137)) x.push_back(v);
  std::vector<T> other(x.rbegin(), x.rend()), a(x.size()), b(x.size());
  int64_t n = int64_t(x.size());
  auto same = [&](int op, const char* list) {
    for (int64_t i = 0; i < n; ++i) {
      if (std::isnan(a[i]) && std::isnan(b[i])) continue;
      INFO(list << " number " << op << " at " << x[i] << ", " << other[i] << ": pack " << a[i] << ", number " << b[i]);
      if (std::isinf(b[i]) || std::isinf(a[i])) {
        REQUIRE(a[i] == b[i]);
      } else {  // a formula may cancel, so the error counts against its operands as well
        T scale = std::max({std::abs(b[i]), std::numeric_limits<T>::min(), std::min(T(1), std::abs(x[i]))});
        REQUIRE(std::abs(a[i] - b[i]) <= 16 * std::numeric_limits<T>::epsilon() * scale);
      }
    }
  };
  int tried = 0;
  for (int op = 0; op < UnaryOps::size; ++op) {
    auto f = unary(op);
    if (!f.pack) continue;
    f.pack(x.data(), a.data(), n);
    f.scalar(x.data(), b.data(), n);
    same(op, "unary");
    ++tried;
  }
  for (int op = 0; op < BinaryOps::size; ++op) {
    auto f = binary(op);
    if (!f.pack) continue;
    f.pack(x.data(), other.data(), a.data(), n);
    f.scalar(x.data(), other.data(), b.data(), n);
    same(op, "binary");
    ++tried;
  }
  CHECK(tried > 60);
}
}  // namespace

TEST_CASE("every formula gives on packs what it gives on numbers", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  compare_formulas<float>(level.unary_f32, level.binary_f32);
  compare_formulas<double>(level.unary_f64, level.binary_f64);
}

TEST_CASE("half and bfloat16 packs convert as tensor/math/half.h does, bit for bit", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  auto check = []<class S>(void (*decode)(const S*, float*, int64_t), void (*encode)(const float*, S*, int64_t)) {
    std::vector<S> h(65536);
    std::vector<float> f(h.size());
    for (int i = 0; i < 65536; ++i) h[i].bits = uint16_t(i);
    decode(h.data(), f.data(), 65535);
    int wrong = 0;
    for (int i = 0; i < 65535; ++i) wrong += std::bit_cast<uint32_t>(f[i]) != std::bit_cast<uint32_t>(float(h[i]));
    CHECK(wrong == 0);
    auto x = every_pattern<float>(uint32_t(251));
    std::vector<S> y(x.size());
    encode(x.data(), y.data(), int64_t(x.size()));
    wrong = 0;
    for (size_t i = 0; i < x.size(); ++i) wrong += y[i].bits != S(x[i]).bits;
    CHECK(wrong == 0);
  };
  check(level.decode_f16, level.encode_f16);
  check(level.decode_bf16, level.encode_bf16);
}

namespace {
template <class T> void check_lanes(const LaneFunctions<T>& f) {
  const int n = f.lanes;
  std::vector<T> x(8 * n), y(8 * n), z(8 * n);
  for (int i = 0; i < 8 * n; ++i) x[i] = T(i % 2 ? i : -i) + T(0.25);
  f.gather(x.data() + 1, 3, y.data());
  for (int i = 0; i < n; ++i) CHECK(y[i] == x[1 + 3 * i]);
  f.scatter(x.data(), z.data(), 5);
  for (int i = 0; i < 5 * n; ++i) CHECK(z[i] == (i % 5 ? T(0) : x[i / 5]));
  alignas(64) T aligned[64] = {};
  f.stream(x.data() + 1, aligned);
  for (int i = 0; i < n; ++i) CHECK(aligned[i] == x[i + 1]);
  for (int part = 0; part < n; ++part) {
    std::vector<T> from(x.begin(), x.begin() + part), to(n, T(-7));
    f.part(from.data(), to.data(), part);
    for (int i = 0; i < n; ++i) CHECK(to[i] == (i < part ? x[i] : T(-7)));
  }
  f.interleaved(x.data(), y.data());
  for (int i = 0; i < n; ++i) {
    CHECK(y[2 * i] == x[i]);
    CHECK(y[2 * i + 1] == x[n + i]);
    CHECK(y[2 * n + i] == x[i]);
    CHECK(y[3 * n + i] == x[n + i]);
  }
  T total = 0, most = x[0], least = x[0];
  for (int i = 0; i < n; ++i) total += x[i], most = std::max(most, x[i]), least = std::min(least, x[i]);
  f.totals(x.data(), y.data());
  CHECK(y[0] == total);
  CHECK(y[1] == most);
  CHECK(y[2] == least);
  for (int i = 0; i < n; ++i) {  // NaN wins from every lane
    std::vector<T> w(x.begin(), x.begin() + n);
    w[i] = std::numeric_limits<T>::quiet_NaN();
    f.totals(w.data(), y.data());
    CHECK((std::isnan(y[1]) && std::isnan(y[2])));
  }
  bool in[64], out[64];
  for (int part = 1; part <= n; ++part) {
    for (int i = 0; i < n; ++i) in[i] = i % 3 == 0;
    f.mask(x.data(), in, out, part);
    for (int i = 0; i < n; ++i) CHECK(out[i] == ((x[i] > 0) != in[i]));
  }
  std::vector<T> none(n, T(-1)), every(n, T(1));
  CHECK_FALSE(f.any_positive(none.data()));
  CHECK(f.all_positive(every.data()));
  for (int i = 0; i < n; ++i) {
    auto one = none, but_one = every;
    one[i] = 1, but_one[i] = -1;
    CHECK(f.any_positive(one.data()));
    CHECK_FALSE(f.all_positive(but_one.data()));
  }
  std::vector<T> a(n, T(1) + std::numeric_limits<T>::epsilon()), c(n, T(-1) - 2 * std::numeric_limits<T>::epsilon());
  f.fused(a.data(), a.data(), c.data(), y.data());  // (1 + e)^2 - (1 + 2e) = e^2, lost if the product is rounded
  for (int i = 0; i < n; ++i) CHECK(y[i] == std::numeric_limits<T>::epsilon() * std::numeric_limits<T>::epsilon());
}
}  // namespace

TEST_CASE("packs load, store, permute and reduce their lanes", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  check_lanes(level.f32);
  check_lanes(level.f64);
}

TEST_CASE("philox on packs equals philox on numbers, bit for bit", "[pack]") {
  const PackLevel& level = *GENERATE(from_range(levels()));
  INFO("vectors of " << level.vector_bytes << " bytes");
  for (uint64_t seed : {uint64_t(0), uint64_t(42), uint64_t(0xdeadbeef12345678)})
    for (uint64_t block : {uint64_t(0), uint64_t(5), uint64_t(0xfffffffc), uint64_t(0x1fffffffff)}) {
      uint32_t out[256];
      level.philox_words(out, seed, block, 1, 64);
      for (int i = 0; i < 64; ++i)
        for (int j = 0; j < 4; ++j) REQUIRE(out[4 * i + j] == philox(seed, block + uint64_t(i), 1).w[j]);
    }
}
