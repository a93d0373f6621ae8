// The strided loops against plain f64 loops: every dtype, layouts of every kind, one thread and two.
#include <algorithm>
#include <cmath>
#include <functional>

#include "tensor/backend/loop.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/strided.h"

using namespace ink;
using namespace ink::test;

namespace {

const Layout kLayouts[] = {Layout::contiguous, Layout::strided, Layout::broadcast};
// One-element, zero-size, short and long rows, more than one chunk, more than one piece of parallel work.
const Shape kShapes[] = {
    {}, {1}, {0}, {3, 0, 2}, {7}, {5, 1, 3}, {4, 3, 2, 5}, {3, 130}, {2, 700}, {9, 67, 61}, {3, 2, 5, 2, 3, 2, 2, 3}};

using Point = complex<double>;
using Reference = std::function<Point(Point, Point)>;

DType real_result(DType t) { return real_of(t); }
DType same(DType t) { return t; }
DType truth(DType) { return boolean; }

// Runs `call` on one and on two threads into outputs of each layout; all must hold the same bits. Returns the values.
template <class Call> std::vector<Point> run(DType out_dtype, const Shape& shape, std::mt19937& rng, const Call& call) {
  std::vector<char> first;
  std::vector<Point> values;
  for (Layout layout : {Layout::contiguous, Layout::strided}) {
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      Strided out = make_output(out_dtype, shape, layout, rng);
      call(out.array);
      if (first.empty()) first = element_bytes(out.array), values = elements(out.array);
      CHECK(first == element_bytes(out.array));
    }
  }
  return values;
}

void check(const std::vector<Point>& got, const std::function<Point(int64_t)>& expected, double tolerance) {
  for (size_t i = 0; i < got.size(); ++i) {
    Point want = expected(int64_t(i));
    if (!close(got[i], want, tolerance)) {
      CAPTURE(i, got[i].re, got[i].im, want.re, want.im);
      FAIL("a value differs");
    }
  }
}

template <class F>
void check_unary(const F& f, DType (*result)(DType), const Reference& reference, double roundings = 4) {
  std::mt19937 rng(1);
  for (DType t : kAllDTypes) {
    if (!(F::domain & domain_of(t))) continue;
    for (const Shape& shape : kShapes)
      for (Layout layout : kLayouts) {
        Strided a = make_strided(t, shape, layout, rng);
        CAPTURE(name_of(t), shape.str(), int(layout));
        auto got = run(result(t), shape, rng, [&](const Array& out) {
          kernels(Device::cpu()).unary(index_of<F, UnaryOps>, &f, out, a.array);
        });
        check(
            got, [&](int64_t i) { return reference(element(a.array, i), {}); }, roundings * epsilon(result(t)));
      }
  }
}

template <class F>
void check_binary(const F& f, DType (*result)(DType), const Reference& reference, double roundings = 4) {
  std::mt19937 rng(2);
  for (DType t : kAllDTypes) {
    if (!(F::domain & domain_of(t))) continue;
    for (const Shape& shape : kShapes)
      for (Layout layout_a : kLayouts)
        for (Layout layout_b : kLayouts) {
          Strided a = make_strided(t, shape, layout_a, rng), b = make_strided(t, shape, layout_b, rng);
          CAPTURE(name_of(t), shape.str(), int(layout_a), int(layout_b));
          auto got = run(result(t), shape, rng, [&](const Array& out) {
            kernels(Device::cpu()).binary(index_of<F, BinaryOps>, &f, out, a.array, b.array);
          });
          check(
              got, [&](int64_t i) { return reference(element(a.array, i), element(b.array, i)); },
              roundings * epsilon(result(t)));
        }
  }
}

}  // namespace

TEST_CASE("a plan orders dims by stride, drops size 1 and merges neighbours", "[loop]") {
  Array out{nullptr, f32, {4, 1, 3, 5}, {15, 15, 5, 1}}, row{nullptr, f32, {4, 1, 3, 5}, {0, 0, 0, 1}};
  const Array* operands[] = {&out, &row};
  Loop one = plan_loop(operands, 1);
  CHECK(one.ndim == 1);
  CHECK(one.size[0] == 60);
  Loop two = plan_loop(operands, 2);
  CHECK(two.ndim == 2);
  CHECK(two.size[0] == 5);
  CHECK(two.size[1] == 12);
  CHECK(two.stride[1][1] == 0);
  Array transposed{nullptr, f32, {6, 7}, {1, 6}};
  const Array* column_major[] = {&transposed};
  CHECK(plan_loop(column_major, 1).ndim == 1);
}

TEST_CASE("unary formulas agree with f64 on every layout and dtype", "[loops]") {
  check_unary(fn::Square{}, same, [](Point x, Point) { return x * x; });
  check_unary(fn::Abs{}, real_result, [](Point x, Point) { return Point(std::hypot(x.re, x.im)); });
  check_unary(fn::Sigmoid{}, same, [](Point x, Point) { return Point(1 / (1 + std::exp(-x.re))); });
  check_unary(fn::Relu{}, same, [](Point x, Point) { return Point(std::max(x.re, 0.0)); });
  check_unary(fn::LogicalNot{}, truth, [](Point x, Point) { return Point(x == Point(0)); });
  check_unary(fn::LtScalar{{}, 1}, truth, [](Point x, Point) { return Point(x.re < 1); });
}

TEST_CASE("a number operand reaches the formula", "[loops]") {
  fn::LeakyRelu leaky;
  leaky.slope = 0.25;
  check_unary(leaky, same, [](Point x, Point) { return x.re > 0 ? x : Point(0.25 * x.re); });
  fn::MulScalar times;
  times.s = 2;
  check_unary(times, same, [](Point x, Point) { return Point(2) * x; });
}

TEST_CASE("binary formulas agree with f64 on every pair of layouts", "[loops]") {
  check_binary(fn::Mul{}, same, [](Point a, Point b) { return a * b; });
  check_binary(fn::Maximum{}, same, [](Point a, Point b) { return Point(std::max(a.re, b.re)); });
  check_binary(fn::Lt{}, truth, [](Point a, Point b) { return Point(a.re < b.re); });
  check_binary(fn::LogicalXor{}, truth, [](Point a, Point b) { return Point((a == Point(0)) != (b == Point(0))); });
  check_binary(fn::Eq{}, truth, [](Point a, Point b) { return Point(a == b); });
  check_binary(fn::MakeComplex{}, complex_of, [](Point a, Point b) { return Point(a.re, b.re); });
}

TEST_CASE("large arrays give the bits of small ones", "[loops]") {
  // 3 Mi elements take the streaming path, the pieces of 7 x 1000 rows do not.
  const int64_t n = 3 << 20;
  std::mt19937 rng(3);
  Strided a = make_strided(f32, {n}, Layout::contiguous, rng), out = make_output(f32, {n}, Layout::contiguous, rng),
          part = make_output(f32, {1000}, Layout::contiguous, rng);
  const fn::Tanh f;
  kernels(Device::cpu()).unary(index_of<fn::Tanh, UnaryOps>, &f, out.array, a.array);
  for (int64_t at : {int64_t(0), int64_t(32768 - 500), n - 1000}) {
    Array some{static_cast<float*>(a.array.data) + at, f32, {1000}, {1}};
    kernels(Device::cpu()).unary(index_of<fn::Tanh, UnaryOps>, &f, part.array, some);
    CHECK(std::equal(static_cast<float*>(part.array.data), static_cast<float*>(part.array.data) + 1000,
                     static_cast<float*>(out.array.data) + at));
  }
}

TEST_CASE("in place: the output may be an input", "[loops]") {
  std::mt19937 rng(4);
  for (DType t : kAllDTypes) {
    if (!(fn::Mul::domain & domain_of(t))) continue;
    for (Layout layout : {Layout::contiguous, Layout::strided}) {
      Strided a = make_strided(t, {70, 33}, layout, rng);
      auto before = elements(a.array);
      const fn::Mul f;
      kernels(Device::cpu()).binary(index_of<fn::Mul, BinaryOps>, &f, a.array, a.array, a.array);
      check(
          elements(a.array), [&](int64_t i) { return before[size_t(i)] * before[size_t(i)]; }, 4 * epsilon(t));
    }
  }
}

TEST_CASE("where picks by the condition", "[loops]") {
  std::mt19937 rng(5);
  for (DType t : kAllDTypes)
    for (const Shape& shape : kShapes)
      for (Layout layout : kLayouts) {
        Strided c = make_strided(boolean, shape, layout, rng), a = make_strided(t, shape, Layout::strided, rng),
                b = make_strided(t, shape, layout, rng);
        CAPTURE(name_of(t), shape.str(), int(layout));
        auto got =
            run(t, shape, rng, [&](const Array& out) { kernels(Device::cpu()).where(out, c.array, a.array, b.array); });
        check(
            got, [&](int64_t i) { return element(c.array, i).re != 0 ? element(a.array, i) : element(b.array, i); }, 0);
      }
}

TEST_CASE("copy converts between any two dtypes", "[copy]") {
  std::mt19937 rng(6);
  for (DType from : kAllDTypes)
    for (DType to : kAllDTypes)
      for (const Shape& shape : kShapes)
        for (Layout layout : kLayouts) {
          Strided a = make_strided(from, shape, layout, rng);
          if (to == u8 && domain_of(from) != kBool && from != u8) {  // negative numbers do not convert to unsigned ones
            const fn::Abs f;
            Strided positive = make_output(real_of(from), shape, Layout::strided, rng);
            kernels(Device::cpu()).unary(index_of<fn::Abs, UnaryOps>, &f, positive.array, a.array);
            a = std::move(positive);
          }
          CAPTURE(name_of(from), name_of(to), shape.str(), int(layout));
          auto got = run(to, shape, rng, [&](const Array& out) { kernels(Device::cpu()).copy(out, a.array); });
          auto expected = [&](int64_t i) {
            Point x = element(a.array, i);
            if (to == boolean) return Point(x.re != 0 || x.im != 0);
            if (is_integral(to)) return Point(std::trunc(x.re));
            return is_complex(to) ? x : Point(x.re);
          };
          check(got, expected, epsilon(to));
        }
}

TEST_CASE("copies permute and transpose", "[copy]") {
  std::mt19937 rng(7);
  for (DType t : {f32, f64, bf16, c128, u8})
    for (const Shape& shape : {Shape{130, 67}, Shape{3, 64, 48}, Shape{5, 33, 2, 40}})
      for (int trial = 0; trial < 6; ++trial) {
        Strided a = make_strided(t, shape, Layout::strided, rng);
        CAPTURE(name_of(t), shape.str());
        auto got = run(t, shape, rng, [&](const Array& out) { kernels(Device::cpu()).copy(out, a.array); });
        check(
            got, [&](int64_t i) { return element(a.array, i); }, 0);
      }
}

TEST_CASE("a transposed operand of a large expression", "[loops]") {
  std::mt19937 rng(9);
  const fn::Add f;
  for (DType t : {f32, f64, bf16, i64})
    for (const Shape& shape : {Shape{300, 130}, Shape{3, 120, 110}}) {
      Strided a = make_strided(t, shape, Layout::contiguous, rng), b = make_strided(t, shape, Layout::contiguous, rng);
      Shape& s = b.array.strides;  // column-major over the last two dims
      const int last = shape.size() - 1;
      s[last] = shape[last - 1], s[last - 1] = 1;
      CAPTURE(name_of(t), shape.str());
      auto got = run(t, shape, rng, [&](const Array& out) {
        kernels(Device::cpu()).binary(index_of<fn::Add, BinaryOps>, &f, out, a.array, b.array);
      });
      check(
          got, [&](int64_t i) { return element(a.array, i) + element(b.array, i); }, 2 * epsilon(t));
    }
}

TEST_CASE("fill and arange", "[loops]") {
  std::mt19937 rng(8);
  for (DType t : kAllDTypes) {
    for (const Shape& shape : kShapes)
      check(
          run(t, shape, rng, [&](const Array& out) { kernels(Device::cpu()).fill(out, 1); }),
          [](int64_t) { return Point(1); }, 0);
    const int64_t n = t == boolean ? 2 : t == u8 ? 80 : 70000;
    Strided out = make_output(t, {n}, Layout::contiguous, rng);
    kernels(Device::cpu()).arange(out.array, 0, is_integral(t) ? Scalar(t == boolean ? 1 : 3) : Scalar(0.5));
    const double step = t == boolean ? 1 : is_integral(t) ? 3 : 0.5;
    if (t != f16)
      check(
          elements(out.array), [&](int64_t i) { return Point(double(i) * step); }, epsilon(t));
  }
}
