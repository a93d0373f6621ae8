// Indexing kernels, and the sliding-window maximum, against plain loops.
#include "tests/catch.h"
#include "tests/support/values.h"

using namespace ink;
using namespace ink::test;

namespace {

template <class T> Array array_of(std::vector<T>& v, const Shape& shape, const Shape& strides) {
  return {v.data(), dtype_of<T>, shape, strides};
}
Shape row_major(const Shape& shape) { return contiguous_strides(shape); }

// Calls f with the coordinates of every element of `shape`, the last dim fastest.
template <class F> void for_each_position(const Shape& shape, F f) {
  for (int64_t i = 0; i < shape.numel(); ++i) {
    Shape at = shape;
    int64_t rest = i;
    for (int d = shape.size() - 1; d >= 0; --d) at[d] = rest % shape[d], rest /= shape[d];
    f(at);
  }
}
int64_t offset(const Shape& at, const Shape& strides) {
  int64_t o = 0;
  for (int d = 0; d < at.size(); ++d) o += at[d] * strides[d];
  return o;
}

struct IndexCase {
  Shape in, index;
  int dim;
};
const IndexCase index_cases[] = {{{}, {}, 0},
                                 {{7}, {0}, 0},
                                 {{7}, {1}, 0},
                                 {{5}, {20011}, 0},
                                 {{4, 6}, {3, 9}, 1},
                                 {{4, 6}, {9, 5}, 0},
                                 {{300, 70}, {300, 1}, 1},
                                 {{3, 5, 4}, {2, 11, 3}, 1},
                                 {{50, 301}, {40, 301}, 0}};

}  // namespace

TEMPLATE_TEST_CASE("gather and scatter follow the index along any dim", "[index]", float, double, uint8_t,
                   complex<double>, half) {
  using T = TestType;
  for (const IndexCase& c : index_cases) {
    INFO("in " << c.in.numel() << " index " << c.index.numel() << " dim " << c.dim);
    Shape in_s = row_major(c.in), index_s = row_major(c.index);
    Shape turned(index_s.begin(), index_s.end());  // strides of a transposed out: dims in reverse order of memory
    int64_t step = 1;
    for (int d = 0; d < c.index.size(); ++d) turned[d] = step, step *= c.index[d];
    auto in = whole_values<T>(c.in.numel(), 100, 1);
    auto index = whole_values<int64_t>(c.index.numel(), c.in.empty() ? 1 : c.in[c.dim], 2);
    std::vector<T> out(c.index.numel()), expected(c.index.numel());
    auto place = [&](const Shape& at) {
      Shape to = at;
      if (!to.empty()) to[c.dim] = index[offset(at, index_s)];
      return offset(to, in_s);
    };
    for_each_position(c.index, [&](const Shape& at) { expected[offset(at, turned)] = in[place(at)]; });
    kernels(Device::cpu())
        .gather(array_of(out, c.index, turned), array_of(in, c.in, in_s), array_of(index, c.index, index_s), c.dim);
    CHECK(same_bits(out, expected));

    for (bool add : {false, true}) {
      auto to = whole_values<T>(c.in.numel(), 50, 3), want = to;
      std::vector<T> src = whole_values<T>(c.index.numel(), 3, 4);
      for_each_position(c.index, [&](const Shape& at) {
        T s = src[offset(at, turned)], &w = want[place(at)];
        w = add ? T(w + s) : s;
      });
      kernels(Device::cpu())
          .scatter(array_of(to, c.in, in_s), array_of(src, c.index, turned), array_of(index, c.index, index_s), c.dim,
                   add);
      CHECK(same_bits(to, want));
    }
  }
}

TEMPLATE_TEST_CASE("index_select copies and index_add sums slices", "[index]", float, double, complex<float>, int64_t,
                   int32_t, bfloat16) {
  using T = TestType;
  const Lines cases[] = {{1, 9, 1}, {1, 700, 1}, {3, 7, 5}, {2, 40, 600}, {0, 3, 2}, {2, 3, 0}};
  for (const Lines& l : cases)
    for (int64_t k : {0, 1, 65}) {
      INFO("outer " << l.outer << " n " << l.n << " inner " << l.inner << " k " << k);
      auto in = whole_values<T>(l.outer * l.n * l.inner, 20, 1);
      auto index = whole_values<int64_t>(k, l.n, 2);
      std::vector<T> out(l.outer * k * l.inner), want = out, sum = in, want_sum = in;
      for (int64_t o = 0; o < l.outer; ++o)
        for (int64_t i = 0; i < k; ++i)
          for (int64_t j = 0; j < l.inner; ++j) {
            int64_t to = (o * k + i) * l.inner + j, from = (o * l.n + index[i]) * l.inner + j;
            want[to] = in[from];
            want_sum[from] = T(want_sum[from] + in[from]);
          }
      kernels(Device::cpu()).index_select(out.data(), in.data(), index.data(), k, l, sizeof(T));
      CHECK(same_bits(out, want));
      kernels(Device::cpu()).index_add(dtype_of<T>, sum.data(), out.data(), index.data(), k, l);
      CHECK(same_bits(sum, want_sum));
    }
}

TEST_CASE("sums over repeated indices have the same bits on one thread and on two", "[index]") {
  auto src = normal_values<float>(3000 * 700, 1);
  auto index = whole_values<int64_t>(3000, 10, 2);
  CHECK(same_on_two_threads([&] {
    std::vector<float> out(10 * 700);
    kernels(Device::cpu()).index_add(f32, out.data(), src.data(), index.data(), 3000, {1, 10, 700});
    return out;
  }));
  auto wide = whole_values<int64_t>(3000 * 700, 10, 3);
  CHECK(same_on_two_threads([&] {
    std::vector<float> out(10 * 700);
    Shape big{3000, 700}, small{10, 700};
    kernels(Device::cpu())
        .scatter(array_of(out, small, {700, 1}), array_of(src, big, {700, 1}), array_of(wide, big, {700, 1}), 0, true);
    return out;
  }));
}

TEST_CASE("nonzero lists the set positions in order", "[index]") {
  for (int64_t n : {0, 1, 7, 8, 9, 100003}) {
    auto flags = whole_values<uint8_t>(n, 2, unsigned(n));
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < n; ++i)
      if (flags[i]) expected.push_back(i);
    auto mask = reinterpret_cast<const bool*>(flags.data());
    REQUIRE(kernels(Device::cpu()).nonzero(mask, n, nullptr) == int64_t(expected.size()));
    std::vector<int64_t> out(expected.size() + 1, -1);
    CHECK(kernels(Device::cpu()).nonzero(mask, n, out.data()) == int64_t(expected.size()));
    CHECK(out.back() == -1);
    out.pop_back();
    CHECK(out == expected);
  }
}

TEMPLATE_TEST_CASE("window_max finds the first maximum of every window, NaN above all", "[index]", float, double) {
  using T = TestType;
  for (const Lines& l : {Lines{1, 8, 1}, Lines{3, 50, 1}, Lines{2, 31, 5}, Lines{1, 40, 200}, Lines{1, 30011, 1},
                         Lines{2, 5, 0}, Lines{0, 9, 1}})
    for (int64_t w : {1, 2, 3, 7, 8, 30}) {
      int64_t m = l.n - w + 1;
      if (m <= 0) continue;
      INFO("outer " << l.outer << " n " << l.n << " inner " << l.inner << " window " << w);
      auto x = whole_values<T>(l.outer * l.n * l.inner, 20, unsigned(w));  // many ties
      for (size_t i = 5; i < x.size(); i += 37) x[i] = T(NAN);
      std::vector<T> y(l.outer * m * l.inner), want(y.size());
      std::vector<int64_t> at(y.size()), want_at(y.size());
      for (int64_t o = 0; o < l.outer; ++o)
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < l.inner; ++j) {
            auto value = [&](int64_t p) { return x[(o * l.n + p) * l.inner + j]; };
            int64_t best = i;
            for (int64_t p = i + 1; p < i + w; ++p)
              if (value(p) > value(best) || (std::isnan(value(p)) && !std::isnan(value(best)))) best = p;
            want[(o * m + i) * l.inner + j] = value(best), want_at[(o * m + i) * l.inner + j] = best;
          }
      kernels(Device::cpu()).window_max(dtype_of<T>, y.data(), at.data(), x.data(), l, w);
      CHECK(error(y, want) == 0);
      CHECK(at == want_at);
    }
}
