#include "tests/support/strided.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ink::test {
namespace {

char* address(const Array& array, int64_t flat) {
  int64_t offset = 0;
  for (int d = array.shape.size() - 1; d >= 0; --d) {
    offset += flat % array.shape[d] * array.strides[d];
    flat /= array.shape[d];
  }
  return static_cast<char*>(array.data) + offset * size_of(array.dtype);
}

void put(DType dtype, char* at, double re, double im) {
  visit(dtype, [&]<class T>() {
    T x;
    if constexpr (domain_of(dtype_of<T>) == kComplex)
      x = T(complex<double>(re, im));
    else if constexpr (std::same_as<T, bool>)
      x = re > 0;
    else if constexpr (std::same_as<T, uint8_t>)
      x = uint8_t(std::abs(re));
    else
      x = T(float(re));
    std::memcpy(at, &x, sizeof x);
  });
}

Strided allocate(DType dtype, const Shape& shape, Layout layout, std::mt19937& rng) {
  auto below = [&](int n) { return int(rng() % unsigned(n)); };
  Strided s;
  s.array = {nullptr, dtype, shape, Shape::filled(shape.size(), 0)};
  std::vector<int> order(size_t(shape.size()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = int(order.size() - 1 - i);
  if (layout != Layout::contiguous) std::shuffle(order.begin(), order.end(), rng);
  int64_t step = 1, offset = 0, last = 0;
  if (layout != Layout::contiguous) step += below(2);
  for (int d : order) {
    if (layout == Layout::broadcast && below(2)) continue;
    bool flip = layout != Layout::contiguous && below(3) == 0;
    s.array.strides[d] = flip ? -step : step;
    if (flip) offset += step * std::max<int64_t>(0, shape[d] - 1);
    last += step * std::max<int64_t>(0, shape[d] - 1);
    step *= std::max<int64_t>(1, shape[d]);
    if (layout != Layout::contiguous) step += below(3);
  }
  s.memory.assign(size_t((last + 1) * size_of(dtype) + 7) / 8, 0x5b5b5b5b5b5b5b5bull);
  s.array.data = reinterpret_cast<char*>(s.memory.data()) + offset * size_of(dtype);
  return s;
}

}  // namespace

Strided make_output(DType dtype, const Shape& shape, Layout layout, std::mt19937& rng) {
  return allocate(dtype, shape, layout, rng);
}

Strided make_strided(DType dtype, const Shape& shape, Layout layout, std::mt19937& rng) {
  Strided s = allocate(dtype, shape, layout, rng);
  const int steps = is_integral(dtype) ? 4 : 24;
  const double unit = is_integral(dtype) ? 1 : 0.125;
  auto draw = [&] { return (int(rng() % unsigned(2 * steps + 1)) - steps) * unit; };
  for (int64_t i = 0; i < shape.numel(); ++i) {
    double re = draw();
    put(dtype, address(s.array, i), re, is_complex(dtype) ? draw() : 0);
  }
  return s;
}

complex<double> element(const Array& array, int64_t flat) {
  const char* at = address(array, flat);
  return visit(array.dtype, [&]<class T>() -> complex<double> {
    T x;
    std::memcpy(&x, at, sizeof x);
    if constexpr (domain_of(dtype_of<T>) == kComplex)
      return complex<double>(x);
    else
      return complex<double>(double(x));
  });
}

std::vector<complex<double>> elements(const Array& array) {
  std::vector<complex<double>> all;
  for (int64_t i = 0; i < array.shape.numel(); ++i) all.push_back(element(array, i));
  return all;
}

std::vector<char> element_bytes(const Array& array) {
  std::vector<char> all;
  for (int64_t i = 0; i < array.shape.numel(); ++i) {
    const char* at = address(array, i);
    all.insert(all.end(), at, at + size_of(array.dtype));
  }
  return all;
}

double epsilon(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 0x1p-11;
    case DType::bf16:
      return 0x1p-8;
    case DType::f32:
    case DType::c64:
      return 0x1p-24;
    case DType::f64:
    case DType::c128:
      return 0x1p-53;
    default:
      return 0;
  }
}

bool close(complex<double> a, complex<double> b, double tolerance) {
  auto near = [&](double x, double y) {
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
    return x == y || std::abs(x - y) <= tolerance * std::max(1.0, std::hypot(b.re, b.im));
  };
  return near(a.re, b.re) && near(a.im, b.im);
}

}  // namespace ink::test
