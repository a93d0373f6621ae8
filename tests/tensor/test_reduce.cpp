// Reductions and scans against plain f64 loops: every dtype and layout, one thread and two bit for bit.
#include <cmath>
#include <functional>
#include <limits>

#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/strided.h"

using namespace ink;
using namespace ink::test;

namespace {

using Point = complex<double>;
const Layout kLayouts[] = {Layout::contiguous, Layout::strided, Layout::broadcast};
const Shape kShapes[] = {{1},          {7},      {300},    {5, 1, 3}, {3, 0, 2},
                         {4, 3, 2, 5}, {3, 130}, {130, 3}, {40, 700}, {9, 67, 61}};

template <class Op> DType result_type(DType t) { return std::same_as<Op, fn::CountNonzero> ? i64 : t; }

// The output of a reduction of the dims in `mask`: rank kept, stride 0 where reduced.
Strided reduced_output(DType dtype, const Shape& shape, unsigned mask, Layout layout, std::mt19937& rng) {
  Shape kept = shape;
  for (int d = 0; d < shape.size(); ++d)
    if (mask >> d & 1) kept[d] = 1;
  Strided out = make_output(dtype, kept, layout, rng);
  for (int d = 0; d < shape.size(); ++d)
    if (mask >> d & 1) out.array.strides[d] = 0;
  return out;
}

int64_t reduced_index(const Shape& shape, unsigned mask, int64_t flat) {
  int64_t at = 0, step = 1;
  for (int d = shape.size() - 1; d >= 0; --d) {
    if (!(mask >> d & 1)) at += flat % shape[d] * step, step *= shape[d];
    flat /= shape[d];
  }
  return at;
}

template <class Op> void check_reduce(Point start, const std::function<Point(Point, Point)>& combine) {
  std::mt19937 rng(1);
  constexpr int op = index_of<Op, ReduceOps>;
  constexpr bool ordered = std::same_as<Op, fn::Max> || std::same_as<Op, fn::Min>;
  for (DType t : kAllDTypes) {
    if (!(Op::domain & domain_of(t))) continue;
    if (!ordered && !std::same_as<Op, fn::CountNonzero> && is_integral(t) && t != i64) continue;  // arrive as i64
    for (const Shape& shape : kShapes)
      for (Layout layout : kLayouts)
        for (unsigned mask = 1; mask < 1u << shape.size(); ++mask) {
          if (shape.numel() == 0 && ordered) continue;
          Strided in = make_strided(t, shape, layout, rng);
          CAPTURE(op, name_of(t), shape.str(), int(layout), mask);
          std::vector<char> first;
          for (int threads : {1, 2}) {
            set_num_threads(threads);
            Strided out = reduced_output(result_type<Op>(t), shape, mask,
                                         threads == 1 ? Layout::contiguous : Layout::strided, rng);
            kernels(Device::cpu()).reduce(op, out.array, in.array);
            if (first.empty()) first = element_bytes(out.array);
            CHECK(first == element_bytes(out.array));
            std::vector<Point> expected(size_t(out.array.shape.numel()), start);
            std::vector<double> scale(expected.size(), 1);
            for (int64_t i = 0; i < shape.numel(); ++i) {
              Point& e = expected[size_t(reduced_index(shape, mask, i))];
              Point x = element(in.array, i);
              e = combine(e, x);
              scale[size_t(reduced_index(shape, mask, i))] += std::hypot(x.re, x.im) * std::hypot(x.re, x.im);
            }
            for (size_t i = 0; i < expected.size(); ++i) {
              Point got = element(out.array, int64_t(i));
              // One rounding to the output; before it, errors relative to the sum of the magnitudes, far below it.
              const double wide = epsilon(is_half(t) ? f32 : t) * 4 * scale[i];
              if (t == f16 && std::abs(expected[i].re) >= 65520)
                expected[i].re = std::copysign(HUGE_VAL, expected[i].re);  // overflow
              CHECK(close(got, expected[i], 2 * epsilon(result_type<Op>(t)) + wide));
            }
          }
        }
  }
}

}  // namespace

TEST_CASE("sums, squares and counts over any dims", "[reduce]") {
  check_reduce<fn::Sum>(0, [](Point a, Point x) { return a + x; });
  check_reduce<fn::SumSquares>(0, [](Point a, Point x) { return a + x * x; });
  check_reduce<fn::CountNonzero>(0, [](Point a, Point x) { return a + Point(x != Point(0)); });
}

TEST_CASE("max and min over any dims", "[reduce]") {
  const double infinity = std::numeric_limits<double>::infinity();
  check_reduce<fn::Max>(-infinity, [](Point a, Point x) { return Point(std::max(a.re, x.re)); });
  check_reduce<fn::Min>(infinity, [](Point a, Point x) { return Point(std::min(a.re, x.re)); });
}

TEST_CASE("products", "[reduce]") {
  std::mt19937 rng(2);
  for (DType t : {f32, f64, bf16, c64, c128, i64})
    for (unsigned mask : {1u, 2u, 3u}) {
      Strided in = make_strided(t, {6, 5}, Layout::strided, rng),
              out = reduced_output(t, {6, 5}, mask, Layout::contiguous, rng);
      kernels(Device::cpu()).reduce(index_of<fn::Prod, ReduceOps>, out.array, in.array);
      std::vector<Point> expected(size_t(out.array.shape.numel()), Point(1));
      for (int64_t i = 0; i < 30; ++i) {
        Point& e = expected[size_t(reduced_index({6, 5}, mask, i))];
        e = e * element(in.array, i);
      }
      for (size_t i = 0; i < expected.size(); ++i)
        CHECK(close(element(out.array, int64_t(i)), expected[i], 64 * epsilon(t)));
    }
}

TEST_CASE("a long f32 sum keeps its digits", "[reduce]") {
  const int64_t n = 1 << 22;
  Strided in{std::vector<uint64_t>(size_t(n) / 2), {}};
  in.array = {in.memory.data(), f32, {n}, {1}};
  float* x = static_cast<float*>(in.array.data);
  double exact = 0;
  for (int64_t i = 0; i < n; ++i) exact += x[i] = 0.9f + 0.0001f * float(i % 2000);
  float total = 0;
  std::vector<float> columns(1024);
  Array out{&total, f32, {1}, {0}};
  kernels(Device::cpu()).reduce(index_of<fn::Sum, ReduceOps>, out, in.array);
  CHECK(std::abs(total - exact) <= 1e-7 * exact);
  Array matrix{x, f32, {n / 1024, 1024}, {1024, 1}}, row{columns.data(), f32, {1, 1024}, {0, 1}};
  kernels(Device::cpu()).reduce(index_of<fn::Sum, ReduceOps>, row, matrix);
  for (int64_t c = 0; c < 1024; c += 100) {
    double sum = 0;
    for (int64_t i = c; i < n; i += 1024) sum += x[i];
    CHECK(std::abs(columns[size_t(c)] - sum) <= 1e-7 * sum);
  }
}

TEST_CASE("NaN wins in max and min, wherever it stands", "[reduce]") {
  for (int64_t n : {1, 5, 40, 3000})
    for (int64_t at = 0; at < n; at += 1 + n / 7) {
      std::vector<float> x(size_t(n), 1.0f);
      x[size_t(at)] = NAN;
      float y = 0;
      Array out{&y, f32, {1}, {0}}, in{x.data(), f32, {n}, {1}};
      kernels(Device::cpu()).reduce(index_of<fn::Max, ReduceOps>, out, in);
      CHECK(std::isnan(y));
      kernels(Device::cpu()).reduce(index_of<fn::Min, ReduceOps>, out, in);
      CHECK(std::isnan(y));
    }
}

namespace {

const Lines kLines[] = {{1, 1, 1},   {3, 7, 1},     {2, 300, 1}, {1, 70000, 1}, {3, 5, 4},
                        {2, 60, 33}, {1, 130, 600}, {0, 3, 2},   {2, 3, 0}};
Shape shape_of(Lines l) { return {l.outer, l.n, l.inner}; }
int64_t place(Lines l, int64_t o, int64_t i, int64_t j) { return (o * l.n + i) * l.inner + j; }

}  // namespace

TEST_CASE("arg_reduce gives the first extreme and its index", "[reduce]") {
  std::mt19937 rng(3);
  for (DType t : {f32, f64, i64, i32, u8, boolean})
    for (Lines l : kLines)
      for (bool max : {true, false})
        for (bool nan : {false, true}) {
          if (nan && !is_floating(t)) continue;
          Strided in = make_strided(t, shape_of(l), Layout::contiguous, rng);
          if (nan && in.array.shape.numel() > 4)
            for (int64_t i = 3; i < in.array.shape.numel(); i += 41)
              visit_float(t, [&]<class T>() { static_cast<T*>(in.array.data)[i] = T(NAN); });
          CAPTURE(name_of(t), l.outer, l.n, l.inner, max, nan);
          for (int threads : {1, 2}) {
            set_num_threads(threads);
            Strided v = make_output(t, {l.outer, l.inner}, Layout::contiguous, rng),
                    at = make_output(i64, {l.outer, l.inner}, Layout::contiguous, rng);
            kernels(Device::cpu()).arg_reduce(max, v.array, at.array, in.array, l);
            int wrong = 0;
            for (int64_t o = 0; o < l.outer; ++o)
              for (int64_t j = 0; j < l.inner; ++j) {
                int64_t best = 0;
                for (int64_t i = 1; i < l.n; ++i) {
                  double x = element(in.array, place(l, o, i, j)).re, b = element(in.array, place(l, o, best, j)).re;
                  if (std::isnan(b)) break;
                  if (std::isnan(x) || (max ? x > b : x < b)) best = i;
                }
                wrong += element(at.array, o * l.inner + j).re != double(best);
                wrong += !close(element(v.array, o * l.inner + j), element(in.array, place(l, o, best, j)), 0);
              }
            CHECK(wrong == 0);
          }
        }
}

TEST_CASE("var_mean in two passes, with any correction", "[reduce]") {
  std::mt19937 rng(4);
  for (DType t : {f32, f64})
    for (Lines l : kLines)
      for (double correction : {0.0, 1.0}) {
        Strided in = make_strided(t, shape_of(l), Layout::contiguous, rng);
        // A large common offset is what one-pass formulas break on.
        visit_float(t, [&]<class T>() {
          for (int64_t i = 0; i < in.array.shape.numel(); ++i) static_cast<T*>(in.array.data)[i] += T(1000);
        });
        CAPTURE(name_of(t), l.outer, l.n, l.inner, correction);
        std::vector<char> first;
        for (int threads : {1, 2}) {
          set_num_threads(threads);
          Strided var = make_output(t, {l.outer, l.inner}, Layout::contiguous, rng),
                  mean = make_output(t, {l.outer, l.inner}, Layout::contiguous, rng);
          kernels(Device::cpu()).var_mean(var.array, mean.array, in.array, l, correction);
          if (first.empty()) first = element_bytes(var.array);
          CHECK(first == element_bytes(var.array));
          for (int64_t o = 0; o < l.outer; ++o)
            for (int64_t j = 0; j < l.inner; ++j) {
              double sum = 0, squares = 0;
              for (int64_t i = 0; i < l.n; ++i) sum += element(in.array, place(l, o, i, j)).re;
              const double m = sum / double(l.n);
              for (int64_t i = 0; i < l.n; ++i) squares += std::pow(element(in.array, place(l, o, i, j)).re - m, 2);
              CHECK(close(element(mean.array, o * l.inner + j), Point(m), 4 * epsilon(t)));
              const double v = squares / (double(l.n) - correction);
              CHECK(close(element(var.array, o * l.inner + j), Point(v), t == f32 ? 2e-6 : 1e-12));
            }
        }
      }
}

namespace {

void check_scan(ScanOp op, std::initializer_list<DType> dtypes, double tolerance,
                const std::function<Point(Point, Point)>& combine) {
  std::mt19937 rng(5);
  for (DType t : dtypes)
    for (Lines l : kLines)
      for (bool reverse : {false, true}) {
        Strided in = make_strided(t, shape_of(l), Layout::contiguous, rng);
        if (op == ScanOp::prod && is_integral(t))
          for (int64_t i = 0; i < in.array.shape.numel(); ++i) static_cast<int64_t*>(in.array.data)[i] = i % 2 ? 1 : -1;
        else if (op == ScanOp::prod && !is_complex(t))  // keep long products in range
          visit_float(t, [&]<class T>() {
            for (int64_t i = 0; i < in.array.shape.numel(); ++i)
              static_cast<T*>(in.array.data)[i] = i % 2 ? T(1.25) : T(0.8);
          });
        CAPTURE(int(op), name_of(t), l.outer, l.n, l.inner, reverse);
        std::vector<char> first;
        for (int threads : {1, 2}) {
          set_num_threads(threads);
          Strided out = make_output(t, shape_of(l), Layout::contiguous, rng),
                  at = make_output(i64, shape_of(l), Layout::contiguous, rng);
          int64_t* indices = op == ScanOp::max ? static_cast<int64_t*>(at.array.data) : nullptr;
          kernels(Device::cpu()).scan(op, t, out.array.data, indices, in.array.data, l, reverse);
          if (first.empty()) first = element_bytes(out.array);
          CHECK(first == element_bytes(out.array));
          int wrong = 0;
          for (int64_t o = 0; o < l.outer; ++o)
            for (int64_t j = 0; j < l.inner; ++j) {
              Point running;
              double magnitude = 1;
              for (int64_t i = 0; i < l.n; ++i) {
                const int64_t p = place(l, o, reverse ? l.n - 1 - i : i, j);
                const Point x = element(in.array, p);
                running = i == 0 ? x : combine(running, x);
                magnitude += std::abs(x.re);
                wrong += !close(element(out.array, p), running, tolerance * epsilon(t) + magnitude * 1e-15);
                if (indices) {
                  const int64_t q = o * l.n * l.inner + indices[p] * l.inner + j;
                  wrong += !close(element(in.array, q), running, 0);
                  wrong += reverse ? indices[p] < p / l.inner % l.n : indices[p] > p / l.inner % l.n;
                }
              }
            }
          CHECK(wrong == 0);
        }
      }
}

}  // namespace

TEST_CASE("running sums, products and maxima", "[scan]") {
  check_scan(ScanOp::sum, {f32, f64, c64, c128, i64}, 2, [](Point a, Point x) { return a + x; });
  check_scan(ScanOp::prod, {f32, i64}, 2, [](Point a, Point x) { return a * x; });
  check_scan(ScanOp::max, {f32, f64, i64, i32}, 0, [](Point a, Point x) { return Point(std::max(a.re, x.re)); });
}

TEST_CASE("running logsumexp", "[scan]") {
  check_scan(ScanOp::logsumexp, {f32, f64}, 8, [](Point a, Point x) {
    const double high = std::max(a.re, x.re);
    return Point(high + std::log(std::exp(a.re - high) + std::exp(x.re - high)));
  });
  const double infinity = std::numeric_limits<double>::infinity();
  double x[] = {-infinity, -infinity, 0, infinity, 1}, y[5];
  kernels(Device::cpu()).scan(ScanOp::logsumexp, f64, y, nullptr, x, {1, 5, 1}, false);
  CHECK(y[0] == -infinity);
  CHECK(y[1] == -infinity);
  CHECK(y[2] == 0);
  CHECK(y[3] == infinity);
  CHECK(y[4] == infinity);
}
