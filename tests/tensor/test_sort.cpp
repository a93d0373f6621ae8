// sort and topk against std::stable_sort.
#include <limits>

#include "tests/catch.h"
#include "tests/support/values.h"

using namespace ink;
using namespace ink::test;

namespace {

// NaN is above everything: last in ascending, first in descending order.
template <class T> bool less(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return a < b;
}

template <class T> struct Sorted {
  std::vector<T> values;
  std::vector<int64_t> indices;
};

// The first k of every line in order; ties as they stood.
template <class T> Sorted<T> reference(const std::vector<T>& x, Lines l, int64_t k, bool descending) {
  Sorted<T> r{std::vector<T>(l.outer * k * l.inner), std::vector<int64_t>(l.outer * k * l.inner)};
  for (int64_t o = 0; o < l.outer; ++o)
    for (int64_t j = 0; j < l.inner; ++j) {
      auto value = [&](int64_t i) { return x[(o * l.n + i) * l.inner + j]; };
      std::vector<int64_t> order(l.n);
      for (int64_t i = 0; i < l.n; ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return descending ? less<T>(value(b), value(a)) : less<T>(value(a), value(b));
      });
      for (int64_t i = 0; i < k; ++i) {
        r.values[(o * k + i) * l.inner + j] = value(order[i]);
        r.indices[(o * k + i) * l.inner + j] = order[i];
      }
    }
  return r;
}

template <class T> std::vector<T> mixed_values(int64_t n, unsigned seed) {
  if constexpr (std::is_floating_point_v<T>) {
    auto x = normal_values<T>(n, seed, 100);
    for (int64_t i = 0; i < n; ++i) {
      if (i % 3 == 0) x[i] = std::round(x[i] / 100);  // ties, also of 0 and -0
      if (i % 29 == 4) x[i] = T(NAN);
      if (i % 31 == 5) x[i] = i % 2 ? -T(INFINITY) : -T(NAN);
    }
    return x;
  } else {
    auto x = whole_values<T>(n, int64_t(1) << 62, seed);
    for (int64_t i = 0; i < n; ++i)
      if (i % 3 == 0 && sizeof(T) > 1) x[i] = T(i % 7 - 3);
    if (n > 4 && sizeof(T) > 1) x[2] = std::numeric_limits<T>::min(), x[4] = std::numeric_limits<T>::max();
    return x;
  }
}

const Lines line_cases[] = {{0, 3, 1},   {3, 0, 1},   {5, 1, 1},     {40, 2, 1}, {9, 15, 1},  {7, 33, 1},
                            {2, 511, 1}, {3, 700, 1}, {1, 70001, 1}, {2, 20, 3}, {1, 600, 5}, {2, 4, 0}};

}  // namespace

TEMPLATE_TEST_CASE("sort is stable, NaN above all, along any dim", "[sort]", float, double, int64_t, int32_t, uint8_t) {
  using T = TestType;
  for (const Lines& l : line_cases)
    for (bool descending : {false, true}) {
      INFO("outer " << l.outer << " n " << l.n << " inner " << l.inner << " descending " << descending);
      auto x = mixed_values<T>(l.outer * l.n * l.inner, 3);
      Sorted<T> want = reference(x, l, l.n, descending), got = want;
      std::fill(got.values.begin(), got.values.end(), T(1));
      std::fill(got.indices.begin(), got.indices.end(), -1);
      kernels(Device::cpu()).sort(dtype_of<T>, got.values.data(), got.indices.data(), x.data(), l, descending);
      CHECK(same_bits(got.values, want.values));
      CHECK(got.indices == want.indices);
    }
}

TEMPLATE_TEST_CASE("topk gives the k best in order, ties to the first", "[sort]", float, double, int64_t, int32_t,
                   uint8_t) {
  using T = TestType;
  for (const Lines& l : line_cases)
    for (bool largest : {false, true})
      for (int64_t k : {int64_t(0), int64_t(1), l.n / 2, l.n}) {
        if (k > l.n) continue;
        INFO("outer " << l.outer << " n " << l.n << " inner " << l.inner << " k " << k << " largest " << largest);
        auto x = mixed_values<T>(l.outer * l.n * l.inner, 4);
        Sorted<T> want = reference(x, l, k, largest), got = want;
        std::fill(got.indices.begin(), got.indices.end(), -1);
        kernels(Device::cpu()).topk(dtype_of<T>, got.values.data(), got.indices.data(), x.data(), l, k, largest);
        CHECK(same_bits(got.values, want.values));
        CHECK(got.indices == want.indices);
      }
}

TEST_CASE("sorting handles input already in order, reversed, and all equal", "[sort]") {
  for (int64_t n : {100, 5000}) {
    std::vector<float> up(n), down(n), equal(n, 2.5f);
    for (int64_t i = 0; i < n; ++i) up[i] = float(i), down[i] = float(n - i);
    for (const auto& x : {up, down, equal}) {
      Sorted<float> want = reference(x, {1, n, 1}, n, false), got = want;
      std::fill(got.indices.begin(), got.indices.end(), -1);
      kernels(Device::cpu()).sort(f32, got.values.data(), got.indices.data(), x.data(), {1, n, 1}, false);
      CHECK(got.indices == want.indices);
      Sorted<float> best = reference(x, {1, n, 1}, 3, true), top = best;
      kernels(Device::cpu()).topk(f32, top.values.data(), top.indices.data(), x.data(), {1, n, 1}, 3, true);
      CHECK(top.indices == best.indices);
    }
  }
}

TEST_CASE("bool sorts as 0 and 1", "[sort]") {
  bool x[] = {true, false, true, false}, y[4];
  int64_t at[4];
  kernels(Device::cpu()).sort(boolean, y, at, x, {1, 4, 1}, false);
  CHECK((!y[0] && !y[1] && y[2] && y[3]));
  CHECK(std::vector<int64_t>(at, at + 4) == std::vector<int64_t>{1, 3, 0, 2});
}

TEST_CASE("sorted bits do not depend on the number of threads", "[sort]") {
  auto x = normal_values<float>(200 * 300, 5);
  CHECK(same_on_two_threads([&] {
    std::vector<int64_t> indices(x.size());
    std::vector<float> values(x.size());
    kernels(Device::cpu()).sort(f32, values.data(), indices.data(), x.data(), {200, 300, 1}, false);
    return indices;
  }));
}
