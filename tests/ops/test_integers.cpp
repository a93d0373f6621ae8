// Integer arithmetic that leaves its type wraps around, in every op and on every device.
#include <limits>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

namespace {

template <class T> constexpr T most = std::numeric_limits<T>::max();
template <class T> constexpr T least = std::numeric_limits<T>::min();

template <class T> T wrapped(__int128 x) { return T(std::make_unsigned_t<T>(x)); }
template <class T> std::vector<T> read(const Tensor& t) {
  REQUIRE(t.dtype() == dtype_of<T>);
  return t.to_vector<T>();
}
template <class T> Tensor from(const std::vector<T>& v, const Shape& shape) {
  const std::vector<int64_t> wide(v.begin(), v.end());
  return to(from_data(std::span<const int64_t>(wide), shape), dtype_of<T>);
}

template <class T> void check_elementwise() {
  // more elements than a vector loop takes together, and some left over
  std::vector<T> x, y;
  for (int i = 0; i < 37; ++i) x.push_back(T(most<T> - i)), y.push_back(T(i % 2 ? most<T> / 2 + i : least<T> + i));
  const Tensor a = from<T>(x, {37}), b = from<T>(y, {37});
  auto check = [&](const char* name, const Tensor& result, auto formula) {
    INFO(name);
    std::vector<T> expected;
    for (size_t i = 0; i < x.size(); ++i) expected.push_back(wrapped<T>(formula(__int128(x[i]), __int128(y[i]))));
    CHECK(read<T>(result) == expected);
  };
  using I = __int128;
  check("add", a + b, [](I u, I v) { return u + v; });
  check("sub", b - a, [](I u, I v) { return v - u; });
  check("mul", a * b, [](I u, I v) { return u * v; });
  check("add a number", a + 5, [](I u, I) { return u + 5; });
  check("sub from a number", -7 - a, [](I u, I) { return -7 - u; });
  check("mul by a number", a * 3, [](I u, I) { return u * 3; });
  check("square", square(a), [](I u, I) { return u * u; });
  check("pow", pow(a, 2), [](I u, I) { return u * u; });
  check("neg", -b, [](I, I v) { return -v; });
  check("abs", abs(b), [](I, I v) { return v < 0 ? -v : v; });
  Tensor c = a.clone();
  c += b;
  check("in place", c, [](I u, I v) { return u + v; });
}

template <class T> void check_indexed() {
  const Tensor x = from<T>({most<T>, least<T>, 1}, {3}), index = from<int64_t>({0, 0, 1}, {3}),
               by = from<T>({1, 2, -1}, {3});
  const std::vector<T> expected{wrapped<T>(__int128(most<T>) + 3), wrapped<T>(__int128(least<T>) - 1), T(1)};
  CHECK(read<T>(scatter_add(x, 0, index, by)) == expected);
  CHECK(read<T>(index_add(x, 0, index, by)) == expected);
}

template <class T> void check_product() {
  for (int64_t n : {2, 40}) {  // [n, n] [n, n], all but the first row of a are 1, b is the largest number
    Tensor a = ones({n, n}, dtype_of<T>), b = full({n, n}, most<T>, dtype_of<T>);
    a.select(0, 0).fill_(most<T>);
    std::vector<T> y = read<T>(matmul(a, b));
    const __int128 square = wrapped<T>(__int128(most<T>) * most<T>);
    CHECK(y[0] == wrapped<T>(n * square));
    CHECK(y[size_t(n)] == wrapped<T>(__int128(n) * most<T>));
    Tensor c = full({n, n}, most<T>, dtype_of<T>);
    CHECK(read<T>(addmm(c, a, b, 2, 3))[0] == wrapped<T>(3 * n * square + __int128(2) * most<T>));
  }
}

}  // namespace

TEST_CASE("elementwise integer arithmetic wraps around", "[integers]") {
  check_elementwise<int64_t>();
  check_elementwise<int32_t>();
}

TEST_CASE("sums and products of integers wrap around, along rows and down columns", "[integers]") {
  const int64_t big = most<int64_t>;
  for (Shape shape : {Shape{3, 700}, Shape{700, 3}, Shape{5, 7}}) {
    Tensor x = full(shape, big, i64);
    for (int dim : {0, 1}) {
      const int64_t n = shape[dim];
      CHECK(read<int64_t>(sum(x, dim)) ==
            std::vector<int64_t>(size_t(shape[1 - dim]), wrapped<int64_t>(__int128(n) * big)));
      // (-1 mod 2^63) squared is 1
      CHECK(read<int64_t>(prod(x, dim)) == std::vector<int64_t>(size_t(shape[1 - dim]), n % 2 ? big : 1));
    }
    CHECK(sum(x).item<int64_t>() == wrapped<int64_t>(__int128(shape.numel()) * big));
  }
  CHECK(sum(full({4}, most<int32_t>, i32)).item<int64_t>() == 4 * int64_t(most<int32_t>));  // sums of i32 are i64
}

TEST_CASE("scans of integers wrap around, along rows and down columns", "[integers]") {
  const int64_t big = most<int64_t>;
  for (bool columns : {false, true})
    for (int64_t n : {5, 3000}) {
      Tensor x = full({n}, big, i64),
             y = columns ? cumsum(expand(unsqueeze(x, 1), {n, 3}), 0).select(1, 1) : cumsum(x, 0);
      Tensor z = columns ? cumprod(expand(unsqueeze(x, 1), {n, 3}), 0).select(1, 1) : cumprod(x, 0);
      std::vector<int64_t> sums, products;
      for (int64_t i = 0; i < n; ++i) {
        sums.push_back(wrapped<int64_t>(__int128(i + 1) * big));
        products.push_back(i == 0 ? big : wrapped<int64_t>(__int128(products.back()) * big));
      }
      CHECK(read<int64_t>(y) == sums);
      CHECK(read<int64_t>(z) == products);
    }
}

TEST_CASE("sums at indices wrap around", "[integers]") {
  check_indexed<int64_t>();
  check_indexed<int32_t>();
}

TEST_CASE("products of integer matrices wrap around", "[integers]") {
  check_product<int64_t>();
  check_product<int32_t>();
}
